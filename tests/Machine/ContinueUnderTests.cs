using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Machine;

/// <summary>A run that began under the coherent profile and goes on under another.</summary>
public sealed class ContinueUnderTests
{
    private const ulong Code = SmallMachine.CodeAt;

    private static SmallMachine Build()
    {
        var m = new SmallMachine(FetchProfiles.Coherent, cpus: 2);
        m.Assemble(Code, a =>
        {
            // Each value is read back at once: from the store buffer, where there is one.
            Iced.Intel.Label loop = a.CreateLabel();
            a.mov(ebx, (int)SmallMachine.DataAt);
            a.mov(ecx, 500);
            a.Label(ref loop);
            a.@lock.add(__qword_ptr[rbx + 8], rcx);
            a.mov(rdx, rcx);
            a.push(rdx);
            a.pop(rsi);
            a.add(rdi, rsi);
            a.dec(ecx);
            a.jne(loop);
            a.hlt();
        });
        for (int cpu = 0; cpu < 2; cpu++)
            CpuRegisters.Write(m.Machine.Cpus[cpu], "rsp", SmallMachine.DataAt + 0x1_0000 * (ulong)(cpu + 1));
        return m;
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    [InlineData("intel")]
    [InlineData("amd")]
    public void ContinueUnder_AnotherProfile_GoesOnWithWhatIsThere(string profile)
    {
        using SmallMachine m = Build();
        m.Machine.Run(2000);
        using Machines.Machine next = m.Machine.ContinueUnder(m.Machine.Options with { Profile = FetchProfiles.Find(profile)!, Schedule = ScheduleKind.Random });
        Assert.Equal(2000UL, next.Instructions);
        Assert.Equal(StopReason.AllHalted, next.Run(1_000_000).Reason);
        const ulong sum = 500 * 501 / 2;
        Assert.Equal(2 * sum, next.Memory.Read(SmallMachine.DataAt + 8, 8));
        Assert.All(next.Cpus, cpu => Assert.Equal(sum, CpuRegisters.Read(cpu, "rdi")));
        Assert.Equal(2UL * (2 + 7 * 500 + 1), next.Instructions);
        // The machine that it came from stands where it stood.
        Assert.Equal(2000UL, m.Machine.Instructions);
        Assert.NotEqual(2 * sum, m.Machine.Memory.Read(SmallMachine.DataAt + 8, 8));
    }

    [Fact]
    public void ContinueUnder_AnotherMachine_IsRefused()
    {
        using SmallMachine m = Build();
        Assert.Throws<ArgumentException>(() => m.Machine.ContinueUnder(m.Machine.Options with { CpuCount = 3 }));
        using var modelled = new SmallMachine(FetchProfiles.P6);
        Assert.Throws<ArgumentException>(() => modelled.Machine.ContinueUnder(modelled.Machine.Options));
    }
}
