using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Emu.Fetch;

namespace Emu.Exploration;

/// <summary>
/// The form of a witness: lines of text, a word and what it says; a scenario's text stands behind bars. The last line is a checksum of all before it.
/// </summary>
public static class WitnessFile
{
    private const string FirstLine = "emu witness 1";
    private const string AnyFirstLine = "emu witness ";
    private const int ChecksumDigits = 16;

    /// <summary>SHA-256 in hexadecimal.</summary>
    public static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Writes a witness.</summary>
    public static string Format(Witness witness)
    {
        var text = new StringBuilder();
        void Line(string word, string rest) => text.Append(word).Append(' ').Append(rest).Append('\n');
        text.Append(FirstLine).Append('\n');
        if (witness.ScenarioText is { } scenario)
        {
            Line("scenario", witness.File);
            foreach (string line in scenario.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n'))
                text.Append(line.Length == 0 ? "|" : "| ").Append(line).Append('\n');
        }
        else
        {
            Line("image", witness.File);
            Line("sha256", witness.ImageHash);
            Line("command-line", witness.CommandLine);
            Line("cpus", Number(witness.CpuCount));
            Line("memory", Number((long)witness.MemorySize));
            Line("model", witness.Model);
            if (witness.Check)
                Line("check", "yes");
        }
        Line("profile", witness.Profile.Name);
        foreach (FetchProfileField field in FetchProfileFields.All)
            Line("field", $"{field.Name}={field.Get(witness.Profile)}");
        foreach ((ulong start, int length, Sharing sharing) in witness.Shared)
            Line("shared", string.Create(CultureInfo.InvariantCulture, $"0x{start:x} {length} {sharing.ToString().ToLowerInvariant().Replace(" ", "", StringComparison.Ordinal)}"));
        if (witness.BelowStack)
            Line("shared", "below-stack");
        (uint taken, uint nmis, uint exposed, uint exposedToNmi) = witness.Cpus;
        Line("interrupts", string.Create(CultureInfo.InvariantCulture, $"taken={taken:x} nmi={nmis:x} exposed={exposed:x} exposed-to-nmi={exposedToNmi:x}"));
        foreach (Step step in witness.Steps)
            Line("step", Describe(step));
        if (witness.Kind is { } kind)
            Line("finding", kind.Word());
        Line("ending", witness.Ending);
        Line("end", Checksum(text.ToString()));
        return text.ToString();
    }

    /// <summary>Writes a witness to a file.</summary>
    /// <exception cref="WitnessException">The file cannot be written.</exception>
    public static void Save(Witness witness, string path)
    {
        try
        {
            File.WriteAllText(path, Format(witness));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new WitnessException($"{path}: cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}; write elsewhere");
        }
    }

    /// <summary>Reads a witness from a file.</summary>
    /// <exception cref="WitnessException">It is none, was cut off or altered.</exception>
    public static Witness Load(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : $"cannot be read: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}";
            throw new WitnessException($"{path}: {why}; give the path of a witness, as emu prove --save writes it");
        }
    }

    /// <summary>Reads a witness.</summary>
    /// <param name="name">For messages.</param>
    /// <exception cref="WitnessException">It is none, was cut off or altered.</exception>
    public static Witness Parse(string text, string name)
    {
        text = text.ReplaceLineEndings("\n");
        if (!text.StartsWith(AnyFirstLine, StringComparison.Ordinal))
            throw new WitnessException($"{name}: is no witness: its first line is not \"{FirstLine}\"; give a file that emu prove --save wrote");
        if (!text.StartsWith(FirstLine + "\n", StringComparison.Ordinal))
            throw new WitnessException($"{name}: is a witness of another version: its first line is not \"{FirstLine}\"; make it again with this program");
        int end = text.LastIndexOf("\nend ", StringComparison.Ordinal) + 1;
        if (end == 0 || text.Length < end + 4 + ChecksumDigits)
            throw new WitnessException($"{name}: is cut off: its last line is not \"end\" and a checksum; copy it again, or make it again");
        if (text[(end + 4)..].TrimEnd() != Checksum(text[..end]))
            throw new WitnessException($"{name}: was altered: its checksum is not that of its lines; copy it again, or make it again");
        return new Reader(name).Read(text[..end].TrimEnd('\n').Split('\n'));
    }

    private static string Checksum(string text) => Hash(Encoding.UTF8.GetBytes(text))[..ChecksumDigits];

    private static string Number(long n) => n.ToString(CultureInfo.InvariantCulture);

    private static string Describe(in Step step)
    {
        var text = new StringBuilder($"P{step.Cpu} {step.Kind.ToString().ToLowerInvariant()}");
        if (step.Kind == StepKind.Deliver)
            text.Append(' ').Append(step.Message);
        int last = 15;
        while (last >= 0 && step.Picks[last] == 0)
            last--;
        for (int i = 0; i <= last; i++)
            text.Append(" v").Append(step.Picks[i]);
        return text.ToString();
    }

    /// <summary>Its checksum is right, so that what is wrong in a file comes from whoever wrote it: that is said, with its line.</summary>
    private sealed class Reader(string name)
    {
        private int _line;

        public Witness Read(string[] lines)
        {
            var words = new Dictionary<string, string>();
            var scenario = new StringBuilder();
            var shared = new List<(ulong, int, Sharing)>();
            var steps = new List<Step>();
            bool belowStack = false;
            CpuMarks? marks = null;
            FetchProfile profile = FetchProfiles.Coherent;
            for (_line = 1; _line < lines.Length; _line++)
            {
                string line = lines[_line];
                if (line.StartsWith('|'))
                {
                    scenario.Append(line.AsSpan(line.StartsWith("| ", StringComparison.Ordinal) ? 2 : 1)).Append('\n');
                    continue;
                }
                string[] parts = line.Split(' ', 2);
                string rest = parts.Length == 2 ? parts[1] : "";
                switch (parts[0])
                {
                    case "field":
                        profile = FetchProfileFields.TrySet(profile, rest, out FetchProfile? changed, out string? error) ? changed : throw Wrong(error);
                        break;
                    case "profile":
                        // Of its sources; the fields are those of the file.
                        profile = FetchProfiles.Find(rest.Split('+')[0]) ?? profile;
                        words[parts[0]] = rest;
                        break;
                    case "shared" when rest == "below-stack":
                        belowStack = true;
                        break;
                    case "shared":
                        shared.Add(Range(rest.Split(' ')));
                        break;
                    case "interrupts":
                        marks = Marks(rest);
                        break;
                    case "step":
                        steps.Add(StepOf(rest.Split(' ')));
                        break;
                    default:
                        words[parts[0]] = rest;
                        break;
                }
            }
            string Word(string word) => words.TryGetValue(word, out string? value) ? value : throw new WitnessException($"{name}: has no line \"{word}\"; make it again with this program");
            bool isScenario = words.ContainsKey("scenario");
            FindingKind? kind = null;
            if (words.TryGetValue("finding", out string? finding))
                kind = FindingKinds.All.Select(k => (FindingKind?)k).FirstOrDefault(k => k!.Value.Word() == finding) ?? throw new WitnessException($"{name}: there is no finding \"{finding}\"; make it again with this program");
            return new Witness
            {
                File = Word(isScenario ? "scenario" : "image"),
                ScenarioText = isScenario ? scenario.ToString() : null,
                ImageHash = isScenario ? "" : Word("sha256"),
                CommandLine = isScenario ? "" : Word("command-line"),
                CpuCount = isScenario ? 0 : (int)Positive(Word("cpus")),
                MemorySize = isScenario ? 0 : Positive(Word("memory")),
                Model = isScenario ? "" : Word("model"),
                Check = words.ContainsKey("check"),
                Profile = profile with { Name = Word("profile") },
                Kind = kind,
                Ending = Word("ending"),
                Steps = steps,
                Shared = shared,
                BelowStack = belowStack,
                Cpus = marks ?? throw new WitnessException($"{name}: has no line \"interrupts\"; make it again with this program"),
            };
        }

        private ulong Positive(string text) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong n) && n > 0 ? n : throw Wrong($"\"{text}\" is not a number");

        private CpuMarks Marks(string text)
        {
            string[] words = text.Split(' ');
            Span<uint> masks = stackalloc uint[4];
            string[] names = ["taken", "nmi", "exposed", "exposed-to-nmi"];
            for (int i = 0; i < names.Length; i++)
                if (words.Length != names.Length || !words[i].StartsWith(names[i] + "=", StringComparison.Ordinal)
                    || !uint.TryParse(words[i].AsSpan(names[i].Length + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out masks[i]))
                    throw Wrong("expected taken=, nmi=, exposed= and exposed-to-nmi=, each a mask of CPUs");
            return new CpuMarks(masks[0], masks[1], masks[2], masks[3]);
        }

        private (ulong, int, Sharing) Range(string[] words)
        {
            if (words.Length == 3 && words[0].StartsWith("0x", StringComparison.Ordinal)
                && ulong.TryParse(words[0].AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong start)
                && int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length is > 0 and <= 4096
                && Enum.TryParse(words[2], ignoreCase: true, out Sharing sharing))
                return (start, length, sharing);
            throw Wrong("expected an address, a length and what is shared");
        }

        private Step StepOf(string[] words)
        {
            if (words.Length < 2 || words[0].Length < 2 || words[0][0] != 'P' || !byte.TryParse(words[0].AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out byte cpu)
                || !Enum.TryParse(words[1], ignoreCase: true, out StepKind kind) || !Enum.IsDefined(kind))
                throw Wrong("expected a CPU and execute, drain or deliver");
            byte message = 0;
            int next = 2;
            if (kind == StepKind.Deliver && (words.Length <= next || !byte.TryParse(words[next++], NumberStyles.None, CultureInfo.InvariantCulture, out message)))
                throw Wrong("expected the position of the message");
            Picks picks = default;
            for (int i = 0; next < words.Length; i++, next++)
                picks.Set(i, words[next].StartsWith('v') && byte.TryParse(words[next].AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out byte version) ? version : throw Wrong("expected a version"));
            return new Step(cpu, kind, message, picks);
        }

        private WitnessException Wrong(string why) => new($"{name}:{_line + 1}: {why}; make it again with this program");
    }
}
