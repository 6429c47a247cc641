using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Tests.Machine;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>States that an exploration takes for one are equal in everything that can decide what follows.</summary>
public sealed unsafe class StateMixerTests
{
    [Fact]
    public void OfCpu_AnyFloatingRegister_IsPartOfTheState()
    {
        using var m = new SmallMachine(FetchProfiles.P6, cpus: 1);
        var hashes = new HashSet<ulong> { StateMixer.OfCpu(m[0]) };
        for (int word = 0; word < sizeof(FloatingState) / sizeof(ulong); word++)
        {
            ulong* changed = (ulong*)&m[0]->Floating + word;
            *changed ^= 1;
            Assert.True(hashes.Add(StateMixer.OfCpu(m[0])), $"word {word} of {nameof(FloatingState)} is left out");
            *changed ^= 1;
        }
        Assert.Contains(StateMixer.OfCpu(m[0]), hashes);
    }
}
