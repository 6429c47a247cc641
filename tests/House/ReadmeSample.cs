using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

// Not of Emu.Tests: there, Machine is a namespace.
namespace Emu.Examples;

/// <summary>The C# of the README, word for word: <see cref="ReadmeExampleTests.Sample_OfTheLibrary_IsTheOneThatIsTested"/>.</summary>
public sealed class ReadmeSample
{
    private static readonly string path = Path.Combine(Repository.Root, "images/emu64.elf");

    [Fact]
    public void Machine_OfTheReadme_BootsStepsAndGoesBack()
    {
        var serial = new StringBuilder();
        using var machine = new Machine(new MachineOptions { CpuCount = 4, Model = CpuModels.Skylake, Profile = FetchProfiles.P6, Schedule = ScheduleKind.Random, Seed = 7 });
        machine.SerialOutput = b => serial.Append((char)b);
        BootImage kernel = BootImage.OpenFile(path);
        machine.Load(kernel, "protocol=int3-ipi site=line");

        machine.Run(maxInstructions: 100_000);
        MachineSnapshot early = machine.TakeSnapshot();
        RunResult first = machine.Run();
        ulong hash = machine.RunHash;

        machine.Restore(early);
        machine.Step(machine.Cpus[0].Index);
        Console.WriteLine(kernel.Symbols.Describe(machine.Agents[0].LinearRip));

        machine.Restore(early);
        RunResult second = machine.Run(); // equal to the first, and so is machine.RunHash

        Assert.Equal(first, second);
        Assert.Equal(hash, machine.RunHash);
        Assert.Equal((StopReason.GuestExit, 0x10), (second.Reason, second.ExitCode));
        Assert.Contains("result: PASS", serial.ToString());
    }
}
