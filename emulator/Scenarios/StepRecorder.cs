using Emu.Cpus;
using Emu.Execution;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>Turns the events of a run into the steps of a table: addresses become labels, bytes become instructions.</summary>
internal sealed class StepRecorder
{
    private const int QueueBytesShown = 8;

    private readonly Scenario _scenario;
    private readonly Machine _machine;
    private readonly ulong[,] _registers;
    private readonly GasFormatter _formatter;

    /// <summary>The instruction that a CPU is about to execute.</summary>
    public readonly record struct Code(string Text);

    public StepRecorder(Scenario scenario, Machine machine)
    {
        _scenario = scenario;
        _machine = machine;
        _registers = new ulong[scenario.CpuCount, CpuRegisters.General.Count];
        _formatter = new GasFormatter(new LabelResolver(scenario.Symbols));
        _formatter.Options.FirstOperandCharIndex = 0;
        _formatter.Options.HexPrefix = "0x";
        _formatter.Options.UppercaseHex = false;
        _formatter.Options.SpaceAfterOperandSeparator = false;
        _formatter.Options.ShowSymbolAddress = false;
        _formatter.Options.BranchLeadingZeros = false;
        _formatter.Options.GasShowMnemonicSizeSuffix = true;
    }

    public List<ScenarioStep> Steps { get; } = [];

    public static string Hex(IEnumerable<byte> bytes) => string.Join(' ', bytes.Select(b => b.ToString("x2")));

    public void Begin()
    {
        Steps.Clear();
        for (int cpu = 0; cpu < _scenario.CpuCount; cpu++)
            Changes(cpu);
        Add(-1, "start", "", []);
    }

    public void Add(int cpu, string kind, string text, IReadOnlyList<string> notes)
    {
        // The queue follows a jump at the CPU's next event; shown is what that event will find.
        if (cpu >= 0)
            _machine.Agents[cpu].FetchCandidates(stackalloc ulong[1]);
        string[] memory = [.. _scenario.Watches.Select(w => Hex(Memory(w.Address, w.Length)))];
        CpuView[] views = [.. Enumerable.Range(0, _scenario.CpuCount).Select(View)];
        Steps.Add(new ScenarioStep(Steps.Count, cpu, kind, text, [.. notes], memory, views));
    }

    /// <summary>What the CPU will execute next: the bytes in its queue, and from memory those that it has yet to fetch.</summary>
    public Code CodeAt(int cpu)
    {
        ModelledCpu agent = _machine.Agents[cpu];
        agent.FetchCandidates(stackalloc ulong[1]);
        ulong rip = agent.LinearRip;
        int ready = _scenario.Profile.Depth == 0 ? 0 : Math.Min(agent.Queue.Ready, 15);
        byte[] bytes = [.. agent.Queue.Contents().Take(ready).Select(c => c.Value), .. Memory(rip + (ulong)ready, 15 - ready)];
        Decoder decoder = Decoder.Create(64, bytes, rip, DecoderOptions.None);
        decoder.Decode(out Instruction instruction);
        if (instruction.IsInvalid)
            return new Code($".byte 0x{bytes[0]:x2}");
        var output = new StringOutput();
        _formatter.Format(instruction, output);
        return new Code(output.ToStringAndReset().Trim());
    }

    public string QueueOf(int cpu) => Queue(_machine.Agents[cpu]);

    public string DescribeFetch(int cpu, ulong unit, int version, string before)
    {
        ModelledCpu agent = _machine.Agents[cpu];
        byte[] bytes = [.. agent.Queue.Contents().Where(c => c.Linear >= unit && c.Linear < unit + (ulong)agent.Queue.Unit).Select(c => c.Value)];
        string what = bytes.Length > QueueBytesShown ? $"{bytes.Length} bytes" : Hex(bytes);
        ulong first = Math.Max(unit, agent.Queue.Start);
        return $"fetches {what} at {_scenario.Symbols.Describe(first)}{(version == 0 ? "" : $", version {version}")}{(before == Queue(agent) ? " (there already)" : "")}";
    }

    public string DescribeStore(PendingStore store)
    {
        StoreView view = View(store);
        return $"{view.Where} := {view.Value}";
    }

    private StoreView View(PendingStore store) =>
        new(_scenario.Symbols.Describe(store.Linear),
            store.Size == 8 ? $"0x{store.Value:x}" : Hex(Enumerable.Range(0, store.Size).Select(i => (byte)(store.Value >> (8 * i)))));

    private CpuView View(int index)
    {
        Cpu cpu = _machine.Cpus[index];
        StoreView[] stores = [.. Enumerable.Range(0, cpu.StoreBuffer.Count).Select(i => View(cpu.StoreBuffer[i]))];
        ulong rip = CpuRegisters.Read(cpu, "rip");
        string state = DirectStart.ActivityOf(cpu) switch
        {
            Activity.Active => "running",
            Activity.Halted => "halted",
            Activity.Shutdown => "shut down",
            _ => "waiting",
        };
        return new CpuView(_scenario.Symbols.TryDescribe(rip) ?? Elsewhere(rip), Queue(_machine.Agents[index]), stores, Changes(index), state);
    }

    private static string Elsewhere(ulong rip) =>
        ScenarioMachine.DefaultHandlerAt(rip) is { } vector ? $"stopped by {ExceptionNames.Of(vector)}" : $"0x{rip:x}";

    /// <summary>Registers that changed since the last look.</summary>
    private Dictionary<string, string> Changes(int cpu)
    {
        var changed = new Dictionary<string, string>();
        for (int i = 0; i < CpuRegisters.General.Count; i++)
        {
            ulong value = CpuRegisters.Read(_machine.Cpus[cpu], CpuRegisters.General[i]);
            if (value != _registers[cpu, i])
                changed[CpuRegisters.General[i]] = $"0x{value:x}";
            _registers[cpu, i] = value;
        }
        return changed;
    }

    /// <summary><c>site: eb e5 .. 90 90 +20</c>: where a byte is missing, two dots.</summary>
    private string Queue(ModelledCpu agent)
    {
        (ulong Linear, byte Value)[] bytes = [.. agent.Queue.Contents()];
        if (bytes.Length == 0)
            return "";
        var parts = new List<string>();
        ulong next = bytes[0].Linear;
        foreach ((ulong linear, byte value) in bytes.Take(QueueBytesShown))
        {
            if (linear != next)
                parts.Add("..");
            parts.Add(value.ToString("x2"));
            next = linear + 1;
        }
        string more = bytes.Length > QueueBytesShown ? $" +{bytes.Length - QueueBytesShown}" : "";
        return $"{_scenario.Symbols.Describe(bytes[0].Linear)}: {string.Join(' ', parts)}{more}";
    }

    private byte[] Memory(ulong linear, int length)
    {
        byte[] bytes = new byte[length];
        _machine.Memory.TryRead(ScenarioLayout.Physical(linear), bytes);
        return bytes;
    }

    private sealed class LabelResolver(ScenarioSymbols symbols) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = default;
            // Small numbers are numbers, not addresses.
            if (address < ScenarioLayout.Columns || symbols.TryDescribe(address) is not { } name)
                return false;
            symbol = new SymbolResult(address, name);
            return true;
        }
    }
}
