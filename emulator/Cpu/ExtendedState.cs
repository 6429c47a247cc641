using System.Runtime.CompilerServices;
using Emu.Memory;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>Which of the instructions that save.</summary>
public enum ExtendedSave
{
    Xsave,
    Xsaveopt,
    Xsavec,
    Xsaves,
}

/// <summary>
/// XSAVE, XRSTOR and their kin, XGETBV and XSETBV (SDM Vol. 1, "Managing State Using the XSAVE Feature Set"). There are two state components, x87 and
/// SSE, both in the legacy region, so that the standard and the compacted format differ in the header alone. The init optimisation is made, the modified
/// optimisation, which the manual permits, is not.
/// </summary>
public static unsafe class ExtendedState
{
    /// <summary>Bits of XCR0 and of the vectors in the header.</summary>
    public const ulong X87 = 1;
    public const ulong Sse = 2;

    /// <summary>What XCR0 may hold. AVX stays hidden.</summary>
    public const ulong Supported = X87 | Sse;

    /// <summary>Bytes of an area: legacy region and header.</summary>
    public const int Size = SavedState.Size + HeaderSize;

    private const int HeaderSize = 64;
    private const int HeaderAt = SavedState.Size;
    private const ulong Compacted = 1UL << 63;

    /// <summary>"#UD if CR4.OSXSAVE[bit 18] = 0"; "#NM if CR0.TS[bit 3] = 1". CR0.EM does not matter.</summary>
    public static bool CheckUnit(CpuState* s, bool supervisor)
    {
        if ((s->Paging.Cr4 & ControlBits.Cr4OsXsave) == 0)
            return Access.Raise(s, Vector.InvalidOpcode);
        if ((s->Paging.Cr0 & ControlBits.Cr0Ts) != 0)
            return Access.Raise(s, Vector.DeviceNotAvailable);
        // XSAVES, XRSTORS: "#GP(0) if CPL > 0", whatever their operand is.
        return !supervisor || s->Cpl == 0 || Access.Raise(s, Vector.GeneralProtection);
    }

    /// <summary>XGETBV: XCR0, and with ECX = 1 which enabled components are in use.</summary>
    public static bool GetRegister(CpuState* s)
    {
        if ((s->Paging.Cr4 & ControlBits.Cr4OsXsave) == 0)
            return Access.Raise(s, Vector.InvalidOpcode);
        ulong value = s->Floating.Xcr0;
        switch ((uint)s->Registers[1])
        {
            case 0:
                break;
            case 1 when Cpu.Of(s).Model.Has(F.Xgetbv1):
                value &= InUse(s);
                break;
            default:
                return Access.Raise(s, Vector.GeneralProtection);
        }
        s->Registers[0] = (uint)value;
        s->Registers[2] = value >> 32;
        return true;
    }

    /// <summary>XSETBV.</summary>
    public static bool SetRegister(CpuState* s)
    {
        if ((s->Paging.Cr4 & ControlBits.Cr4OsXsave) == 0)
            return Access.Raise(s, Vector.InvalidOpcode);
        ulong value = Operand(s);
        // "If the current privilege level is not 0; if an invalid XCR is specified in ECX; if EDX:EAX sets bits that are reserved; if an attempt is made
        // to clear bit 0 of XCR0".
        if (s->Cpl != 0 || (uint)s->Registers[1] != 0 || (value & ~Supported) != 0 || (value & X87) == 0)
            return Access.Raise(s, Vector.GeneralProtection);
        s->Floating.Xcr0 = value;
        return true;
    }

    /// <summary>XSAVE, XSAVEOPT, XSAVEC, XSAVES to an address whose limits have been checked.</summary>
    public static bool Save(CpuState* s, ulong linear, AccessKind kind, PointerLayout layout, ExtendedSave instruction)
    {
        bool compact = instruction >= ExtendedSave.Xsavec;
        if (!IsAligned(s, linear) || !Access.ProbeWrite(s, linear, Size, kind))
            return false;
        ulong old = 0;
        if (!compact && !Access.Load(s, linear + HeaderAt, 8, kind, out old))
            return false;
        ulong requested = Operand(s) & (s->Floating.Xcr0 | (instruction == ExtendedSave.Xsaves ? s->Floating.Xss : 0));
        ulong inUse = InUse(s);
        ulong saved = instruction == ExtendedSave.Xsave ? requested : requested & inUse;
        // "If RFBM[1] = 1 and MXCSR does not have its initial value, XSAVEC writes XSTATE_BV[1] as 1."
        if (compact && (requested & Sse) != 0 && s->Floating.Mxcsr != FloatingState.MxcsrAfterPowerUp)
            saved |= Sse;
        byte* image = stackalloc byte[Size];
        Unsafe.InitBlock(image, 0, Size);
        SavedState.SaveX87(s, image, layout);
        SavedState.SaveMxcsr(s, image);
        SavedState.SaveXmm(s, image, layout);
        ((ulong*)(image + HeaderAt))[0] = compact ? saved : (old & ~requested) | (inUse & requested);
        ((ulong*)(image + HeaderAt))[1] = requested | Compacted;
        // In the standard format MXCSR goes with the request, whether or not the rest of SSE is written.
        bool mxcsr = ((compact ? saved : requested) & Sse) != 0;
        return ((saved & X87) == 0 || (Store(0, SavedState.MxcsrAt) && Store(SavedState.X87RegistersAt, SavedState.XmmAt - SavedState.X87RegistersAt)))
            && (!mxcsr || Store(SavedState.MxcsrAt, 8))
            && ((saved & Sse) == 0 || Store(SavedState.XmmAt, SavedState.XmmBytes(layout)))
            && Store(HeaderAt, compact ? 16 : 8);

        bool Store(int at, int bytes) => Access.StoreBlock(s, linear + (ulong)at, bytes, kind, image + at);
    }

    /// <summary>XRSTOR, XRSTORS from an address whose limits have been checked.</summary>
    public static bool Restore(CpuState* s, ulong linear, AccessKind kind, PointerLayout layout, bool supervisor)
    {
        byte* image = stackalloc byte[Size];
        if (!IsAligned(s, linear) || !Access.LoadBlock(s, linear, Size, kind, image))
            return false;
        ulong* header = (ulong*)(image + HeaderAt);
        ulong present = header[0];
        bool compact = (header[1] & Compacted) != 0;
        ulong allowed = s->Floating.Xcr0 | (supervisor ? s->Floating.Xss : 0);
        if (!IsValidHeader(s, header, compact, allowed, supervisor))
            return Access.Raise(s, Vector.GeneralProtection);
        ulong requested = Operand(s) & allowed;
        // The standard form loads MXCSR whatever XSTATE_BV says; in the compacted one it is part of the component.
        bool mxcsr = (requested & Sse) != 0 && (!compact || (present & Sse) != 0);
        if (mxcsr && !SavedState.IsValidMxcsr(s, *(uint*)(image + SavedState.MxcsrAt)))
            return Access.Raise(s, Vector.GeneralProtection);

        if ((requested & X87) != 0)
        {
            if ((present & X87) != 0)
                SavedState.RestoreX87(s, image, layout);
            else
                InitialiseX87(s);
        }
        if ((requested & Sse) != 0)
        {
            s->Floating.Mxcsr = mxcsr ? *(uint*)(image + SavedState.MxcsrAt) : FloatingState.MxcsrAfterPowerUp;
            if ((present & Sse) == 0)
                Unsafe.InitBlock(image + SavedState.XmmAt, 0, 256);
            SavedState.RestoreXmm(s, image, layout);
        }
        return true;
    }

    /// <summary>XINUSE: what is not in its initial configuration. MXCSR does not count, nor do XMM8 to XMM15 outside 64-bit mode.</summary>
    public static ulong InUse(CpuState* s)
    {
        FloatingState* f = &s->Floating;
        bool x87 = f->Control != FloatingState.ControlAfterInit || f->Status != 0 || f->Tags != 0 || f->Opcode != 0
            || f->InstructionPointer != 0 || f->DataPointer != 0 || f->InstructionSelector != 0 || f->DataSelector != 0
            || new ReadOnlySpan<ulong>(f->X87, 16).ContainsAnyExcept(0UL);
        bool sse = new ReadOnlySpan<ulong>(f->Xmm, s->Is64Bit ? 32 : 16).ContainsAnyExcept(0UL);
        return (x87 ? X87 : 0) | (sse ? Sse : 0);
    }

    private static bool IsValidHeader(CpuState* s, ulong* header, bool compact, ulong allowed, bool supervisor)
    {
        // "Bytes 63:16 are not all zero"; the standard form looks at bytes 23:8, of which the first eight are XCOMP_BV.
        bool clear = new ReadOnlySpan<ulong>(header + 2, compact ? 6 : 1).IndexOfAnyExcept(0UL) < 0;
        if (!compact)
            return !supervisor && header[1] == 0 && clear && (header[0] & ~allowed) == 0;
        return Cpu.Of(s).Model.Has(F.Xsavec) && clear && (header[1] & ~Compacted & ~allowed) == 0 && (header[0] & ~header[1]) == 0
            && (header[0] & Compacted) == 0;
    }

    /// <summary>"#GP(0) if a memory operand is not aligned on a 64-byte boundary, regardless of segment."</summary>
    private static bool IsAligned(CpuState* s, ulong linear) => (linear & 63) == 0 || Access.Raise(s, Vector.GeneralProtection);

    private static void InitialiseX87(CpuState* s)
    {
        FloatingState* f = &s->Floating;
        f->Control = FloatingState.ControlAfterInit;
        f->Status = f->Opcode = f->InstructionSelector = f->DataSelector = 0;
        f->Tags = 0;
        f->InstructionPointer = f->DataPointer = 0;
        new Span<ulong>(f->X87, 16).Clear();
    }

    /// <summary>EDX:EAX.</summary>
    private static ulong Operand(CpuState* s) => (uint)s->Registers[0] | s->Registers[2] << 32;
}
