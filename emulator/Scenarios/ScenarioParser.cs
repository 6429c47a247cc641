using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;

namespace Emu.Scenarios;

/// <summary>
/// Reads a scenario by recursive descent. This part knows the order of a file and its header; the init block, the program's table, the schedule and
/// the condition have parts of their own.
/// </summary>
internal sealed partial class ScenarioParser
{
    private const string HeaderKeys = "profile, set, model, apic, cpus, image, runs, seed, limit, explore, watch or expect";

    /// <summary>herd's machine: the profile of a file that names none.</summary>
    private static readonly FetchProfile _tso = FetchProfiles.Coherent with
    {
        Name = "x86-tso",
        Source = "x86-TSO and coherent fetch: the default of a scenario",
        StoreBuffer = FetchProfiles.Intel.StoreBuffer,
    };

    private readonly SourceText _text;
    private readonly Scenario _scenario;
    private readonly List<(string Symbol, int Length, int Position)> _watches = [];
    private int _cpus;
    private Assembly? _assembly;

    public ScenarioParser(string text, string fileName)
    {
        _text = SourceText.Of(fileName, text);
        _scenario = new Scenario { FileName = fileName };
    }

    public Scenario Parse()
    {
        ParseFirstLine();
        ParseHeader();
        ParseInit();
        ParseTable();
        Assemble();
        ResolveInit();
        ParseSections();
        ResolveWatches();
        return _scenario;
    }

    private void ParseFirstLine()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        string architecture = _text.Name("'X86_64' and the scenario's name");
        if (architecture != "X86_64")
            throw _text.Error(start, $"expected the architecture 'X86_64', found '{architecture}'");
        _text.SkipBlanksInLine();
        int name = _text.Position;
        while (!_text.AtEnd && !char.IsWhiteSpace(_text.Peek))
            _text.Position++;
        if (_text.Position == name)
            throw _text.Expected("the scenario's name after 'X86_64'");
        _scenario.Name = _text.Text(name, _text.Position);
        // herd's name for use in TeX.
        if (_text.TakeInLine("("))
        {
            _text.Name("the scenario's name for TeX");
            _text.Expect(")");
        }
    }

    private void ParseHeader()
    {
        var info = new List<KeyValuePair<string, string>>();
        var switches = new List<string>();
        bool profileGiven = false;
        _text.SkipBlanks();
        while (!_text.LooksAt("{"))
        {
            if (_text.LooksAt("\""))
            {
                ParseDescription();
                _text.SkipBlanks();
                continue;
            }
            int start = _text.Position;
            string key = HeaderKey();
            _text.SkipBlanksInLine();
            if (_text.Take("="))
            {
                info.Add(new(key, RestOfLine()));
            }
            else
            {
                _text.Expect(":", $"':' or '=' after '{key}'");
                ParseDirective(key, start, switches, ref profileGiven);
                EndOfLine();
            }
            _text.SkipBlanks();
        }
        if (!profileGiven)
            _scenario.Profile = _tso;
        foreach (string s in switches)
            if (FetchProfileFields.TrySet(_scenario.Profile, s, out FetchProfile? changed, out _))
                _scenario.Profile = changed;
        _scenario.Info = info;
        _scenario.Switches = switches;
    }

    /// <summary>herd's keys may contain slashes and dashes.</summary>
    private string HeaderKey()
    {
        int start = _text.Position;
        _text.Name("a doc string, 'key: value', 'Key=Value' or '{'");
        while (!_text.AtEnd && (SourceText.IsNamePart(_text.Peek) || _text.Peek is '/' or '-'))
            _text.Position++;
        return _text.Text(start, _text.Position);
    }

    private void ParseDescription()
    {
        int start = ++_text.Position;
        while (!_text.AtEnd && _text.Peek != '"')
            _text.Position++;
        string text = string.Join(' ', _text.Text(start, _text.Position).Split((char[])[' ', '\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries));
        _scenario.Description = _scenario.Description.Length == 0 ? text : $"{_scenario.Description} {text}";
        _text.Expect("\"");
    }

    private void ParseDirective(string key, int at, List<string> switches, ref bool profileGiven)
    {
        _text.SkipBlanksInLine();
        int start = _text.Position;
        switch (key)
        {
            case "profile":
                string profile = Word("the name of a fetch profile");
                _scenario.Profile = FetchProfiles.Find(profile)
                    ?? throw _text.Error(start, $"there is no profile '{profile}'; the profiles are {Names(FetchProfiles.All.Select(p => p.Name))}");
                profileGiven = true;
                break;
            case "set":
                do
                    switches.Add(ParseSwitch());
                while (_text.TakeInLine(","));
                break;
            case "model":
                string model = Word("the name of a CPU model");
                if (!CpuModels.TryFind(model, out CpuModel? found) || !found.Has(CpuFeature.LongMode))
                {
                    IEnumerable<CpuModel> models = CpuModels.All.Where(m => m.Has(CpuFeature.LongMode));
                    throw _text.Error(start, $"there is no 64-bit CPU model '{model}'; the models are {Names(models.Select(m => m.Name))}");
                }
                _scenario.Model = found;
                break;
            case "apic":
                string apic = Word("xapic or x2apic");
                if (apic is not ("xapic" or "x2apic"))
                    throw _text.Error(start, $"expected xapic or x2apic, found '{apic}'");
                _scenario.X2Apic = apic == "x2apic";
                break;
            case "cpus":
                _cpus = _text.Count("a number of CPUs", 1, ScenarioLayout.MaximumCpus);
                break;
            case "image":
                LoadImage(start, RestOfLine());
                break;
            case "runs":
                _scenario.Runs = _text.Count("a number of runs", 1, 10_000_000);
                break;
            case "seed":
                _scenario.Seed = (ulong)_text.Number("a seed");
                break;
            case "limit":
                _scenario.Limit = _text.Count("a number of events", 1, 100_000_000);
                break;
            case "explore":
                TakeExplore(at);
                break;
            case "watch":
                do
                    ParseWatch();
                while (_text.TakeInLine(","));
                break;
            case "expect":
                string word = Word("Always, Sometimes or Never");
                if (!Enum.TryParse(word, out Observation expected) || !Enum.IsDefined(expected) || char.IsDigit(word[0]))
                    throw _text.Error(start, $"expected Always, Sometimes or Never, found '{word}'");
                _scenario.Expected = expected;
                break;
            default:
                throw _text.Error(at, $"there is no directive '{key}'; expected {HeaderKeys}");
        }
    }

    private string ParseSwitch()
    {
        _text.SkipBlanksInLine();
        int start = _text.Position;
        string field = Word("a profile field");
        _text.Expect("=");
        int valueAt = _text.Position;
        string assignment = $"{field}={Word("the field's value")}";
        if (!FetchProfileFields.TrySet(_scenario.Profile, assignment, out _, out string? error))
            throw _text.Error(FetchProfileFields.Find(field) == null ? start : valueAt, error);
        return assignment;
    }

    /// <summary><c>site[2]</c>, or <c>x</c> for all of a variable.</summary>
    private void ParseWatch()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        string symbol = AssemblyExpression.Symbol(_text, "a label or variable to watch");
        int length = 0;
        if (_text.TakeInLine("["))
        {
            length = _text.Count("a number of bytes", 1, 64);
            _text.Expect("]");
        }
        _watches.Add((symbol, length, start));
    }

    private void ResolveWatches()
    {
        var watches = new List<WatchedBytes>();
        foreach ((string symbol, int length, int position) in _watches)
        {
            ulong address = Resolve(symbol, position);
            int size = length != 0 ? length : _scenario.Variables.FirstOrDefault(v => v.Name == symbol)?.Bytes.Length ?? 1;
            watches.Add(new WatchedBytes(symbol, address, size));
        }
        // Without a word from the author: the variables.
        if (watches.Count == 0)
            watches.AddRange(_scenario.Variables.Where(v => v.Bytes.Length <= 16).Select(v => new WatchedBytes(v.Name, v.Address, v.Bytes.Length)));
        _scenario.Watches = watches;
    }

    private void LoadImage(int position, string path)
    {
        if (path.Length == 0)
            throw _text.Error(position, "expected the path of an image");
        string found = FindImage(path) ?? throw _text.Error(position, $"there is no image '{path}', neither beside this file nor in a folder above it");
        try
        {
            _scenario.Image = BootImage.OpenFile(found);
        }
        catch (BootException e)
        {
            throw _text.Error(position, e.Message);
        }
        foreach (ImageSegment segment in _scenario.Image.Segments)
            if (segment.Address < ScenarioLayout.Image || segment.End > ScenarioLayout.MaximumRam)
            {
                throw _text.Error(position, $"{segment.Where} of '{path}' is at 0x{segment.Address:x} to 0x{segment.End:x}; "
                    + $"a scenario has room from 0x{ScenarioLayout.Image:x} to 0x{ScenarioLayout.MaximumRam:x}");
            }
    }

    /// <summary>Beside the scenario or in any folder above it, so that <c>images/emu64.elf</c> is found from wherever the file lies in a clone.</summary>
    private string? FindImage(string path)
    {
        if (Path.IsPathRooted(path))
            return File.Exists(path) ? path : null;
        for (string? folder = Path.GetDirectoryName(Path.GetFullPath(_text.File)); folder != null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, path)))
                return Path.Combine(folder, path);
        return null;
    }

    /// <summary>The address of a symbol outside code.</summary>
    private ulong Resolve(string symbol, int position) =>
        _assembly!.Find(symbol, null, out string why) ?? throw _text.Error(position, why);

    /// <summary>Everything up to a blank, comma or equals sign.</summary>
    private string Word(string described)
    {
        _text.SkipBlanksInLine();
        int start = _text.Position;
        while (!_text.AtEnd && !char.IsWhiteSpace(_text.Peek) && _text.Peek is not (',' or '=' or ';'))
            _text.Position++;
        return _text.Position > start ? _text.Text(start, _text.Position) : throw _text.Expected(described);
    }

    private static string Names(IEnumerable<string> names) => string.Join(", ", names);

    private string RestOfLine()
    {
        int start = _text.Position;
        while (!_text.AtEnd && _text.Peek != '\n')
            _text.Position++;
        return _text.Text(start, _text.Position).Trim();
    }

    private void EndOfLine()
    {
        _text.SkipBlanksInLine();
        if (!_text.AtEnd && _text.Peek != '\n')
            throw _text.Expected("the end of the line");
    }
}
