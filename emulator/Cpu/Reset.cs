namespace Emu.Cpus;

/// <summary>Processor state after power-up and INIT (SDM, "Processor State After Reset").</summary>
public static unsafe class Reset
{
    public static void PowerUp(Cpu cpu) => throw new NotImplementedException();
}
