using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.IO.MemoryMappedFiles;
using Emu.Boot;
using Emu.Differ.Unicorn;
using Emu.Memory;

namespace Emu.Differ.Lockstep;

/// <summary>
/// QEMU with its stub for GDB, single-stepped. Time is counted in instructions (-icount), so that runs repeat; its RAM is a file that is mapped here too.
/// </summary>
public sealed unsafe class QemuMachine : SteppedMachine
{
    private const string Program = "qemu-system-x86_64";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>Emu's numbers of the registers in the order of the stub: RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15.</summary>
    private static readonly int[] s_general = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];

    /// <summary>The stub has CS, SS, DS, ES, FS, GS.</summary>
    private static readonly int[] s_selectors = [1, 2, 3, 0, 4, 5];

    // Offsets in the answer to "g" (QEMU, gdb-xml/i386-64bit.xml).
    private const int RipAt = 128, FlagsAt = 136, SelectorsAt = 140, Cr0At = 188, Cr2At = 196, Cr3At = 204, Cr4At = 212, EferAt = 228, XmmAt = 348, Size = 608;

    private readonly string _directory = Directory.CreateTempSubdirectory("emu-lockstep-").FullName;
    private readonly Process _process;
    private readonly GdbConnection _stub;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _ram;
    private readonly ulong _size;
    private readonly byte[] _answer = new byte[Size];

    /// <exception cref="OracleMissingException">QEMU is not there.</exception>
    /// <exception cref="OracleStoppedException">It does not come to the kernel.</exception>
    public QemuMachine(BootImage image, string path, string commandLine, ulong memory)
    {
        _size = memory;
        string ram = Path.Combine(_directory, "ram"), socket = Path.Combine(_directory, "gdb");
        _process = Start(
        [
            "-accel", "tcg,thread=single", "-icount", "shift=7,sleep=off", "-cpu", "max", "-m", $"{memory >> 20}M",
            "-object", $"memory-backend-file,id=ram,size={memory >> 20}M,mem-path={ram},share=on", "-machine", "pc,memory-backend=ram",
            "-nodefaults", "-display", "none", "-serial", "null", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel", Path.GetFullPath(path), "-append", commandLine, "-S", "-gdb", $"unix:{socket},server=on,wait=off",
        ]);
        try
        {
            for (var watch = Stopwatch.StartNew(); !File.Exists(socket) || !File.Exists(ram); Thread.Sleep(10))
                if (_process.HasExited || watch.Elapsed > s_patience)
                    throw new OracleStoppedException($"QEMU did not start: {(_process.HasExited ? _process.StandardError.ReadToEnd().Trim() : "no socket")}");
            _stub = new GdbConnection(socket, s_patience);
            Expect("Qqemu.sstep=1", "OK"); // ENABLE alone: interrupts and timers go on.
            string entry = image.Entry.ToString("x", CultureInfo.InvariantCulture);
            Expect($"Z1,{entry},1", "OK");
            Expect("c", "T05");
            Expect($"z1,{entry},1", "OK");
            _file = MemoryMappedFile.CreateFromFile(ram, FileMode.Open);
            _view = _file.CreateViewAccessor();
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _ram);
            Read();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Name => "QEMU";

    protected override ulong? Make(bool system)
    {
        Expect("vCont;s:1", "T05");
        Read();
        return null;
    }

    public override void CopyMemory(PhysicalMemory memory) => Buffer.MemoryCopy(_ram, memory.Base, _size, _size);

    public override MemoryDifference? FirstDifference(PhysicalMemory memory, Predicate<MemoryDifference> isExcused)
    {
        for (ulong page = 0; page < _size; page += Page.Size)
            if (IsCompared(page) && FirstDifference(page, new(_ram + page, Page.Size), new(memory.Base + page, Page.Size), isExcused) is { } difference)
                return difference;
        return null;
    }

    public override void Dispose()
    {
        _stub?.Dispose();
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        if (_view != null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
        }
        _file?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static Process Start(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            throw new OracleMissingException($"{Program} is not installed: run 'apt-get install qemu-system-x86'");
        }
    }

    private void Expect(string command, string answer)
    {
        string found = _stub.Request(command);
        if (!found.StartsWith(answer, StringComparison.Ordinal))
            throw new OracleStoppedException($"QEMU answers '{found}' to '{command}'");
    }

    private void Read()
    {
        string text = _stub.Request("g");
        if (text.Length != 2 * Size || Convert.FromHexString(text, _answer, out _, out _) != System.Buffers.OperationStatus.Done)
            throw new OracleStoppedException($"QEMU's registers are {text.Length / 2} bytes, not {Size}: another version than 7.2?");
        ReadOnlySpan<byte> a = _answer;
        MachineRegisters r = Registers;
        for (int i = 0; i < 16; i++)
            r.General[s_general[i]] = BinaryPrimitives.ReadUInt64LittleEndian(a[(8 * i)..]);
        r.Rip = BinaryPrimitives.ReadUInt64LittleEndian(a[RipAt..]);
        r.Flags = BinaryPrimitives.ReadUInt32LittleEndian(a[FlagsAt..]);
        for (int i = 0; i < 6; i++)
            r.Selectors[s_selectors[i]] = (ushort)BinaryPrimitives.ReadUInt32LittleEndian(a[(SelectorsAt + 4 * i)..]);
        r.Cr0 = BinaryPrimitives.ReadUInt64LittleEndian(a[Cr0At..]);
        r.Cr2 = BinaryPrimitives.ReadUInt64LittleEndian(a[Cr2At..]);
        r.Cr3 = BinaryPrimitives.ReadUInt64LittleEndian(a[Cr3At..]);
        r.Cr4 = BinaryPrimitives.ReadUInt64LittleEndian(a[Cr4At..]);
        r.Efer = BinaryPrimitives.ReadUInt64LittleEndian(a[EferAt..]);
        for (int i = 0; i < 32; i++)
            r.Xmm[i] = BinaryPrimitives.ReadUInt64LittleEndian(a[(XmmAt + 8 * i)..]);
        r.KnowsSystem = r.KnowsXmm = true;
    }
}
