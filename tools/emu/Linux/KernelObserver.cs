using Emu.Boot;
using Emu.Cpus;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>What <c>emu linux --check</c> and <c>--break</c> want of a kernel.</summary>
/// <param name="Count">Runs of the functions with which it patches itself are counted, and what it patches is kept.</param>
internal sealed record ObserverSettings(bool Count, IReadOnlyList<FunctionBreak> Breaks)
{
    public bool IsWanted => Count || Breaks.Count != 0;
}

/// <summary>
/// Watches a Linux kernel. When it begins to execute at the address to which it unpacked itself, its symbols are read out of its memory, functions are broken as was asked
/// for, and from then on its runs of the functions with which it patches code are counted. All of it in guest memory, or by <see cref="Machine.Watch"/>; no file changes.
/// </summary>
internal sealed class KernelObserver
{
    /// <summary>The functions whose runs are counted.</summary>
    public static IReadOnlyList<string> Counted { get; } = [PatchLog.Batch, PatchLog.Poke, "do_sync_core", PatchLog.BreakpointHandler, "kprobe_int3_handler"];

    /// <summary>
    /// Behind the boot's own patching of alternatives (alternative_instructions), which writes over what it finds, and before the other CPUs are started: broken functions
    /// are broken once more.
    /// </summary>
    private const string AfterAlternatives = "rest_init";

    private readonly ObserverSettings _settings;
    private readonly LinuxKernel _kernel;
    private readonly Dictionary<ulong, Action<Cpu>> _reached = [];
    private readonly Dictionary<ulong, long[]> _counts = [];
    private readonly Dictionary<ulong, long> _before = [];
    private readonly List<(ulong Physical, byte[] Bytes)> _edits = [];
    private Machine _machine;

    /// <exception cref="UsageException">The image is not one that can be watched.</exception>
    public KernelObserver(Machine machine, BootImage image, ObserverSettings settings)
    {
        _kernel = image is LinuxKernel { Kind: ImageKind.Linux64 } linux ? linux
            : throw new UsageException($"{image.Name} is not a 64-bit Linux kernel", settings.Count ? "--check" : "--break", "give a bzImage or vmlinux of an x86-64 build");
        _settings = settings;
        _machine = machine;
        Patches = new PatchLog(machine);
        Attach(machine);
        On(_kernel.UnpackedStart, Unpacked);
    }

    /// <summary>The kernel's own symbols; none before it is unpacked.</summary>
    public SymbolTable Symbols { get; private set; } = SymbolTable.Empty;

    /// <summary>What it patched.</summary>
    public PatchLog Patches { get; }

    /// <summary>Its break points, in words: what was changed where.</summary>
    public List<string> Broken { get; } = [];

    /// <summary>Why the run was ended before the kernel came to execute.</summary>
    public UsageException? Problem { get; private set; }

    /// <summary>Counts from here on apart: the command begins.</summary>
    public void Begin()
    {
        foreach ((ulong address, long[] runs) in _counts)
            _before[address] = runs.Sum();
    }

    /// <summary>Runs of a function since <see cref="Begin"/>.</summary>
    public long RunsSinceBegin(string function) => RunsOf(function) is { } runs ? runs.Sum() - _before.GetValueOrDefault(Symbols.TryFind(function, out Symbol symbol) ? symbol.Address : 0) : 0;

    /// <summary>Runs of a function on each CPU; null when the kernel has no such function.</summary>
    public IReadOnlyList<long>? RunsOf(string function) => Symbols.TryFind(function, out Symbol symbol) ? _counts.GetValueOrDefault(symbol.Address) : null;

    /// <summary>Goes on in another machine, to which the state of this one was moved.</summary>
    public void Attach(Machine machine)
    {
        _machine = machine;
        machine.Watch.OnReach = (cpu, linear) =>
        {
            if (_reached.TryGetValue(linear, out Action<Cpu>? action))
                action(cpu);
            Patches.Reached(cpu, linear);
        };
        foreach (ulong linear in _reached.Keys)
            machine.Watch.Add(linear);
        Patches.Attach(machine);
    }

    private void On(ulong linear, Action<Cpu> action)
    {
        _reached[linear] = action;
        _machine.Watch.Add(linear);
    }

    private void Off(ulong linear)
    {
        _reached.Remove(linear);
        _machine.Watch.Remove(linear);
    }

    private void Unpacked(Cpu cpu)
    {
        Off(_kernel.UnpackedStart);
        byte[] memory = new byte[_kernel.UnpackedEnd - _kernel.UnpackedStart];
        if (!_machine.Memory.TryRead(_kernel.UnpackedStart, memory) || !Kallsyms.TryRead(memory, out SymbolTable? symbols))
            symbols = _kernel.Symbols;
        if (!symbols.TryFind("startup_64", out Symbol start))
        {
            Fail(_settings.Count ? "--check" : "--break", "it carries no symbols in itself (CONFIG_KALLSYMS), or in a form that is not known here", "give a kernel of 4.20 or later that has them");
            return;
        }
        Symbols = symbols;
        ulong shift = start.Address - _kernel.UnpackedStart;
        foreach (FunctionBreak wanted in _settings.Breaks)
            Break(wanted, symbols, shift);
        if (_edits.Count != 0 && symbols.TryFind(AfterAlternatives, out Symbol late))
            On(late.Address, _ => WriteEdits());
        if (_settings.Count && Problem == null)
            Count(symbols);
    }

    private void Break(FunctionBreak wanted, SymbolTable symbols, ulong shift)
    {
        IReadOnlyList<CodeEdit> edits = wanted.Find(symbols, (address, data) => _machine.Memory.TryRead(address - shift, data), out string? problem);
        if (problem != null)
        {
            Fail("--break", $"{wanted}: {problem}", "name a function, or FUNCTION:CALLEE for a call that stands in it");
            return;
        }
        foreach (CodeEdit edit in edits)
            _edits.Add((edit.Address - shift, edit.Bytes));
        WriteEdits();
        Broken.Add(wanted.Callee == null ? $"{wanted.Function} returns at once: RET at {symbols.Describe(edits[0].Address)}"
            : $"{wanted.Function} does not call {wanted.Callee}: {(edits.Count == 1 ? "1 call is a NOP" : $"{edits.Count} calls are NOPs")}, at {string.Join(", ", edits.Select(e => symbols.Describe(e.Address)))}");
    }

    private void WriteEdits()
    {
        foreach ((ulong physical, byte[] bytes) in _edits)
            _machine.Memory.TryWrite(physical, bytes);
    }

    private void Count(SymbolTable symbols)
    {
        foreach (string name in Counted)
        {
            if (!symbols.TryFind(name, out Symbol function))
                continue;
            long[] runs = _counts[function.Address] = new long[_machine.Cpus.Count];
            Action<Cpu>? more = Patches.HandlerOf(name, symbols);
            On(function.Address, cpu =>
            {
                runs[cpu.Index.Value]++;
                more?.Invoke(cpu);
            });
        }
    }

    private void Fail(string option, string what, string remedy)
    {
        Problem ??= new UsageException($"{_kernel.Name}: {what}", option, remedy);
        _machine.RequestStop(new RunResult(StopReason.Ended, ExitCode.Usage, "the kernel cannot be observed"));
    }
}
