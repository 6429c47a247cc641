using System.Runtime.InteropServices;

namespace Emu.Interrupts;

/// <summary>The registers that change while interrupts come and go, as a value: cheap to keep and to bring back for an explorer.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ApicCapture
{
    internal VectorSet Irr, Isr, Tmr;
    internal ulong Icr;
    internal uint Tpr, Esr;
    internal ApicErrors Errors;
    internal int ErrorSignalled;
}

public sealed partial class LocalApic
{
    internal ApicCapture Capture() => new()
    {
        Irr = _irr,
        Isr = _isr,
        Tmr = _tmr,
        Icr = _icr,
        Tpr = _tpr,
        Esr = _esr,
        Errors = _errors,
        ErrorSignalled = _errorSignalled ? 1 : 0,
    };

    /// <summary>Takes it back. What is not in it (LVT, timer, SVR, IDs) must not have changed since.</summary>
    internal void Apply(in ApicCapture capture)
    {
        _irr = capture.Irr;
        _isr = capture.Isr;
        _tmr = capture.Tmr;
        _icr = capture.Icr;
        _tpr = capture.Tpr;
        _esr = capture.Esr;
        _errors = capture.Errors;
        _errorSignalled = capture.ErrorSignalled != 0;
        Update();
    }

    /// <summary>True when an interrupt of this vector waits already: another one would merge with it.</summary>
    internal bool IsRequested(byte vector) => _irr.Contains(vector);
}
