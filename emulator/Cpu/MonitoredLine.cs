using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// The line that MONITOR arms and MWAIT waits for (SDM, "MONITOR/MWAIT"). A store is noticed by what it changed: the line as it was is kept, and
/// compared whenever the schedule comes by. A store of the same bytes goes unnoticed, as does one that was undone; software looks at the value anyway.
/// </summary>
public static unsafe class MonitoredLine
{
    /// <summary>Bytes, as CPUID leaf 5 says.</summary>
    public const int Size = 64;

    private const ulong Disarmed = ulong.MaxValue;

    /// <summary>MONITOR; false with the fault recorded.</summary>
    public static bool Arm(CpuState* s, ulong linear, AccessKind kind)
    {
        TlbEntry* e = Access.Translate(s, linear, 1, kind);
        if (e == null)
            return false;
        ulong line = ((e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask)) & ~(Size - 1UL);
        Cpu cpu = Cpu.Of(s);
        // What the CPU has stored itself is not what it waits for.
        cpu.StoreBuffer.DrainAll();
        ulong* bytes = (ulong*)cpu.Memory.Pointer(line);
        s->MonitorAddress = bytes == null ? Disarmed : line;
        for (int i = 0; bytes != null && i < Size / 8; i++)
            s->MonitorLine[i] = bytes[i];
        return true;
    }

    /// <summary>True when nothing is armed, or the line has changed since; it is disarmed then.</summary>
    public static bool Triggered(CpuState* s)
    {
        if (s->MonitorAddress != Disarmed)
        {
            ulong* bytes = (ulong*)Cpu.Of(s).Memory.Pointer(s->MonitorAddress);
            bool same = true;
            for (int i = 0; i < Size / 8; i++)
                same &= bytes[i] == s->MonitorLine[i];
            if (same)
                return false;
        }
        s->MonitorAddress = Disarmed;
        return true;
    }
}
