using System.Runtime.CompilerServices;
using Emu.Cpus;
using System.Runtime.Intrinsics;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>An operand width. Values travel as zero-extended ulong.</summary>
public interface IWidth
{
    static abstract int Bits { get; }
}

public readonly struct W8 : IWidth
{
    public static int Bits => 8;
}

public readonly struct W16 : IWidth
{
    public static int Bits => 16;
}

public readonly struct W32 : IWidth
{
    public static int Bits => 32;
}

public readonly struct W64 : IWidth
{
    public static int Bits => 64;
}

/// <summary>An XMM register. Of vector instructions alone, for which <see cref="W64"/> is an MMX register (see <see cref="VectorRegister"/>).</summary>
public readonly struct W128 : IWidth
{
    public static int Bits => 128;
}

/// <summary>Arithmetic helpers that fold to nothing for a given width.</summary>
public static unsafe class Width
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Bytes<W>() where W : struct, IWidth => W.Bits / 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Truncate<W>(ulong v) where W : struct, IWidth => W.Bits switch
    {
        8 => (byte)v,
        16 => (ushort)v,
        32 => (uint)v,
        _ => v,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long SignExtend<W>(ulong v) where W : struct, IWidth => W.Bits switch
    {
        8 => (sbyte)v,
        16 => (short)v,
        32 => (int)v,
        _ => (long)v,
    };

    /// <summary>Reads the register at a byte offset in the state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Read<W>(CpuState* s, byte offset) where W : struct, IWidth => ReadAt<W>((byte*)s + offset);

    /// <summary>Writes a register; a 32-bit write clears the upper half, 8- and 16-bit writes keep the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<W>(CpuState* s, byte offset, ulong v) where W : struct, IWidth
    {
        if (W.Bits == 32)
            *(ulong*)((byte*)s + offset) = (uint)v;
        else
            WriteAt<W>((byte*)s + offset, v);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReadAt<W>(byte* p) where W : struct, IWidth => W.Bits switch
    {
        8 => *p,
        16 => *(ushort*)p,
        32 => *(uint*)p,
        _ => *(ulong*)p,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteAt<W>(byte* p, ulong v) where W : struct, IWidth
    {
        if (W.Bits == 8)
            *p = (byte)v;
        else if (W.Bits == 16)
            *(ushort*)p = (ushort)v;
        else if (W.Bits == 32)
            *(uint*)p = (uint)v;
        else
            *(ulong*)p = v;
    }
}

/// <summary>How the effective address of a fast memory operand is formed. All are flat: no limit to check.</summary>
public interface IAddressForm
{
    static abstract unsafe ulong Linear(CpuState* s, Op* op);

    /// <summary>Moves the stack pointer of a stack operation that used this form. RSP is the fifth word of the state; a fixed buffer would cost a null check.</summary>
    static abstract unsafe void MoveStackPointer(CpuState* s, int by);
}

/// <summary>64-bit: [base + displacement], also RIP-relative and absolute.</summary>
public readonly unsafe struct BaseForm : IAddressForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Linear(CpuState* s, Op* op) => *(ulong*)((byte*)s + op->Base) + (ulong)op->Displacement;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MoveStackPointer(CpuState* s, int by) => ((ulong*)s)[4] += (ulong)(long)by;
}

/// <summary>64-bit: [base + index * scale + displacement].</summary>
public readonly unsafe struct IndexForm : IAddressForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Linear(CpuState* s, Op* op) =>
        *(ulong*)((byte*)s + op->Base) + (*(ulong*)((byte*)s + op->Index) << op->Scale) + (ulong)op->Displacement;

    public static void MoveStackPointer(CpuState* s, int by) => ((ulong*)s)[4] += (ulong)(long)by;
}

/// <summary>64-bit with an FS or GS base.</summary>
public readonly unsafe struct SegmentForm : IAddressForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Linear(CpuState* s, Op* op) => IndexForm.Linear(s, op) + (&s->Es)[op->Segment].Base;

    public static void MoveStackPointer(CpuState* s, int by) => ((ulong*)s)[4] += (ulong)(long)by;
}

/// <summary>32-bit address size in a flat segment.</summary>
public readonly unsafe struct Flat32Form : IAddressForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Linear(CpuState* s, Op* op) => (uint)IndexForm.Linear(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MoveStackPointer(CpuState* s, int by) => ((ulong*)s)[4] = (uint)((uint)((ulong*)s)[4] + (uint)by);
}

/// <summary>Whether a memory operand of 16 bytes must be aligned.</summary>
public interface IAlignment
{
    /// <summary>Bits of the linear address that must be zero.</summary>
    static abstract ulong Mask { get; }
}

/// <summary>"If a memory operand is not aligned on a 16-byte boundary, regardless of segment: #GP(0)."</summary>
public readonly struct Aligned : IAlignment
{
    public static ulong Mask => 15;
}

public readonly struct Unaligned : IAlignment
{
    public static ulong Mask => 0;
}

/// <summary>
/// How an operation reaches memory. <see cref="Fast{T}"/> probes the TLB and goes straight to RAM; <see cref="Full"/> does everything else:
/// walks, faults, devices, page crossing, store buffers, segment limits. An instruction is written once over this interface, so that the
/// modelled machine (always Full) cannot drift from the fast one.
/// </summary>
public unsafe interface IMemory
{
    /// <summary>Reads the memory operand; false when this kind of access cannot.</summary>
    static abstract bool Load<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth;

    /// <summary>Writes the memory operand.</summary>
    static abstract bool Store<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth;

    /// <summary>Reads the operand of a read-modify-write after making sure that it can be written; <paramref name="place"/> goes to <see cref="Update{W}"/>.</summary>
    static abstract bool LoadForUpdate<W>(CpuState* s, Op* op, out ulong value, out nuint place) where W : struct, IWidth;

    /// <summary>Writes the operand found by <see cref="LoadForUpdate{W}"/>; cannot fail.</summary>
    static abstract void Update<W>(CpuState* s, Op* op, nuint place, ulong value) where W : struct, IWidth;

    /// <summary>Reads a memory operand of 16 bytes.</summary>
    static abstract bool LoadVector<A>(CpuState* s, Op* op, out Vector128<byte> value) where A : struct, IAlignment;

    /// <summary>Writes a memory operand of 16 bytes.</summary>
    static abstract bool StoreVector<A>(CpuState* s, Op* op, Vector128<byte> value) where A : struct, IAlignment;

    /// <summary>Moves the stack pointer by the width of the stack in force.</summary>
    static abstract void MoveStackPointer(CpuState* s, int by);

    /// <summary>What to return when an access failed: Fast runs the Full handler, Full leaves with the fault.</summary>
    static abstract Op* Failed(CpuState* s, Op* op);

    /// <summary>Goes on with the next operation; Full first looks whether somebody asked the chain to return.</summary>
    static abstract Op* Next(CpuState* s, Op* op);

    /// <summary>Goes on at a direct branch's target.</summary>
    static abstract Op* Branch(CpuState* s, Block** link, ulong target);

    /// <summary>Goes on at an indirect branch's target.</summary>
    static abstract Op* BranchIndirect(CpuState* s, ulong target);
}

/// <summary>Straight to RAM where the TLB says so. Frameless: no call but in tail position.</summary>
public readonly unsafe struct Fast<TForm> : IMemory where TForm : struct, IAddressForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth
    {
        ulong linear = TForm.Linear(s, op);
        TlbEntry* e = Tlb.Slot(s->Tlb, linear);
        if (((linear + (ulong)(W.Bits / 8 - 1)) & Page.Mask) != e->ReadTag)
        {
            value = 0;
            return false;
        }
        value = Width.ReadAt<W>((byte*)((nint)linear + e->Addend));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
    {
        ulong linear = TForm.Linear(s, op);
        TlbEntry* e = Tlb.Slot(s->Tlb, linear);
        if (((linear + (ulong)(W.Bits / 8 - 1)) & Page.Mask) != e->WriteTag)
            return false;
        Width.WriteAt<W>((byte*)((nint)linear + e->Addend), value);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool LoadForUpdate<W>(CpuState* s, Op* op, out ulong value, out nuint place) where W : struct, IWidth
    {
        ulong linear = TForm.Linear(s, op);
        TlbEntry* e = Tlb.Slot(s->Tlb, linear);
        if (((linear + (ulong)(W.Bits / 8 - 1)) & Page.Mask) != e->WriteTag)
        {
            value = 0;
            place = 0;
            return false;
        }
        place = (nuint)((nint)linear + e->Addend);
        value = Width.ReadAt<W>((byte*)place);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Update<W>(CpuState* s, Op* op, nuint place, ulong value) where W : struct, IWidth =>
        Width.WriteAt<W>((byte*)place, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool LoadVector<A>(CpuState* s, Op* op, out Vector128<byte> value) where A : struct, IAlignment
    {
        ulong linear = TForm.Linear(s, op);
        TlbEntry* e = Tlb.Slot(s->Tlb, linear);
        if (((linear + 15) & Page.Mask) != e->ReadTag || (linear & A.Mask) != 0)
        {
            value = default;
            return false;
        }
        value = Vector128.Load((byte*)((nint)linear + e->Addend));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool StoreVector<A>(CpuState* s, Op* op, Vector128<byte> value) where A : struct, IAlignment
    {
        ulong linear = TForm.Linear(s, op);
        TlbEntry* e = Tlb.Slot(s->Tlb, linear);
        if (((linear + 15) & Page.Mask) != e->WriteTag || (linear & A.Mask) != 0)
            return false;
        value.Store((byte*)((nint)linear + e->Addend));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MoveStackPointer(CpuState* s, int by) => TForm.MoveStackPointer(s, by);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Failed(CpuState* s, Op* op) => op->Full(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Next(CpuState* s, Op* op) => Chain.Next(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Branch(CpuState* s, Block** link, ulong target) => Chain.Follow(s, link, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* BranchIndirect(CpuState* s, ulong target) => Chain.FollowIndirect(s, target);
}

/// <summary>For forms without a memory operand: nothing can fail, and the next operation follows at once.</summary>
public readonly unsafe struct NoMemory : IMemory
{
    public static bool Load<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth => Full.Load<W>(s, op, out value);

    public static bool Store<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth => Full.Store<W>(s, op, value);

    public static bool LoadForUpdate<W>(CpuState* s, Op* op, out ulong value, out nuint place) where W : struct, IWidth =>
        Full.LoadForUpdate<W>(s, op, out value, out place);

    public static void Update<W>(CpuState* s, Op* op, nuint place, ulong value) where W : struct, IWidth => Full.Update<W>(s, op, place, value);

    public static bool LoadVector<A>(CpuState* s, Op* op, out Vector128<byte> value) where A : struct, IAlignment => Full.LoadVector<A>(s, op, out value);

    public static bool StoreVector<A>(CpuState* s, Op* op, Vector128<byte> value) where A : struct, IAlignment => Full.StoreVector<A>(s, op, value);

    public static void MoveStackPointer(CpuState* s, int by) => Full.MoveStackPointer(s, by);

    public static Op* Failed(CpuState* s, Op* op) => Full.Failed(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Next(CpuState* s, Op* op) => Chain.Next(s, op);

    public static Op* Branch(CpuState* s, Block** link, ulong target) => Full.Branch(s, link, target);

    public static Op* BranchIndirect(CpuState* s, ulong target) => Full.BranchIndirect(s, target);
}

/// <summary>The complete access, in any mode. LOCK prefixes drain the store buffer before and after (x86-TSO: a locked instruction is one event).</summary>
public readonly unsafe struct Full : IMemory
{
    public static bool Load<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth
    {
        value = 0;
        return Linear(s, op, W.Bits / 8, AccessKind.Read, out ulong linear) && Access.Load(s, linear, W.Bits / 8, Kind(op), out value);
    }

    public static bool Store<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth =>
        Linear(s, op, W.Bits / 8, AccessKind.Write, out ulong linear)
        && Access.Store(s, linear, W.Bits / 8, Kind(op), Width.Truncate<W>(value));

    public static bool LoadForUpdate<W>(CpuState* s, Op* op, out ulong value, out nuint place) where W : struct, IWidth
    {
        value = 0;
        place = 0;
        if (!Linear(s, op, W.Bits / 8, AccessKind.Write, out ulong linear) || !CheckSplit(s, op, linear, W.Bits / 8))
            return false;
        if (!Access.ProbeWrite(s, linear, W.Bits / 8, Kind(op)))
            return false;
        if ((op->Prefix & OpPrefix.Lock) != 0)
            Cpu.Of(s).StoreBuffer.DrainAll();
        place = (nuint)linear;
        return Access.Load(s, linear, W.Bits / 8, Kind(op), out value);
    }

    /// <summary>A locked access that spans two cache lines is #AC(0) where MSR_TEST_CTRL asks for it (SDM, "Features to Disable Bus Locks").</summary>
    internal static bool CheckSplit(CpuState* s, Op* op, ulong linear, int size) =>
        s->SplitLockControl == 0 || (op->Prefix & OpPrefix.Lock) == 0 || (linear & 63) + (ulong)size <= 64 || Access.Raise(s, Vector.AlignmentCheck);

    public static void Update<W>(CpuState* s, Op* op, nuint place, ulong value) where W : struct, IWidth
    {
        _ = Access.Store(s, place, W.Bits / 8, Kind(op), Width.Truncate<W>(value));
        if ((op->Prefix & OpPrefix.Lock) != 0)
            Cpu.Of(s).StoreBuffer.DrainAll();
    }

    public static bool LoadVector<A>(CpuState* s, Op* op, out Vector128<byte> value) where A : struct, IAlignment
    {
        value = default;
        return Linear(s, op, 16, AccessKind.Read, out ulong linear) && IsAligned<A>(s, linear) && Access.LoadVector(s, linear, Kind(op), out value);
    }

    public static bool StoreVector<A>(CpuState* s, Op* op, Vector128<byte> value) where A : struct, IAlignment =>
        Linear(s, op, 16, AccessKind.Write, out ulong linear) && IsAligned<A>(s, linear) && Access.StoreVector(s, linear, Kind(op), value);

    private static bool IsAligned<A>(CpuState* s, ulong linear) where A : struct, IAlignment =>
        (linear & A.Mask) == 0 || Access.Raise(s, Vector.GeneralProtection);

    public static void MoveStackPointer(CpuState* s, int by) => Stack.Move(s, by);

    public static Op* Failed(CpuState* s, Op* op) => Chain.Fault(s, op);

    // A method with locals whose address was taken cannot end in a tail jump: Full returns the next operation to the loop instead of calling
    // it, or each full access would leave a frame on the host's stack until the chain ends.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Next(CpuState* s, Op* op) => s->ExitRequested != 0 ? Chain.LeaveAfter(s, op) : op + 1;

    public static Op* Branch(CpuState* s, Block** link, ulong target) => Chain.StopAt(s, target);

    public static Op* BranchIndirect(CpuState* s, ulong target) => Chain.StopAt(s, target);

    /// <summary>Linear address of the operation's memory operand, segment checks included; false with the fault recorded.</summary>
    public static bool Linear(CpuState* s, Op* op, int size, AccessKind kind, out ulong linear)
    {
        s->CurrentOp = op;
        return Segmentation.TryLinear(s, (SegmentIndex)op->Segment, Offset(s, op), size, kind, out linear);
    }

    /// <summary>Effective address of the operation's memory operand: an offset in its segment.</summary>
    public static ulong Offset(CpuState* s, Op* op)
    {
        ulong offset = IndexForm.Linear(s, op);
        return op->AddressSize switch
        {
            2 => (ushort)offset,
            4 => (uint)offset,
            _ => offset,
        };
    }

    /// <summary>Circumstances of the access: through SS a non-canonical address is #SS.</summary>
    public static AccessKind Kind(Op* op) => op->Segment == (byte)SegmentIndex.Ss ? AccessKind.Stack : AccessKind.Read;
}
