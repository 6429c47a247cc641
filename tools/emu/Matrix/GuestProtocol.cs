using System.Text;
using Emu.Boot;

namespace Emu.Cli.Matrix;

/// <summary>A way to patch that a guest image offers: what its command line takes as <c>protocol=</c>, and what it says about it.</summary>
public sealed record GuestProtocol(string Name, string Help)
{
    private const string Start = "__start_protocol_words";
    private const string Stop = "__stop_protocol_words";

    /// <summary>
    /// All that the image has, by name. The guest keeps the words together between two symbols, "name\0help\0" by "name\0help\0" (guest/include/protocol.h),
    /// so a protocol that was compiled into it is found without running it.
    /// </summary>
    /// <exception cref="UsageException">The image is no such guest.</exception>
    public static IReadOnlyList<GuestProtocol> Read(BootImage image)
    {
        if (!image.Symbols.TryFind(Start, out Symbol start) || !image.Symbols.TryFind(Stop, out Symbol stop))
            throw NoGuest(image, $"it has no symbols {Start} and {Stop}");
        ImageSegment segment = image.Segments.FirstOrDefault(s => start.Address >= s.Address && stop.Address <= s.Address + (ulong)s.Data.Length);
        if (segment.Where == null || stop.Address <= start.Address)
            throw NoGuest(image, $"nothing lies between {Start} and {Stop}");
        string text = Encoding.Latin1.GetString(segment.Data.Span[(int)(start.Address - segment.Address)..(int)(stop.Address - segment.Address)]);
        string[] words = text.Split('\0');
        // The last zero ends the last help, and after it Split sees one more, empty word.
        if (words.Length % 2 == 0 || words[^1].Length != 0 || words[..^1].Any(w => w.Length == 0))
            throw NoGuest(image, $"what lies between {Start} and {Stop} is not pairs of words");
        return [.. words[..^1].Chunk(2).Select(pair => new GuestProtocol(pair[0], pair[1])).OrderBy(p => p.Name, StringComparer.Ordinal)];
    }

    private static UsageException NoGuest(BootImage image, string why) =>
        new($"no list of protocols: {why}", image.Name, "build it by \"make -C guest\"");
}
