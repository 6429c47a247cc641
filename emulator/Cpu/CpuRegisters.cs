namespace Emu.Cpus;

/// <summary>
/// A CPU's registers by name, for host programs that look at a machine or set one up: general registers of any width, rip, eflags, rflags, cr2, and
/// the interrupt flag as <c>if</c>.
/// </summary>
public static unsafe class CpuRegisters
{
    private readonly record struct Part(int Number, int Bytes, int Shift);

    private static readonly Dictionary<string, Part> _parts = MakeParts();

    /// <summary>The 64-bit general registers in the order of their encoding.</summary>
    public static IReadOnlyList<string> General { get; } =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>True when <see cref="Read"/> and <see cref="Write"/> know the name, which is lower case.</summary>
    public static bool Exists(string name) => name is "rip" or "eflags" or "rflags" or "cr2" or "if" || _parts.ContainsKey(name);

    /// <summary>Bytes of a register; 1 for a flag.</summary>
    public static int SizeOf(string name) => name switch
    {
        "eflags" => 4,
        "if" => 1,
        _ => _parts.TryGetValue(name, out Part part) ? part.Bytes : 8,
    };

    /// <summary>The value, zero-extended; 0 for a name that does not exist.</summary>
    public static ulong Read(Cpu cpu, string name)
    {
        CpuState* s = cpu.State;
        switch (name)
        {
            case "rip":
                return s->Rip;
            case "eflags" or "rflags":
                return Flags.Get(s);
            case "cr2":
                return s->Paging.Cr2;
            case "if":
                return (s->SystemFlags & Rflags.If) != 0 ? 1UL : 0;
        }
        if (!_parts.TryGetValue(name, out Part part))
            return 0;
        return s->Registers[part.Number] >> part.Shift & Mask(part);
    }

    /// <summary>Sets a register; of a general one that is only named in part, the rest becomes zero, as initial values are.</summary>
    public static void Write(Cpu cpu, string name, ulong value)
    {
        CpuState* s = cpu.State;
        switch (name)
        {
            case "rip":
                s->Rip = value;
                return;
            case "eflags" or "rflags":
                Flags.Set(s, value | Rflags.Reserved1);
                return;
            case "cr2":
                s->Paging.Cr2 = value;
                return;
            case "if":
                Flags.Set(s, value != 0 ? Flags.Get(s) | Rflags.If : Flags.Get(s) & ~Rflags.If);
                return;
        }
        if (_parts.TryGetValue(name, out Part part))
            s->Registers[part.Number] = (value & Mask(part)) << part.Shift;
    }

    private static ulong Mask(Part part) => ulong.MaxValue >> (64 - 8 * part.Bytes);

    private static Dictionary<string, Part> MakeParts()
    {
        string[] legacy = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
        var parts = new Dictionary<string, Part>();
        for (int i = 0; i < 8; i++)
        {
            parts["r" + legacy[i]] = new Part(i, 8, 0);
            parts["e" + legacy[i]] = new Part(i, 4, 0);
            parts[legacy[i]] = new Part(i, 2, 0);
            // al, cl, dl, bl, and spl, bpl, sil, dil of 64-bit mode; ah, ch, dh, bh.
            parts[i < 4 ? $"{legacy[i][0]}l" : legacy[i] + "l"] = new Part(i, 1, 0);
            if (i < 4)
                parts[$"{legacy[i][0]}h"] = new Part(i, 1, 8);
            parts[$"r{i + 8}"] = new Part(i + 8, 8, 0);
            parts[$"r{i + 8}d"] = new Part(i + 8, 4, 0);
            parts[$"r{i + 8}w"] = new Part(i + 8, 2, 0);
            parts[$"r{i + 8}b"] = new Part(i + 8, 1, 0);
        }
        return parts;
    }
}
