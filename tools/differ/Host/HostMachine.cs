using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using static Emu.Differ.Host.HostLayout;

namespace Emu.Differ.Host;

/// <summary>Runs cases of a user mode on the CPU that this program runs on. Privileged instructions fault there, and so they do in Emu at CPL 3.</summary>
public sealed unsafe class HostMachine : IOracle
{
    private const int PageFault = 14, Breakpoint = 3;
    private const uint FetchBit = 0x10;

    /// <summary>TASK_SIZE_MAX.</summary>
    private const ulong ProgramEnd = 0x7FFF_FFFF_F000;

    private readonly Arena _arena;
    private HostProcess _process;
    private IReadOnlyList<Case> _cases = [];

    /// <summary>Cases of the present batch that the helper cannot be given, or did not survive, by their place.</summary>
    private readonly Dictionary<int, string> _refused = [];

    /// <summary>Places of the cases handed over.</summary>
    private readonly List<int> _given = [];

    /// <exception cref="Unicorn.OracleMissingException">The host cannot be an oracle.</exception>
    public HostMachine(CodeMode mode)
    {
        _arena = Arena.For(mode);
        _process = new HostProcess(Fill);
    }

    /// <summary>Why the host's CPU cannot be an oracle, or null.</summary>
    public static string? Unavailable => HostProcess.Unavailable;

    public OracleKind Kind => OracleKind.Host;

    public int BatchSize => MaximumCases;

    /// <summary>How often the helper had to be started again.</summary>
    public int Restarts { get; private set; }

    public void Submit(IReadOnlyList<Case> cases)
    {
        _cases = cases;
        _refused.Clear();
        HandOver(0);
    }

    public void Collect(IReadOnlyList<Outcome> outcomes)
    {
        while (!_process.Finish())
        {
            int done = (int)Math.Min(*(ulong*)(_process.Memory + Current), (ulong)(_given.Count - 1));
            int victim = _given[done];
            Read(outcomes, done);
            _refused[victim] = "it did not end, or took the helper process with it";
            Restart();
            HandOver(victim + 1);
        }
        Read(outcomes, _given.Count);
        foreach ((int place, string reason) in _refused)
        {
            outcomes[place].Clear();
            outcomes[place].Refusal = reason;
        }
    }

    public void Dispose() => _process.Dispose();

    private void Restart()
    {
        _process.Dispose();
        _process = new HostProcess(Fill);
        Restarts++;
    }

    private void Fill(nint memory)
    {
        byte* m = (byte*)memory;
        for (int i = 0; i < _arena.Windows.Length; i++)
        {
            MemoryWindow w = _arena.Windows[i];
            Buffer.MemoryCopy(_arena.Image + w.Start, m + Data + i * 0x1000, 0x1000, 0x1000);
            Buffer.MemoryCopy(_arena.Image + w.Start, m + Background + i * 0x1000, 0x1000, 0x1000);
        }
        new Span<byte>(m + CodeAt, CodeBytes).Fill(0xCC);
    }

    private void HandOver(int first)
    {
        _given.Clear();
        byte* m = _process.Memory;
        byte* at = m + Input;
        for (int i = first; i < _cases.Count; i++)
        {
            if (!HostCases.TryWrite(_cases[i], _arena, at, out string? reason))
            {
                _refused[i] = reason;
                continue;
            }
            _given.Add(i);
            at += *(uint*)at;
        }
        *(ulong*)(m + Count) = (ulong)_given.Count;
        *(ulong*)(m + Current) = 0;
        *(ulong*)(m + NextInput) = Shared + Input;
        *(ulong*)(m + NextOutput) = Shared + Output;
        _process.Begin();
    }

    private void Read(IReadOnlyList<Outcome> outcomes, int count)
    {
        byte* at = _process.Memory + Output;
        for (int i = 0; i < count; i++)
        {
            ulong bytes = *(ulong*)at;
            if (bytes is < ResultLinesAt or > LargestResult)
            {
                _refused[_given[i]] = "its result was overwritten";
                return;
            }
            Read(_cases[_given[i]], outcomes[_given[i]], at, (int)bytes);
            at += bytes;
        }
    }

    private void Read(Case c, Outcome o, byte* result, int bytes)
    {
        o.Clear();
        byte* context = result + ResultContext;
        HostCases.ReadRegisters(o, (ulong*)context);
        if (!c.Mode.Is64())
            o.Registers.AsSpan(8).Clear();
        o.Rip = *(ulong*)(context + ContextRip);
        o.Flags = *(ulong*)(context + ContextFlags);
        ushort* selectors = (ushort*)(result + ResultSelectors);
        o.Selectors[0] = selectors[0];
        o.Selectors[1] = *(ushort*)(context + ContextCs);
        o.Selectors[2] = *(ushort*)(context + ContextSs);
        o.Selectors[3] = selectors[1];
        o.Selectors[4] = selectors[2];
        o.Selectors[5] = selectors[3];
        o.FsBase = *(ulong*)(result + ResultFsBase);
        o.GsBase = *(ulong*)(result + ResultGsBase);
        o.Cycles = *(ulong*)(result + ResultCycles);
        o.Floating = FloatingImage.Default;
        FloatingImage.Read(ref o.Floating, result + ResultFloating);
        // "FXSAVE does not save the x87 pointer registers ... except in the relatively rare cases in which the exception-summary (ES) bit ... is set to 1" (APM Vol. 5, "FXSAVE").
        o.KnowsPointers = (o.Floating.Status & X87Status.Summary) != 0;
        for (byte* line = result + ResultLinesAt; line < result + bytes; line += ResultLineBytes)
            o.Memory.Add((int)*(ulong*)line, line + 8);

        int trap = (int)*(ulong*)(context + ContextTrap);
        uint error = (uint)*(ulong*)(context + ContextError);
        ulong address = *(ulong*)(context + ContextCr2);
        if (trap == Breakpoint && o.Rip - 1 != c.Last.IP)
        {
            // The int3 behind the case, or where its branch led.
            o.Rip--;
        }
        else if (trap == PageFault && (error & FetchBit) != 0 && o.Rip != c.First.IP && o.Rip != c.Last.IP)
        {
            // A branch to where no code is: the branch itself is done.
        }
        else
        {
            o.Vector = trap;
            // Of addresses that are not the program's, Linux does not tell whether they are mapped (arch/x86/mm/fault.c, set_signal_archinfo).
            o.ErrorCode = trap == PageFault && address >= ProgramEnd ? error & ~1U : error;
            o.FaultAddress = trap == PageFault ? address : 0;
        }
    }
}
