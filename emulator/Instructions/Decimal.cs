using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// AAA, AAS, AAM, AAD, DAA, DAS, SALC: not in 64-bit mode. Undefined flags: AAA and AAS leave OF, SF, ZF and PF; AAM and AAD clear
/// CF, OF and AF; DAA and DAS clear OF.
/// </summary>
public static unsafe class Decimal
{
    public static void Aaa(ref Lowering l) => l.Use(&AdjustAdd);

    public static void Aas(ref Lowering l) => l.Use(&AdjustSubtract);

    public static void Daa(ref Lowering l) => l.Use(&DecimalAdd);

    public static void Das(ref Lowering l) => l.Use(&DecimalSubtract);

    public static void Salc(ref Lowering l) => l.Use(&SetAlFromCarry);

    public static void Aam(ref Lowering l)
    {
        l.Op->Immediate = l.Immediate(0, 1);
        l.Use(&AdjustMultiply);
    }

    public static void Aad(ref Lowering l)
    {
        l.Op->Immediate = l.Immediate(0, 1);
        l.Use(&AdjustDivide);
    }

    private static byte Al(CpuState* s) => (byte)s->Registers[0];

    private static void SetAx(CpuState* s, int value) => Width.Write<W16>(s, 0, (ushort)value);

    private static Op* AdjustAdd(CpuState* s, Op* op)
    {
        int ax = (ushort)s->Registers[0];
        bool adjust = (ax & 0xF) > 9 || Flags.AdjustFlag(s);
        if (adjust)
            ax += 0x106;
        SetAx(s, ax & 0xFF0F);
        SetCarryAndAdjust(s, adjust);
        return Chain.Next(s, op);
    }

    private static Op* AdjustSubtract(CpuState* s, Op* op)
    {
        int ax = (ushort)s->Registers[0];
        bool adjust = (ax & 0xF) > 9 || Flags.AdjustFlag(s);
        if (adjust)
            ax -= 0x106;
        SetAx(s, ax & 0xFF0F);
        SetCarryAndAdjust(s, adjust);
        return Chain.Next(s, op);
    }

    private static Op* AdjustMultiply(CpuState* s, Op* op)
    {
        int @base = (int)op->Immediate;
        if (@base == 0)
            return Chain.Fault(s, op, Vector.DivideError);
        int al = Al(s);
        SetAx(s, (al / @base << 8) | (al % @base));
        Flags.SetLogic(s, 8, (ulong)(al % @base));
        return Chain.Next(s, op);
    }

    private static Op* AdjustDivide(CpuState* s, Op* op)
    {
        int ax = (ushort)s->Registers[0];
        int al = (ax + (ax >> 8) * (int)op->Immediate) & 0xFF;
        SetAx(s, al);
        Flags.SetLogic(s, 8, (ulong)al);
        return Chain.Next(s, op);
    }

    private static Op* DecimalAdd(CpuState* s, Op* op)
    {
        int old = Al(s);
        bool oldCarry = Flags.Carry(s);
        bool low = (old & 0xF) > 9 || Flags.AdjustFlag(s);
        bool high = old > 0x99 || oldCarry;
        int al = old + (low ? 6 : 0) + (high ? 0x60 : 0);
        Width.Write<W8>(s, 0, (byte)al);
        Flags.SetResult(s, 8, (byte)al, carry: high, overflow: false, adjust: low);
        return Chain.Next(s, op);
    }

    private static Op* DecimalSubtract(CpuState* s, Op* op)
    {
        int old = Al(s);
        bool oldCarry = Flags.Carry(s);
        bool low = (old & 0xF) > 9 || Flags.AdjustFlag(s);
        bool high = old > 0x99 || oldCarry;
        int al = old - (low ? 6 : 0) - (high ? 0x60 : 0);
        // Without the second step CF is the borrow of the first: "CF := old_CF or (Borrow from AL := AL - 6)".
        bool carry = high || (low && old < 6);
        Width.Write<W8>(s, 0, (byte)al);
        Flags.SetResult(s, 8, (byte)al, carry, overflow: false, adjust: low);
        return Chain.Next(s, op);
    }

    private static Op* SetAlFromCarry(CpuState* s, Op* op)
    {
        Width.Write<W8>(s, 0, Flags.Carry(s) ? 0xFFUL : 0);
        return Chain.Next(s, op);
    }

    private static void SetCarryAndAdjust(CpuState* s, bool set)
    {
        ulong f = Flags.Get(s) & ~(Rflags.Cf | Rflags.Af);
        Flags.SetArithmetic(s, set ? f | Rflags.Cf | Rflags.Af : f);
    }
}
