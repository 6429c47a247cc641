using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>FCOM, FUCOM, FICOM, FTST, FCOMI, FUCOMI with and without pops, and FXAM.</summary>
public static unsafe class X87Compare
{
    private const int ConditionCodes = X87Status.C0 | X87Status.C2 | X87Status.C3;

    /// <summary>How often an instruction pops, and whether quiet NaNs are invalid: FUCOM and FUCOMI let them pass.</summary>
    public interface IKind
    {
        static abstract int Pops { get; }
        static abstract bool QuietToo { get; }
    }

    public readonly struct Ordered : IKind
    {
        public static int Pops => 0;
        public static bool QuietToo => true;
    }

    public readonly struct OrderedPop : IKind
    {
        public static int Pops => 1;
        public static bool QuietToo => true;
    }

    public readonly struct OrderedPopTwice : IKind
    {
        public static int Pops => 2;
        public static bool QuietToo => true;
    }

    public readonly struct Unordered : IKind
    {
        public static int Pops => 0;
        public static bool QuietToo => false;
    }

    public readonly struct UnorderedPop : IKind
    {
        public static int Pops => 1;
        public static bool QuietToo => false;
    }

    public readonly struct UnorderedPopTwice : IKind
    {
        public static int Pops => 2;
        public static bool QuietToo => false;
    }

    /// <summary>ST(0) with ST(i), into the condition codes.</summary>
    public readonly struct Registers<T> : IX87Operation where T : struct, IKind
    {
        public static void Execute(CpuState* s, Op* op) => Compare<T>(s, X87.Read(s, op->Reg0), X87.IsEmpty(s, 0) || X87.IsEmpty(s, op->Reg0));
    }

    /// <summary>ST(0) with a number in memory.</summary>
    public readonly struct Memory<T> : IX87MemoryOperation where T : struct, IKind
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth =>
            Compare<T>(s, W.Bits == 32 ? Number.Unpack<Binary32>(value) : Number.Unpack<Binary64>(value), X87.IsEmpty(s, 0));
    }

    /// <summary>ST(0) with an integer in memory.</summary>
    public readonly struct Integer<T> : IX87MemoryOperation where T : struct, IKind
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth =>
            Compare<T>(s, Number.FromInteger(Width.SignExtend<W>(value)), X87.IsEmpty(s, 0));
    }

    /// <summary>FTST: ST(0) with zero.</summary>
    public readonly struct WithZero : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op) => Compare<Ordered>(s, Number.Zero(false), X87.IsEmpty(s, 0));
    }

    private static void Compare<T>(CpuState* s, in Number source, bool empty) where T : struct, IKind
    {
        // The condition codes are set even when an unmasked exception keeps the instruction from popping.
        bool completes = TryCompare<T>(s, source, empty, out Ordering order);
        SetConditionCodes(s, order);
        for (int i = 0; completes && i < T.Pops; i++)
            X87.Pop(s);
    }

    private static void SetConditionCodes(CpuState* s, Ordering order)
    {
        int codes = order switch
        {
            Ordering.Greater => 0,
            Ordering.Less => X87Status.C0,
            Ordering.Equal => X87Status.C3,
            _ => ConditionCodes,
        };
        s->Floating.Status = (ushort)((s->Floating.Status & ~ConditionCodes) | codes);
    }

    /// <summary>False when an unmasked exception keeps the instruction from completing.</summary>
    private static bool TryCompare<T>(CpuState* s, in Number source, bool empty, out Ordering order) where T : struct, IKind
    {
        order = Ordering.Unordered;
        if (empty)
            return X87.StackFault(s, overflow: false);
        FloatContext c = X87.Context(s);
        order = Operations.Compare(X87.Read(s, 0), source, T.QuietToo, ref c);
        X87.Signal(s, c.Raised, c1: false);
        return (c.Unmasked & FloatFlags.BeforeResult) == 0;
    }

    /// <summary>FCOMI and FUCOMI: into ZF, PF and CF.</summary>
    public readonly struct ToFlags<T> : IX87Operation where T : struct, IKind
    {
        public static void Execute(CpuState* s, Op* op)
        {
            bool completes = TryCompare<T>(s, X87.Read(s, op->Reg0), X87.IsEmpty(s, 0) || X87.IsEmpty(s, op->Reg0), out Ordering order);
            if (!completes)
                return;
            Flags.SetArithmetic(s, FlagsOf(order));
            for (int i = 0; i < T.Pops; i++)
                X87.Pop(s);
        }
    }

    /// <summary>ZF, PF and CF after FCOMI, COMISS and their kin.</summary>
    public static ulong FlagsOf(Ordering order) => order switch
    {
        Ordering.Greater => 0,
        Ordering.Less => Rflags.Cf,
        Ordering.Equal => Rflags.Zf,
        _ => Rflags.Zf | Rflags.Pf | Rflags.Cf,
    };

    /// <summary>FXAM: the class of ST(0) in C3, C2, C0, its sign in C1, whether it is empty or not.</summary>
    public readonly struct Examine : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            Number n = X87.Read(s, 0);
            int codes = X87.IsEmpty(s, 0) ? X87Status.C3 | X87Status.C0 : n.Kind switch
            {
                NumberKind.Unsupported => 0,
                NumberKind.QuietNaN or NumberKind.SignalingNaN => X87Status.C0,
                NumberKind.Infinity => X87Status.C2 | X87Status.C0,
                NumberKind.Zero => X87Status.C3,
                _ => n.Denormal ? X87Status.C3 | X87Status.C2 : X87Status.C2,
            };
            s->Floating.Status = (ushort)((s->Floating.Status & ~(ConditionCodes | X87Status.C1)) | codes | (n.Negative ? X87Status.C1 : 0));
        }
    }
}
