using System.Buffers.Binary;
using Emu.Boot;
using Emu.Cpus;
using Emu.Memory;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class Multiboot1Tests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Load_Elf_PutsSegmentsAndZeroesTheRest(bool is64)
    {
        using var f = new BootFixture();
        f.Memory.TryWrite(0x10_2000, Enumerable.Repeat((byte)0xEE, 0x4000).ToArray());
        BootImage image = BootImage.Open(ElfBuilder.Kernel(is64).Build(), "kernel.elf");
        image.Load(f.Memory, f.Cpu);
        Assert.Equal(ImageKind.Multiboot1, image.Kind);
        Assert.Equal(ElfBuilder.MultibootMagic, f.Word(0x10_0000));
        Assert.Equal([0xFA, 0xF4], f.Bytes(0x10_0010, 2));
        Assert.Equal("data"u8.ToArray(), f.Bytes(0x10_2000, 4));
        Assert.All(f.Bytes(0x10_2004, 0x2FFC), b => Assert.Equal(0, b));
        Assert.Equal(0xEE, f.Bytes(0x10_5000, 1)[0]);
        // Untouched pages of bss are not made dirty.
        Assert.Equal(0x10_0010UL, image.Entry);
    }

    [Fact]
    public void Load_State_IsThatOfTheSpecification()
    {
        using var f = new BootFixture();
        BootImage.Open(ElfBuilder.Kernel(true).Build(), "kernel.elf").Load(f.Memory, f.Cpu);
        ref CpuState s = ref f.State;
        Assert.Equal(0x2BADB002UL, f.Register(0));
        Assert.Equal(0x10_0010UL, s.Rip);
        Assert.Equal(1UL, s.Paging.Cr0 & (PagingBits.Cr0Pg | 1));
        Assert.Equal(0UL, s.SystemFlags & (Rflags.If | Rflags.Vm));
        foreach (SegmentRegister r in new[] { s.Cs, s.Ss, s.Ds, s.Es, s.Fs, s.Gs })
        {
            Assert.Equal(0UL, r.Base);
            Assert.Equal(uint.MaxValue, r.Limit);
            Assert.Equal(1, r.Usable);
            Assert.NotEqual(0, r.Attributes & SegmentAttributes.D);
        }
        Assert.Equal(0xA, s.Cs.Attributes & 0xA);
        Assert.Equal(2, s.Ds.Attributes & 0xA);
        // 32-bit code, flat data.
        Assert.Equal(1u | ModeKey.Stack32 | ModeKey.FlatData, s.ModeKey & ~ModeKey.FloatingChecked);
        Assert.Equal(Activity.Active, s.Activity);
        // Firmware left the virtual wire: 8259 through LINT0.
        Assert.True(f.Apic.IsSoftwareEnabled);
        Assert.Equal(0x700u, f.Bus.ReadMmio(new CpuIndex(0), 0xFEE0_0350, 4));
    }

    [Fact]
    public void Info_Structure_TellsMemoryCommandLineModulesAndLoader()
    {
        using var f = new BootFixture();
        BootModule[] modules = [new("one", "first"u8.ToArray(), "one --x"), new("empty", ReadOnlyMemory<byte>.Empty, ""), new("big", new byte[0x1001], "big")];
        BootImage.Open(ElfBuilder.Kernel(true).Build(), "kernel.elf").Load(f.Memory, f.Cpu, "protocol=int3 sync=cpuid", modules);
        uint info = (uint)f.Register(3);
        Assert.Equal(0b10_0100_1101u, f.Word(info));
        Assert.Equal(639u, f.Word(info + 4));
        Assert.Equal(15u * 1024, f.Word(info + 8));
        Assert.Equal("kernel.elf protocol=int3 sync=cpuid", f.Text(f.Word(info + 16)));
        Assert.Equal("Emu", f.Text(f.Word(info + 64)));

        Assert.Equal(3u, f.Word(info + 20));
        uint list = f.Word(info + 24);
        uint kernelEnd = 0x10_5000;
        for (uint i = 0; i < 3; i++)
        {
            uint start = f.Word(list + 16 * i);
            uint end = f.Word(list + 16 * i + 4);
            Assert.Equal(0u, start % 4096);
            Assert.True(start >= kernelEnd);
            Assert.Equal((uint)modules[i].Data.Length, end - start);
            Assert.Equal(modules[i].Data.ToArray(), f.Bytes(start, (int)(end - start)));
            Assert.Equal(modules[i].CommandLine, f.Text(f.Word(list + 16 * i + 8)));
            kernelEnd = end;
        }
    }

    [Theory]
    [InlineData(1UL << 20)]
    [InlineData(64UL << 20)]
    [InlineData((3UL << 30) + (1UL << 30))]
    public void MemoryMap_OfAnySize_CoversRamOnceAndInOrder(ulong size)
    {
        using var f = new BootFixture(size);
        var elf = new ElfBuilder(false) { Entry = 0x8010 };
        elf.Segment(0x8000, new byte[32]);
        BootImage.Open(elf.Build(), "low.elf").Load(f.Memory, f.Cpu);
        List<(ulong Start, ulong Length, uint Type)> map = f.MemoryMap((uint)f.Register(3));
        Assert.All(map.Zip(map.Skip(1)), p => Assert.True(p.First.Start + p.First.Length <= p.Second.Start));
        Assert.All(map, e => Assert.NotEqual(0UL, e.Length));
        Assert.All(map.Where(e => e.Type == 1), e => Assert.True(f.Memory.Contains(e.Start, e.Length)));
        // All RAM is told of but for the BIOS's share of the first MiB.
        ulong available = map.Where(e => e.Type == 1).Aggregate(0UL, (sum, e) => sum + e.Length);
        Assert.Equal(size - (0x10_0000 - 0x9_FC00), available);
        Assert.Contains(map, e => e.Type == 2 && e.Start == 0xFEE0_0000);
    }

    [Fact]
    public void Info_WhenTheKernelLiesThere_GoesElsewhere()
    {
        using var f = new BootFixture();
        var elf = new ElfBuilder(false) { Entry = 0x1_0010 };
        elf.Segment(0x1_0000, new byte[32], 0x8_F000);
        BootImage image = BootImage.Open(elf.Build(), "low.elf");
        image.Load(f.Memory, f.Cpu, new string('x', 5000), [new BootModule("m", new byte[100], "m")]);
        uint info = (uint)f.Register(3);
        Assert.True(info >= 0x10_0000);
        uint module = f.Word(f.Word(info + 24));
        Assert.True(info >= module + 100);
        Assert.EndsWith("xxx", f.Text(f.Word(info + 16)), StringComparison.Ordinal);
    }

    [Fact]
    public void HighHalfKernel_IsEnteredAtThePhysicalAddress()
    {
        using var f = new BootFixture();
        var elf = new ElfBuilder(true) { Entry = 0xFFFF_FFFF_8010_0020 };
        elf.Segment(0xFFFF_FFFF_8010_0000, new byte[64], physical: 0x10_0000);
        elf.Symbol("_start", 0xFFFF_FFFF_8010_0020, 8, 2, 1);
        BootImage image = BootImage.Open(elf.Build(), "high.elf");
        Assert.Equal(0x10_0020UL, image.Entry);
        image.Load(f.Memory, f.Cpu);
        Assert.Equal("_start+0x3", image.Symbols.Describe(0xFFFF_FFFF_8010_0023));
    }

    [Fact]
    public void AddressFields_AreUsedInsteadOfElf()
    {
        using var f = new BootFixture();
        byte[] file = Kludge(headerAt: 0x20, headerAddress: 0x20_0010, load: 0x20_0000, loadEnd: 0x20_0060, bssEnd: 0x20_1000, entry: 0x20_0040);
        file[0x10] = 0xAA;
        file[0x6F] = 0xBB;
        BootImage image = BootImage.Open(file, "kernel.bin");
        f.Memory.TryWrite(0x20_0060, new byte[] { 1, 2, 3 });
        image.Load(f.Memory, f.Cpu);
        // The load starts 0x10 before the header, so at file offset 0x10.
        Assert.Equal(0xAA, f.Bytes(0x20_0000, 1)[0]);
        Assert.Equal(0xBB, f.Bytes(0x20_005F, 1)[0]);
        Assert.Equal([0, 0, 0], f.Bytes(0x20_0060, 3));
        Assert.Equal(0x20_0040UL, f.State.Rip);
    }

    [Fact]
    public void AddressFields_ZeroEnds_LoadTheWholeFile()
    {
        BootImage image = BootImage.Open(Kludge(0, 0x20_0000, 0x20_0000, 0, 0, 0x20_0030), "kernel.bin");
        ImageSegment segment = Assert.Single(image.Segments);
        Assert.Equal(0x100UL, segment.MemorySize);
        Assert.Equal(0x100, segment.Data.Length);
    }

    [Theory]
    [InlineData(0x20u, 0x20_0000u, 0x20_0010u, 0u, 0u, 0x20_0040u, "before the start of the file")]
    [InlineData(0x20u, 0x20_0030u, 0x20_0000u, 0u, 0u, 0x20_0040u, "before the start of the file")]
    [InlineData(0u, 0x20_0000u, 0x20_0000u, 0x20_0200u, 0u, 0x20_0040u, "load_end_addr")]
    [InlineData(0u, 0x20_0000u, 0x20_0000u, 0x1F_0000u, 0u, 0x20_0040u, "load_end_addr")]
    [InlineData(0u, 0x20_0000u, 0x20_0000u, 0x20_0080u, 0x20_0010u, 0x20_0040u, "bss_end_addr")]
    [InlineData(0u, 0x20_0000u, 0x20_0000u, 0u, 0u, 0x20_0100u, "entry_addr")]
    [InlineData(0u, 0x20_0000u, 0x20_0000u, 0u, 0u, 0x1F_FFFFu, "entry_addr")]
    [InlineData(0u, 0xFFFF_FFF0u, 0xFFFF_FFF0u, 0u, 0u, 0xFFFF_FFF8u, "wrap around")]
    public void AddressFields_ThatContradict_AreRefused(uint headerAt, uint header, uint load, uint loadEnd, uint bssEnd, uint entry, string what)
    {
        string message = BootFixture.Refusal(() => BootImage.Open(Kludge((int)headerAt, header, load, loadEnd, bssEnd, entry), "kernel.bin"));
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.StartsWith("kernel.bin: multiboot header at file offset 0x", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4u, "video mode")]
    [InlineData(8u, "does not define")]
    [InlineData(0x8000u, "does not define")]
    public void Flags_RequiredAndUnsupported_AreRefused(uint flags, string what)
    {
        ElfBuilder elf = ElfBuilder.Kernel(true);
        elf.MultibootFlags = 3 | flags;
        Assert.Contains(what, BootFixture.Refusal(() => BootImage.Open(elf.Build(), "k")), StringComparison.Ordinal);
        // Optional flags, above bit 16, are passed over.
        elf.MultibootFlags = 3 | (flags << 17);
        BootImage.Open(elf.Build(), "k");
    }

    [Fact]
    public void Header_NotAlignedWrongSumOrTooFar_IsNone()
    {
        byte[] file = new byte[0x4000];
        ElfBuilder.MultibootHeader(0x1_0000).CopyTo(file, 2);
        Assert.Contains("no multiboot header", BootFixture.Refusal(() => BootImage.Open(file, "k")), StringComparison.Ordinal);
        file = new byte[0x4000];
        ElfBuilder.MultibootHeader(3).CopyTo(file, 8192 - 8);
        Assert.Contains("no multiboot header", BootFixture.Refusal(() => BootImage.Open(file, "k")), StringComparison.Ordinal);
        file = Kludge(0, 0x20_0000, 0x20_0000, 0, 0, 0x20_0030);
        file[8]++;
        Assert.Contains("no multiboot header", BootFixture.Refusal(() => BootImage.Open(file, "k")), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SegmentBeyondRam_IsRefusedBeforeAnythingIsWritten()
    {
        using var f = new BootFixture(2UL << 20);
        var elf = new ElfBuilder(false);
        elf.Segment(0x10_0000, new byte[32]);
        elf.Segment(0x1F_F000, new byte[8], 0x2000);
        BootImage image = BootImage.Open(elf.Build(), "k");
        string message = BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu));
        Assert.Contains("segment 1 (program header at file offset 0x54): memory 0x1ff000 to 0x200fff is not all RAM (0x0 to 0x1fffff)", message, StringComparison.Ordinal);
        Assert.Equal(0u, f.Word(0x10_0000));
    }

    [Fact]
    public void Load_SegmentOverDevices_IsRefused()
    {
        using var f = new BootFixture();
        var elf = new ElfBuilder(true) { Entry = 0xFEE0_0010 };
        elf.Segment(0xFEE0_0000, new byte[32]);
        BootImage image = BootImage.Open(elf.Build(), "k");
        Assert.Contains("not all RAM", BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu)), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ModuleTooLarge_NamesIt()
    {
        using var f = new BootFixture(2UL << 20);
        BootImage image = BootImage.Open(ElfBuilder.Kernel(true).Build(), "k");
        string message = BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu, "", [new BootModule("a", new byte[8], ""), new BootModule("initrd", new byte[1 << 20], "")]));
        Assert.StartsWith("initrd: module 1: 0x100000 bytes do not fit into RAM from 0x106000", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_64BitElfOnA32BitCpu_IsRefused()
    {
        using var f = new BootFixture(model: CpuModels.Pentium3);
        BootImage image = BootImage.Open(ElfBuilder.Kernel(true).Build(), "k");
        Assert.Contains("pentium3 has no 64-bit mode", BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu)), StringComparison.Ordinal);
        BootImage.Open(ElfBuilder.Kernel(false).Build(), "k").Load(f.Memory, f.Cpu);
    }

    [Fact]
    public void Load_CommandLineWithAZero_IsRefused()
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(ElfBuilder.Kernel(true).Build(), "k");
        Assert.Contains("zero character", BootFixture.Refusal(() => image.Load(f.Memory, f.Cpu, "a\0b")), StringComparison.Ordinal);
    }

    public static TheoryData<string> ShippedImages() => [.. Repository.Files("images", ".elf").Where(f => !f.Contains("handover", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(ShippedImages))]
    public void Load_ShippedImage_LandsWithSymbolsAndEntry(string path)
    {
        using var f = new BootFixture(128UL << 20);
        BootImage image = BootImage.Open(File.ReadAllBytes(Path.Combine(Repository.Root, path)), Path.GetFileName(path));
        image.Load(f.Memory, f.Cpu, "rounds=1");
        Assert.Equal(image.Entry, f.State.Rip);
        Assert.True(image.Symbols.TryFind("_start", out Symbol start));
        Assert.Equal(image.Entry, start.Address);
        foreach (ImageSegment s in image.Segments)
            Assert.Equal(s.Data.ToArray(), f.Bytes(s.Address, s.Data.Length));
        // The header that the kernel carries is where the loader of QEMU looks too.
        Assert.Contains(image.Segments, s => BinaryPrimitives.ReadUInt32LittleEndian(s.Data.Span) == ElfBuilder.MultibootMagic);
        Assert.Equal($"{Path.GetFileName(path)} rounds=1", f.Text(f.Word(f.Register(3) + 16)));
    }

    private static byte[] Kludge(int headerAt, uint headerAddress, uint load, uint loadEnd, uint bssEnd, uint entry)
    {
        var file = new byte[0x100];
        ElfBuilder.MultibootHeader(0x1_0000).CopyTo(file, headerAt);
        uint[] fields = [headerAddress, load, loadEnd, bssEnd, entry];
        for (int i = 0; i < fields.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(headerAt + 12 + 4 * i), fields[i]);
        return file;
    }
}
