using Emu.Boot;
using Emu.Fetch;
using Emu.Machines;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Boot;

public sealed class BiosRomTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(512)]
    [InlineData((64 << 10) + 1)]
    [InlineData((4 << 20) + (64 << 10))]
    public void Open_OddSize_IsRefused(int size) =>
        Assert.Contains($"the ROM has {size} bytes", BootFixture.Refusal(() => BiosRom.Open(new byte[size], "bios.bin")), StringComparison.Ordinal);

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(256 << 10)]
    [InlineData(4 << 20)]
    public void Boot_Rom_StartsAtTheResetVectorAndIsSeenInBothPlaces(int size)
    {
        // At the reset vector a far jump to F000:0000; there, stores to the ROM, reads of both views, and the exit port.
        byte[] rom = Rom(size, a =>
        {
            a.mov(ax, 0xF000);
            a.mov(ds, ax);
            a.mov(al, __byte_ptr[0xFFF0]);
            a.cmp(al, 0xEA);
            Label bad = a.CreateLabel();
            a.jne(bad);
            a.mov(al, 0x10);
            a.@out(0xF4, al);
            a.Label(ref bad);
            a.mov(al, 0x11);
            a.@out(0xF4, al);
        });
        using Machines.Machine machine = Load(rom);
        RunResult result = machine.Run(1000);
        Assert.Equal((StopReason.GuestExit, 0x10), (result.Reason, result.ExitCode));
        var seen = new byte[16];
        Assert.True(machine.Memory.TryRead(0x1_0000_0000 - (ulong)size, seen));
        Assert.Equal(rom[..16], seen);
        Assert.True(machine.Memory.TryRead(0xF_0000, seen));
        Assert.Equal(rom[^(64 << 10)..][..16], seen);
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void Boot_StoreToTheRom_IsLost(string profile)
    {
        // Still at the top of memory, CS has its base of 0xFFFF0000: stores through CS change nothing; RMW ones neither.
        byte[] rom = Rom(64 << 10, a =>
        {
            a.mov(__byte_ptr.cs[0x8000], 0x55);
            a.@lock.inc(__byte_ptr.cs[0x8000]);
            a.xchg(__byte_ptr.cs[0x8000], al);
            a.mov(al, __byte_ptr.cs[0x8000]);
            a.cmp(al, 0);
            Label bad = a.CreateLabel();
            a.jne(bad);
            a.mov(al, 0x10);
            a.@out(0xF4, al);
            a.Label(ref bad);
            a.@out(0xF4, al);
        }, near: true);
        using Machines.Machine machine = Load(rom, profile);
        RunResult result = machine.Run(1000);
        Assert.Equal((StopReason.GuestExit, 0x10), (result.Reason, result.ExitCode));
        var seen = new byte[1];
        Assert.True(machine.Memory.TryRead(0xFFFF_8000, seen));
        Assert.Equal(0, seen[0]);
        Assert.False(machine.Memory.TryWrite(0xFFFF_8000, [1]));
    }

    [Fact]
    public void Snapshot_OfAMachineWithARom_GoesBack()
    {
        using Machines.Machine machine = Load(Rom(64 << 10, a =>
        {
            for (int i = 0; i < 20; i++)
                a.inc(ax);
            a.mov(al, 0x10);
            a.@out(0xF4, al);
        }));
        machine.Run(5);
        MachineSnapshot early = machine.TakeSnapshot();
        RunResult first = machine.Run(1000);
        ulong hash = machine.RunHash;
        machine.Restore(early);
        Assert.Equal((first, hash), (machine.Run(1000), machine.RunHash));
    }

    [Fact]
    public void Load_WhatARomDoesNotTake_IsRefused()
    {
        BiosRom rom = BiosRom.Open(new byte[64 << 10], "bios.bin");
        using var f = new BootFixture();
        Assert.Contains("takes no command line", BootFixture.Refusal(() => rom.Load(f.Memory, f.Cpu, "x")), StringComparison.Ordinal);
        Assert.Contains("the machine has 0 bytes of ROM", BootFixture.Refusal(() => rom.Load(f.Memory, f.Cpu)), StringComparison.Ordinal);
    }

    private static Machines.Machine Load(byte[] rom, string profile = "coherent")
    {
        var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, RomSize = (ulong)rom.Length, MemorySize = 2 << 20, Profile = FetchProfiles.Find(profile)! });
        machine.Load(BiosRom.Open(rom, "bios.bin"));
        return machine;
    }

    /// <summary>A ROM whose reset vector jumps to code at the start of its last 64 KiB: far, to F000:0000, or near.</summary>
    private static byte[] Rom(int size, Action<Assembler> write, bool near = false)
    {
        var rom = new byte[size];
        Span<byte> last = rom.AsSpan(size - (64 << 10));
        var assembler = new Assembler(16);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        stream.ToArray().CopyTo(last);
        if (near)
            new byte[] { 0xE9, 0x0D, 0x00 }.CopyTo(last[0xFFF0..]);
        else
            new byte[] { 0xEA, 0x00, 0x00, 0x00, 0xF0 }.CopyTo(last[0xFFF0..]);
        return rom;
    }
}
