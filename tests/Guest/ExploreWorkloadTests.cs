using System.Text;
using Emu.Boot;
using Emu.Cli.Matrix;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>explore=: what an explorer relies on between the guest's two markers, and what anyone else sees of it.</summary>
public sealed class ExploreWorkloadTests
{
    [Theory]
    [InlineData("int3-ipi", "short", "emu64.elf")]
    [InlineData("int3-ipi", "handler", "emu64.elf")]
    [InlineData("text-poke-bp", "line", "emu64.elf")]
    [InlineData("text-poke-bp", "batch", "emu64.elf")]
    [InlineData("stop-machine", "line", "emu64.elf")]
    [InlineData("up", "page", "emu64.elf")]
    [InlineData("int3-ipi", "jmp5", "emu32.elf")]
    public void Explore_OnAnOrdinaryMachine_RunsToItsEnd(string protocol, string site, string image)
    {
        foreach (FetchProfile profile in (FetchProfile[])[FetchProfiles.Coherent, FetchProfiles.Amd])
        {
            using var run = new GuestRun($"explore=2 patches=3 protocol={protocol} site={site}", profile, cpus: 3, image);
            RunResult result = run.Machine.Run(maxInstructions: 20_000_000);
            Assert.Equal((StopReason.GuestExit, 0x10), (result.Reason, result.ExitCode));
            Assert.EndsWith(" cpus=3 explore=2 patches=3", run.Result);
        }
    }

    /// <summary>The mail's buggy scheme must die here too, with its reason where the explorer reads it.</summary>
    [Fact]
    public void Explore_DirectUnderP6_EndsInPanicWithItsReason()
    {
        for (ulong seed = 1; seed <= 200; seed++)
        {
            using var run = new GuestRun("explore=50 patches=40 protocol=direct", FetchProfiles.P6, seed: seed);
            RunResult result = run.Machine.Run(maxInstructions: 20_000_000);
            Assert.Equal(StopReason.GuestExit, result.Reason);
            if (result.ExitCode == 0x10)
                continue;
            Assert.Equal(0x12, result.ExitCode);
            string reason = Text(run, run.Address("panic_reason"));
            Assert.StartsWith("general protection fault at jump_site_short", reason);
            Assert.EndsWith("reason=" + reason, run.Result);
            return;
        }
        Assert.Fail("no seed of 200 made the plain store fail");
    }

    /// <summary>An explorer has no ports and no clock: nothing between the markers may ask for them, and each CPU's way is short.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Explore_BetweenTheMarkers_AsksForNoPortAndNoClock(string protocol, string site)
    {
        using var run = new GuestRun($"explore=1 protocol={protocol} site={site}", FetchProfiles.Coherent);
        int[] counts = new int[run.Machine.Cpus.Count];
        Walk(run, (cpu, instruction) =>
        {
            counts[cpu]++;
            Assert.False(instruction.Mnemonic is Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Outsb or Mnemonic.Rdtsc or Mnemonic.Rdtscp,
                $"{run.Image.Symbols.Describe(instruction.IP)}: {instruction}");
        });
        Assert.InRange(counts[0], 100, 2000);
        Assert.All(counts, count => Assert.InRange(count, 1, 2000));
    }

    /// <summary>Every protocol, but for the one that waits for ever when the breakpoint is met, which it is here.</summary>
    public static TheoryData<string, string> Protocols
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (GuestProtocol protocol in GuestProtocol.Read(BootImage.OpenFile(Path.Combine(Repository.Root, "images/emu64.elf"))).Where(p => p.Name != "int3-spin"))
            {
                data.Add(protocol.Name, "jmp5");
                data.Add(protocol.Name, "handler");
            }
            data.Add("text-poke-bp", "batch");
            data.Add("stop-machine-nmi", "nmi");
            return data;
        }
    }

    /// <summary>Calls back for each instruction that a CPU executes between its own two markers.</summary>
    private static void Walk(GuestRun run, Action<int, Instruction> each)
    {
        Machines.Machine machine = run.Machine;
        ulong begin = run.Address("explore_begin"), end = run.Address("explore_end"), panic = run.Address("panic");
        var begun = new HashSet<int>();
        var ended = new HashSet<int>();
        for (int step = 0; ended.Count < machine.Cpus.Count; step++)
        {
            Assert.True(step < 5_000_000, machine.Describe());
            for (int cpu = 0; cpu < machine.Cpus.Count; cpu++)
            {
                ulong rip = machine.Agents[cpu].LinearRip;
                Assert.NotEqual(panic, rip);
                if (rip == begin)
                    begun.Add(cpu);
                if (rip == begin && begun.Count < machine.Cpus.Count)
                    continue;
                if (rip == end)
                    ended.Add(cpu);
                if (begun.Contains(cpu) && !ended.Contains(cpu))
                    each(cpu, Decode(machine, rip));
                machine.Step(machine.Cpus[cpu].Index);
            }
        }
    }

    private static Instruction Decode(Machines.Machine machine, ulong rip)
    {
        byte[] bytes = new byte[15];
        Assert.True(machine.Memory.TryRead(rip, bytes));
        return Iced.Intel.Decoder.Create(64, bytes, rip).Decode();
    }

    private static string Text(GuestRun run, ulong address)
    {
        var text = new StringBuilder();
        while ((byte)run.Machine.Memory.Read(address++, 1) is byte b and not 0)
            text.Append((char)b);
        return text.ToString();
    }
}
