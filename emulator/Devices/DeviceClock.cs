using System.Numerics;

namespace Emu.Devices;

/// <summary>
/// From machine time (ticks of 1 GHz) to the clocks of an oscillator and back, in integers. Splitting off whole periods of the reduced ratio keeps
/// products within 64 bits, so that nothing drifts however long the machine runs.
/// </summary>
internal readonly struct DeviceClock
{
    private const ulong TicksPerSecond = 1_000_000_000;

    private readonly ulong _ticksPerPeriod;
    private readonly ulong _clocksPerPeriod;

    private DeviceClock(ulong hertz)
    {
        ulong divisor = (ulong)BigInteger.GreatestCommonDivisor(hertz, TicksPerSecond);
        _ticksPerPeriod = TicksPerSecond / divisor;
        _clocksPerPeriod = hertz / divisor;
    }

    /// <summary>The 8254's input: 14.31818 MHz / 12.</summary>
    public static DeviceClock Pit { get; } = new(1_193_182);

    /// <summary>The ACPI power-management timer's: 14.31818 MHz / 4.</summary>
    public static DeviceClock PowerManagement { get; } = new(3_579_545);

    /// <summary>The HPET's main counter: a period of 10 ns.</summary>
    public static DeviceClock Hpet { get; } = new(100_000_000);

    /// <summary>The crystal of the real-time clock.</summary>
    public static DeviceClock Crystal { get; } = new(32_768);

    /// <summary>Clocks that have passed at a tick.</summary>
    public ulong ClocksAt(ulong tick) =>
        tick / _ticksPerPeriod * _clocksPerPeriod + tick % _ticksPerPeriod * _clocksPerPeriod / _ticksPerPeriod;

    /// <summary>The first tick at which that many clocks have passed; ulong.MaxValue where that is beyond all time.</summary>
    public ulong TickOf(ulong clocks)
    {
        if (clocks >= ulong.MaxValue / _ticksPerPeriod * _clocksPerPeriod)
            return ulong.MaxValue;
        return clocks / _clocksPerPeriod * _ticksPerPeriod + (clocks % _clocksPerPeriod * _ticksPerPeriod + _clocksPerPeriod - 1) / _clocksPerPeriod;
    }
}
