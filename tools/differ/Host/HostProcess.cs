using System.ComponentModel;
using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Emu.Differ.Unicorn;

namespace Emu.Differ.Host;

/// <summary>The helper process (<see cref="HostProgram"/>) and the memory shared with it.</summary>
internal sealed unsafe class HostProcess : IDisposable
{
    /// <summary>A batch takes a few milliseconds; whoever takes this long will not end.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(3);

    private static readonly Lazy<byte[]> s_program = new(HostProgram.Build);

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly string _path;
    private readonly Process _process;
    private readonly Timer _watchdog;
    private readonly Stream _to, _from;

    /// <summary>Starts a helper.</summary>
    /// <param name="fill">Fills the shared memory before the helper sees it.</param>
    /// <exception cref="OracleMissingException">It does not run here.</exception>
    public HostProcess(Action<nint> fill)
    {
        if (Unavailable is { } reason)
            throw new OracleMissingException(reason);
        string directory = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        _path = Path.Combine(directory, $"emu-differ-{Environment.ProcessId}-{Guid.NewGuid():n}");
        var stream = new FileStream(_path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        _file = MemoryMappedFile.CreateFromFile(stream, null, HostLayout.FileBytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor();
        byte* memory = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref memory);
        Memory = memory;
        fill((nint)memory);
        _watchdog = new Timer(_ => Kill());
        _process = Start(_path);
        _to = _process.StandardInput.BaseStream;
        _from = _process.StandardOutput.BaseStream;
        if (!WaitForByte())
        {
            _process.WaitForExit();
            throw new OracleMissingException($"the host's CPU as an oracle: {HostProgram.Explain(_process.ExitCode)}");
        }
    }

    /// <summary>Why the host's CPU cannot be an oracle, or null.</summary>
    public static string? Unavailable =>
        !OperatingSystem.IsLinux() ? "the host's CPU as an oracle: needs Linux"
        : RuntimeInformation.ProcessArchitecture != Architecture.X64 ? "the host's CPU as an oracle: needs an x86-64 host"
        : !HasFsGsBase ? "the host's CPU as an oracle: needs RDFSBASE and WRFSBASE (CPUID.7.0:EBX[0])"
        : null;

    private static bool HasFsGsBase => X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 0).Ebx & 1) != 0;

    /// <summary>The shared memory.</summary>
    public byte* Memory { get; }

    /// <summary>Hands the batch over.</summary>
    public void Begin()
    {
        _watchdog.Change(s_limit, Timeout.InfiniteTimeSpan);
        try
        {
            _to.WriteByte(1);
            _to.Flush();
        }
        catch (IOException)
        {
            // It has ended: Finish finds that out.
        }
    }

    /// <summary>Waits for the end of the batch; false when the helper did not live to see it.</summary>
    public bool Finish() => WaitForByte();

    public void Dispose()
    {
        Kill();
        _process.WaitForExit();
        _watchdog.Dispose();
        _process.Dispose();
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        File.Delete(_path);
    }

    private bool WaitForByte()
    {
        _watchdog.Change(s_limit, Timeout.InfiniteTimeSpan);
        bool alive;
        try
        {
            alive = _from.ReadByte() >= 0;
        }
        catch (IOException)
        {
            alive = false;
        }
        _watchdog.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return alive;
    }

    private void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    /// <summary>Writes the program to a file, runs it, and removes the file.</summary>
    private static Process Start(string shared)
    {
        string program = Path.Combine(Path.GetTempPath(), $"emu-differ-host-{Guid.NewGuid():n}");
        try
        {
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
            };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            using (var file = new FileStream(program, options))
                file.Write(s_program.Value);
            for (int attempt = 0; ; attempt++)
            {
                try
                {
                    return Process.Start(new ProcessStartInfo(program, [shared]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
                }
                catch (Win32Exception e) when (e.NativeErrorCode == 26 && attempt < 50)
                {
                    // ETXTBSY: another thread of ours is about to start a process of its own, which holds the file open until it has.
                    Thread.Sleep(20);
                }
            }
        }
        catch (Exception e) when (e is Win32Exception or IOException or UnauthorizedAccessException)
        {
            throw new OracleMissingException($"the host's CPU as an oracle: {program} cannot be run: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}; set TMPDIR to where programs may be run");
        }
        finally
        {
            File.Delete(program);
        }
    }
}
