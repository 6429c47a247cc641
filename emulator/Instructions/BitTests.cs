using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>What BTS, BTR and BTC do to the bit; BT does nothing.</summary>
public interface IBitChange
{
    static abstract bool Writes { get; }

    static abstract ulong Apply(ulong value, ulong bit);
}

/// <summary>BT, BTS, BTR, BTC. CF takes the bit; "the ZF flag is unaffected. The OF, SF, AF, and PF flags are undefined": unaffected as well.</summary>
public static unsafe class BitTests
{
    public readonly struct Bt : IBitChange
    {
        public static bool Writes => false;

        public static ulong Apply(ulong value, ulong bit) => value;
    }

    public readonly struct Bts : IBitChange
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value | bit;
    }

    public readonly struct Btr : IBitChange
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value & ~bit;
    }

    public readonly struct Btc : IBitChange
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value ^ bit;
    }

    /// <summary>Selects handlers for <c>op r/m, r</c> and <c>op r/m, imm8</c>.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, IBitChange
    {
        int size = l.SizeOf(0);
        bool immediate = !l.IsRegister(1);
        if (immediate)
            l.Op->Immediate = l.Immediate(1, 1) & (ulong)(8 * size - 1);
        else
            l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(0))
        {
            AddressForm address = l.Memory();
            if (!immediate)
                l.Select<BitString<T>>(size);
            else if (T.Writes)
                l.SelectStep<MemoryImmediate<T>>(size, address);
            else
                l.SelectStep<TestMemory>(size, address);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        if (immediate)
            l.SelectStep<RegisterImmediate<T>>(size);
        else
            l.SelectStep<RegisterRegister<T>>(size);
    }

    /// <summary>CF = the bit; returns the value with the bit changed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Take<T>(CpuState* s, ulong value, int number) where T : struct, IBitChange
    {
        Flags.SetCarry(s, ((value >> number) & 1) != 0);
        return T.Apply(value, 1UL << number);
    }

    private readonly struct RegisterRegister<T> : IStep where T : struct, IBitChange
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong r = Take<T>(s, Width.Read<W>(s, op->Reg0), (int)Width.Read<W>(s, op->Reg1) & (W.Bits - 1));
            if (T.Writes)
                Width.Write<W>(s, op->Reg0, r);
            return true;
        }
    }

    private readonly struct RegisterImmediate<T> : IStep where T : struct, IBitChange
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong r = Take<T>(s, Width.Read<W>(s, op->Reg0), (int)op->Immediate);
            if (T.Writes)
                Width.Write<W>(s, op->Reg0, r);
            return true;
        }
    }

    private readonly struct TestMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            Take<Bt>(s, a, (int)op->Immediate);
            return true;
        }
    }

    private readonly struct MemoryImmediate<T> : IStep where T : struct, IBitChange
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            M.Update<W>(s, op, place, Take<T>(s, a, (int)op->Immediate));
            return true;
        }
    }

    /// <summary>
    /// A bit offset in a register is signed and reaches beyond the operand: "Effective Address + (4 * (BitOffset DIV 32))" for a 32-bit one, and
    /// likewise for 16 and 64 bits, within the address size.
    /// </summary>
    private readonly struct BitString<T> : IForm where T : struct, IBitChange
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            s->CurrentOp = op;
            long number = Width.SignExtend<W>(Width.Read<W>(s, op->Reg1));
            int shift = W.Bits == 64 ? 6 : W.Bits == 32 ? 5 : 4;
            ulong offset = Full.Offset(s, op) + (ulong)((number >> shift) * (W.Bits / 8));
            offset = op->AddressSize switch { 2 => (ushort)offset, 4 => (uint)offset, _ => offset };
            AccessKind kind = T.Writes ? AccessKind.Write : AccessKind.Read;
            if (!Segmentation.TryLinear(s, (SegmentIndex)op->Segment, offset, W.Bits / 8, kind, out ulong linear)
                || !Full.CheckSplit(s, op, linear, W.Bits / 8)
                || (T.Writes && !Access.ProbeWrite(s, linear, W.Bits / 8, Full.Kind(op))))
                return Full.Failed(s, op);
            if ((op->Prefix & OpPrefix.Lock) != 0)
                Cpu.Of(s).StoreBuffer.DrainAll();
            if (!Access.Load(s, linear, W.Bits / 8, Full.Kind(op), out ulong a))
                return Full.Failed(s, op);
            ulong r = Take<T>(s, a, (int)number & (W.Bits - 1));
            if (T.Writes)
                Full.Update<W>(s, op, (nuint)linear, r);
            return Full.Next(s, op);
        }
    }
}
