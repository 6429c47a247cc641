using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Emu.Boot;

/// <summary>
/// Reads the symbols that a Linux kernel carries in itself (CONFIG_KALLSYMS), out of the memory of the kernel that has unpacked itself: Debian's packages bring no
/// System.map. Where the tables lie is not said anywhere; they are found by what they must look like, and taken only when all of it fits together:
/// <list type="bullet">
/// <item>names: for each symbol its length, in one byte or two, and so many numbers of tokens; markers: where every 256th begins; in some versions their order by name;</item>
/// <item>the table of 256 tokens, strings whose first character is a symbol's type, and the index of where each begins;</item>
/// <item>how many symbols there are, their offsets, and the address that these are relative to.</item>
/// </list>
/// Linux, scripts/kallsyms.c, from 4.20 on.
/// </summary>
public static class Kallsyms
{
    private const int Tokens = 256;
    private const int Alignment = 8;

    /// <summary>Symbols of which one has a marker.</summary>
    private const int PerMarker = 256;

    /// <summary>Of an element of the order by name.</summary>
    private const int SequenceBytes = 3;

    /// <summary>Bytes that a symbol takes on average, at least and at most.</summary>
    private const int FewestBytes = 3;
    private const int MostBytes = 64;

    /// <summary>Below it no kernel is linked.</summary>
    private const ulong LowestAddress = 0xFFFF_8000_0000_0000;

    /// <summary>Tokens that stand for themselves, one after the other: a mark to search for.</summary>
    private static ReadOnlySpan<byte> Digits => "0\01\02\03\04\05\06\07\08\09\0"u8;

    /// <summary>Reads the tables out of a kernel's memory; false when there are none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> kernel, [NotNullWhen(true)] out SymbolTable? symbols)
    {
        symbols = null;
        for (int at = 0; ; at++)
        {
            int found = kernel[at..].IndexOf(Digits);
            if (found < 0)
                return false;
            at += found;
            if (TryReadTokens(kernel, at, out int table, out int indexEnd, out string[]? tokens)
                && TryReadSymbols(kernel, table, indexEnd, tokens, out symbols))
                return true;
        }
    }

    /// <param name="zero">Position of the token '0', which has the number of its character.</param>
    private static bool TryReadTokens(ReadOnlySpan<byte> kernel, int zero, out int table, out int indexEnd, [NotNullWhen(true)] out string[]? tokens)
    {
        tokens = null;
        indexEnd = 0;
        table = zero;
        // Each token ends in a zero, and so does whatever fills up the space before the first.
        for (int left = '0'; left > 0; left--)
        {
            int end = table - 1;
            if (end < 1 || kernel[end] != 0)
                return false;
            table = kernel[..end].LastIndexOf((byte)0) + 1;
        }
        if (table % Alignment != 0)
            return false;
        var all = new string[Tokens];
        var starts = new int[Tokens];
        int at = table;
        for (int i = 0; i < Tokens; i++)
        {
            int length = kernel[at..].IndexOf((byte)0);
            if (length < 0)
                return false;
            all[i] = Encoding.ASCII.GetString(kernel.Slice(at, length));
            starts[i] = at - table;
            at += length + 1;
        }
        int index = Align(at);
        indexEnd = index + Tokens * sizeof(ushort);
        if (indexEnd > kernel.Length)
            return false;
        for (int i = 0; i < Tokens; i++)
            if (BinaryPrimitives.ReadUInt16LittleEndian(kernel[(index + i * sizeof(ushort))..]) != starts[i])
                return false;
        tokens = all;
        return true;
    }

    private static bool TryReadSymbols(ReadOnlySpan<byte> kernel, int tokenTable, int indexEnd, string[] tokens, [NotNullWhen(true)] out SymbolTable? symbols)
    {
        symbols = null;
        // The number of symbols stands right before the names, and all that follows up to the tokens has a size that depends on it.
        for (int at = (tokenTable - 1) & -Alignment; at >= 0; at -= Alignment)
        {
            ulong number = BinaryPrimitives.ReadUInt64LittleEndian(kernel[at..]);
            ulong distance = (ulong)(tokenTable - at);
            if (number < PerMarker || number > distance / FewestBytes || number < distance / MostBytes)
                continue;
            int names = at + Alignment;
            if (TryReadNames(kernel, names, tokenTable, (int)number, tokens, out string[]? all) && TryReadAddresses(kernel, names, indexEnd, (int)number, out ulong[]? addresses))
            {
                symbols = Table(all, addresses);
                return true;
            }
        }
        return false;
    }

    private static bool TryReadNames(ReadOnlySpan<byte> kernel, int names, int tokenTable, int number, string[] tokens, [NotNullWhen(true)] out string[]? all)
    {
        all = null;
        // First only where each begins.
        var starts = new int[number + 1];
        int at = names;
        for (int i = 0; i < number; i++)
        {
            starts[i] = at;
            int length = LengthAt(kernel, ref at);
            at += length;
            if (length == 0 || at >= tokenTable)
                return false;
        }
        int markers = Align(at);
        int count = (number + PerMarker - 1) / PerMarker;
        int end = markers + count * sizeof(uint);
        if (Align(end) != tokenTable && Align(Align(end) + number * SequenceBytes) != tokenTable)
            return false;
        for (int i = 0; i < count; i++)
            if (Word(kernel, markers + i * sizeof(uint)) != starts[i * PerMarker] - names)
                return false;
        var read = new string[number];
        var name = new StringBuilder();
        for (int i = 0; i < number; i++)
        {
            int from = starts[i];
            int length = LengthAt(kernel, ref from);
            name.Clear();
            foreach (byte token in kernel.Slice(from, length))
                name.Append(tokens[token]);
            if (name.Length < 2)
                return false;
            read[i] = name.ToString();
        }
        all = read;
        return true;
    }

    /// <summary>One byte, or, where its highest bit is set, two.</summary>
    private static int LengthAt(ReadOnlySpan<byte> kernel, ref int at)
    {
        int length = kernel[at++];
        return (length & 0x80) == 0 ? length : length & 0x7F | kernel[at++] << 7;
    }

    /// <summary>They stand before the names, or, in later kernels, behind the tokens.</summary>
    private static bool TryReadAddresses(ReadOnlySpan<byte> kernel, int names, int indexEnd, int number, [NotNullWhen(true)] out ulong[]? addresses)
    {
        addresses = null;
        int size = Align(number * sizeof(int));
        int offsets = Align(indexEnd);
        int relativeTo = offsets + size;
        if (names - 2 * Alignment - size >= 0 && BinaryPrimitives.ReadUInt64LittleEndian(kernel[(names - 2 * Alignment)..]) >= LowestAddress)
        {
            relativeTo = names - 2 * Alignment;
            offsets = relativeTo - size;
        }
        if (relativeTo + sizeof(ulong) > kernel.Length)
            return false;
        ulong start = BinaryPrimitives.ReadUInt64LittleEndian(kernel[relativeTo..]);
        if (start < LowestAddress)
            return false;
        var all = new int[number];
        bool percpu = false;
        for (int i = 0; i < number; i++)
        {
            all[i] = BinaryPrimitives.ReadInt32LittleEndian(kernel[(offsets + i * sizeof(int))..]);
            percpu |= all[i] < 0;
        }
        // CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is negative is relative, and less by one; the rest are offsets of per-CPU variables.
        addresses = [.. all.Select(o => !percpu ? start + (uint)o : o < 0 ? start - 1 - (ulong)(long)o : (ulong)o)];
        return true;
    }

    private static SymbolTable Table(string[] names, ulong[] addresses)
    {
        ulong[] sorted = [.. addresses.Distinct().Order()];
        return new SymbolTable(names.Select((text, i) =>
        {
            int next = Array.BinarySearch(sorted, addresses[i]) + 1;
            ulong end = next < sorted.Length ? sorted[next] : addresses[i];
            SymbolKind kind = char.ToLowerInvariant(text[0]) switch
            {
                't' or 'w' => SymbolKind.Function,
                'a' => SymbolKind.Absolute,
                _ => SymbolKind.Data,
            };
            return new Symbol(text[1..], addresses[i], end - addresses[i], addresses[i] < LowestAddress ? SymbolKind.Absolute : kind, end);
        }));
    }

    private static uint Word(ReadOnlySpan<byte> kernel, int at) => BinaryPrimitives.ReadUInt32LittleEndian(kernel[at..]);

    private static int Align(int at) => (at + Alignment - 1) & -Alignment;
}
