using System.Buffers.Binary;

namespace Emu.Differ.Host;

/// <summary>The smallest ELF file that Linux runs: one segment, readable and executable, which begins with these headers.</summary>
internal static class ElfHeader
{
    /// <summary>ELF64 header and one program header.</summary>
    public const int Bytes = 64 + 56;

    public static byte[] Wrap(ReadOnlySpan<byte> code, ulong address)
    {
        byte[] file = new byte[Bytes + code.Length];
        Span<byte> f = file;
        "\u007fELF"u8.CopyTo(f);
        f[4] = 2; // ELFCLASS64
        f[5] = 1; // little-endian
        f[6] = 1; // EV_CURRENT
        BinaryPrimitives.WriteUInt16LittleEndian(f[16..], 2); // ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(f[18..], 62); // EM_X86_64
        BinaryPrimitives.WriteUInt32LittleEndian(f[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(f[24..], address + Bytes); // e_entry
        BinaryPrimitives.WriteUInt64LittleEndian(f[32..], 64); // e_phoff
        BinaryPrimitives.WriteUInt16LittleEndian(f[52..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(f[54..], 56);
        BinaryPrimitives.WriteUInt16LittleEndian(f[56..], 1);
        Span<byte> p = f[64..];
        BinaryPrimitives.WriteUInt32LittleEndian(p, 1); // PT_LOAD
        BinaryPrimitives.WriteUInt32LittleEndian(p[4..], 5); // read, execute
        BinaryPrimitives.WriteUInt64LittleEndian(p[16..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(p[24..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(p[32..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(p[40..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(p[48..], 0x1000);
        code.CopyTo(f[Bytes..]);
        return file;
    }
}
