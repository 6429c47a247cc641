using System.Text;

namespace Emu.Tests.Exploration;

/// <summary>What a random program is about.</summary>
internal enum ReductionKind
{
    /// <summary>Stores, loads, locked instructions and fences on few variables.</summary>
    Data,

    /// <summary>A CPU changes code that another one executes.</summary>
    Patch,

    /// <summary>A CPU changes its own code, and another one perhaps as well.</summary>
    SelfPatch,

    /// <summary>Interrupts, with handlers that load, store and hold each other off.</summary>
    Interrupt,

    /// <summary>A patch with interrupts: protocols, and what is nearly one.</summary>
    Protocol,
}

/// <summary>Small random scenarios: few instructions, so that every order of every event can be tried, of the kinds on which a reduction could go wrong.</summary>
internal sealed class ReductionPrograms
{
    private static readonly string[] Registers = ["a", "b", "c", "d"];

    private readonly Random _random;
    private readonly StringBuilder _init = new();
    private readonly List<string> _header = [];
    private readonly List<string> _locations = [];
    private readonly List<string> _events = [];
    private readonly SortedDictionary<string, List<string>> _columns = new(StringComparer.Ordinal);
    private string[] _variables = ["x"];
    private int _cpus = 2;
    private int _value;

    private ReductionPrograms(int seed) => _random = new Random(seed);

    /// <summary>The text of the program of a kind and a number.</summary>
    public static string Text(ReductionKind kind, int seed)
    {
        var program = new ReductionPrograms(seed * 8 + (int)kind);
        program.Write(kind);
        return program.Compose($"{kind}-{seed}");
    }

    private void Write(ReductionKind kind)
    {
        _variables = ["x", "y", "z"];
        _variables = _variables[..(1 + Below(kind == ReductionKind.Data ? 3 : 2))];
        foreach (string v in _variables)
            _init.Append(OneIn(3) ? $" uint64_t {v} = {Below(3)};" : $" {v} = {Below(2)};");
        switch (kind)
        {
            case ReductionKind.Data:
                WriteData();
                break;
            case ReductionKind.Patch:
                ChooseProfile();
                WriteSite("P1");
                WritePatcher("P0", 1 + Below(2));
                break;
            case ReductionKind.SelfPatch:
                ChooseProfile();
                WriteSite("P1");
                Column("P1").Insert(0, Patch());
                if (OneIn(2))
                    Column("P1").Insert(Below(2), OneIn(2) ? Fence() : DataInstruction());
                if (OneIn(2))
                    WritePatcher("P0", 1);
                else
                    Column("P0").Add(DataInstruction());
                break;
            case ReductionKind.Interrupt:
                if (OneIn(2))
                    ChooseProfile();
                WriteInterrupts(patching: false);
                break;
            default:
                ChooseProfile();
                WriteSite("P1", few: true);
                WriteInterrupts(patching: true);
                break;
        }
        foreach (string v in _variables)
            _locations.Add(v);
        for (int i = 0; i < _cpus; i++)
        {
            _locations.Add($"{i}:rax");
            _locations.Add($"{i}:rbx");
            _events.Add($"fault(P{i})");
            _events.Add($"stale(P{i})");
            _events.Add($"torn(P{i})");
        }
    }

    private void WriteData()
    {
        if (OneIn(4))
        {
            ChooseProfile();
        }
        else
        {
            _cpus = OneIn(4) ? 3 : 2;
            if (OneIn(8))
                _header.Add("set: store-buffer=0");
        }
        int most = _header.Count > 1 || _cpus == 3 ? 2 : 4;
        for (int i = 0; i < _cpus; i++)
            for (int n = 1 + Below(most); n > 0; n--)
                Column($"P{i}").Add(DataInstruction());
        if (OneIn(6) && _header.Count == 0)
        {
            // What never comes is waited for as well.
            List<string> column = Column("P1");
            column.Insert(Below(column.Count + 1), $"wait: cmpl ${Below(3)},({Variable()})");
            column.Insert(column.FindIndex(c => c.StartsWith("wait", StringComparison.Ordinal)) + 1, OneIn(2) ? "je wait" : "jne wait");
        }
    }

    private void ChooseProfile()
    {
        switch (Below(7))
        {
            case 0:
                Profile("p6", $"depth={1 + Below(5)}", "int3-exempt=no", "on-mismatch=stale");
                break;
            case 1:
                Profile("p6", $"depth={2 + Below(3)}", "branch-flushes=no", "mfence-serialises=no");
                break;
            case 2:
                Profile("intel", "depth=16", "atomic-unit=8", "on-mismatch=gp", "int3-exempt=no", "branch-flushes=no");
                break;
            case 3:
                Profile("intel", $"depth={2 + Below(2)}", "granule=1", "atomic-unit=1", "on-mismatch=refetch");
                break;
            case 4:
                Profile("amd", $"depth={8 << Below(2)}", "branch-flushes=no", "mfence-serialises=no", "compare-by=linear");
                break;
            case 5:
                Profile("amd", "depth=8", "atomic-unit=2", "granule=1", "interrupt-serialises=yes", "on-mismatch=refetch");
                break;
            default:
                Profile("p6", $"depth={2 + Below(2)}", "order=any", "compare-by=physical", "on-mismatch=stale", "store-buffer=0");
                break;
        }
    }

    /// <summary>The first setting always, the others now and then.</summary>
    private void Profile(string name, params string[] settings)
    {
        _header.Add($"profile: {name}");
        _header.Add($"set: {string.Join(", ", settings.Where((_, i) => i == 0 || (settings[i].Contains('=') && (settings[i].StartsWith("granule", StringComparison.Ordinal) || OneIn(3)))))}");
    }

    private string DataInstruction()
    {
        string v = Variable();
        string r = Registers[Below(2)];
        return Below(14) switch
        {
            0 or 1 or 2 => $"movl ${++_value},({v})",
            3 or 4 or 5 or 6 => $"movl ({v}),%e{r}x",
            7 => $"movb ${++_value},({v}+{Below(2)})",
            8 => $"xchgl %e{r}x,({v})",
            9 => "mfence",
            10 => $"lock incl ({v})",
            11 => $"incl ({v})",
            12 => $"movl %e{r}x,({v})",
            _ => OneIn(2) ? "addl $1,%eax" : $"movw %{r}x,({v}+{Below(3)})",
        };
    }

    /// <summary>Code that is worth patching: the label <c>site</c>, and what its bytes may become.</summary>
    private void WriteSite(string column, bool few = false)
    {
        List<string> code = Column(column);
        if (!few && OneIn(3))
            code.Add(OneIn(2) ? DataInstruction() : Fence());
        else if (OneIn(3))
            code.Add("nop");
        switch (Below(5))
        {
            case 0:
                code.Add("site: movb $1,%al");
                _patches = [(1, 2), (1, 3), (0, 0xB3), (0, 0xCC), (1, 1)];
                break;
            case 1:
                code.Add("site: .byte 0xeb, 0x02");
                code.Add("movb $1,%al");
                code.Add("movb $2,%bl");
                _patches = [(1, 0), (1, 4), (0, 0xCC), (0, 0xB0), (0, 0xEB)];
                break;
            case 2:
                code.Add("site: nop");
                code.Add("nop");
                _patches = [(0, 0x40), (1, 0xC0), (0, 0xFF), (0, 0xCC), (0, 0xF4), (1, 0xCC)];
                break;
            case 3:
                code.Add("site: addl $1,%eax");
                code.Add("addl $4,%eax");
                _patches = [(2, 2), (5, 8), (1, 0xE8), (1, 0xC3), (0, 0xCC), (3, 0x90)];
                break;
            default:
                code.Add("movl $2,%ecx");
                code.Add("site: addb $1,%al");
                code.Add("decl %ecx");
                code.Add("jnz site");
                _patches = [(1, 2), (1, 5), (0, 0x2C), (0, 0x90)];
                break;
        }
        if (OneIn(3))
            _init.Append(" alias w = P1:site;");
        if (OneIn(4))
            code.Add(DataInstruction());
    }

    private (int Offset, int Byte)[] _patches = [];

    private string Patch()
    {
        (int offset, int first) = _patches[Below(_patches.Length)];
        string target = _init.ToString().Contains(" alias w", StringComparison.Ordinal) && OneIn(2) ? "w" : "P1:site";
        if (OneIn(4))
        {
            (int other, int second) = _patches[Below(_patches.Length)];
            if (other == offset + 1)
                return $"movw ${second << 8 | first},({target}+{offset})";
        }
        return OneIn(8) ? $"movb $1,%cl ; xchgb %cl,({target}+{offset})".Split(';')[0] : $"movb ${first},({target}+{offset})";
    }

    private string Fence() => Below(5) switch
    {
        0 or 1 => "cpuid",
        2 => "mfence",
        3 => $"xchgl %ebx,({Variable()})",
        _ => "nop",
    };

    private void WritePatcher(string column, int patches)
    {
        List<string> code = Column(column);
        for (int i = 0; i < patches; i++)
        {
            code.Add(Patch());
            if (OneIn(3))
                code.Add(OneIn(2) ? DataInstruction() : Fence());
        }
        if (OneIn(4))
            _init.Append(" idt[#BP] = bp;");
        if (_init.ToString().Contains("= bp;", StringComparison.Ordinal))
            Column("bp").AddRange(OneIn(2) ? ["addl $16,%eax", "iretq"] : ["incl (x)", "iretq"]);
    }

    private void WriteInterrupts(bool patching)
    {
        _init.Append(" idt[0xf2] = ipi;");
        List<string> sender = Column("P0");
        if (patching)
            WritePatcher("P0", 1);
        else if (OneIn(2))
            sender.Add(DataInstruction());
        sender.Add("movl $0x01000000,(apic+0x310)");
        sender.Add("movl $0xf2,(apic+0x300)");
        bool two = OneIn(4);
        if (two)
        {
            bool other = OneIn(2);
            if (other)
            {
                _init.Append(" idt[0xe1] = low;");
                Column("low").AddRange([DataInstruction(), "iretq"]);
            }
            sender.Add(other ? "movl $0xe1,(apic+0x300)" : "movl $0xf2,(apic+0x300)");
        }
        else if (patching && OneIn(2))
        {
            sender.Add(Patch());
        }
        else if (OneIn(2))
        {
            sender.Add(DataInstruction());
        }
        List<string> target = Column("P1");
        if (!patching)
            for (int n = Below(3); n > 0; n--)
                target.Add(DataInstruction());
        if (OneIn(4))
        {
            _init.Append(" 1:if = 0;");
            target.Insert(Below(target.Count + 1), "sti");
        }
        else if (OneIn(4))
        {
            target.Insert(Below(target.Count + 1), "cli");
            if (OneIn(2))
                target.Add("sti");
        }
        if (OneIn(6))
            target.Add("hlt");
        List<string> handler = Column("ipi");
        for (int n = Below(3); n > 0; n--)
            handler.Add(patching && OneIn(4) ? Patch() : OneIn(3) ? Fence() : DataInstruction());
        if (two || OneIn(2))
            handler.Add("movl $0,(apic+0xb0)");
        handler.Add("iretq");
    }

    private string Compose(string name)
    {
        int rows = _columns.Values.Max(c => c.Count);
        var text = new StringBuilder($"X86_64 {name}\n");
        foreach (string line in _header)
            text.Append(line).Append('\n');
        text.Append($"cpus: {_cpus}\n{{{_init} }}\n");
        text.Append($" {string.Join(" | ", _columns.Keys)} ;\n");
        for (int row = 0; row < rows; row++)
            text.Append($" {string.Join(" | ", _columns.Values.Select(c => row < c.Count ? c[row] : ""))} ;\n");
        text.Append($"locations [{string.Join(" ", _locations.Select(l => l + ";"))}]\n");
        text.Append($"exists ({string.Join(" /\\ ", _events)})\n");
        return text.ToString();
    }

    private List<string> Column(string name)
    {
        if (!_columns.TryGetValue(name, out List<string>? column))
            _columns.Add(name, column = []);
        return column;
    }

    private string Variable() => _variables[Below(_variables.Length)];

    private int Below(int n) => _random.Next(n);

    private bool OneIn(int n) => _random.Next(n) == 0;
}
