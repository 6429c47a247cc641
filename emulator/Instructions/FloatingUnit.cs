using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>What x87, MMX and SSE instructions ask of CR0 and CR4 before anything else.</summary>
public interface IFloatingUnit
{
    /// <summary>False with the fault recorded.</summary>
    static abstract unsafe bool Check(CpuState* s);
}

/// <summary>"#NM if CR0.EM[bit 2] or CR0.TS[bit 3] = 1."</summary>
public readonly unsafe struct X87Unit : IFloatingUnit
{
    public static bool Check(CpuState* s) =>
        (s->Paging.Cr0 & (ControlBits.Cr0Em | ControlBits.Cr0Ts)) == 0 || Access.Raise(s, Vector.DeviceNotAvailable);
}

/// <summary>"#UD if CR0.EM[bit 2] = 1"; "#NM if CR0.TS[bit 3] = 1".</summary>
public readonly unsafe struct MmxUnit : IFloatingUnit
{
    public static bool Check(CpuState* s) =>
        (s->Paging.Cr0 & ControlBits.Cr0Em) != 0 ? Access.Raise(s, Vector.InvalidOpcode) : X87Unit.Check(s);
}

/// <summary>"#UD if CR0.EM[bit 2] = 1 or CR4.OSFXSR[bit 9] = 0"; "#NM if CR0.TS[bit 3] = 1".</summary>
public readonly unsafe struct SseUnit : IFloatingUnit
{
    public static bool Check(CpuState* s) =>
        (s->Paging.Cr4 & ControlBits.Cr4OsFxsr) == 0 ? Access.Raise(s, Vector.InvalidOpcode) : MmxUnit.Check(s);
}

/// <summary>A form whose unit is looked at first: where <see cref="ModeKey.FloatingChecked"/> says that it may not be available.</summary>
public readonly unsafe struct Checked<TForm, TUnit> : IForm where TForm : struct, IForm where TUnit : struct, IFloatingUnit
{
    public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
        TUnit.Check(s) ? TForm.Run<W, M>(s, op) : Chain.Fault(s, op);
}

/// <summary>Where floating-point registers stand in the state. Operations carry 16 times the register's number, as they carry offsets of general registers.</summary>
public static unsafe class FloatingRegisters
{
    /// <summary>The XMM register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Xmm(CpuState* s, byte offset) => (byte*)&s->Floating + offset;

    /// <summary>The MMX register: the significand of an x87 register, whose other half stands 8 bytes on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Mmx(CpuState* s, byte offset) => (byte*)&s->Floating + 256 + offset;
}
