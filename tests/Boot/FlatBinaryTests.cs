using Emu.Boot;
using Emu.Cpus;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class FlatBinaryTests
{
    [Fact]
    public void Load_BootSector_StartsInRealModeAt7C00()
    {
        using var f = new BootFixture();
        FlatBinary image = FlatBinary.Open(new byte[] { 0xFA, 0xF4 }, "boot.bin");
        image.Load(f.Memory, f.Cpu);
        Assert.Equal([0xFA, 0xF4], f.Bytes(0x7C00, 2));
        Assert.Equal(0, f.State.Cs.Selector);
        Assert.Equal(0UL, f.State.Cs.Base);
        Assert.Equal(0x7C00UL, f.State.Rip);
        Assert.Equal(0UL, f.State.Paging.Cr0 & 1);
        Assert.Equal(ModeKey.Real, f.State.ModeKey & ModeKey.Real);
        Assert.Equal(ImageKind.FlatBinary, image.Kind);
    }

    [Fact]
    public void Load_GivenAddressAndEntry_AreUsed()
    {
        using var f = new BootFixture();
        FlatBinary.Open(new byte[64], "x.bin", 0x2_0000, 0x2000, 0x10).Load(f.Memory, f.Cpu);
        Assert.Equal(0x2_0000UL, f.State.Cs.Base);
        Assert.Equal(0x2000, f.State.Cs.Selector);
        Assert.Equal(0x10UL, f.State.Rip);
    }

    [Fact]
    public void Open_Wrong_IsRefused()
    {
        Assert.Contains("empty", BootFixture.Refusal(() => FlatBinary.Open(ReadOnlyMemory<byte>.Empty, "x")), StringComparison.Ordinal);
        Assert.Contains("0000:7c00 is not in the image, which lies from 0x8000", BootFixture.Refusal(() => FlatBinary.Open(new byte[4], "x", 0x8000)), StringComparison.Ordinal);
        Assert.Contains("wrap around", BootFixture.Refusal(() => FlatBinary.Open(new byte[4], "x", ulong.MaxValue - 1)), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Wrong_IsRefused()
    {
        using var f = new BootFixture(1UL << 20);
        FlatBinary large = FlatBinary.Open(new byte[1 << 20], "x");
        Assert.Contains("not all RAM", BootFixture.Refusal(() => large.Load(f.Memory, f.Cpu)), StringComparison.Ordinal);
        FlatBinary small = FlatBinary.Open(new byte[4], "x");
        Assert.Contains("takes no command line", BootFixture.Refusal(() => small.Load(f.Memory, f.Cpu, "x")), StringComparison.Ordinal);
    }
}
