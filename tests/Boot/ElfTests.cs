using System.Buffers.Binary;
using Emu.Boot;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Boot;

/// <summary>Truncated and hostile ELF files: one clear line each, and nothing but that.</summary>
public sealed class ElfTests
{
    /// <summary>Each way to be wrong: how it is made, and what the message must say.</summary>
    private static readonly Dictionary<(string Name, bool Is64), (Func<ElfBuilder, byte[]> Make, string What)> s_wrong = MakeWrong();

    public static TheoryData<string, bool> Wrong()
    {
        var data = new TheoryData<string, bool>();
        foreach ((string name, bool is64) in s_wrong.Keys)
            data.Add(name, is64);
        return data;
    }

    private static Dictionary<(string Name, bool Is64), (Func<ElfBuilder, byte[]> Make, string What)> MakeWrong()
    {
        var data = new Dictionary<(string, bool), (Func<ElfBuilder, byte[]>, string)>();
        foreach (bool is64 in new[] { false, true })
        {
            void Add(string name, Func<ElfBuilder, byte[]> make, string what) => data.Add((name, is64), (make, what));

            Add("class", e => Poke(e, 4, 3, 1), "ELF class 3");
            Add("big endian", e => Poke(e, 5, 2, 1), "not little-endian");
            Add("machine", e => Poke(e, 18, 183, 2), "machine 183");
            Add("other class's machine", e => Poke(e, 18, e.Machine == 62 ? 3u : 62u, 2), "machine");
            Add("relocatable", e => Poke(e, 16, 1, 2), "ELF type 1");
            Add("shared", e => Poke(e, 16, 3, 2), "without -r, -shared and -pie");
            Add("no program headers", e => Poke(e, e.HeaderSize - 8, 0, 2), "no program headers");
            Add("short program headers", e => Poke(e, e.HeaderSize - 10, 8, 2), "program headers of 8 bytes");
            Add("program headers beyond the end", e => Poke(e, e.HeaderSize - 8, 0xFFFF, 2), "reach beyond the file's");
            Add("program header offset overflows", e => PokeWord(e, is64 ? 32 : 28, ulong.MaxValue - 8), "program header table");
            Add("nothing to load", e => Poke(e, [.. Enumerable.Range(0, 2).Select(i => (e.ProgramHeader(i), 6u, 4))]), "no segment is to be loaded");
            Add("segment beyond the end", e => PokeWord(e, e.ProgramHeader(1) + (is64 ? 8 : 4), 0x7FFF_0000), "segment 1");
            Add("segment offset overflows", e => PokeWord(e, e.ProgramHeader(0) + (is64 ? 8 : 4), ulong.MaxValue - 1), "segment 0");
            Add("file size overflows", e => PokeWord(e, e.ProgramHeader(0) + (is64 ? 32 : 16), ulong.MaxValue), "segment 0");
            Add("more in the file than in memory", e => PokeWord(e, e.ProgramHeader(0) + (is64 ? 40 : 20), 4), "bytes in the file for 0x4 bytes of memory");
            Add("address wraps", e => PokeWord(e, e.ProgramHeader(1) + (is64 ? 24 : 12), ulong.MaxValue - 0xFF), "wrap around");
            Add("memory size wraps", e => PokeWord(e, e.ProgramHeader(1) + (is64 ? 40 : 20), ulong.MaxValue), "wrap around");
            Add("overlap", e => PokeWord(e, e.ProgramHeader(1) + (is64 ? 24 : 12), 0x10_0008), "inside segment 0 (0x100000 to 0x100011)");
            Add("entry in the void", e => PokeWord(e, 24, 0x50_0000), "the entry 0x500000 is in no loaded segment");
            Add("short section headers", e => Poke(e, e.HeaderSize - 6, 8, 2), "section headers of 8 bytes");
            Add("sections beyond the end", e => Poke(e, e.HeaderSize - 4, 0xFF00, 2), "section headers");
            Add("section offset overflows", e => PokeWord(e, is64 ? 40 : 32, ulong.MaxValue - 3), "section header table");
            Add("symbols beyond the end", e => PokeWord(e, e.SectionHeaderSize * 3 + (is64 ? 32 : 20), 0x7000_0000, fromSections: true), "section 3");
            Add("symbol size", e => PokeWord(e, e.SectionHeaderSize * 3 + (is64 ? 56 : 36), 1, fromSections: true), "symbols of 1 bytes");
            Add("symbol size zero", e => PokeWord(e, e.SectionHeaderSize * 3 + (is64 ? 56 : 36), 0, fromSections: true), "symbols of 0 bytes");
            Add("names elsewhere", e => Poke(e, e.SectionHeaderSize * 3 + (is64 ? 40 : 24), 1, 4, fromSections: true), "which is not a string table");
            Add("name beyond the strings", e => Poke(e, SymbolTableOffset(e) + e.SymbolSize, 0x7000_0000, 4), "the name of symbol 1");
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Open_WrongElf_SaysWhatAndWhereInOneLine(string name, bool is64)
    {
        (Func<ElfBuilder, byte[]> make, string what) = s_wrong[(name, is64)];
        byte[] bytes = make(ElfBuilder.Kernel(is64));
        string message = BootFixture.Refusal(() => BootImage.Open(bytes, "kernel.elf"));
        Assert.True(message.Contains(what, StringComparison.Ordinal), $"{name}: {message}");
        Assert.StartsWith("kernel.elf: ", message, StringComparison.Ordinal);
        Assert.Contains("; ", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_TruncatedAnywhere_IsRefused(bool is64)
    {
        byte[] whole = ElfBuilder.Kernel(is64).Build();
        BootImage.Open(whole, "k");
        for (int length = 0; length < whole.Length; length++)
            BootFixture.Refusal(() => BootImage.Open(whole.AsMemory(0, length), "k"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_AnyMutation_LoadsOrIsRefusedAndNothingElse(bool is64)
    {
        byte[] whole = ElfBuilder.Kernel(is64).Build();
        using var f = new BootFixture(2UL << 20);
        var edit = Gen.Choose(0, whole.Length - 1).SelectMany(at => Gen.OneOf(Gen.Choose(0, 255), Gen.Elements(0, 1, 0x7F, 0x80, 0xFE, 0xFF)).Select(v => (at, v)));
        var edits = Gen.ArrayOf(edit).Zip(Gen.Choose(0, 7), (e, cut) => (e, cut));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20_000), Prop.ForAll(edits.ToArbitrary(), m =>
        {
            byte[] bytes = [.. whole];
            foreach ((int at, int value) in m.e)
                bytes[at] = (byte)value;
            ReadOnlyMemory<byte> file = m.cut == 0 ? bytes.AsMemory(0, bytes.Length / 2 + m.e.Length) : bytes;
            try
            {
                BootImage.Open(file, "k").Load(f.Memory, f.Cpu);
            }
            catch (BootException e)
            {
                return !e.Message.Contains('\n');
            }
            return true;
        }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_AnyWordOfTheHeadersReplaced_LoadsOrIsRefusedAndNothingElse(bool is64)
    {
        // Every aligned word of the file, by the values that overflow sums.
        byte[] whole = ElfBuilder.Kernel(is64).Build();
        using var f = new BootFixture(2UL << 20);
        int width = is64 ? 8 : 4;
        ulong[] values = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, ulong.MaxValue, (ulong)whole.Length, (ulong)whole.Length - 1];
        for (int at = 0; at + width <= whole.Length; at += 2)
        {
            foreach (ulong value in values)
            {
                byte[] bytes = [.. whole];
                BitConverter.GetBytes(value).AsSpan(0, width).CopyTo(bytes.AsSpan(at));
                try
                {
                    BootImage.Open(bytes, "k").Load(f.Memory, f.Cpu);
                }
                catch (BootException)
                {
                }
            }
        }
    }

    [Theory]
    [InlineData("empty", "the file is empty")]
    [InlineData("elf without header", "an ELF file without a multiboot header")]
    [InlineData("bzimage", "the setup header ends at")]
    [InlineData("exe", "an MS-DOS or EFI executable")]
    [InlineData("gzip", "a gzip file")]
    [InlineData("boot sector", "a boot sector")]
    [InlineData("text", "no known format")]
    public void Open_SomethingElse_IsNamedAndRefused(string kind, string what)
    {
        byte[] bytes = new byte[1024];
        switch (kind)
        {
            case "empty":
                bytes = [];
                break;
            case "elf without header":
                ElfBuilder elf = ElfBuilder.Kernel(true);
                elf.MultibootFlags = null;
                bytes = elf.Build();
                break;
            case "bzimage":
                "HdrS"u8.CopyTo(bytes.AsSpan(0x202));
                bytes[0x207] = 2;
                bytes[0x206] = 15;
                break;
            case "exe":
                "MZ"u8.CopyTo(bytes);
                break;
            case "gzip":
                bytes[0] = 0x1F;
                bytes[1] = 0x8B;
                break;
            case "boot sector":
                bytes[510] = 0x55;
                bytes[511] = 0xAA;
                break;
        }
        string message = BootFixture.Refusal(() => BootImage.Open(bytes, "file"));
        Assert.Contains(what, message, StringComparison.Ordinal);
        if (kind != "bzimage")
            Assert.Contains("give a multiboot 1 or 2 kernel", message, StringComparison.Ordinal);
    }

    [Fact]
    public void OpenFile_Missing_SaysSo()
    {
        Assert.Contains("no such file", BootFixture.Refusal(() => BootImage.OpenFile("/nonexistent/kernel.elf")), StringComparison.Ordinal);
        Assert.Contains("cannot be read", BootFixture.Refusal(() => BootImage.OpenFile("/")), StringComparison.Ordinal);
    }

    private static int SectionTableOffset(ElfBuilder e, byte[] bytes) =>
        (int)(e.HeaderSize == 64 ? BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(40)) : BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(32)));

    private static int SymbolTableOffset(ElfBuilder e)
    {
        byte[] bytes = e.Build();
        int at = SectionTableOffset(e, bytes) + 3 * e.SectionHeaderSize + (e.HeaderSize == 64 ? 24 : 16);
        return BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at));
    }

    private static byte[] Poke(ElfBuilder e, int at, uint value, int size, bool fromSections = false)
    {
        byte[] bytes = e.Build();
        BitConverter.GetBytes(value).AsSpan(0, size).CopyTo(bytes.AsSpan(at + (fromSections ? SectionTableOffset(e, bytes) : 0)));
        return bytes;
    }

    private static byte[] Poke(ElfBuilder e, params (int At, uint Value, int Size)[] edits)
    {
        byte[] bytes = e.Build();
        foreach ((int at, uint value, int size) in edits)
            BitConverter.GetBytes(value).AsSpan(0, size).CopyTo(bytes.AsSpan(at));
        return bytes;
    }

    /// <summary>A field as wide as the class.</summary>
    private static byte[] PokeWord(ElfBuilder e, int at, ulong value, bool fromSections = false)
    {
        byte[] bytes = e.Build();
        int size = e.HeaderSize == 64 ? 8 : 4;
        BitConverter.GetBytes(value).AsSpan(0, size).CopyTo(bytes.AsSpan(at + (fromSections ? SectionTableOffset(e, bytes) : 0)));
        return bytes;
    }
}
