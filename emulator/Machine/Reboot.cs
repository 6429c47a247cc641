using Emu.Cpus;
using Emu.Devices;
using Emu.Interrupts;

namespace Emu.Machines;

/// <summary>
/// A reset that the machine survives (<see cref="MachineOptions.Reboot"/>): CPUs and devices go back to what they were at power-up, time goes on, RAM keeps what the image's
/// loader does not write, and disks, which are not devices of the board, and the battery-backed clock keep everything.
/// </summary>
public sealed unsafe partial class Machine
{
    private (MachineSnapshot.CpuPart[] Cpus, byte[]?[] Devices, Action Load)? _powerUp;

    /// <summary>Resets so far.</summary>
    public int Reboots { get; private set; }

    private static bool SurvivesReset(ISnapshotted device) => device is DiskImage or CmosRtc;

    /// <summary>Before an image is loaded for the first time.</summary>
    private void KeepPowerUpState(Action load) =>
        _powerUp ??= ([.. _agents.Select(SaveCpu)], [.. _devices.Select(d => SurvivesReset(d) ? null : SaveDevice(d))], load);

    /// <summary>Starts again after a reset or a triple fault, where that is asked for; false when the run has ended.</summary>
    private bool TryReboot()
    {
        if (_powerUp is not { } state || _stop is not { Reason: StopReason.ResetRequested or StopReason.TripleFault })
            return false;
        _stop = null;
        Reboots++;
        for (int i = 0; i < _cpus.Length; i++)
        {
            RestoreCpu(_agents[i], state.Cpus[i]);
            // The TSC starts at 0, and nothing that was fetched before is remembered.
            _cpus[i].State->TscOffset = 0 - _sliceStart;
            _cpus[i].Serialise(SerialisingEvent.Init);
        }
        ForbidDirectWrites();
        for (int i = 0; i < _devices.Count; i++)
            if (state.Devices[i] is { } device)
                RestoreDevice(_devices[i], device);
        Array.Clear(_fetchBlocked);
        _nextEvent = 0;
        state.Load();
        return true;
    }
}
