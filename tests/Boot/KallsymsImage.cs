using System.Buffers.Binary;
using System.Text;

namespace Emu.Tests.Boot;

/// <summary>Puts symbols behind some code as scripts/kallsyms.c of Linux does: names in tokens, markers, offsets.</summary>
internal sealed class KallsymsImage
{
    public const ulong Base = 0xFFFF_FFFF_8020_0000;

    /// <summary>Tokens for what is not a printable character; some of more than one character.</summary>
    private static readonly string[] s_pairs = ["text_", "poke", "_bp_", "sync", "Tdo", "t_", "er", "filler"];

    public byte[] Code { get; init; } = new byte[64];

    /// <summary>Names with the letter of their type before them, and their offsets from <see cref="Base"/>, in ascending order.</summary>
    public List<(string Name, int Offset)> Symbols { get; init; } = [];

    /// <summary>The order by name stands between markers and tokens.</summary>
    public bool HasSequence { get; init; }

    /// <summary>Offsets stand behind the tokens, as from Linux 6.4 on.</summary>
    public bool OffsetsLast { get; init; }

    /// <summary>CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is relative is negative.</summary>
    public bool Percpu { get; init; } = true;

    public byte[] Build()
    {
        string[] tokens = [.. Enumerable.Range(0, 256).Select(i => i is > ' ' and < 0x7F ? ((char)i).ToString() : s_pairs[i % s_pairs.Length])];
        var names = new List<byte>();
        var markers = new List<byte>();
        List<(string Name, int Offset)> all = [.. Symbols, .. Enumerable.Range(0, 600).Select(i => ($"dfiller_{i}", 0x8_0000 + 16 * i)), ("t" + new string('x', 300), 0x9_0000), ("d_end", 0x9_0010)];
        for (int i = 0; i < all.Count; i++)
        {
            if (i % 256 == 0)
                markers.AddRange(BitConverter.GetBytes(names.Count));
            byte[] tokenised = Tokenise(all[i].Name, tokens);
            if (tokenised.Length < 128)
                names.Add((byte)tokenised.Length);
            else
                names.AddRange([(byte)(tokenised.Length & 0x7F | 0x80), (byte)(tokenised.Length >> 7)]);
            names.AddRange(tokenised);
        }
        var offsets = new List<byte>();
        foreach ((_, int offset) in all)
            offsets.AddRange(BitConverter.GetBytes(Percpu ? -1 - offset : offset));
        byte[] table = [.. tokens.SelectMany(t => Encoding.ASCII.GetBytes(t + "\0"))];
        var index = new List<byte>();
        for (int i = 0, at = 0; i < tokens.Length; at += tokens[i++].Length + 1)
            index.AddRange(BitConverter.GetBytes((ushort)at));
        var image = new List<byte>(Code);
        void Add(IEnumerable<byte> part)
        {
            while (image.Count % 8 != 0)
                image.Add(0);
            image.AddRange(part);
        }
        byte[] relative = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(relative, Base);
        if (!OffsetsLast)
        {
            Add(offsets);
            Add(relative);
        }
        Add(BitConverter.GetBytes((long)all.Count));
        Add(names);
        Add(markers);
        if (HasSequence)
            Add(Enumerable.Range(0, 3 * all.Count).Select(i => (byte)(i * 7)));
        Add(table);
        Add(index);
        if (OffsetsLast)
        {
            Add(offsets);
            Add(relative);
        }
        Add(new byte[8]);
        return [.. image];
    }

    private static byte[] Tokenise(string name, string[] tokens)
    {
        var bytes = new List<byte>();
        for (int at = 0; at < name.Length;)
        {
            int best = name[at];
            for (int t = 0; t < tokens.Length; t++)
                if (tokens[t].Length > tokens[best].Length && string.CompareOrdinal(name, at, tokens[t], 0, tokens[t].Length) == 0)
                    best = t;
            bytes.Add((byte)best);
            at += tokens[best].Length;
        }
        return [.. bytes];
    }
}
