using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>A machine at one moment, to which it can be brought back any number of times. RAM is shared with other snapshots page by page.</summary>
public sealed class MachineSnapshot
{
    internal sealed record CpuPart(byte[] State, byte[] Tlbs, PendingStore[] Stores, Mail Mailbox, byte SipiVector, byte[] Queue, ulong SerialisedAt);

    internal sealed record Contents(
        RamSnapshot Ram,
        CpuPart[] Cpus,
        byte[][] Devices,
        object History,
        object? Monitor,
        object? Pct,
        ulong[] Eagerness,
        bool[] FetchBlocked,
        (ulong Now, ulong Instructions, ulong Random, int Turn, int ListPosition, ulong Hash, Machine.HeldCpu Held) Clock,
        RunResult? Stop);

    internal readonly Contents Parts;

    internal MachineSnapshot(Contents parts) => Parts = parts;
}

/// <summary>Taking and restoring snapshots.</summary>
public sealed unsafe partial class Machine
{
    /// <summary>Keeps the present state. Costs a copy of the pages that changed since the last snapshot.</summary>
    public MachineSnapshot TakeSnapshot()
    {
        RamSnapshot ram = _ram.Take();
        ForbidDirectWrites();
        return new MachineSnapshot(Capture(ram));
    }

    /// <summary>Brings a snapshot of this machine back.</summary>
    public void Restore(MachineSnapshot snapshot)
    {
        MachineSnapshot.Contents parts = snapshot.Parts;
        if (parts.Cpus.Length != _cpus.Length || parts.Ram.PageCount != Memory.PageCount)
            throw new ArgumentException("the snapshot is of a machine with other CPUs or other memory", nameof(snapshot));
        _ram.Restore(parts.Ram);
        Apply(parts);
    }

    /// <summary>For a file: all state but RAM, of which <see cref="PagesInUse"/> tells.</summary>
    internal MachineSnapshot.Contents CaptureWithoutRam() => Capture(new RamSnapshot([]));

    /// <summary>From a file, after its RAM was put into this machine, which nobody has run.</summary>
    internal void ApplyWithoutRam(MachineSnapshot.Contents parts) => Apply(parts);

    /// <summary>Pages of RAM that hold something.</summary>
    internal List<int> PagesInUse() => _ram.PagesInUse();

    /// <summary>All state but RAM.</summary>
    private MachineSnapshot.Contents Capture(RamSnapshot ram) => new(
            ram,
            [.. _agents.Select(SaveCpu)],
            [.. _devices.Select(SaveDevice)],
            _history.Save(),
            Monitor?.Save(),
            _pct?.Save(),
            [.. _eagerness],
            [.. _fetchBlocked],
            (_sliceStart, Instructions, _random.State, _turn, _listPosition, _hash, _held),
            _stop);

    /// <summary>Brings all state but RAM back, after RAM.</summary>
    private void Apply(MachineSnapshot.Contents parts)
    {
        _history.Restore(parts.History);
        if (parts.Pct != null)
            _pct!.Restore(parts.Pct);
        parts.FetchBlocked.CopyTo(_fetchBlocked, 0);
        if (parts.Monitor != null)
            Monitor!.Restore(parts.Monitor);
        parts.Eagerness.CopyTo(_eagerness, 0);
        for (int i = 0; i < _cpus.Length; i++)
            RestoreCpu(_agents[i], parts.Cpus[i]);
        ForbidDirectWrites();
        for (int i = 0; i < _devices.Count; i++)
            RestoreDevice(_devices[i], parts.Devices[i]);
        (_sliceStart, Instructions, _random.State, _turn, _listPosition, _hash, _held) = parts.Clock;
        _stop = parts.Stop;
        _nextEvent = 0;
    }

    private static byte[] SaveDevice(ISnapshotted device)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        device.Save(writer);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>A device that does not read exactly what was written is not the one that wrote it.</summary>
    private static void RestoreDevice(ISnapshotted device, byte[] state)
    {
        using var stream = new MemoryStream(state);
        using var reader = new BinaryReader(stream);
        device.Restore(reader);
        if (stream.Position != stream.Length)
            throw new InvalidDataException($"{device.GetType().Name} reads {stream.Position} bytes of state where {stream.Length} were written");
    }

    private void ForbidDirectWrites()
    {
        foreach (Cpu cpu in _cpus)
            for (int i = 0; i < 3; i++)
                cpu.State->Tlbs[i].ForbidDirectWrites();
    }

    private static MachineSnapshot.CpuPart SaveCpu(ModelledCpu agent)
    {
        Cpu cpu = agent.Cpu;
        var stores = new PendingStore[cpu.StoreBuffer.Count];
        for (int i = 0; i < stores.Length; i++)
            stores[i] = cpu.StoreBuffer[i];
        (byte[] queue, ulong serialisedAt) = agent.Save();
        return new MachineSnapshot.CpuPart(
            new ReadOnlySpan<byte>(cpu.State, sizeof(CpuState)).ToArray(),
            new ReadOnlySpan<byte>(cpu.State->Tlbs, 3 * sizeof(Tlb)).ToArray(),
            stores, cpu.Mailbox, cpu.SipiVector, queue, serialisedAt);
    }

    private void RestoreCpu(ModelledCpu agent, MachineSnapshot.CpuPart part)
    {
        Cpu cpu = agent.Cpu;
        CpuState* s = cpu.State;
        // What the state knows of its host stays this machine's own.
        Tlb* tlbs = s->Tlbs;
        void* jumpCache = s->JumpCache;
        nint handle = s->Handle;
        uint jumpKey = s->JumpKey;
        *s = MemoryMarshal.Read<CpuState>(part.State);
        s->Tlbs = tlbs;
        s->JumpCache = jumpCache;
        s->Handle = handle;
        s->LinkSource = null;
        s->CurrentOp = null;
        part.Tlbs.CopyTo(new Span<byte>(tlbs, part.Tlbs.Length));
        for (int i = 0; i < 3; i++)
            tlbs[i].Rebase(Memory);
        s->Tlb = tlbs + CpuMode.TlbIndex(s);
        // Branch targets may have been found through other translations.
        s->JumpKey = (jumpKey & ~ModeKey.Mask) | s->ModeKey;
        cpu.ClearJumpCache();
        cpu.StoreBuffer.Restore(part.Stores);
        cpu.SetMailbox(part.Mailbox, part.SipiVector);
        agent.Restore(part.Queue, part.SerialisedAt);
    }
}
