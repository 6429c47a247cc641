using System.Runtime.CompilerServices;
using Emu.Memory;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>Which of its layouts an image of the x87 state has: how the instruction and data pointers are stored.</summary>
public enum PointerLayout
{
    /// <summary>Offsets of 32 bits and selectors; XMM0 to XMM7.</summary>
    Legacy,

    /// <summary>64-bit mode without REX.W: offsets of 32 bits and selectors; XMM0 to XMM15.</summary>
    Compatible,

    /// <summary>64-bit mode with REX.W: offsets of 64 bits; XMM0 to XMM15.</summary>
    Promoted,
}

/// <summary>
/// FXSAVE and FXRSTOR, and the legacy region of an XSAVE area, which has the same layout (SDM, "FXSAVE - Save x87 FPU, MMX Technology, and SSE State").
/// </summary>
public static unsafe class SavedState
{
    /// <summary>Bytes of the area; of them the last 48 belong to software.</summary>
    public const int Size = 512;

    internal const int MxcsrAt = 24;
    internal const int X87RegistersAt = 32;
    internal const int XmmAt = 160;

    /// <summary>The bits of MXCSR that exist: denormals-are-zeros came with SSE2.</summary>
    public static uint MxcsrMask(CpuModel model) => model.Has(F.Sse2) ? 0xFFFFU : 0xFFBFU;

    /// <summary>The control word with its reserved bits as they read (seen on a CPU: bits 15:13 and 7 are 0, bit 6 is 1).</summary>
    public static ushort ControlWord(ushort value) => (ushort)((value & 0x1F3F) | 0x40);

    /// <summary>The status word with ES and B as they follow from the exception flags and the masks in the control word.</summary>
    public static ushort StatusWord(ushort value, ushort control)
    {
        const int derived = X87Status.Summary | X87Status.Busy;
        bool pending = (value & ~control & 0x3F) != 0;
        return (ushort)((value & ~derived) | (pending ? derived : 0));
    }

    /// <summary>FXSAVE at an address that has been checked for alignment and limits.</summary>
    public static bool Save(CpuState* s, ulong linear, AccessKind kind, PointerLayout layout)
    {
        byte* image = stackalloc byte[Size];
        Unsafe.InitBlock(image, 0, Size);
        CpuModel model = Cpu.Of(s).Model;
        SaveX87(s, image, layout);
        // APM, "FXSAVE": AMD processors store the opcode and the pointers of the last x87 instruction only when an exception is pending, else zeros.
        if (model.Vendor == CpuVendor.Amd && (s->Floating.Status & X87Status.Summary) == 0)
            Unsafe.InitBlock(image + 6, 0, MxcsrAt - 6);
        SaveMxcsr(s, image);
        SaveXmm(s, image, layout);
        if (!Access.ProbeWrite(s, linear, Size, kind))
            return false;
        // "If the OSFXSR bit in control register CR4 is not set, the FXSAVE instruction may not save this register": neither XMM nor MXCSR are.
        bool sse = (s->Paging.Cr4 & ControlBits.Cr4OsFxsr) != 0;
        return Access.StoreBlock(s, linear, MxcsrAt, kind, image)
            && (!sse || Access.StoreBlock(s, linear + MxcsrAt, 8, kind, image + MxcsrAt))
            && Access.StoreBlock(s, linear + X87RegistersAt, XmmAt - X87RegistersAt, kind, image + X87RegistersAt)
            && (!sse || Access.StoreBlock(s, linear + XmmAt, XmmBytes(layout), kind, image + XmmAt));
    }

    /// <summary>FXRSTOR from an address that has been checked for alignment and limits; #GP(0) for reserved bits of MXCSR.</summary>
    public static bool Restore(CpuState* s, ulong linear, AccessKind kind, PointerLayout layout)
    {
        byte* image = stackalloc byte[Size];
        if (!Access.LoadBlock(s, linear, Size, kind, image))
            return false;
        bool sse = (s->Paging.Cr4 & ControlBits.Cr4OsFxsr) != 0;
        if (sse && !IsValidMxcsr(s, *(uint*)(image + MxcsrAt)))
            return Access.Raise(s, Vector.GeneralProtection);
        RestoreX87(s, image, layout);
        if (sse)
        {
            s->Floating.Mxcsr = *(uint*)(image + MxcsrAt);
            RestoreXmm(s, image, layout);
        }
        return true;
    }

    /// <summary>LDMXCSR, and what reloads MXCSR: "an attempt to write a non-zero value to reserved bits: #GP(0)".</summary>
    public static bool IsValidMxcsr(CpuState* s, uint value) => (value & ~MxcsrMask(Cpu.Of(s).Model)) == 0;

    /// <summary>Fills in bytes 0 to 23 and 32 to 159.</summary>
    internal static void SaveX87(CpuState* s, byte* image, PointerLayout layout)
    {
        FloatingState* f = &s->Floating;
        *(ushort*)image = f->Control;
        *(ushort*)(image + 2) = f->Status;
        image[4] = f->Tags;
        *(ushort*)(image + 6) = f->Opcode;
        // SDM Vol. 1, "FXSAVE Area": where the processor deprecates FPU CS and FPU DS, "this field is saved as 0000H".
        bool selectors = !Cpu.Of(s).Model.Has(F.NoX87Selectors);
        *(ulong*)(image + 8) = Pointer(f->InstructionPointer, selectors ? f->InstructionSelector : (ushort)0, layout);
        *(ulong*)(image + 16) = Pointer(f->DataPointer, selectors ? f->DataSelector : (ushort)0, layout);
        int top = Top(f->Status);
        for (int i = 0; i < 8; i++)
            Unsafe.CopyBlock(image + X87RegistersAt + 16 * i, (byte*)f->X87 + 16 * ((top + i) & 7), 10);
    }

    internal static void SaveMxcsr(CpuState* s, byte* image)
    {
        *(uint*)(image + MxcsrAt) = s->Floating.Mxcsr;
        *(uint*)(image + MxcsrAt + 4) = MxcsrMask(Cpu.Of(s).Model);
    }

    internal static void SaveXmm(CpuState* s, byte* image, PointerLayout layout) =>
        Unsafe.CopyBlock(image + XmmAt, s->Floating.Xmm, (uint)XmmBytes(layout));

    internal static void RestoreX87(CpuState* s, byte* image, PointerLayout layout)
    {
        FloatingState* f = &s->Floating;
        f->Control = ControlWord(*(ushort*)image);
        f->Status = StatusWord(*(ushort*)(image + 2), f->Control);
        f->Tags = image[4];
        if ((f->Status & X87Status.Summary) == 0)
            f->Error = NumericError.None;
        f->Opcode = (ushort)(*(ushort*)(image + 6) & 0x7FF);
        (f->InstructionPointer, f->InstructionSelector) = Pointer(*(ulong*)(image + 8), layout);
        (f->DataPointer, f->DataSelector) = Pointer(*(ulong*)(image + 16), layout);
        int top = Top(f->Status);
        for (int i = 0; i < 8; i++)
        {
            ulong* register = f->X87 + 2 * ((top + i) & 7);
            register[0] = *(ulong*)(image + X87RegistersAt + 16 * i);
            register[1] = *(ushort*)(image + X87RegistersAt + 16 * i + 8);
        }
    }

    internal static void RestoreXmm(CpuState* s, byte* image, PointerLayout layout) =>
        Unsafe.CopyBlock(s->Floating.Xmm, image + XmmAt, (uint)XmmBytes(layout));

    /// <summary>Outside 64-bit mode XMM8 to XMM15 are neither saved nor restored.</summary>
    internal static int XmmBytes(PointerLayout layout) => layout == PointerLayout.Legacy ? 128 : 256;

    private static int Top(ushort status) => status >> X87Status.TopShift & 7;

    private static ulong Pointer(ulong offset, ushort selector, PointerLayout layout) =>
        layout == PointerLayout.Promoted ? offset : (uint)offset | (ulong)selector << 32;

    private static (ulong Offset, ushort Selector) Pointer(ulong stored, PointerLayout layout) =>
        layout == PointerLayout.Promoted ? (stored, (ushort)0) : ((uint)stored, (ushort)(stored >> 32));
}
