using Emu.Cpus;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>A run that goes on in another machine: the same guest at the same moment, under other rules of fetching.</summary>
public sealed unsafe partial class Machine
{
    /// <summary>
    /// Builds a machine in which this one's guest goes on: its CPUs, RAM and devices as they are now, and other rules, as those of a fetch profile, a schedule or a checker. Nothing
    /// is prefetched there, no store waits, and what was stored to code before counts as known to every CPU. This machine stays as it is; what is attached to it,
    /// as <see cref="SerialOutput"/>, is not attached to the other.
    /// </summary>
    /// <param name="options">Those of this machine but for <see cref="MachineOptions.Profile"/>, <see cref="MachineOptions.Schedule"/>, <see cref="MachineOptions.Quantum"/>,
    /// <see cref="MachineOptions.Seed"/> and <see cref="MachineOptions.Check"/>.</param>
    /// <exception cref="ArgumentException">Something else is different, or this machine is not coherent: what it has prefetched has no place elsewhere.</exception>
    public Machine ContinueUnder(MachineOptions options)
    {
        if (!_coherent)
            throw new ArgumentException("only a coherent machine, which has nothing prefetched, goes on under another profile", nameof(options));
        MachineOptions same = options with { Profile = Options.Profile, Schedule = Options.Schedule, Quantum = Options.Quantum, Seed = Options.Seed, Check = Options.Check, PctDepth = Options.PctDepth, PctSteps = Options.PctSteps, Events = Options.Events };
        if (same != Options)
            throw new ArgumentException("the machine itself must stay what it is", nameof(options));
        var next = new Machine(options);
        byte[] page = new byte[Page.Size];
        foreach (int number in PagesInUse())
        {
            Memory.TryRead(Memory.AddressOf((ulong)number << Page.Shift), page);
            next.Memory.TryRestorePage(number, page);
        }
        MachineSnapshot.Contents parts = CaptureWithoutRam();
        next.ApplyWithoutRam(parts with
        {
            Monitor = null,
            Pct = null,
            Eagerness = [.. next._eagerness],
            FetchBlocked = [.. next._fetchBlocked],
            Clock = parts.Clock with { Random = next._random.State },
            Stop = null,
        });
        // How a translation is used depends on whether stores wait: it is found anew.
        foreach (Cpu cpu in next._cpus)
            for (int i = 0; i < 3; i++)
                cpu.State->Tlbs[i].Initialise();
        next.Image = Image;
        return next;
    }
}
