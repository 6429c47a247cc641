using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>A version of the bytes of an instruction, and the store that made it; the store is null for the oldest, which was there when the CPU serialised.</summary>
public sealed record XmcVersion(byte[] Bytes, XmcStore? Store);

/// <summary>What serialised a CPU last, where and when.</summary>
/// <param name="Rip">RIP of the instruction; of an event, that of the handler.</param>
/// <param name="Number">How many stores to code there had been.</param>
public readonly record struct XmcSerialisation(SerialisingEvent Event, ulong Rip, ulong Time, ulong Number);

/// <summary>An execution of bytes that changed since the CPU last serialised, and that the profile's rule does not excuse.</summary>
/// <param name="Linear">Linear address of the instruction.</param>
/// <param name="Executed">The bytes that were executed, or were about to be.</param>
/// <param name="Versions">Oldest first; the last is what memory held at that moment.</param>
/// <param name="Culprit">The last store to bytes in which what may have been fetched differs from what memory holds.</param>
public sealed record XmcRace(
    CpuIndex Cpu, ulong Time, ulong Rip, ulong Linear, ulong Physical, byte[] Executed, IReadOnlyList<XmcVersion> Versions, XmcStore Culprit,
    XmcSerialisation Serialised, FetchProfile Profile, XmcVerdict Verdict)
{
    /// <summary>The last store to a byte in which the fetched and the present bytes differ; else the last of all.</summary>
    public static XmcStore CulpritOf(IReadOnlyList<XmcVersion> versions, XmcVerdict verdict)
    {
        byte[] present = versions[^1].Bytes;
        for (int v = versions.Count - 1; v > 0; v--)
            for (int i = 0; i < verdict.Fetched.Length; i++)
                if (verdict.Fetched[i] != present[i] && versions[v].Bytes[i] != versions[v - 1].Bytes[i])
                    return versions[v].Store!.Value;
        return versions[^1].Store!.Value;
    }
}
