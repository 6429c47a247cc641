using System.Buffers.Binary;
using Iced.Intel;

namespace Emu.Tests.Cli;

/// <summary>A multiboot 1 kernel of a few instructions in an ELF32 container, whole or spoilt in one place.</summary>
internal static class TinyKernel
{
    public const uint LoadAddress = 0x10_0000;
    private const int ElfHeaderSize = 52;
    private const int ProgramHeaderSize = 32;
    private const int CodeOffset = 0x100;

    /// <summary>File offset of the first program header; its fields are 4 bytes each: type, offset, vaddr, paddr, filesz, memsz, flags, align.</summary>
    public const int ProgramHeaderOffset = ElfHeaderSize;

    /// <summary>Builds a kernel that is entered, in 32-bit protected mode, at what <paramref name="write"/> assembles.</summary>
    public static byte[] Build(Action<Assembler> write, int segments = 1)
    {
        var assembler = new Assembler(32);
        write(assembler);
        using var stream = new MemoryStream();
        const int multibootSize = 12;
        assembler.Assemble(new StreamCodeWriter(stream), LoadAddress + multibootSize);
        byte[] code = stream.ToArray();
        uint size = (uint)(multibootSize + code.Length);

        byte[] file = new byte[CodeOffset + size];
        Span<byte> f = file;
        "\x7f"u8.CopyTo(f);
        "ELF"u8.CopyTo(f[1..]);
        f[4] = 1; // 32 bits
        f[5] = 1; // little endian
        f[6] = 1; // version
        Put16(f, 16, 2); // executable
        Put16(f, 18, 3); // 386
        Put32(f, 20, 1);
        Put32(f, 24, LoadAddress + multibootSize);
        Put32(f, 28, ElfHeaderSize);
        Put16(f, 40, ElfHeaderSize);
        Put16(f, 42, ProgramHeaderSize);
        Put16(f, 44, (ushort)segments);
        for (int i = 0; i < segments; i++)
        {
            int at = ProgramHeaderOffset + i * ProgramHeaderSize;
            Put32(f, at, 1); // PT_LOAD
            Put32(f, at + 4, CodeOffset);
            Put32(f, at + 8, LoadAddress);
            Put32(f, at + 12, LoadAddress);
            Put32(f, at + 16, size);
            Put32(f, at + 20, size);
            Put32(f, at + 24, 7);
            Put32(f, at + 28, 4096);
        }
        const uint magic = 0x1BADB002;
        Put32(f, CodeOffset, magic);
        Put32(f, CodeOffset + 8, unchecked(0u - magic));
        code.CopyTo(file, CodeOffset + multibootSize);
        return file;
    }

    /// <summary>The same with one 32-bit field of the first program header changed.</summary>
    public static byte[] WithProgramHeaderField(byte[] kernel, int field, uint value)
    {
        byte[] spoilt = [.. kernel];
        Put32(spoilt, ProgramHeaderOffset + 4 * field, value);
        return spoilt;
    }

    /// <summary>Leaves through the exit port with a value.</summary>
    public static void Exit(Assembler a, byte value)
    {
        a.mov(AssemblerRegisters.al, value);
        a.@out((byte)0xF4, AssemblerRegisters.al);
        a.hlt();
    }

    private static void Put16(Span<byte> file, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file[at..], value);

    private static void Put32(Span<byte> file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file[at..], value);
}
