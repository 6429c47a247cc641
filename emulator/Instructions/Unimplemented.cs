using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>What Iced decodes and we do not execute, and what nobody decodes.</summary>
public static unsafe class Unimplemented
{
    /// <summary>Stops the machine, with a message, when the instruction is reached.</summary>
    public static void Lower(ref Lowering l)
    {
        l.Outcome = LoweringOutcome.Unimplemented;
        l.Flow = FlowKind.Ends;
        l.Op->Handler = l.Op->Full = &Stop;
    }

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

    private static Op* Stop(CpuState* s, Op* op)
    {
        Cpu cpu = Cpu.Of(s);
        s->Exit = ExitReason.Unsupported;
        Chain.LeaveBefore(s, op);
        Span<byte> bytes = stackalloc byte[op->Length];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = Access.Load(s, s->Cs.Base + s->Rip + (ulong)i, 1, AccessKind.Read, out ulong b) ? (byte)b : (byte)0;
        Decoder decoder = Decoder.Create(16 << (int)(s->ModeKey & ModeKey.CodeSizeMask), bytes.ToArray(), s->Rip);
        Instruction i2 = decoder.Decode();
        cpu.StopMessage = $"CPU {s->Index} at RIP 0x{s->Rip:x}: '{i2}' ({Convert.ToHexString(bytes)}, Iced code {i2.Code}) is not implemented; see SDM Vol. 2, \"{i2.Mnemonic.ToString().ToUpperInvariant()}\"";
        return null;
    }
}
