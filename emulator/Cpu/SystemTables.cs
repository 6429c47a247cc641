using Emu.Memory;

namespace Emu.Cpus;

/// <summary>LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, complete: privilege, operand, effect (SDM, "Memory-Management Registers").</summary>
public static unsafe class SystemTables
{
    /// <summary>LGDT with its operand at an offset in a segment. The base is 24, 32 or 64 bits wide. Serialises.</summary>
    public static bool Lgdt(CpuState* s, SegmentIndex segment, ulong offset, int operandSize) =>
        LoadTable(s, segment, offset, operandSize, ref s->Gdtr);

    /// <summary>LIDT, in the same way.</summary>
    public static bool Lidt(CpuState* s, SegmentIndex segment, ulong offset, int operandSize) =>
        LoadTable(s, segment, offset, operandSize, ref s->Idtr);

    /// <summary>SGDT: two bytes of limit and four, in 64-bit mode eight, of base.</summary>
    public static bool Sgdt(CpuState* s, SegmentIndex segment, ulong offset) => StoreTable(s, segment, offset, in s->Gdtr);

    /// <summary>SIDT, in the same way.</summary>
    public static bool Sidt(CpuState* s, SegmentIndex segment, ulong offset) => StoreTable(s, segment, offset, in s->Idtr);

    /// <summary>LLDT. Serialises.</summary>
    public static bool Lldt(CpuState* s, ushort value)
    {
        if (!CheckMode(s))
            return false;
        Selector selector = new(value);
        if (selector.IsNull)
        {
            s->Ldtr = SegmentLoad.Null(value);
        }
        else
        {
            if (!TryReadSystem(s, selector, out Descriptor d, out ulong @base))
                return false;
            // "If the segment descriptor is not for an LDT: #GP(selector)"; "#NP(selector) if not present".
            if (!d.IsSystem || d.Type != SystemType.Ldt)
                return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
            if (!d.IsPresent)
                return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
            s->Ldtr = d.ToRegister(value) with { Base = @base };
        }
        Cpu.Of(s).Serialise(SerialisingEvent.Lldt);
        return true;
    }

    /// <summary>LTR: marks the TSS busy. Serialises.</summary>
    public static bool Ltr(CpuState* s, ushort value)
    {
        if (!CheckMode(s))
            return false;
        Selector selector = new(value);
        if (selector.IsNull)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!TryReadSystem(s, selector, out Descriptor d, out ulong @base))
            return false;
        // "If the segment descriptor is not for an available TSS"; in IA-32e mode there is no 16-bit one.
        bool available = d.Type == SystemType.AvailableTss32 || (d.Type == SystemType.AvailableTss16 && !s->LongModeActive);
        if (!d.IsSystem || !available)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        if (!d.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
        if (!DescriptorTables.SetBusy(s, ref d))
            return false;
        s->Tr = d.ToRegister(value) with { Base = @base };
        Cpu.Of(s).Serialise(SerialisingEvent.Ltr);
        return true;
    }

    /// <summary>SLDT.</summary>
    public static bool Sldt(CpuState* s, out ushort selector)
    {
        selector = s->Ldtr.Selector;
        return CheckProtected(s) && Privilege.CheckUmip(s);
    }

    /// <summary>STR.</summary>
    public static bool Str(CpuState* s, out ushort selector)
    {
        selector = s->Tr.Selector;
        return CheckProtected(s) && Privilege.CheckUmip(s);
    }

    /// <summary>"The instruction is not recognized in real-address mode" nor in virtual-8086 mode: #UD.</summary>
    internal static bool CheckProtected(CpuState* s) =>
        (s->ProtectedMode && !s->Virtual8086) || Access.Raise(s, Vector.InvalidOpcode);

    private static bool CheckMode(CpuState* s) => CheckProtected(s) && Privilege.CheckCpl0(s);

    /// <summary>Reads the descriptor of an LDT or a TSS: in the GDT; 16 bytes in IA-32e mode.</summary>
    private static bool TryReadSystem(CpuState* s, Selector selector, out Descriptor d, out ulong @base)
    {
        d = default;
        @base = 0;
        uint size = s->LongModeActive ? 16U : 8U;
        if (selector.IsLocal || !DescriptorTables.TryLocate(s, selector, size, out ulong linear))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        if (!DescriptorTables.TryReadAt(s, linear, out d))
            return false;
        @base = d.Base;
        if (size == 8)
            return true;
        if (!Access.Load(s, linear + 8, 8, AccessKind.Implicit, out ulong high))
            return false;
        @base |= high << 32;
        // The type field of the third and fourth doubleword must be 0, and the base canonical.
        if ((high & 0x1F00_0000_0000) != 0 || !Access.IsCanonical(@base))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        return true;
    }

    private static bool LoadTable(CpuState* s, SegmentIndex segment, ulong offset, int operandSize, ref TableRegister table)
    {
        if (!Privilege.CheckCpl0(s))
            return false;
        int baseSize = s->Is64Bit ? 8 : 4;
        AccessKind kind = segment == SegmentIndex.Ss ? AccessKind.Stack : AccessKind.Read;
        if (!Segmentation.TryLinear(s, segment, offset, 2 + baseSize, AccessKind.Read, out ulong linear)
            || !Access.Load(s, linear, 2, kind, out ulong limit)
            || !Access.Load(s, DescriptorTables.Linear(s, linear + 2), baseSize, kind, out ulong @base))
            return false;
        // "If the operand-size attribute is 16 bits, a 16-bit limit and a 24-bit base address are loaded."
        if (!s->Is64Bit && operandSize == 2)
            @base &= 0xFF_FFFF;
        if (s->Is64Bit && !Access.IsCanonical(@base))
            return Access.Raise(s, Vector.GeneralProtection);
        table = new TableRegister { Base = @base, Limit = (uint)limit };
        Cpu.Of(s).Serialise(SerialisingEvent.LoadDescriptorTable);
        return true;
    }

    private static bool StoreTable(CpuState* s, SegmentIndex segment, ulong offset, in TableRegister table)
    {
        if (!Privilege.CheckUmip(s))
            return false;
        int baseSize = s->Is64Bit ? 8 : 4;
        AccessKind kind = segment == SegmentIndex.Ss ? AccessKind.Stack : AccessKind.Read;
        if (!Segmentation.TryLinear(s, segment, offset, 2 + baseSize, AccessKind.Write, out ulong linear)
            || !Access.ProbeWrite(s, linear, 2 + baseSize, kind))
            return false;
        return Access.Store(s, linear, 2, kind, table.Limit)
            && Access.Store(s, DescriptorTables.Linear(s, linear + 2), baseSize, kind, table.Base);
    }
}
