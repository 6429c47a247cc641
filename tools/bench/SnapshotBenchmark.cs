using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Bench;

/// <summary>Snapshot and restore of a machine of 64 MiB, of which 1 MiB changed in between.</summary>
[MemoryDiagnoser]
[InProcess]
[SuppressMessage("Design", "CA1001", Justification = "BenchmarkDotNet calls the clean-up, and derives from this class")]
public class SnapshotBenchmark
{
    private Machine _machine = null!;
    private MachineSnapshot _snapshot = null!;
    private readonly byte[] _page = new byte[Page.Size];

    [GlobalSetup]
    public void Setup()
    {
        _machine = new Machine(new MachineOptions { CpuCount = 4, MemorySize = 64UL << 20 });
        for (ulong at = 0; at < 64UL << 20; at += Page.Size)
            _machine.Memory.TryWrite(at, BitConverter.GetBytes(at + 1));
        _snapshot = _machine.TakeSnapshot();
    }

    [GlobalCleanup]
    public void Cleanup() => _machine.Dispose();

    [Benchmark]
    public MachineSnapshot ChangeOneMegabyte_Snapshot()
    {
        Change();
        return _machine.TakeSnapshot();
    }

    [Benchmark]
    public void ChangeOneMegabyte_Restore()
    {
        Change();
        _machine.Restore(_snapshot);
    }

    [Benchmark(Baseline = true)]
    public void Change()
    {
        _page[0]++;
        for (ulong at = 0; at < 1UL << 20; at += Page.Size)
            _machine.Memory.TryWrite((8UL << 20) + at, _page);
    }
}
