using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>Instructions that do nothing but raise an exception when they are reached.</summary>
public static unsafe class Refusals
{
    /// <summary>Raises #UD when the instruction is reached: an invalid encoding, or one that the CPU model lacks.</summary>
    public static void Undefined(ref Lowering l)
    {
        l.Outcome = LoweringOutcome.Undefined;
        l.Flow = FlowKind.Ends;
        l.Op->Handler = l.Op->Full = &RaiseUndefined;
    }

    /// <summary>UD0, UD1 and UD2, whose meaning it is to raise #UD, and what is #UD in every state that this machine can be in.</summary>
    public static void UndefinedByName(ref Lowering l)
    {
        Undefined(ref l);
        l.Outcome = LoweringOutcome.Executed;
    }

    /// <summary>Raises #GP(0) when the instruction is reached: one that exists at CPL 0 only.</summary>
    public static void Privileged(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        l.Op->Handler = l.Op->Full = &RaiseGeneralProtection;
    }

    /// <summary>Raises #GP(0): "the maximum length of an instruction is 15 bytes; exceeding it causes a general-protection exception".</summary>
    public static void TooLong(ref Lowering l) => Privileged(ref l);

    private static Op* RaiseGeneralProtection(CpuState* s, Op* op) => Chain.Fault(s, op, Vector.GeneralProtection);

    private static Op* RaiseUndefined(CpuState* s, Op* op) => Chain.Fault(s, op, Vector.InvalidOpcode);
}
