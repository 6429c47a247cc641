using System.Runtime.InteropServices;

namespace Emu.Cli;

/// <summary>
/// Standard input as raw terminal: each key goes to the guest, Ctrl-C too. What was before comes back when this is disposed, and when a signal or an error ends the
/// process.
/// </summary>
internal sealed class RawTerminal : IDisposable
{
    /// <summary>Larger than struct termios anywhere; only the C library looks into it.</summary>
    private const int TermiosRoom = 256;
    private const int StandardInput = 0;
    private const int Now = 0;

    private readonly byte[] _before = new byte[TermiosRoom];
    private readonly List<PosixSignalRegistration> _signals = [];
    private bool _restored;

    private RawTerminal()
    {
    }

    /// <summary>Null where standard input is no terminal.</summary>
    public static RawTerminal? Enter()
    {
        if (OperatingSystem.IsWindows() || Console.IsInputRedirected)
            return null;
        var terminal = new RawTerminal();
        if (TcGetAttr(StandardInput, terminal._before) != 0)
            return null;
        AppDomain.CurrentDomain.ProcessExit += terminal.OnExit;
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
            terminal._signals.Add(PosixSignalRegistration.Create(signal, _ => terminal.Restore()));
        byte[] raw = [.. terminal._before];
        CfMakeRaw(raw);
        _ = TcSetAttr(StandardInput, Now, raw);
        return terminal;
    }

    public void Dispose()
    {
        Restore();
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        foreach (PosixSignalRegistration signal in _signals)
            signal.Dispose();
    }

    private void OnExit(object? sender, EventArgs e) => Restore();

    private void Restore()
    {
        if (_restored)
            return;
        _restored = true;
        _ = TcSetAttr(StandardInput, Now, _before);
    }

    [DllImport("libc", EntryPoint = "tcgetattr")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int TcGetAttr(int descriptor, [Out] byte[] termios);

    [DllImport("libc", EntryPoint = "tcsetattr")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int TcSetAttr(int descriptor, int actions, byte[] termios);

    [DllImport("libc", EntryPoint = "cfmakeraw")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern void CfMakeRaw([In, Out] byte[] termios);
}
