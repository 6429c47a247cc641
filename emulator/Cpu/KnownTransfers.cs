using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// What a CPU remembers of events and IRETs that stayed at CPL 0 in 64-bit mode: the descriptors whose checks were passed, byte for byte, and what
/// came of them. The checks of <see cref="LongModeDelivery"/> and <see cref="Iret"/> look at nothing but these bytes, CPL and mode; where all are
/// the same they would pass again, with the same result, and only what else they look at is looked at anew: table limits, the stack, RIP.
/// <para>Invariant: descriptors are read from memory every time, as a processor does, so that nothing here can be stale. Whatever is not directly
/// readable RAM (a page to be walked, a device, a machine with store buffers) goes the long way.</para>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KnownTransfers
{
    private const int Count = 16;

    private struct Gate
    {
        public ulong Low, High, Code;
        public ulong Rip;
        public ulong ClearedFlags;
        public SegmentRegister Cs;
    }

    [InlineArray(Count)]
    private struct Gates
    {
        private Gate _first;
    }

    /// <summary>By the low bits of the vector.</summary>
    private Gates _gates;

    // The segments of the last IRET. SS may be null, and has no descriptor then.
    private ulong _code, _stack;
    private SegmentRegister _cs, _ss;
    private bool _nullStack;

    /// <summary>64-bit mode at CPL 0: all segments but FS and GS are out of the game.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Applies(CpuState* s) => (s->ModeKey & ~(ModeKey.FloatingChecked | ModeKey.SplitLocksChecked)) == (2 | ModeKey.Stack32 | ModeKey.FlatData) && s->Cpl == 0;

    /// <summary>Remembers a gate that was passed from CPL 0 to CPL 0, without a stack of the interrupt stack table.</summary>
    public static void Note(CpuState* s, in CpuEvent e, Descriptor gate, ulong high, Descriptor code, ulong clearedFlags)
    {
        Cpu cpu = Cpu.Of(s);
        if (cpu.StoreBuffer.Capacity != 0 || gate.GateSelector.IsLocal)
            return;
        cpu.Known->_gates[(int)e.Vector % Count] = new Gate
        {
            Low = gate.Raw,
            High = high,
            Code = code.Raw,
            Rip = s->Rip,
            ClearedFlags = clearedFlags,
            Cs = s->Cs,
        };
    }

    /// <summary>Remembers the segments of an IRETQ from CPL 0 to CPL 0 and 64-bit mode.</summary>
    public static void Note(CpuState* s, Descriptor code)
    {
        Cpu cpu = Cpu.Of(s);
        Selector stack = new(s->Ss.Selector);
        if (cpu.StoreBuffer.Capacity != 0 || new Selector(s->Cs.Selector).IsLocal || stack.IsLocal)
            return;
        KnownTransfers* known = cpu.Known;
        ulong raw = 0;
        if (!stack.IsNull && !TryReadGdt(s, s->Ss.Selector, out raw))
            return;
        (known->_code, known->_stack, known->_cs, known->_ss, known->_nullStack) = (code.Raw, raw, s->Cs, s->Ss, stack.IsNull);
    }

    /// <summary>Delivers an event through a gate that is known; false, and nothing has changed, when it must go the long way.</summary>
    public bool TryDeliver(CpuState* s, in CpuEvent e)
    {
        // "IF ((vector_number << 4) + 15) is not in IDT limits": the long way raises what is due.
        uint at = (uint)e.Vector * 16;
        ulong* gate = (ulong*)Access.ReadPointer(s, s->Idtr.Base + at, 16, AccessKind.Implicit);
        ref Gate known = ref _gates[(int)e.Vector % Count];
        if (at + 15 > s->Idtr.Limit || gate == null || gate[0] != known.Low || gate[1] != known.High
            || !TryReadGdt(s, known.Cs.Selector, out ulong code) || code != known.Code)
            return false;
        // "The processor aligns the RSP to a 16-byte boundary before pushing", and pushes SS:RSP always.
        int bytes = e.ErrorCode == null ? 40 : 48;
        ulong pointer = (s->Registers[4] & ~15UL) - (ulong)bytes;
        ulong* frame = (ulong*)Access.WritePointer(s, pointer, bytes, AccessKind.Stack);
        if (frame == null)
            return false;
        if (e.ErrorCode != null)
            *frame++ = e.ErrorCode.GetValueOrDefault();
        frame[0] = e.ReturnRip;
        frame[1] = s->Cs.Selector;
        frame[2] = EventDelivery.PushedFlags(s, in e);
        frame[3] = s->Registers[4];
        frame[4] = s->Ss.Selector;
        s->Registers[4] = pointer;
        s->Cs = known.Cs;
        s->Rip = known.Rip;
        s->SystemFlags &= ~known.ClearedFlags;
        return true;
    }

    /// <summary>IRETQ to segments that are known; false, and nothing has changed, when it must go the long way.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="mask">Bits of RFLAGS that change.</param>
    public bool TryReturn(CpuState* s, ulong mask)
    {
        ulong* frame = (ulong*)Access.ReadPointer(s, s->Registers[4], 40, AccessKind.Stack);
        // NT and a RIP that is not canonical fault, and the long way says how.
        if (frame == null || (s->SystemFlags & Rflags.Nt) != 0 || !Access.IsCanonical(frame[0])
            || (ushort)frame[1] != _cs.Selector || (ushort)frame[4] != _ss.Selector
            || !TryReadGdt(s, _cs.Selector, out ulong code) || code != _code
            || !(_nullStack || (TryReadGdt(s, _ss.Selector, out ulong stack) && stack == _stack)))
            return false;
        s->Rip = frame[0];
        s->Cs = _cs;
        s->Ss = _ss;
        s->Registers[4] = frame[3];
        Flags.Set(s, (s->SystemFlags & ~mask) | (frame[2] & mask));
        // Of all that CpuMode.Update derives only this depends on what may have changed: AC.
        s->Tlb = s->Tlbs + CpuMode.TlbIndex(s);
        return true;
    }

    /// <summary>
    /// The descriptor of a selector in the GDT; false when it is not within the limit or not at hand. Zero, which is no segment, is refused too: what
    /// was never noted must not match.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryReadGdt(CpuState* s, ushort selector, out ulong raw)
    {
        uint offset = selector & 0xFFF8U;
        byte* at = Access.ReadPointer(s, s->Gdtr.Base + offset, 8, AccessKind.Implicit);
        raw = at == null ? 0 : *(ulong*)at;
        return raw != 0 && offset + 7 <= s->Gdtr.Limit;
    }
}
