namespace Emu.Devices;

/// <summary>
/// From machine time (1 GHz) to the PIT's 1.193182 MHz and back, in integers: 1,193,182 / 1,000,000,000 is 596,591 / 500,000,000. Splitting off
/// whole periods of that ratio keeps products within 64 bits, so that nothing drifts however long the machine runs.
/// </summary>
internal static class PitClock
{
    private const ulong TicksPerPeriod = 500_000_000;
    private const ulong ClocksPerPeriod = 596_591;

    /// <summary>PIT clocks that have passed at a tick.</summary>
    public static ulong ClocksAt(ulong tick) =>
        tick / TicksPerPeriod * ClocksPerPeriod + tick % TicksPerPeriod * ClocksPerPeriod / TicksPerPeriod;

    /// <summary>The first tick at which that many clocks have passed; ulong.MaxValue stays.</summary>
    public static ulong TickOf(ulong clocks)
    {
        if (clocks >= ulong.MaxValue / TicksPerPeriod * ClocksPerPeriod)
            return ulong.MaxValue;
        return clocks / ClocksPerPeriod * TicksPerPeriod + (clocks % ClocksPerPeriod * TicksPerPeriod + ClocksPerPeriod - 1) / ClocksPerPeriod;
    }
}
