using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>An interrupt on its way from a sender to one target; a broadcast is one message for each target.</summary>
/// <param name="Number">Position in the order of sending, unique in the life of a machine.</param>
/// <param name="Source">The CPU that sent it, or <see cref="FromIoApic"/>.</param>
/// <param name="Target">The CPU whose local APIC it goes to.</param>
/// <param name="Vector">Vector; page number for a start-up IPI; 0 where the mode has none.</param>
/// <param name="LevelTriggered">Only an I/O APIC sends such.</param>
public readonly record struct InterruptMessage(
    ulong Number, CpuIndex Source, CpuIndex Target, byte Vector, DeliveryMode Mode, bool LevelTriggered)
{
    /// <summary>The source of messages that no CPU sent.</summary>
    public static readonly CpuIndex FromIoApic = new(-1);

    /// <summary>For a person: <c>Fixed 0xfb from CPU 0 to CPU 2</c>.</summary>
    public string Describe() =>
        $"{Mode} 0x{Vector:x2} from {(Source == FromIoApic ? "I/O APIC" : $"CPU {Source}")} to CPU {Target}";
}

/// <summary>
/// What connects local APICs and I/O APICs. An ICR write puts messages on it; delivering a message is an event of its own, which sets the target's
/// IRR or posts to its mailbox. With <see cref="Immediate"/> both happen at once; otherwise messages wait in <see cref="Pending"/> until the
/// machine's schedule delivers them.
/// <para>Ordering: messages from one sender to one target are delivered in the order of sending; any other order is possible.</para>
/// </summary>
public sealed class InterruptFabric : ISnapshotted
{
    private LocalApic[] _apics = [];
    private readonly List<IoApic> _ioApics = [];
    private readonly List<InterruptMessage> _pending = [];
    private readonly List<LocalApicPage> _pages = [];
    private readonly Action<string>? _report;
    private ulong _sent;
    private bool _immediate = true;

    /// <param name="report">Told, in one line, of what a guest asked for that is not modelled or not allowed (SMI, ExtINT messages, invalid ICR combinations).</param>
    public InterruptFabric(Action<string>? report = null) => _report = report;

    /// <summary>True when a message is delivered as it is sent. Setting it delivers what waits, in order.</summary>
    public bool Immediate
    {
        get => _immediate;
        set
        {
            _immediate = value;
            while (value && _pending.Count > 0)
                DeliverAt(0);
        }
    }

    /// <summary>Messages that were sent and not delivered, oldest first.</summary>
    public IReadOnlyList<InterruptMessage> Pending => _pending;

    /// <summary>Told of every message as it is sent; for traces.</summary>
    public Action<InterruptMessage>? OnSend { get; set; }

    /// <summary>Told of every message as it is delivered, with whether the target took it.</summary>
    public Action<InterruptMessage, bool>? OnDeliver { get; set; }

    /// <summary>Local APICs in the order of their CPUs.</summary>
    public IReadOnlyList<LocalApic> LocalApics => _apics;

    internal LocalApic LocalApicOf(CpuIndex cpu) => _apics[cpu.Value];

    /// <summary>True when a message waits and no earlier one of the same sender and target does.</summary>
    public bool IsDeliverable(InterruptMessage message)
    {
        foreach (InterruptMessage m in _pending)
            if (m.Source == message.Source && m.Target == message.Target)
                return m == message;
        return false;
    }

    /// <summary>Delivers a waiting message; false, and nothing happens, when it is not deliverable.</summary>
    public bool Deliver(InterruptMessage message)
    {
        if (!IsDeliverable(message))
            return false;
        DeliverAt(_pending.IndexOf(message));
        return true;
    }

    /// <summary>Delivers the oldest message that waits for a CPU; false when there is none.</summary>
    public bool DeliverNext(CpuIndex target)
    {
        int i = _pending.FindIndex(m => m.Target == target);
        if (i < 0)
            return false;
        DeliverAt(i);
        return true;
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_sent);
        writer.Write(_pending.Count);
        foreach (InterruptMessage m in _pending)
        {
            writer.Write(m.Number);
            writer.Write(m.Source.Value);
            writer.Write(m.Target.Value);
            writer.Write(m.Vector);
            writer.Write((byte)m.Mode);
            writer.Write(m.LevelTriggered);
        }
    }

    public void Restore(BinaryReader reader)
    {
        _sent = reader.ReadUInt64();
        _pending.Clear();
        for (int n = reader.ReadInt32(); n > 0; n--)
        {
            _pending.Add(new InterruptMessage(reader.ReadUInt64(), new CpuIndex(reader.ReadInt32()), new CpuIndex(reader.ReadInt32()),
                reader.ReadByte(), (DeliveryMode)reader.ReadByte(), reader.ReadBoolean()));
        }
    }

    /// <summary>The messages that wait, as a value; <paramref name="reuse"/> is given back when it serves.</summary>
    internal InterruptMessage[] Capture(InterruptMessage[] reuse)
    {
        InterruptMessage[] messages = reuse.Length == _pending.Count ? reuse : new InterruptMessage[_pending.Count];
        _pending.CopyTo(messages);
        return messages;
    }

    internal void Apply(InterruptMessage[] messages)
    {
        _pending.Clear();
        _pending.AddRange(messages);
    }

    internal void Attach(LocalApic apic)
    {
        if (apic.Index.Value != _apics.Length)
            throw new ArgumentException($"the APIC of CPU {apic.Index} was made out of order: {_apics.Length} come before it");
        _apics = [.. _apics, apic];
    }

    internal void Attach(IoApic ioApic) => _ioApics.Add(ioApic);

    internal void Report(string what) => _report?.Invoke(what);

    /// <summary>Makes an APIC's register page answer on the bus; false when it cannot.</summary>
    internal bool MapPage(LocalApic apic, ulong address)
    {
        foreach (LocalApicPage p in _pages)
            if (p.Address == address)
                return true;
        var page = new LocalApicPage(this, address);
        if (apic.Cpu.Memory.Contains(address, Page.Size) || !apic.Cpu.Bus.TryAttachMmio(address, Page.Size, page))
        {
            Report($"CPU {apic.Index}: IA32_APIC_BASE puts the local APIC at 0x{address:x}, over RAM or another device; its registers do not answer there");
            return false;
        }
        _pages.Add(page);
        return true;
    }

    /// <summary>A CPU's ICR or SELF IPI. False when no local APIC takes the message.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool SendIpi(LocalApic sender, byte vector, DeliveryMode mode, Shorthand shorthand, uint destination, bool logical)
    {
        bool wide = sender.Mode == ApicMode.X2Apic;
        switch (shorthand)
        {
            case Shorthand.Self:
                return Put(sender.Index, sender, vector, mode, level: false);
            case Shorthand.AllIncludingSelf:
                return Send(sender.Index, null, uint.MaxValue, false, true, vector, mode, level: false);
            case Shorthand.AllExcludingSelf:
                return Send(sender.Index, sender, uint.MaxValue, false, true, vector, mode, level: false);
            default:
                return Send(sender.Index, null, destination, logical, wide, vector, mode, level: false);
        }
    }

    /// <summary>A message of an I/O APIC. False when no local APIC takes it.</summary>
    internal bool SendFromIoApic(byte vector, DeliveryMode mode, uint destination, bool logical, bool level) =>
        Send(InterruptMessage.FromIoApic, null, destination, logical, wide: false, vector, mode, level);

    /// <summary>EOI of a level-triggered interrupt.</summary>
    internal void BroadcastEoi(byte vector)
    {
        foreach (IoApic ioApic in _ioApics)
            ioApic.EndOfInterrupt(vector);
    }

    internal void RetryIoApics()
    {
        foreach (IoApic ioApic in _ioApics)
            ioApic.Retry();
    }

    private bool Send(CpuIndex source, LocalApic? except, uint destination, bool logical, bool wide, byte vector, DeliveryMode mode, bool level)
    {
        if (mode == DeliveryMode.LowestPriority)
        {
            LocalApic? winner = Arbitrate(except, destination, logical, wide);
            return winner != null && Put(source, winner, vector, mode, level);
        }
        bool taken = false;
        foreach (LocalApic apic in _apics)
            if (apic != except && apic.IsAddressed(destination, logical, wide))
                taken |= Put(source, apic, vector, mode, level);
        return taken;
    }

    /// <summary>
    /// The addressed APIC of lowest arbitration priority. Between equals the manual leaves the choice to the chipset (SDM, "Lowest Priority
    /// Delivery Mode"); here the first CPU wins, so that a run repeats itself.
    /// </summary>
    private LocalApic? Arbitrate(LocalApic? except, uint destination, bool logical, bool wide)
    {
        LocalApic? best = null;
        foreach (LocalApic apic in _apics)
        {
            if (apic != except && apic.Accepts(DeliveryMode.LowestPriority) && apic.IsAddressed(destination, logical, wide)
                && (best == null || apic.ArbitrationPriority < best.ArbitrationPriority))
                best = apic;
        }
        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Put(CpuIndex source, LocalApic target, byte vector, DeliveryMode mode, bool level)
    {
        if (!target.Accepts(mode))
            return false;
        if (mode == DeliveryMode.Fixed && _immediate && OnSend == null && OnDeliver == null)
        {
            // Nobody watches it on its way.
            _sent++;
            target.AcceptFixed(vector, level);
        }
        else
        {
            PutMessage(source, target, vector, mode, level);
        }
        return true;
    }

    private void PutMessage(CpuIndex source, LocalApic target, byte vector, DeliveryMode mode, bool level)
    {
        var message = new InterruptMessage(_sent++, source, target.Index, vector, mode, level);
        OnSend?.Invoke(message);
        if (_immediate)
            Arrive(message);
        else
            _pending.Add(message);
    }

    private void DeliverAt(int position)
    {
        InterruptMessage message = _pending[position];
        _pending.RemoveAt(position);
        Arrive(message);
    }

    private void Arrive(in InterruptMessage message)
    {
        bool taken = _apics[message.Target.Value].Accept(message);
        OnDeliver?.Invoke(message, taken);
        // The target was disabled while the message was under way: the I/O APIC may send it again.
        if (!taken && message.LevelTriggered)
            BroadcastEoi(message.Vector);
    }
}
