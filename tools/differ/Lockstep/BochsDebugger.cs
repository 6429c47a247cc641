using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Privileged;
using Emu.Differ.Unicorn;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Lockstep;

/// <summary>
/// Bochs with its own debugger, which Debian's is built with, driven through its standard input and output. It has no multiboot loader: what Emu's
/// loader left in memory is loaded from a floppy. Of memory that is not mapped to itself only pages that have changed in Emu are compared, for the debugger tells it as text.
/// </summary>
/// <remarks>
/// To ask for each step by itself takes most of the time. So many steps are asked for at once, of which the debugger's trace shows general registers, flags and RIP;
/// selectors and control registers are known at the end of such a batch. Where exactness wants it, Bochs is started again, and run to the step that is meant:
/// it does the same every time. That is so when the trace tells of an interrupt or exception, for it does not show what was before; and before memory is read.
/// </remarks>
public sealed unsafe class BochsDebugger : SteppedMachine
{
    /// <summary>Steps in a batch.</summary>
    private const int Batch = 4096;

    /// <summary>After an interrupt or exception, so many steps are made one by one; and all, when there have been more than so many.</summary>
    private const int SinglesAfterEvent = 8, FewEvents = 8;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly string[] s_general = ["rax: ", "rcx: ", "rdx: ", "rbx: ", "rsp: ", "rbp: ", "rsi: ", "rdi: ", "r8 : ", "r9 : ", "r10: ", "r11: ", "r12: ", "r13: ", "r14: ", "r15: "];
    private static readonly string[] s_segments = ["es", "cs", "ss", "ds", "fs", "gs"];
    private const string Prompt = "<bochs:", Taken = ": exception (not softint) ", FlagsLine = "eflags 0x";

    private readonly string _directory = Directory.CreateTempSubdirectory("emu-lockstep-").FullName;
    private readonly ulong _entry;
    private readonly long _singleFrom;
    private Process? _process;
    private Stream _to = Stream.Null, _from = Stream.Null;
    private readonly byte[] _buffer = new byte[1 << 16];
    private readonly ulong _size;
    private readonly byte[] _initial, _dump;
    private readonly StringBuilder _trace = new();
    private int _begin, _end;

    /// <summary>Steps of the present batch that have not been handed out, and steps to be made one by one.</summary>
    private int _ahead, _singles, _events;

    /// <param name="image">What is booted.</param>
    /// <param name="emu">Emu's machine, with the image loaded.</param>
    /// <param name="singleFrom">From this step on, steps are made one by one, so that all registers are known after each.</param>
    /// <exception cref="OracleMissingException">Bochs or its firmware is not there.</exception>
    /// <exception cref="OracleStoppedException">It does not come to the kernel.</exception>
    public BochsDebugger(BootImage image, Machine emu, long singleFrom = long.MaxValue)
    {
        _size = emu.Memory.LowSize;
        _entry = image.Entry;
        _singleFrom = singleFrom;
        _initial = new byte[_size];
        _dump = new byte[_size];
        try
        {
            File.WriteAllBytes(Path.Combine(_directory, "floppy.img"), Floppy(image, emu));
            BochsMachine.WriteConfiguration(_directory);
            Begin();
            // Paging is off: linear addresses are physical ones.
            if (Dump(_initial) != (int)_size)
                throw new OracleStoppedException("Bochs does not write its memory to a file");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Name => "Bochs";

    protected override ulong? Make(bool system)
    {
        if (_ahead == 0)
        {
            if (_singles > 0 || Steps >= _singleFrom || _events > FewEvents)
                return Single(system);
            Send($"trace on\ns {Batch}\ntrace off\nr\nsreg\ncreg");
            _ahead = Batch;
            // What the trace shows is the state before each step: the first is known.
            ulong rip = Registers.Rip;
            if (ReadTrace())
                return Again(system);
            if (Registers.Rip != rip)
                throw new OracleStoppedException($"Bochs goes on at {Registers.Rip:x} where it stood at {rip:x}");
        }
        if (_ahead == 1)
        {
            string said = Answer();
            Answer();
            Read(system: true);
            if (said.Contains(Taken, StringComparison.Ordinal))
                return Again(system);
        }
        else if (ReadTrace())
        {
            return Again(system);
        }
        _ahead--;
        return null;
    }

    private ulong? Single(bool system)
    {
        Send(system || Steps >= _singleFrom ? "s\nr\nsreg\ncreg" : "s\nr");
        string said = Answer();
        Read(system || Steps >= _singleFrom);
        _singles = Math.Max(0, _singles - 1);
        int at = said.IndexOf(Taken, StringComparison.Ordinal);
        if (at < 0)
            return null;
        // "exception (not softint) 0010:0000000000103b24 (0x...)"
        string where = said[(at + Taken.Length)..];
        int colon = where.IndexOf(':'), end = where.IndexOf(' ');
        return colon > 0 && end > colon && ulong.TryParse(where.AsSpan(colon + 1, end - colon - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong handler)
            ? handler : throw new OracleStoppedException($"Bochs says '{where}'");
    }

    /// <summary>Makes a step of a batch by itself, for an interrupt or exception has come.</summary>
    private ulong? Again(bool system)
    {
        _events++;
        _singles = SinglesAfterEvent;
        Return();
        return Single(system);
    }

    public override bool IsSettled => _ahead == 0;

    /// <summary>Starts Bochs, and brings it to the kernel's first instruction.</summary>
    private void Begin()
    {
        _process = Start(_directory);
        _to = _process.StandardInput.BaseStream;
        _from = _process.StandardOutput.BaseStream;
        _begin = _end = 0;
        Answer();
        Command("set u off");
        Command(string.Create(CultureInfo.InvariantCulture, $"pb 0x{_entry:x}"));
        Command("continue");
        Command("show extint");
        Command("trace-reg on");
        Send("r\nsreg\ncreg");
        Read(system: true);
        if (Registers.Rip != _entry)
            throw new OracleStoppedException($"Bochs stopped at {Registers.Rip:x} on its way to the kernel at {_entry:x}");
    }

    /// <summary>Starts again, and goes where the last step that was handed out has led.</summary>
    private void Return()
    {
        End();
        Begin();
        _ahead = 0;
        if (Steps == 0)
            return;
        Command(string.Create(CultureInfo.InvariantCulture, $"s {Steps}"));
        Send("r\nsreg\ncreg");
        Read(system: true);
    }

    public override void CopyMemory(PhysicalMemory memory) => _initial.CopyTo(new Span<byte>(memory.Base, _initial.Length));

    public override MemoryDifference? FirstDifference(PhysicalMemory memory, Predicate<MemoryDifference> isExcused)
    {
        if (!IsSettled)
            Return();
        // What is mapped to itself is the same by linear addresses, which go into a file at once; of the rest, the debugger's text is read.
        int dumped = Dump(_dump) & ~(Page.Size - 1);
        for (int page = 0; page < _initial.Length; page += Page.Size)
        {
            var ours = new ReadOnlySpan<byte>(memory.Base + page, Page.Size);
            if (!IsCompared((ulong)page) || (page < dumped ? ours.SequenceEqual(_dump.AsSpan(page, Page.Size)) : ours.SequenceEqual(_initial.AsSpan(page, Page.Size))))
                continue;
            if (FirstDifference((ulong)page, ReadPage((uint)page), ours, isExcused) is { } difference)
                return difference;
        }
        return null;
    }

    /// <summary>Reads memory from linear address 0 on, as far as it is mapped.</summary>
    private int Dump(byte[] to)
    {
        string file = Path.Combine(_directory, "memory");
        File.Delete(file);
        Command(string.Create(CultureInfo.InvariantCulture, $"writemem \"memory\" 0x0 0x{_size:x}"));
        if (!File.Exists(file))
            return 0;
        using FileStream memory = File.OpenRead(file);
        return memory.ReadAtLeast(to, to.Length, throwOnEndOfStream: false);
    }

    public override void Dispose()
    {
        End();
        Directory.Delete(_directory, recursive: true);
    }

    private void End()
    {
        if (_process == null)
            return;
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _process = null;
    }

    /// <summary>
    /// Code that puts the pages which Emu's loader has filled where they belong, masks the interrupt controllers, and enters the kernel as the boot protocol says;
    /// then the pages.
    /// </summary>
    private static byte[] Floppy(BootImage image, Machine emu)
    {
        CpuState* s = emu.Cpus[0].State;
        int[] pages = [.. Enumerable.Range(0, (int)(emu.Memory.LowSize / Page.Size)).Where(p => IsLoaded(emu.Memory, p))];
        if (pages.Any(p => (uint)p * Page.Size is >= BochsMachine.LoadedAt - Page.Size and < BochsMachine.LoadLimit))
            throw new OracleStoppedException("the image lies where the boot sector for Bochs works, from 64 KiB to 576 KiB");
        byte[] code = [];
        // Its own length is known the second time.
        for (int pass = 0; pass < 2; pass++)
        {
            uint data = BochsMachine.LoadedAt + (uint)code.Length;
            var a = new Assembler(32);
            a.cld();
            a.mov(esi, data);
            foreach (int page in pages)
            {
                a.mov(edi, (uint)page * Page.Size);
                a.mov(ecx, Page.Size / 4);
                a.rep.movsd();
            }
            a.mov(al, 0xFF);
            a.@out(0x21, al);
            a.@out(0xA1, al);
            a.mov(ebx, (uint)s->Registers[3]);
            a.mov(eax, (uint)s->Registers[0]);
            a.mov(ecx, (uint)image.Entry);
            a.jmp(ecx);
            using var stream = new MemoryStream();
            a.Assemble(new StreamCodeWriter(stream), BochsMachine.LoadedAt);
            code = stream.ToArray();
        }
        byte[] loaded = [.. code, .. pages.SelectMany(p => new ReadOnlySpan<byte>(emu.Memory.Base + p * Page.Size, Page.Size).ToArray())];
        if (loaded.Length > BochsMachine.LoadLimit - BochsMachine.LoadedAt)
            throw new OracleStoppedException($"the image has {loaded.Length} bytes; the boot sector for Bochs loads {BochsMachine.LoadLimit - BochsMachine.LoadedAt}");
        return BochsMachine.Floppy(loaded, a =>
        {
            a.mov(eax, BochsMachine.LoadedAt);
            a.jmp(eax);
        });
    }

    /// <summary>What the loader has filled, but for what firmware leaves in its own places: Bochs has its own firmware.</summary>
    private static bool IsLoaded(PhysicalMemory memory, int page) =>
        page != 0 && page * Page.Size is < 0xA_0000 or >= 0x10_0000 && new ReadOnlySpan<byte>(memory.Base + page * Page.Size, Page.Size).ContainsAnyExcept((byte)0);

    private static Process Start(string directory)
    {
        if (!BochsMachine.HasFirmware)
            throw new OracleMissingException("SeaBIOS and its VGA BIOS are not installed: run 'apt-get install bochs seabios'");
        var start = new ProcessStartInfo(BochsMachine.Program, ["-q", "-f", "bochsrc"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory,
        };
        try
        {
            Process process = Process.Start(start)!;
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            return process;
        }
        catch (Win32Exception)
        {
            throw new OracleMissingException("bochs is not installed: run 'apt-get install bochs'");
        }
    }

    private string Command(string command)
    {
        Send(command);
        return Answer();
    }

    private void Send(string command)
    {
        _to.Write(Encoding.ASCII.GetBytes(command + "\n"));
        _to.Flush();
    }

    /// <summary>What it says up to the next prompt.</summary>
    private string Answer()
    {
        var text = new StringBuilder();
        while (true)
        {
            char c = ReadCharacter(text);
            text.Append(c);
            if (c != ' ' || text.Length < Prompt.Length)
                continue;
            string line = text.ToString(Math.Max(0, text.Length - 24), Math.Min(24, text.Length));
            int at = line.LastIndexOf(Prompt, StringComparison.Ordinal);
            if (at >= 0 && line.EndsWith("> ", StringComparison.Ordinal))
                return text.ToString(0, text.Length - (line.Length - at));
        }
    }

    private char ReadCharacter(StringBuilder said)
    {
        if (_begin == _end)
        {
            using var patience = new CancellationTokenSource(s_patience);
            _begin = 0;
            try
            {
                _end = _from.ReadAsync(_buffer, patience.Token).AsTask().GetAwaiter().GetResult();
            }
            catch (OperationCanceledException)
            {
                throw new OracleStoppedException($"Bochs has said nothing for {s_patience.TotalSeconds} s: {said.ToString().Trim()}");
            }
            if (_end == 0)
                throw new OracleStoppedException($"Bochs has ended: {said.ToString().Trim()}");
        }
        return (char)_buffer[_begin++];
    }

    /// <summary>Reads the next state of the trace.</summary>
    /// <returns>True when an interrupt or exception was told of before it: the state is not read then.</returns>
    private bool ReadTrace()
    {
        _trace.Clear();
        do
        {
            char c;
            int begin = _trace.Length;
            do
            {
                c = ReadCharacter(_trace);
                _trace.Append(c);
            }
            while (c != '\n');
            int length = _trace.Length - begin;
            if (length >= FlagsLine.Length && IsAt(begin, FlagsLine))
            {
                ReadGeneral(_trace.ToString());
                Registers.KnowsSystem = false;
                return false;
            }
            if (length > Taken.Length && _trace.ToString(begin, length).Contains(Taken, StringComparison.Ordinal))
                return true;
        }
        while (true);
    }

    private bool IsAt(int at, string text)
    {
        for (int i = 0; i < text.Length; i++)
            if (_trace[at + i] != text[i])
                return false;
        return true;
    }

    /// <summary>Reads the answers to "r", and "sreg" and "creg".</summary>
    private void Read(bool system)
    {
        MachineRegisters r = Registers;
        string text = Answer();
        ReadGeneral(text);
        r.KnowsSystem = system;
        if (!system)
            return;
        text = Answer();
        for (int i = 0; i < 6; i++)
            r.Selectors[i] = (ushort)Hex(text, s_segments[i] + ":0x");
        text = Answer();
        r.Cr0 = Hex(text, "CR0=0x");
        r.Cr2 = Hex(text, "laddr=0x");
        r.Cr3 = Hex(text, "CR3=0x");
        r.Cr4 = Hex(text, "CR4=0x");
        r.Efer = Hex(text, "EFER=0x");
    }

    private void ReadGeneral(string text)
    {
        MachineRegisters r = Registers;
        for (int i = 0; i < 16; i++)
            r.General[i] = Wide(text, s_general[i]);
        r.Rip = Wide(text, "rip: ");
        r.Flags = Hex(text, FlagsLine);
    }

    private byte[] ReadPage(uint address)
    {
        byte[] page = new byte[Page.Size];
        int n = 0;
        // "0x0000000000100000 <bogus+       0>:	0x00000000	0x00000000"
        foreach (string line in Command(string.Create(CultureInfo.InvariantCulture, $"xp /{Page.Size / 4}wx 0x{address:x}")).Split('\n'))
        {
            string[] fields = line.Split('\t');
            for (int i = 1; i < fields.Length && n < Page.Size; i++, n += 4)
                BitConverter.TryWriteBytes(page.AsSpan(n), uint.Parse(fields[i].Trim()[2..], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        }
        return n == Page.Size ? page : throw new OracleStoppedException($"Bochs does not show the page at {address:x}");
    }

    /// <summary>A number of the form 01234567_89abcdef behind a name.</summary>
    private static ulong Wide(string text, string name)
    {
        int at = text.IndexOf(name, StringComparison.Ordinal) + name.Length;
        return at >= name.Length && at + 17 <= text.Length
            && uint.TryParse(text.AsSpan(at, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint high)
            && uint.TryParse(text.AsSpan(at + 9, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint low)
            ? (ulong)high << 32 | low : throw new OracleStoppedException($"Bochs does not show '{name}' but '{text.Trim()}'");
    }

    private static ulong Hex(string text, string name)
    {
        int at = text.IndexOf(name, StringComparison.Ordinal) + name.Length, end = at;
        while (at >= name.Length && end < text.Length && char.IsAsciiHexDigit(text[end]))
            end++;
        return end > at && ulong.TryParse(text.AsSpan(at, end - at), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong value)
            ? value : throw new OracleStoppedException($"Bochs does not show '{name}' but '{text.Trim()}'");
    }
}
