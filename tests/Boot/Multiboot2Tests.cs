using Emu.Boot;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class Multiboot2Tests
{
    [Fact]
    public void Load_Elf_StateAndTagsAreThoseOfTheSpecification()
    {
        using var f = new BootFixture();
        BootImage image = BootImage.Open(Kernel([.. Tag(1, 0, [.. Word(1), .. Word(6), .. Word(15)]), .. End]), "k");
        Assert.Equal(ImageKind.Multiboot2, image.Kind);
        image.Load(f.Memory, f.Cpu, "one two", [new("m", "abc"u8.ToArray(), "first")]);
        Assert.Equal((0x36D7_6289UL, 0x10_0080UL), (f.Register(0), f.State.Rip));
        Assert.Equal(0x11UL, f.State.Paging.Cr0);
        Dictionary<uint, ulong> tags = Tags(f);
        Assert.Equal([1u, 2, 3, 4, 6, 14, 15], tags.Keys.Order().ToArray());
        Assert.Equal("one two", f.Text(tags[1]));
        Assert.Equal("Emu", f.Text(tags[2]));
        Assert.Equal("abc"u8.ToArray(), f.Bytes(f.Word(tags[3]), (int)(f.Word(tags[3] + 4) - f.Word(tags[3]))));
        Assert.Equal("first", f.Text(tags[3] + 8));
        Assert.Equal((639u, 15u * 1024), (f.Word(tags[4]), f.Word(tags[4] + 4)));
        Assert.Equal((24u, 0u), (f.Word(tags[6]), f.Word(tags[6] + 4)));
        Assert.Equal((0x10_0000UL, 0xF0_0000UL, 1u), (f.Quad(tags[6] + 8 + 72), f.Quad(tags[6] + 8 + 80), f.Word(tags[6] + 8 + 88)));
        Assert.Equal(f.Bytes(FirmwareTables.Rsdp, 20), f.Bytes(tags[14], 20));
        Assert.Equal(f.Bytes(FirmwareTables.Rsdp, 36), f.Bytes(tags[15], 36));
    }

    [Fact]
    public void Load_AddressAndEntryTags_PutAFlatFileWhereTheySay()
    {
        using var f = new BootFixture();
        byte[] tags = [.. Tag(2, 0, [.. Word(0x20_0000), .. Word(0x20_0000), .. Word(0), .. Word(0x20_1000)]), .. Tag(3, 0, Word(0x20_0060)), .. End];
        byte[] file = [.. Header(tags), .. new byte[64], 0xFA, 0xF4];
        BootImage.Open(file, "k").Load(f.Memory, f.Cpu);
        Assert.Equal(0x20_0060UL, f.State.Rip);
        Assert.Equal([0xFA, 0xF4], f.Bytes(0x20_0000 + (ulong)file.Length - 2, 2));
    }

    [Theory]
    [InlineData("framebuffer", "it requires a display (tag 5)")]
    [InlineData("console", "it requires a display (tag 4)")]
    [InlineData("efi", "it requires tag 7")]
    [InlineData("request", "it requires information 9")]
    [InlineData("short", "the tag at its offset 16 has 4 bytes")]
    [InlineData("long", "the tag at its offset 16 has 512 bytes")]
    [InlineData("endless", "its tags have no end")]
    public void Open_HeaderThatCannotBe_IsRefused(string fault, string what)
    {
        byte[] tags = fault switch
        {
            "framebuffer" => [.. Tag(5, 0, new byte[12]), .. End],
            "console" => [.. Tag(4, 0, Word(1)), .. End],
            "efi" => [.. Tag(7, 0, []), .. End],
            "request" => [.. Tag(1, 0, Word(9)), .. End],
            "short" => [6, 0, 0, 0, 4, 0, 0, 0, .. End],
            "long" => [6, 0, 0, 0, 0, 2, 0, 0, .. End],
            _ => Tag(6, 0, []),
        };
        string message = BootFixture.Refusal(() => BootImage.Open(Kernel(tags), "k"));
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.StartsWith("k: multiboot 2 header at file offset 0x", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(99)]
    public void Open_OptionalTagThatIsUnknown_IsPassedOver(ushort type) =>
        Assert.Equal(ImageKind.Multiboot2, BootImage.Open(Kernel([.. Tag(type, 1, new byte[12]), .. End]), "k").Kind);

    [Fact]
    public void Open_AnyByteOfTheHeaderSpoilt_IsOpenedOrRefused()
    {
        byte[] good = Kernel([.. Tag(1, 0, Word(1)), .. Tag(6, 0, []), .. End]);
        int header = good.AsSpan().IndexOf(Word(0xE852_50D6));
        for (int at = header + 16; at < header + 64; at++)
        {
            foreach (byte value in (byte[])[0x00, 0x01, 0x7F, 0xFF])
            {
                byte[] spoilt = [.. good];
                spoilt[at] = value;
                try
                {
                    BootImage.Open(spoilt, "k");
                }
                catch (BootException e)
                {
                    Assert.DoesNotContain('\n', e.Message);
                }
            }
        }
    }

    private static byte[] End => Tag(0, 0, []);

    private static byte[] Word(uint value) => BitConverter.GetBytes(value);

    private static byte[] Tag(ushort type, ushort flags, byte[] contents)
    {
        byte[] tag = [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(flags), .. Word(8 + (uint)contents.Length), .. contents];
        return [.. tag, .. new byte[-tag.Length & 7]];
    }

    private static byte[] Header(byte[] tags)
    {
        uint length = 16 + (uint)tags.Length;
        return [.. Word(0xE852_50D6), .. Word(0), .. Word(length), .. Word(unchecked(0u - 0xE852_50D6 - length)), .. tags];
    }

    /// <summary>An ELF with the header at the first multiple of 8 in its segment, and its entry 0x80 behind the segment's start.</summary>
    private static byte[] Kernel(byte[] tags)
    {
        for (int pad = 0; ; pad++)
        {
            var elf = new ElfBuilder(false) { MultibootFlags = null, Entry = 0x10_0080 };
            elf.Segment(0x10_0000, [.. new byte[pad], .. Header(tags), .. new byte[160]]);
            byte[] file = elf.Build();
            if (file.AsSpan().IndexOf(Word(0xE852_50D6)) % 8 == 0)
                return file;
        }
    }

    private static Dictionary<uint, ulong> Tags(BootFixture f)
    {
        ulong info = f.Register(3);
        Assert.Equal(0UL, info % 8);
        var tags = new Dictionary<uint, ulong>();
        ulong at = info + 8;
        for (; f.Word(at) != 0; at += (f.Word(at + 4) + 7) & ~7UL)
            tags.Add(f.Word(at), at + 8);
        Assert.Equal(8u, f.Word(at + 4));
        Assert.Equal(f.Word(info), at + 8 - info);
        return tags;
    }
}
