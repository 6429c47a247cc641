using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW, ARPL.</summary>
public static unsafe class TableInstructions
{
    /// <summary>LGDT and LIDT: with a 16-bit operand size the base has 24 bits.</summary>
    public static void Load(ref Lowering l, bool interrupt, int operandSize)
    {
        l.Memory();
        l.Op->OperandSize = (byte)operandSize;
        l.Use(interrupt ? &LoadIdt : &LoadGdt, FlowKind.EndsAfter);
    }

    /// <summary>SGDT and SIDT.</summary>
    public static void Store(ref Lowering l, bool interrupt)
    {
        l.Memory();
        l.Use(interrupt ? &StoreIdt : &StoreGdt);
    }

    /// <summary>SLDT and STR.</summary>
    public static void StoreSelector<T>(ref Lowering l) where T : struct, ISelectorSource
    {
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<SelectorToMemory<T>>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<SelectorToRegister<T>>(l.SizeOf(0));
    }

    /// <summary>LLDT, LTR, VERR, VERW.</summary>
    public static void TakeSelector<T>(ref Lowering l) where T : struct, ISelectorSink
    {
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<SelectorFromMemory<T>>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<SelectorFromRegister<T>>(2);
    }

    /// <summary>LAR and LSL: into a register, from a selector in a register or in 16 bits of memory.</summary>
    public static void Query<T>(ref Lowering l) where T : struct, ISelectorQuery
    {
        l.Op->Reg0 = l.RegisterOf(0);
        if (l.IsMemory(1))
        {
            l.Memory();
            l.Select<QueryMemory<T>>(l.SizeOf(0));
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.Select<QueryRegister<T>>(l.SizeOf(0));
    }

    /// <summary>ARPL.</summary>
    public static void Arpl(ref Lowering l)
    {
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<ArplMemory>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<ArplRegister>(2);
    }

    public interface ISelectorSource
    {
        static abstract bool Read(CpuState* s, out ushort selector);
    }

    public readonly struct Sldt : ISelectorSource
    {
        public static bool Read(CpuState* s, out ushort selector) => SystemTables.Sldt(s, out selector);
    }

    public readonly struct Str : ISelectorSource
    {
        public static bool Read(CpuState* s, out ushort selector) => SystemTables.Str(s, out selector);
    }

    public interface ISelectorSink
    {
        static abstract bool Take(CpuState* s, ushort selector);
    }

    public readonly struct Lldt : ISelectorSink
    {
        public static bool Take(CpuState* s, ushort selector) => SystemTables.Lldt(s, selector);
    }

    public readonly struct Ltr : ISelectorSink
    {
        public static bool Take(CpuState* s, ushort selector) => SystemTables.Ltr(s, selector);
    }

    public readonly struct Verr : ISelectorSink
    {
        public static bool Take(CpuState* s, ushort selector) => SegmentQueries.Verr(s, selector);
    }

    public readonly struct Verw : ISelectorSink
    {
        public static bool Take(CpuState* s, ushort selector) => SegmentQueries.Verw(s, selector);
    }

    public interface ISelectorQuery
    {
        static abstract bool Ask(CpuState* s, ushort selector, out bool granted, out uint answer);
    }

    public readonly struct Lar : ISelectorQuery
    {
        public static bool Ask(CpuState* s, ushort selector, out bool granted, out uint answer) => SegmentQueries.Lar(s, selector, out granted, out answer);
    }

    public readonly struct Lsl : ISelectorQuery
    {
        public static bool Ask(CpuState* s, ushort selector, out bool granted, out uint answer) => SegmentQueries.Lsl(s, selector, out granted, out answer);
    }

    private static Op* LoadGdt(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAfter(s, op, SystemTables.Lgdt(s, (SegmentIndex)op->Segment, Full.Offset(s, op), op->OperandSize));
    }

    private static Op* LoadIdt(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAfter(s, op, SystemTables.Lidt(s, (SegmentIndex)op->Segment, Full.Offset(s, op), op->OperandSize));
    }

    private static Op* StoreGdt(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.Next(s, op, SystemTables.Sgdt(s, (SegmentIndex)op->Segment, Full.Offset(s, op)));
    }

    private static Op* StoreIdt(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.Next(s, op, SystemTables.Sidt(s, (SegmentIndex)op->Segment, Full.Offset(s, op)));
    }

    private readonly struct SelectorToMemory<T> : IForm where T : struct, ISelectorSource
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            SystemOperation.Next(s, op, T.Read(s, out ushort selector) && Full.Store<W>(s, op, selector));
    }

    private readonly struct SelectorToRegister<T> : IForm where T : struct, ISelectorSource
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!T.Read(s, out ushort selector))
                return Chain.Fault(s, op);
            Width.Write<W>(s, op->Reg0, selector);
            return Full.Next(s, op);
        }
    }

    private readonly struct SelectorFromMemory<T> : IForm where T : struct, ISelectorSink
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.Next(s, op, Full.Load<W>(s, op, out ulong v) && T.Take(s, (ushort)v));
        }
    }

    private readonly struct SelectorFromRegister<T> : IForm where T : struct, ISelectorSink
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.Next(s, op, T.Take(s, (ushort)Width.Read<W>(s, op->Reg0)));
        }
    }

    private static Op* Answer<T, W>(CpuState* s, Op* op, ushort selector) where T : struct, ISelectorQuery where W : struct, IWidth
    {
        if (!T.Ask(s, selector, out bool granted, out uint answer))
            return Chain.Fault(s, op);
        if (granted)
            Width.Write<W>(s, op->Reg0, answer);
        return Full.Next(s, op);
    }

    private readonly struct QueryMemory<T> : IForm where T : struct, ISelectorQuery
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Full.Load<W16>(s, op, out ulong v) ? Answer<T, W>(s, op, (ushort)v) : Full.Failed(s, op);
    }

    private readonly struct QueryRegister<T> : IForm where T : struct, ISelectorQuery
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Answer<T, W>(s, op, (ushort)Width.Read<W16>(s, op->Reg1));
    }

    private readonly struct ArplMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            // #UD in real mode comes before anything about the operand.
            if (!SystemTables.CheckProtected(s))
                return Chain.Fault(s, op);
            if (!Full.Load<W>(s, op, out ulong v))
                return Full.Failed(s, op);
            ulong flags = Flags.Get(s);
            _ = SegmentQueries.Arpl(s, (ushort)v, (ushort)Width.Read<W>(s, op->Reg1), out bool adjusted, out ushort result);
            // "IF DEST[RPL] < SRC[RPL] THEN ... DEST[RPL] := SRC[RPL]": otherwise nothing is written (seen on a CPU: nor checked).
            if (!adjusted || Full.Store<W>(s, op, result))
                return Full.Next(s, op);
            Flags.Set(s, flags);
            return Full.Failed(s, op);
        }
    }

    private readonly struct ArplRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!SegmentQueries.Arpl(s, (ushort)Width.Read<W>(s, op->Reg0), (ushort)Width.Read<W>(s, op->Reg1), out bool adjusted, out ushort result))
                return Chain.Fault(s, op);
            if (adjusted)
                Width.Write<W>(s, op->Reg0, result);
            return Full.Next(s, op);
        }
    }
}
