using Emu.Boot;
using Emu.Cpus;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class PvhKernelTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Load_Elf_EntersAtItsNoteWithTheStartInfo(bool is64)
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(Kernel(is64), "k");
        Assert.Equal(ImageKind.Pvh, image.Kind);
        image.Load(f.Memory, f.Cpu, "console=ttyS0", [new("initrd", "abc"u8.ToArray(), "first"), new("more", new byte[0x1000], "second")]);
        ref CpuState s = ref f.State;
        Assert.Equal(0x10_0020UL, s.Rip);
        // x86/HVM direct boot ABI: cr0 has PE and ET alone; cr4 and EFER are 0.
        Assert.Equal((0x11UL, 0UL, 0UL), (s.Paging.Cr0, s.Paging.Cr4, s.Paging.Efer));
        Assert.Equal((uint.MaxValue, 0UL), (s.Cs.Limit, s.Cs.Base));

        ulong info = f.Register(3);
        Assert.Equal((0x336E_C578u, 1u, 2u), (f.Word(info), f.Word(info + 4), f.Word(info + 12)));
        ulong list = f.Quad(info + 16);
        Assert.Equal("console=ttyS0", f.Text(f.Quad(info + 24)));
        Assert.Equal("RSD PTR "u8.ToArray(), f.Bytes(f.Quad(info + 32), 8));
        Assert.Equal((3UL, "first"), (f.Quad(list + 8), f.Text(f.Quad(list + 16))));
        Assert.Equal("abc"u8.ToArray(), f.Bytes(f.Quad(list), 3));
        Assert.Equal((0x1000UL, "second"), (f.Quad(list + 40), f.Text(f.Quad(list + 48))));
        ulong map = f.Quad(info + 40);
        Assert.Equal(6u, f.Word(info + 48));
        Assert.Equal((0x10_0000UL, 0xF0_0000UL, 1u), (f.Quad(map + 72), f.Quad(map + 80), f.Word(map + 88)));
    }

    [Fact]
    public void Open_NoteThatCannotBe_IsRefused()
    {
        Assert.Contains("0x200000 is the physical address of no segment", BootFixture.Refusal(() => BootImage.Open(Kernel(true, BitConverter.GetBytes(0x20_0000UL)), "k")), StringComparison.Ordinal);
        Assert.Contains("it has 3 bytes", BootFixture.Refusal(() => BootImage.Open(Kernel(true, [1, 2, 3]), "k")), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NotesThatReachTooFar_AreRefused()
    {
        byte[] file = Kernel(false);
        // The length of the first note's descriptor.
        int at = file.AsSpan().IndexOf("Xen\0"u8) - 8;
        file[at + 2] = 1;
        Assert.Contains("a note reaches beyond its segment", BootFixture.Refusal(() => BootImage.Open(file, "k")), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_KernelThatOffersSeveral_TakesTheOneAskedFor()
    {
        ElfBuilder elf = ElfBuilder.Kernel(true);
        elf.Note("Xen", 18, BitConverter.GetBytes(0x10_0010));
        Assert.Equal(ImageKind.Multiboot1, BootImage.Open(elf.Build(), "k").Kind);
        Assert.Equal(ImageKind.Pvh, BootImage.Open(elf.Build(), "k", ImageKind.Pvh).Kind);
        Assert.Contains("it cannot be booted as linux64", BootFixture.Refusal(() => BootImage.Open(elf.Build(), "k", ImageKind.Linux64)), StringComparison.Ordinal);
    }

    private static byte[] Kernel(bool is64, byte[]? entry = null)
    {
        var elf = new ElfBuilder(is64) { MultibootFlags = null };
        elf.Segment(0x10_0000, new byte[64]);
        elf.Note("Xen", 6, "linux\0"u8.ToArray());
        elf.Note("Xen", 18, entry ?? BitConverter.GetBytes(0x10_0020));
        return elf.Build();
    }
}
