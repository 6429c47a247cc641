using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// RDRAND and RDSEED: the machine's seed and the CPU's position decide the numbers, so that an execution can be repeated; a snapshot holds how far they
/// have got. A number is always ready.
/// </summary>
public static unsafe class RandomNumbers
{
    /// <summary>Selects the handler by the width of the register.</summary>
    public static void Lower(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<ReadNumber>(l.SizeOf(0));
    }

    private readonly struct ReadNumber : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, SplitMix64.Next(ref s->RandomState));
            // "CF indicates whether the data is valid. The OF, SF, ZF, AF, and PF flags are set to 0."
            Flags.SetArithmetic(s, Rflags.Cf);
            return Chain.Next(s, op);
        }
    }
}
