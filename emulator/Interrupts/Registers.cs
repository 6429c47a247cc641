namespace Emu.Interrupts;

/// <summary>What software may do with a register or a field.</summary>
[Flags]
public enum RegisterAccess
{
    /// <summary>Not there in this mode.</summary>
    None = 0,
    Read = 1,
    Write = 2,
    ReadWrite = Read | Write,
}

/// <summary>Bits <see cref="High"/> to <see cref="Low"/> of a register, by the name that the data sheet gives them.</summary>
/// <param name="Access">Read-only fields ignore what is written to them.</param>
/// <param name="Absent">When set: the field exists and keeps its value, but what it governs is not modelled; says what.</param>
public readonly record struct BitField(string Name, int High, int Low, RegisterAccess Access = RegisterAccess.ReadWrite, string? Absent = null)
{
    /// <summary>A field of one bit.</summary>
    public BitField(string name, int bit)
        : this(name, bit, bit)
    {
    }

    public uint Mask { get; } = (uint.MaxValue >> (31 - High + Low)) << Low;

    /// <summary>The field's value in a register.</summary>
    public uint Of(uint register) => (register & Mask) >> Low;

    public bool IsSet(uint register) => (register & Mask) != 0;

    /// <summary>The register with this field replaced.</summary>
    public uint With(uint register, uint value) => (register & ~Mask) | ((value << Low) & Mask);
}

/// <summary>A register as the data sheet draws it. The code takes its masks from here, so that the table is what the device does.</summary>
public sealed class RegisterLayout
{
    public RegisterLayout(int offset, string name, RegisterAccess access, params BitField[] fields)
    {
        Offset = offset;
        Name = name;
        Access = access;
        Fields = fields;
        foreach (BitField f in fields)
        {
            Defined |= f.Mask;
            if ((f.Access & RegisterAccess.Write) != 0)
                Writable |= f.Mask;
        }
    }

    public int Offset { get; }
    public string Name { get; }
    public RegisterAccess Access { get; }
    public IReadOnlyList<BitField> Fields { get; }

    /// <summary>Bits that belong to a field; all others are reserved.</summary>
    public uint Defined { get; }

    /// <summary>Bits that a write changes.</summary>
    public uint Writable { get; }

    /// <summary>What the register holds after a write.</summary>
    public uint Merge(uint old, uint written) => (old & ~Writable) | (written & Writable);

    /// <summary>The fields of a value, for a person: <c>LVT Timer = Vector 0x30, Mask 1</c>.</summary>
    public string Describe(uint value) =>
        $"{Name} = {string.Join(", ", Fields.Select(f => f.High == f.Low ? $"{f.Name} {f.Of(value)}" : $"{f.Name} 0x{f.Of(value):x}"))}";
}
