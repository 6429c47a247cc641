using Emu.Fetch;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Machine;

/// <summary>Devices as the CPUs of a machine meet them.</summary>
public sealed unsafe class PlatformTests
{
    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void A20_Closed_WrapsDataCodeAndTables(string profile)
    {
        using var m = new SmallMachine(FetchProfiles.Find(profile)!, cpus: 1);
        m.Write64(SmallMachine.DataAt, 0x1111);
        m.Write64(SmallMachine.DataAt + (1 << 20), 0x2222);
        // Where line 20 is low.
        const ulong code = 0x2F_0000;
        m.Assemble(code, a =>
        {
            a.mov(rbx, __qword_ptr[SmallMachine.DataAt + (1 << 20)]);
            a.mov(al, 0xDD);
            a.@out(0x64, al);
            a.mov(rcx, __qword_ptr[SmallMachine.DataAt + (1 << 20)]);
            a.mov(al, 0xDF);
            a.@out(0x64, al);
            a.mov(rsi, __qword_ptr[SmallMachine.DataAt + (1 << 20)]);
        });
        m[0]->Rip = code;
        m.Step(0, 7);
        Assert.Equal((0x2222UL, 0x1111UL, 0x2222UL), (m[0]->Registers[3], m[0]->Registers[1], m[0]->Registers[6]));
    }

    [Fact]
    public void DeviceStore_WithAStoreBuffer_ComesAfterEarlierStores()
    {
        Assert.True(FetchProfileFields.TrySet(FetchProfiles.P6, "xapic-icr-waits=no", out FetchProfile? profile, out _));
        using var m = new SmallMachine(profile, cpus: 1);
        var seen = new List<ulong>();
        m.Machine.Bus.AttachMmio(0xC000_0000, 0x1000, new Probe(() => seen.Add(m.Read64(SmallMachine.DataAt))));
        // The test's tables map the APIC's page; the page before last of that gigabyte is made the probe's.
        m.Write64(0x4000 + 0x1000, 0xC000_0000 | 0x63 | 0x80);
        m.Assemble(SmallMachine.CodeAt, a =>
        {
            a.mov(rax, 0xC000_0000UL);
            a.mov(__qword_ptr[SmallMachine.DataAt], 7);
            a.mov(__dword_ptr[rax], 1);
        });
        m.Step(0, 3);
        Assert.Equal([7UL], seen);
    }

    private sealed class Probe(Action written) : Emu.Memory.IMmioDevice
    {
        public ulong Read(Emu.Memory.CpuIndex cpu, ulong offset, int size) => 0;

        public void Write(Emu.Memory.CpuIndex cpu, ulong offset, int size, ulong value) => written();
    }
}
