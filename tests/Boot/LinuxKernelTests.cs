using Emu.Boot;
using Emu.Cpus;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class LinuxKernelTests
{
    private const ulong ZeroPage = 0x7000;

    [Fact]
    public void Load_BzImage64_EntersLongModeAsTheProtocolSays()
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(new LinuxImage().Build(), "vmlinuz");
        Assert.Equal(ImageKind.Linux64, image.Kind);
        image.Load(f.Memory, f.Cpu);
        ref CpuState s = ref f.State;
        Assert.Equal(0x10_0200UL, s.Rip);
        Assert.Equal(ZeroPage, f.Register(6));
        Assert.Equal(0x8000_0011UL, s.Paging.Cr0);
        Assert.Equal(0x20UL, s.Paging.Cr4);
        Assert.Equal(0x500UL, s.Paging.Efer);
        Assert.True(s.Is64Bit);
        Assert.Equal((0x10, 0x18, 0x18, 0x18), (s.Cs.Selector, s.Ds.Selector, s.Es.Selector, s.Ss.Selector));
        Assert.Equal(0UL, s.SystemFlags & Rflags.If);
        // The GDT holds what the segments say that they were loaded from.
        Assert.Equal(31, (int)s.Gdtr.Limit);
        Assert.Equal(0x00AF_9B00_0000_FFFFUL, f.Quad(s.Gdtr.Base + 0x10));
        Assert.Equal(0x00CF_9300_0000_FFFFUL, f.Quad(s.Gdtr.Base + 0x18));
        Assert.True(f.Apic.IsSoftwareEnabled);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(0x1234_5678UL)]
    [InlineData(0xFFFF_FFFFUL)]
    public void IdentityMap_First4GiB_MapsEachAddressToItself(ulong linear)
    {
        using var f = new BootFixture();
        BootImage.Open(new LinuxImage().Build(), "vmlinuz").Load(f.Memory, f.Cpu);
        ref CpuState s = ref f.State;
        Assert.True(PageWalk.TryTranslate(f.Memory, ref s.Paging, linear, AccessKind.Write, false, false, out Translation t, null));
        Assert.Equal(linear, t.Physical);
        Assert.False(PageWalk.TryTranslate(f.Memory, ref s.Paging, linear + (1UL << 32), AccessKind.Read, false, false, out _, null));
    }

    [Fact]
    public void CpuView_OfMemory_LeavesNoTrace()
    {
        using var f = new BootFixture();
        BootImage.Open(new LinuxImage().Build(), "vmlinuz").Load(f.Memory, f.Cpu);
        ulong tables = f.State.Paging.Cr3;
        ulong before = f.Quad(tables);
        byte[] seen = new byte[6];
        Assert.True(CpuView.TryRead(f.Cpu, 0x10_0200 - 4, seen));
        Assert.Equal(f.Bytes(0x10_0200 - 4, 6), seen);
        Assert.False(CpuView.TryRead(f.Cpu, 1UL << 32, seen));
        Assert.Equal(before, f.Quad(tables));
        // A walk of the CPU's own does.
        Assert.True(PageWalk.TryTranslate(f.Memory, ref f.State.Paging, 0, AccessKind.Read, false, false, out _));
        Assert.NotEqual(before, f.Quad(tables));
    }

    [Fact]
    public void Load_BzImage32_EntersProtectedModeAsTheProtocolSays()
    {
        using var f = new BootFixture(model: CpuModels.Pentium3);
        BootImage image = BootImage.Open(new LinuxImage { ExtendedLoadFlags = 0 }.Build(), "bzImage");
        Assert.Equal(ImageKind.Linux32, image.Kind);
        image.Load(f.Memory, f.Cpu);
        ref CpuState s = ref f.State;
        Assert.Equal(0x10_0000UL, s.Rip);
        Assert.Equal((0UL, 0UL, 0UL, ZeroPage), (f.Register(3), f.Register(5), f.Register(7), f.Register(6)));
        Assert.Equal(0x11UL, s.Paging.Cr0);
        Assert.Equal((0x10, 0x18, 0x18, 0x18), (s.Cs.Selector, s.Ds.Selector, s.Es.Selector, s.Ss.Selector));
        Assert.Equal(0x00CF_9B00_0000_FFFFUL, f.Quad(s.Gdtr.Base + 0x10));
        Assert.Equal(ImageKind.Linux32, BootImage.Open(new LinuxImage().Build(), "vmlinuz", ImageKind.Linux32).Kind);
    }

    [Fact]
    public void ZeroPage_OfABzImage_TellsHeaderCommandLineRamdiskMemoryAndAcpi()
    {
        using var f = new BootFixture();
        BootImage.Open(new LinuxImage().Build(), "vmlinuz").Load(f.Memory, f.Cpu, "console=ttyS0 quiet", [new("initrd", "070701..."u8.ToArray(), "")]);
        Assert.Equal(0x5372_6448u, f.Word(ZeroPage + 0x202));
        Assert.Equal(0x020Fu, f.Word(ZeroPage + 0x206) & 0xFFFF);
        Assert.Equal(0xFF, f.Bytes(ZeroPage + 0x210, 1)[0]);
        Assert.Equal("console=ttyS0 quiet", f.Text(f.Word(ZeroPage + 0x228)));
        // As high as RAM goes.
        Assert.Equal((0xFF_F000u, 9u), (f.Word(ZeroPage + 0x218), f.Word(ZeroPage + 0x21C)));
        Assert.Equal("070701..."u8.ToArray(), f.Bytes(0xFF_F000, 9));
        Assert.Equal("RSD PTR "u8.ToArray(), f.Bytes(f.Quad(ZeroPage + 0x70), 8));
        Assert.Equal([(0UL, 0x9_FC00UL, 1u), (0x9_FC00UL, 0x400UL, 2u), (0xF_0000UL, 0x1_0000UL, 2u), (0x10_0000UL, 0xF0_0000UL, 1u), (0xFEC0_0000UL, 0x1000UL, 2u), (0xFEE0_0000UL, 0x1000UL, 2u)],
            E820(f));
    }

    [Fact]
    public void E820_MemoryBeyond3GiB_GoesOnAt4GiB()
    {
        using var f = new BootFixture(4UL << 30);
        BootImage.Open(new LinuxImage().Build(), "vmlinuz").Load(f.Memory, f.Cpu);
        List<(ulong Start, ulong Length, uint Type)> map = E820(f);
        Assert.Contains((0x10_0000UL, 0xBFF0_0000UL, 1u), map);
        Assert.Contains((0x1_0000_0000UL, 0x4000_0000UL, 1u), map);
    }

    [Fact]
    public void Load_Vmlinux_EntersAtThePhysicalEntryInLongMode()
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(Vmlinux(), "vmlinux");
        Assert.Equal(ImageKind.Linux64, image.Kind);
        image.Load(f.Memory, f.Cpu, "quiet", [new("initrd", new byte[5], "")]);
        Assert.Equal(0x10_0000UL, f.State.Rip);
        Assert.True(f.State.Is64Bit);
        Assert.Equal([0xFA, 0xF4], f.Bytes(0x10_0000, 2));
        Assert.Equal(0x5372_6448u, f.Word(ZeroPage + 0x202));
        Assert.Equal("quiet", f.Text(f.Word(ZeroPage + 0x228)));
        Assert.Equal(5u, f.Word(ZeroPage + 0x21C));
        Assert.True(image.Symbols.TryFind("startup_64", out _));
    }

    [Fact]
    public void Load_Vmlinux_EntryThatIsNotPhysical_IsRefused() =>
        Assert.Contains("the entry 0xffffffff81000000 is the physical address of no segment", BootFixture.Refusal(() => BootImage.Open(Vmlinux(0xFFFF_FFFF_8100_0000), "vmlinux")), StringComparison.Ordinal);

    [Theory]
    [InlineData("protocol", "boot protocol 2.01 is too old")]
    [InlineData("zimage", "it is a zImage")]
    [InlineData("header", "the setup header ends at 0x212")]
    [InlineData("cut", "2 setup sectors, and the file has 1024 bytes")]
    public void Open_BzImageThatCannotBe_IsRefused(string fault, string what)
    {
        var image = new LinuxImage();
        switch (fault)
        {
            case "protocol":
                image.Version = 0x0201;
                break;
            case "zimage":
                image.LoadFlags = 0;
                break;
            case "header":
                image.HeaderLength = 0x10;
                break;
            case "cut":
                image.Code = [];
                break;
        }
        string message = BootFixture.Refusal(() => BootImage.Open(image.Build(), "vmlinuz"));
        Assert.StartsWith("vmlinuz: ", message, StringComparison.Ordinal);
        Assert.Contains(what, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_OldHeader_UsesTheDefaultsOfItsTime()
    {
        using var f = new BootFixture();
        // What lies behind the end of a header of protocol 2.02 is code, not a header.
        var old = new LinuxImage { Version = 0x0202, HeaderLength = 0x2A, CommandLineSize = 5, RamdiskMaximum = 0x1000, InitSize = uint.MaxValue };
        BootImage image = BootImage.Open(old.Build(), "bzImage");
        Assert.Equal(ImageKind.Linux32, image.Kind);
        image.Load(f.Memory, f.Cpu, new string('x', 255), [new("initrd", new byte[1], "")]);
        Assert.Contains("takes 255", BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu, new string('x', 256))), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_Kernel32ByThe64BitEntry_IsRefused() =>
        Assert.Contains("has no 64-bit entry", BootFixture.Refusal(() => BootImage.Open(new LinuxImage { ExtendedLoadFlags = 0 }.Build(), "k", ImageKind.Linux64)), StringComparison.Ordinal);

    [Theory]
    [InlineData(0xCF_F000, null)]
    [InlineData(0xD0_0000, null)]
    [InlineData(0xD0_0001, "0xd00001 bytes do not fit between the kernel's end at 0x300000 and 0xffffff")]
    [InlineData(0x180_0000, "do not fit")]
    public void Load_Ramdisk_FitsBehindTheKernelOrIsRefused(int length, string? refusal)
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(new LinuxImage().Build(), "vmlinuz");
        void Load() => image.Load(f.Memory, f.Cpu, "", [new("initrd", new byte[length], "")]);
        if (refusal == null)
            Load();
        else
            Assert.Contains(refusal, BootFixture.Refusal(Load), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_RamdiskMaximum_IsKept()
    {
        using var f = new BootFixture();
        BootImage.Open(new LinuxImage { RamdiskMaximum = 0x7F_FFFF }.Build(), "vmlinuz").Load(f.Memory, f.Cpu, "", [new("initrd", new byte[0x1001], "")]);
        Assert.Equal(0x7F_E000u, f.Word(ZeroPage + 0x218));
    }

    [Fact]
    public void Load_WhatDoesNotFit_IsRefused()
    {
        using var f = new BootFixture(2UL << 20);
        Assert.Contains("it needs memory up to 0x2fffff to unpack itself, and RAM ends at 0x1fffff",
            BootFixture.Refusal(() => BootImage.Open(new LinuxImage().Build(), "k").Load(f.Memory, f.Cpu)), StringComparison.Ordinal);
        using var g = new BootFixture();
        BootImage kernel = BootImage.Open(new LinuxImage { CommandLineSize = 10 }.Build(), "k");
        Assert.Contains("the command line has 11 bytes, and this kernel takes 10", BootFixture.Refusal(() => kernel.Load(g.Memory, g.Cpu, "01234567890")), StringComparison.Ordinal);
        Assert.Contains("takes one initial RAM disk", BootFixture.Refusal(() => kernel.Load(g.Memory, g.Cpu, "", [new("a", default, ""), new("b", default, "")])), StringComparison.Ordinal);
        using var h = new BootFixture(model: CpuModels.Pentium3);
        Assert.Contains("has no 64-bit mode", BootFixture.Refusal(() => kernel.Load(h.Memory, h.Cpu)), StringComparison.Ordinal);
    }

    private static byte[] Vmlinux(ulong entry = 0x10_0000)
    {
        var elf = new ElfBuilder(true) { MultibootFlags = null, Entry = entry };
        elf.Segment(0xFFFF_FFFF_8010_0000, [0xFA, 0xF4], 0x2000, physical: 0x10_0000);
        elf.Symbol("startup_64", 0xFFFF_FFFF_8010_0000, 2, 2, 1);
        elf.Note("Linux", 0x100, [0]);
        return elf.Build();
    }

    private static List<(ulong Start, ulong Length, uint Type)> E820(BootFixture f)
    {
        var map = new List<(ulong, ulong, uint)>();
        for (ulong i = 0; i < f.Bytes(ZeroPage + 0x1E8, 1)[0]; i++)
            map.Add((f.Quad(ZeroPage + 0x2D0 + 20 * i), f.Quad(ZeroPage + 0x2D8 + 20 * i), f.Word(ZeroPage + 0x2E0 + 20 * i)));
        return map;
    }
}
