using Emu.Fetch;
using Emu.Machines;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Machine;

/// <summary>Snapshots, determinism and the hash of a run.</summary>
public sealed unsafe class SnapshotTests
{
    /// <summary>Two CPUs count in shared memory, one of them rewrites an instruction of the other, and a timer-free lock orders them.</summary>
    private static SmallMachine Build(FetchProfile profile, ScheduleKind schedule = ScheduleKind.RoundRobin, ulong seed = 1)
    {
        var m = new SmallMachine(profile, schedule: schedule, seed: seed);
        const ulong shared = SmallMachine.DataAt;
        const ulong second = SmallMachine.CodeAt + 0x800;
        m.Assemble(second, a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.mov(eax, 1);
            a.add(__qword_ptr[shared], rax);
            a.mov(rbx, __qword_ptr[shared + 8]);
            a.jmp(loop);
        });
        m.Assemble(SmallMachine.CodeAt, a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.inc(ecx);
            a.mov(__byte_ptr[second + 1], cl);
            a.@lock.add(__qword_ptr[shared], 5);
            a.mov(__qword_ptr[shared + 8], rcx);
            a.mov(__qword_ptr[rcx * 8 + (long)(shared + 0x1000)], rcx);
            a.cmp(ecx, 20000);
            a.jne(loop);
            a.hlt();
        });
        m[1]->Rip = second;
        return m;
    }

    [Theory]
    [InlineData("coherent", ScheduleKind.RoundRobin)]
    [InlineData("p6", ScheduleKind.RoundRobin)]
    [InlineData("amd", ScheduleKind.Random)]
    [InlineData("intel", ScheduleKind.Random)]
    public void Restore_RunAgain_GivesTheSameHash(string profile, ScheduleKind schedule)
    {
        using SmallMachine m = Build(FetchProfiles.Find(profile)!, schedule);
        m.Machine.Run(3_001);
        MachineSnapshot snapshot = m.Machine.TakeSnapshot();
        ulong before = m.Machine.RunHash;
        m.Machine.Run(5_003);
        ulong after = m.Machine.RunHash;
        m.Machine.Restore(snapshot);
        Assert.Equal(before, m.Machine.RunHash);
        m.Machine.Run(5_003);
        Assert.Equal(after, m.Machine.RunHash);
        m.Machine.Restore(snapshot);
        m.Machine.Run(5_003);
        Assert.Equal(after, m.Machine.RunHash);
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    [InlineData("intel")]
    public void Snapshot_Taken_DoesNotChangeTheRun(string profile)
    {
        using SmallMachine a = Build(FetchProfiles.Find(profile)!, ScheduleKind.Random);
        using SmallMachine b = Build(FetchProfiles.Find(profile)!, ScheduleKind.Random);
        a.Machine.Run(2_000);
        a.Machine.TakeSnapshot();
        a.Machine.Run(2_000);
        b.Machine.Run(2_000);
        b.Machine.Run(2_000);
        Assert.Equal(b.Machine.RunHash, a.Machine.RunHash);
    }

    [Fact]
    public void Seeds_SameAndDifferent_GiveSameAndDifferentRuns()
    {
        ulong[] hashes = [.. new ulong[] { 1, 1, 2 }.Select(seed =>
        {
            using SmallMachine m = Build(FetchProfiles.P6, ScheduleKind.Random, seed);
            m.Machine.Run(4_000);
            return m.Machine.RunHash;
        })];
        Assert.Equal(hashes[0], hashes[1]);
        Assert.NotEqual(hashes[0], hashes[2]);
    }

    [Fact]
    public void Restore_OlderAndNewerSnapshot_BringsBackEachMemory()
    {
        using SmallMachine m = Build(FetchProfiles.Coherent);
        MachineSnapshot first = m.Machine.TakeSnapshot();
        m.Write64(SmallMachine.DataAt + 0x5000, 1);
        MachineSnapshot second = m.Machine.TakeSnapshot();
        m.Write64(SmallMachine.DataAt + 0x5000, 2);
        m.Machine.Restore(first);
        Assert.Equal(0UL, m.Read64(SmallMachine.DataAt + 0x5000));
        m.Machine.Restore(second);
        Assert.Equal(1UL, m.Read64(SmallMachine.DataAt + 0x5000));
        m.Machine.Restore(first);
        Assert.Equal(0UL, m.Read64(SmallMachine.DataAt + 0x5000));
    }

    [Fact]
    public void Restore_SnapshotOfAnotherShape_IsRefused()
    {
        using var one = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        using var two = new SmallMachine(FetchProfiles.Coherent, cpus: 2);
        Assert.Throws<ArgumentException>(() => one.Machine.Restore(two.Machine.TakeSnapshot()));
    }
}
