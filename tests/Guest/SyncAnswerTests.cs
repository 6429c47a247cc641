using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>
/// The guest's answer to a sync IPI, as the patching CPU sees it: a store that reaches memory. That CPU goes on when it has come, so it must not come
/// before its sender has serialised. No site of the guest lies between the two, so that no run could fail of their order (the scenario
/// <c>handler-tail-early-ack</c> shows one that does); here the order itself is looked at.
/// </summary>
public sealed unsafe class SyncAnswerTests
{
    [Theory]
    [InlineData("cpuid", "xapic")]
    [InlineData("iret", "xapic")]
    [InlineData("mov-cr2", "xapic")]
    [InlineData("cpuid", "x2apic")]
    public void Answer_AfterSync_ReachesMemoryWhenItsCpuHasSerialised(string sync, string ipi)
    {
        (int answers, int early) = Answers($"sync={sync} ipi={ipi} fence=mfence-lfence ack=after-sync");
        Assert.True(answers >= 3 * Rounds, $"{answers} answers");
        Assert.Equal(0, early);
    }

    /// <summary>The control: with the other order the same look must find it.</summary>
    [Fact]
    public void Answer_BeforeSync_ReachesMemoryEarlier()
    {
        (int answers, int early) = Answers("sync=cpuid ack=before-sync");
        Assert.True(answers >= 3 * Rounds, $"{answers} answers");
        Assert.True(early > answers / 2, $"{early} of {answers} answers were early");
    }

    private const int Rounds = 16;

    /// <summary>How often a CPU answered, and how often without having serialised since it was asked.</summary>
    private static (int Answers, int Early) Answers(string commandLine)
    {
        using var run = new GuestRun($"protocol=int3-ipi rounds={Rounds} {commandLine}", FetchProfiles.Intel, cpus: 4);
        ulong requests = run.Address("sync_requests"), acks = run.Address("sync_acks");
        int answers = 0, early = 0;
        var serialised = new bool[4];
        foreach (Cpu cpu in run.Machine.Cpus)
        {
            int index = cpu.Index.Value;
            Action? flush = cpu.OnSerialise;
            cpu.OnSerialise = () =>
            {
                flush?.Invoke();
                serialised[index] = true;
            };
            Action<Emu.Memory.PendingStore>? drained = cpu.StoreBuffer.OnDrain;
            bool asks = false;
            cpu.StoreBuffer.OnDrain = store =>
            {
                drained?.Invoke(store);
                if (store.Linear == requests && store.Value != 0)
                {
                    Array.Clear(serialised);
                    asks = true;
                }
                else if (store.Linear == acks + cpu.State->Gs.Base && store.Value != 0 && !asks)
                {
                    answers++;
                    early += serialised[index] ? 0 : 1;
                }
            };
        }
        RunResult result = run.Machine.Run(maxInstructions: 50_000_000);
        Assert.Equal((StopReason.GuestExit, 0x10), (result.Reason, result.ExitCode));
        return (answers, early);
    }
}
