using Emu.Cpus;
using Emu.Fetch;
using Emu.Instructions;
using Emu.Tests.Machine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>What comes between two rounds of a repeated string instruction.</summary>
public sealed unsafe class RepeatedStringTests
{
    private const ulong Code = SmallMachine.CodeAt;

    [Theory]
    [InlineData(3, Code + 5, Rflags.Rf)]
    [InlineData(1, Code + 5 + 2, 0UL)]
    public void InterruptBetweenRounds_OfARepeatedInstruction_PushesRf(int rounds, ulong rip, ulong flag)
    {
        // The first round asks the local APIC for an interrupt, by its command register.
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const byte vector = 0x40;
        const ulong handler = Code + 0x1000;
        m.SetVector(vector, handler);
        m.Assemble(Code, a =>
        {
            a.mov(ecx, rounds);
            a.rep.stosd();
            a.hlt();
        });
        m.Assemble(handler, a =>
        {
            a.pop(r8);
            a.mov(r9, __[rsp + 8]);
            a.hlt();
        });
        m[0]->Registers[0] = 0x4_4000 | vector; // to itself
        m[0]->Registers[7] = 0xFEE0_0300;
        m[0]->SystemFlags |= Rflags.If;
        m.Machine.Run(100);
        Assert.Equal((rip, flag), (m[0]->Registers[8], m[0]->Registers[9] & Rflags.Rf));
        Assert.Equal((ulong)rounds - 1, m[0]->Registers[1]);
        Assert.Equal(0UL, m[0]->SystemFlags & Rflags.Rf);
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void RepeatedInstruction_OfManyElements_TakesTheTimeOfMany(string profile)
    {
        using var m = new SmallMachine(FetchProfiles.Find(profile)!, cpus: 1);
        m.Assemble(Code, a =>
        {
            a.rep.lodsb();
            a.hlt();
        });
        m[0]->Registers[1] = 2 * Strings.ElementsAtOnce + 5;
        m[0]->Registers[6] = 0;
        m.Machine.Run(2);
        Assert.Equal((5UL, Code, 2UL), (m[0]->Registers[1], m[0]->Rip, m[0]->Retired));
        m.Machine.Run(2);
        Assert.Equal((0UL, Code + 3, 4UL), (m[0]->Registers[1], m[0]->Rip, m[0]->Retired));
    }
}
