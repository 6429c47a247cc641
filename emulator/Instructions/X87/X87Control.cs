using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW, WAIT, FNOP, FINCSTP, FDECSTP, FFREE, and what has been a no-operation since the 80387.</summary>
public static unsafe class X87Control
{
    /// <summary>WAIT: "#NM if CR0.MP[bit 1] = 1 and CR0.TS[bit 3] = 1", whatever EM is.</summary>
    public static void Wait(ref Lowering l) => l.Use(&CheckPending);

    private static Op* CheckPending(CpuState* s, Op* op)
    {
        const ulong both = ControlBits.Cr0Mp | ControlBits.Cr0Ts;
        if ((s->Paging.Cr0 & both) == both)
            return Chain.Fault(s, op, Vector.DeviceNotAvailable);
        return X87.CheckPending(s) ? Chain.Next(s, op) : Chain.Fault(s, op);
    }

    public readonly struct Initialise : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            X87.Initialise(s);
            return true;
        }
    }

    /// <summary>FNCLEX: the exception flags, SF, ES and B.</summary>
    public readonly struct ClearExceptions : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            s->Floating.Status &= 0x7F00;
            s->Floating.Error = NumericError.None;
            return true;
        }
    }

    /// <summary>FNENI, FNDISI, FNSETPM: "treated as no-operations" since the 80387.</summary>
    public readonly struct Nothing : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => true;
    }

    public readonly struct LoadControl : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!X87.CheckPending(s) || !M.Load<W16>(s, op, out ulong control))
                return false;
            X87.SetControl(s, (ushort)control);
            return true;
        }
    }

    public readonly struct StoreControl : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W16>(s, op, s->Floating.Control);
    }

    public readonly struct StoreStatus : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W16>(s, op, s->Floating.Status);
    }

    public readonly struct StoreStatusInAx : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W16>(s, 0, s->Floating.Status);
            return true;
        }
    }

    /// <summary>FNOP: nothing, but it waits and is remembered.</summary>
    public readonly struct Nop : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
        }
    }

    /// <summary>FINCSTP: "not equivalent to popping": the tag stays.</summary>
    public readonly struct Increment : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            X87.MoveTop(s, 1);
            s->Floating.Status &= 0xFFFF ^ X87Status.C1;
        }
    }

    /// <summary>FDECSTP.</summary>
    public readonly struct Decrement : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            X87.MoveTop(s, -1);
            s->Floating.Status &= 0xFFFF ^ X87Status.C1;
        }
    }

    /// <summary>FFREE.</summary>
    public readonly struct Free : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            X87.Free(s, op->Reg0);
            s->Floating.Status &= 0xFFFF ^ X87Status.C1;
        }
    }

    /// <summary>FFREEP: FFREE and a pop (AMD, "FFREEP"; every Intel CPU since the 80287 executes it).</summary>
    public readonly struct FreePop : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            X87.Free(s, op->Reg0);
            X87.Pop(s);
            s->Floating.Status &= 0xFFFF ^ X87Status.C1;
        }
    }
}
