using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;

namespace Emu.Tests.Guest;

/// <summary>A shipped guest image on a machine of its own.</summary>
internal sealed class GuestRun : IDisposable
{
    private readonly StringBuilder _serial = new();

    public GuestRun(string commandLine, FetchProfile profile, int cpus = 2, string image = "emu64.elf", ulong seed = 1)
    {
        Image = BootImage.OpenFile(Path.Combine(Repository.Root, "images", image));
        Machine = new Machines.Machine(new MachineOptions
        {
            CpuCount = cpus,
            Model = CpuModels.Skylake,
            Profile = profile,
            Schedule = profile.IsCoherent ? ScheduleKind.RoundRobin : ScheduleKind.Random,
            Seed = seed,
        })
        { SerialOutput = b => _serial.Append((char)b) };
        Machine.Load(Image, commandLine);
    }

    public BootImage Image { get; }
    public Machines.Machine Machine { get; }

    /// <summary>What the guest has printed so far.</summary>
    public string Serial => _serial.ToString();

    /// <summary>The line that sums the run up; empty when there is none.</summary>
    public string Result => Serial.Split("\r\n").LastOrDefault(line => line.StartsWith("result: ", StringComparison.Ordinal)) ?? "";

    public ulong Address(string symbol) =>
        Image.Symbols.TryFind(symbol, out Symbol found) ? found.Address : throw new InvalidOperationException($"the image has no symbol {symbol}");

    public void Dispose() => Machine.Dispose();
}
