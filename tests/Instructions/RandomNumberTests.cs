using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.Machine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

public sealed unsafe class RandomNumberTests
{
    [Fact]
    public void Rdrand_GivesItsWidth_AndSetsCarryAlone()
    {
        using var cpu = new TestCpu(64, CpuModels.Skylake);
        cpu.Rflags = Rflags.Arithmetic | 2;
        cpu[0] = ulong.MaxValue;
        Assert.Null(cpu.Run(a => a.rdrand(ax)));
        Assert.Equal((0xFFFF_FFFF_FFFFUL, Rflags.Cf), (cpu[0] >> 16, cpu.Arithmetic));
        Assert.Null(cpu.Run(a => a.rdseed(eax)));
        Assert.Equal(0UL, cpu[0] >> 32);
        ulong[] many = [.. Enumerable.Range(0, 100).Select(_ =>
        {
            Assert.Null(cpu.Run(a => a.rdrand(rax)));
            return cpu[0];
        })];
        Assert.Equal(100, many.Distinct().Count());
        using var k8 = new TestCpu(64, CpuModels.K8);
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.rdrand(eax)));
    }

    [Fact]
    public void Numbers_FollowTheSeed_AndASnapshotBringsThemBack()
    {
        ulong Draw(ulong seed, int cpu, bool restored)
        {
            using var m = new SmallMachine(FetchProfiles.Coherent, seed: seed);
            m.Assemble(SmallMachine.CodeAt, a =>
            {
                a.rdrand(rax);
                a.rdseed(rbx);
            });
            MachineSnapshot early = m.Machine.TakeSnapshot();
            m.Step(cpu, 2);
            if (restored)
            {
                m.Machine.Restore(early);
                m.Step(cpu, 2);
            }
            return m[cpu]->Registers[0] ^ m[cpu]->Registers[3] << 1;
        }
        Assert.Equal(Draw(1, 0, false), Draw(1, 0, true));
        Assert.Equal(4, new[] { Draw(1, 0, false), Draw(1, 1, false), Draw(2, 0, false), Draw(2, 1, false) }.Distinct().Count());
    }
}
