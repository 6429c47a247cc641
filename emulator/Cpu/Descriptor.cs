using Emu.Memory;

namespace Emu.Cpus;

/// <summary>A segment selector (SDM, "Segment Selectors").</summary>
public readonly record struct Selector(ushort Value)
{
    public int Rpl => Value & 3;

    /// <summary>Index 0 of the GDT, with any RPL.</summary>
    public bool IsNull => (Value & 0xFFFC) == 0;

    /// <summary>TI: the LDT.</summary>
    public bool IsLocal => (Value & 4) != 0;

    /// <summary>Offset of the descriptor in its table.</summary>
    public uint Offset => Value & 0xFFF8U;

    /// <summary>As error code: index and TI; the RPL bits are EXT and IDT there.</summary>
    public uint ErrorCode => Value & 0xFFFCU;

    public override string ToString() => $"0x{Value:x4}";
}

/// <summary>Eight bytes of a descriptor table, and the address where they lie.</summary>
public readonly record struct Descriptor(ulong Raw, ulong Linear)
{
    /// <summary>Bits 40-55, as in <see cref="SegmentRegister.Attributes"/>; the limit's upper four bits between are masked out.</summary>
    public ushort Attributes => (ushort)((Raw >> 40) & 0xF0FF);
    public int Type => (int)(Raw >> 40) & 0xF;
    public bool IsSystem => (Raw & 1UL << 44) == 0;
    public int Dpl => (int)(Raw >> 45) & 3;
    public bool IsPresent => (Raw & 1UL << 47) != 0;
    public bool IsLong => (Raw & 1UL << 53) != 0;

    /// <summary>D or B.</summary>
    public bool IsBig => (Raw & 1UL << 54) != 0;

    public bool IsCode => !IsSystem && (Type & SegmentAttributes.Code) != 0;
    public bool IsConforming => IsCode && (Type & SegmentAttributes.ExpandDownOrConforming) != 0;
    public bool IsReadable => !IsSystem && (!IsCode || (Type & SegmentAttributes.WritableOrReadable) != 0);
    public bool IsWritableData => !IsSystem && !IsCode && (Type & SegmentAttributes.WritableOrReadable) != 0;
    public bool IsAccessed => (Raw & 1UL << 40) != 0;

    /// <summary>Bits 31:0 of the base.</summary>
    public uint Base => (uint)((Raw >> 16) & 0xFF_FFFF) | (uint)(Raw >> 32) & 0xFF00_0000;

    /// <summary>The last valid offset, granularity applied.</summary>
    public uint Limit
    {
        get
        {
            uint limit = (uint)(Raw & 0xFFFF) | (uint)(Raw >> 32) & 0xF_0000;
            return (Raw & 1UL << 55) != 0 ? limit << 12 | 0xFFF : limit;
        }
    }

    /// <summary>A gate's code segment.</summary>
    public Selector GateSelector => new((ushort)(Raw >> 16));

    /// <summary>A gate's offset, bits 31:0; of a 16-bit gate only 15:0 count.</summary>
    public uint GateOffset => (uint)(Raw & 0xFFFF) | (uint)(Raw >> 32) & 0xFFFF_0000;

    /// <summary>A call gate's parameter count.</summary>
    public int ParameterCount => (int)(Raw >> 32) & 0x1F;

    /// <summary>An interrupt or trap gate's index into the interrupt stack table.</summary>
    public int InterruptStack => (int)(Raw >> 32) & 7;

    /// <summary>The hidden part that a segment register takes.</summary>
    public SegmentRegister ToRegister(ushort selector) => new()
    {
        Selector = selector,
        Base = Base,
        Limit = Limit,
        Attributes = Attributes,
        Usable = 1,
    };
}

/// <summary>Reads and marks descriptors in the GDT and the LDT; all accesses are implicit supervisor accesses.</summary>
public static unsafe class DescriptorTables
{
    /// <summary>A linear address formed outside of a segment: 32 bits wide but in IA-32e mode.</summary>
    public static ulong Linear(CpuState* s, ulong address) => s->LongModeActive ? address : address & uint.MaxValue;

    /// <summary>
    /// Reads the descriptor of a selector that is not null; with <paramref name="vector"/> and the selector as error code when it lies beyond the
    /// table's limit.
    /// </summary>
    public static bool TryRead(CpuState* s, Selector selector, Vector vector, out Descriptor descriptor)
    {
        descriptor = default;
        if (!TryLocate(s, selector, 8, out ulong linear))
            return Access.Raise(s, vector, selector.ErrorCode);
        return TryReadAt(s, linear, out descriptor);
    }

    /// <summary>Where a selector's descriptor of 8 or 16 bytes lies; false when it does not lie within the table.</summary>
    public static bool TryLocate(CpuState* s, Selector selector, uint size, out ulong linear)
    {
        ulong @base = selector.IsLocal ? s->Ldtr.Base : s->Gdtr.Base;
        uint limit = selector.IsLocal ? s->Ldtr.Limit : s->Gdtr.Limit;
        linear = Linear(s, @base + selector.Offset);
        return (!selector.IsLocal || s->Ldtr.Usable != 0) && selector.Offset + (size - 1) <= limit;
    }

    /// <summary>Reads eight bytes of a table.</summary>
    public static bool TryReadAt(CpuState* s, ulong linear, out Descriptor descriptor)
    {
        bool ok = Access.Load(s, linear, 8, AccessKind.Implicit, out ulong raw);
        descriptor = new Descriptor(raw, linear);
        return ok;
    }

    /// <summary>Sets the accessed bit of a code or data descriptor if it is clear: a locked update (SDM, "Automatic Locking").</summary>
    public static bool SetAccessed(CpuState* s, ref Descriptor descriptor) =>
        descriptor.IsAccessed || SetTypeBits(s, ref descriptor, SegmentAttributes.Accessed);

    /// <summary>Marks a TSS descriptor busy: a locked update.</summary>
    public static bool SetBusy(CpuState* s, ref Descriptor descriptor) => SetTypeBits(s, ref descriptor, SystemType.BusyBit);

    /// <summary>Marks a TSS descriptor available.</summary>
    public static bool ClearBusy(CpuState* s, ref Descriptor descriptor) => SetTypeBits(s, ref descriptor, 0, clear: SystemType.BusyBit);

    private static bool SetTypeBits(CpuState* s, ref Descriptor descriptor, uint bits, uint clear = 0)
    {
        StoreBuffer stores = Cpu.Of(s).StoreBuffer;
        stores.DrainAll();
        // The type stands in byte 5.
        ulong at = Linear(s, descriptor.Linear + 5);
        if (!Access.ProbeWrite(s, at, 1, AccessKind.Implicit) || !Access.Load(s, at, 1, AccessKind.Implicit, out ulong type)
            || !Access.Store(s, at, 1, AccessKind.Implicit, (type | bits) & ~clear))
            return false;
        stores.DrainAll();
        descriptor = descriptor with { Raw = (descriptor.Raw | (ulong)bits << 40) & ~((ulong)clear << 40) };
        return true;
    }
}
