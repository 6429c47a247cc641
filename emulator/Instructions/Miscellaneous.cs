using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>NOP in all its forms, XLAT, BOUND.</summary>
public static unsafe class Miscellaneous
{
    /// <summary>
    /// NOP, multi-byte NOP, PAUSE, prefetches, ENDBR and whatever else only hints: the memory operand is not accessed ("The multi-byte NOP
    /// instruction does not alter the content of a register and will not issue a memory operation").
    /// </summary>
    public static void Nop(ref Lowering l) => l.Use(&DoNothing);

    /// <summary>XLAT: AL from the byte at [BX + AL].</summary>
    public static void Xlat(ref Lowering l)
    {
        l.Memory();
        l.Op->Index = l.Op->Base; // Iced calls AL the index; only its low byte counts.
        l.Use(&Translate);
    }

    /// <summary>BOUND: a signed index against two limits in memory.</summary>
    public static void Bound(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Memory();
        l.Select<CheckBounds>(l.SizeOf(0));
    }

    private static Op* DoNothing(CpuState* s, Op* op) => Chain.Next(s, op);

    private static Op* Translate(CpuState* s, Op* op)
    {
        ulong offset = (*(ulong*)((byte*)s + op->Base) + (byte)s->Registers[0]) & Lowering.Mask(op->AddressSize);
        if (!Segmentation.TryLinear(s, (SegmentIndex)op->Segment, offset, 1, AccessKind.Read, out ulong linear)
            || !Access.Load(s, linear, 1, Full.Kind(op), out ulong v))
            return Full.Failed(s, op);
        Width.Write<W8>(s, 0, v);
        return Full.Next(s, op);
    }

    private readonly struct CheckBounds : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!Full.Linear(s, op, 2 * Width.Bytes<W>(), AccessKind.Read, out ulong linear)
                || !Access.Load(s, linear, Width.Bytes<W>(), Full.Kind(op), out ulong lower)
                || !Access.Load(s, linear + (ulong)Width.Bytes<W>(), Width.Bytes<W>(), Full.Kind(op), out ulong upper))
                return Full.Failed(s, op);
            long index = Width.SignExtend<W>(Width.Read<W>(s, op->Reg0));
            if (index < Width.SignExtend<W>(lower) || index > Width.SignExtend<W>(upper))
                return Chain.Fault(s, op, Vector.BoundRange);
            return Full.Next(s, op);
        }
    }
}
