using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Emu.Instructions;
using Iced.Intel;

namespace Emu.Differ.Ledgers;

/// <summary>Whether Emu executes instructions of a code: asked of the instruction table itself, with an instance of the code in each mode that has it.</summary>
public static unsafe class Implementation
{
    private const int Attempts = 100;

    private static readonly (CodeMode Mode, uint Key)[] s_modes =
    [
        (CodeMode.Long64, 2 | ModeKey.Stack32 | ModeKey.FlatData),
        (CodeMode.Protected32, 1 | ModeKey.Stack32 | ModeKey.FlatData),
        (CodeMode.Real16, ModeKey.Real),
    ];

    /// <summary>True when the instruction table has a handler for it in every mode in which it can be written down.</summary>
    public static bool Has(Code code)
    {
        if (code.ToOpCode().Fwait)
            return Parts(code).All(Has);
        bool any = false;
        foreach ((CodeMode mode, uint key) in s_modes)
        {
            if (!TryMake(code, mode, out Instruction instruction))
                continue;
            any = true;
            if (!IsLowered(instruction, key))
                return false;
        }
        return any;
    }

    /// <summary>The instructions that a code stands for: itself, or of those that begin with WAIT that and the other.</summary>
    public static Code[] Parts(Code code) => code.ToOpCode().Fwait ? [Code.Wait, Enum.Parse<Code>("Fn" + code.ToString()[1..])] : [code];

    private static bool TryMake(Code code, CodeMode mode, out Instruction instruction)
    {
        instruction = default;
        OpCodeInfo info = code.ToOpCode();
        if (!info.IsAvailableInMode(mode.Bits()) || (mode == CodeMode.Real16 && !info.RealMode))
            return false;
        var maker = new InstructionMaker(mode);
        for (int operand = 0; operand < info.OpCount; operand++)
            if (!InstructionMaker.CanMake(info.GetOpKind(operand)))
                return false;
        var dice = new Dice((ulong)code);
        Span<byte> bytes = stackalloc byte[32];
        for (int attempt = 0; attempt < Attempts; attempt++)
            if (maker.TryMake(code, ref dice, 0x10_0000, out instruction, bytes) && instruction.Code == code && !instruction.HasLockPrefix)
                return true;
        return false;
    }

    private static bool IsLowered(in Instruction instruction, uint key)
    {
        var op = (Op*)NativeMemory.AllocZeroed((nuint)sizeof(Op));
        try
        {
            var lowering = new Lowering(instruction, op, key, FullModel.Instance);
            InstructionTable.Lower(ref lowering);
            return lowering.Outcome == LoweringOutcome.Executed;
        }
        finally
        {
            NativeMemory.Free(op);
        }
    }
}
