using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. (XCHG is with the moves.)</summary>
public static unsafe class Atomics
{
    /// <summary>XADD.</summary>
    public static void Xadd(ref Lowering l)
    {
        int size = l.SizeOf(0);
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(0))
        {
            l.SelectStep<XaddMemory>(size, l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectStep<XaddRegister>(size);
    }

    /// <summary>CMPXCHG.</summary>
    public static void Cmpxchg(ref Lowering l)
    {
        int size = l.SizeOf(0);
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(0))
        {
            l.SelectStep<CmpxchgMemory>(size, l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectStep<CmpxchgRegister>(size);
    }

    /// <summary>CMPXCHG8B.</summary>
    public static void Cmpxchg8b(ref Lowering l) => l.Select<Cmpxchg8bMemory>(8, l.Memory());

    /// <summary>CMPXCHG16B.</summary>
    public static void Cmpxchg16b(ref Lowering l)
    {
        l.Memory();
        l.Select<Cmpxchg16bMemory>(8);
    }

    private readonly struct XaddRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong a = Width.Read<W>(s, op->Reg0);
            ulong r = Arithmetic.Add.Execute<W>(s, a, Width.Read<W>(s, op->Reg1));
            Width.Write<W>(s, op->Reg1, a);
            Width.Write<W>(s, op->Reg0, r); // Last: XADD of a register with itself leaves the sum.
            return true;
        }
    }

    private readonly struct XaddMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            M.Update<W>(s, op, place, Arithmetic.Add.Execute<W>(s, a, Width.Read<W>(s, op->Reg1)));
            Width.Write<W>(s, op->Reg1, a);
            return true;
        }
    }

    private readonly struct CmpxchgRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong accumulator = Width.Read<W>(s, 0);
            ulong a = Width.Read<W>(s, op->Reg0);
            ulong source = Width.Read<W>(s, op->Reg1);
            Flags.SetSubtract(s, W.Bits, accumulator, a, accumulator - a);
            bool equal = accumulator == a;
            // The destination is written in either case, the accumulator only on a difference.
            Width.Write<W>(s, op->Reg0, equal ? source : a);
            if (!equal)
                Width.Write<W>(s, 0, a);
            return true;
        }
    }

    private readonly struct CmpxchgMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            ulong accumulator = Width.Read<W>(s, 0);
            Flags.SetSubtract(s, W.Bits, accumulator, a, accumulator - a);
            bool equal = accumulator == a;
            // "The destination operand is written back if the comparison fails": the processor never produces a locked read without a write.
            M.Update<W>(s, op, place, equal ? Width.Read<W>(s, op->Reg1) : a);
            if (!equal)
                Width.Write<W>(s, 0, a);
            return true;
        }
    }

    private readonly struct Cmpxchg8bMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return M.Failed(s, op);
            bool equal = a == ((uint)s->Registers[0] | (s->Registers[2] << 32));
            M.Update<W>(s, op, place, equal ? (uint)s->Registers[3] | (s->Registers[1] << 32) : a);
            if (!equal)
            {
                Width.Write<W32>(s, 0, a);
                Width.Write<W32>(s, 16, a >> 32);
            }
            SetZero(s, equal);
            return M.Next(s, op);
        }
    }

    /// <summary>Sixteen bytes, aligned and so within a page; two accesses with nothing of another CPU between them.</summary>
    private readonly struct Cmpxchg16bMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            AccessKind kind = Full.Kind(op);
            if (!Full.Linear(s, op, 16, AccessKind.Write, out ulong linear))
                return Full.Failed(s, op);
            if ((linear & 15) != 0)
                return Chain.Fault(s, op, Vector.GeneralProtection);
            if (!Access.ProbeWrite(s, linear, 16, kind))
                return Full.Failed(s, op);
            bool locked = (op->Prefix & OpPrefix.Lock) != 0;
            if (locked)
                Cpu.Of(s).StoreBuffer.DrainAll();
            if (!Access.Load(s, linear, 8, kind, out ulong low) || !Access.Load(s, linear + 8, 8, kind, out ulong high))
                return Full.Failed(s, op);
            bool equal = low == s->Registers[0] && high == s->Registers[2];
            _ = Access.Store(s, linear, 8, kind, equal ? s->Registers[3] : low);
            _ = Access.Store(s, linear + 8, 8, kind, equal ? s->Registers[1] : high);
            if (!equal)
            {
                s->Registers[0] = low;
                s->Registers[2] = high;
            }
            SetZero(s, equal);
            if (locked)
                Cpu.Of(s).StoreBuffer.DrainAll();
            return Full.Next(s, op);
        }
    }

    /// <summary>Changes ZF only.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SetZero(CpuState* s, bool zero) =>
        Flags.SetArithmetic(s, (Flags.Get(s) & ~Rflags.Zf) | (zero ? Rflags.Zf : 0));
}
