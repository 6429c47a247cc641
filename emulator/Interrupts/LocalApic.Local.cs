using Emu.Cpus;

namespace Emu.Interrupts;

/// <summary>The local vector table, the pins LINT0 and LINT1, and the timer.</summary>
public sealed partial class LocalApic
{
    private static readonly int[] s_lvtOffsets =
    [
        ApicRegister.LvtTimer, ApicRegister.LvtThermal, ApicRegister.LvtPerformance, ApicRegister.LvtLint0, ApicRegister.LvtLint1,
        ApicRegister.LvtError, ApicRegister.LvtCmci,
    ];

    private readonly ApicTimer _timer = new();

    /// <summary>By bits 6:4 of the offset from LVT Timer; CMCI, which lies apart, is last.</summary>
    private readonly uint[] _lvt = new uint[7];
    private readonly bool[] _pin = new bool[2];

    /// <summary>An ExtINT message of the I/O APIC waits for its INTA.</summary>
    private bool _externalMessage;

    /// <summary>INTA to the 8259 whose INTR is wired to LINT0: returns the vector.</summary>
    public Func<byte>? ExternalAcknowledge { get; set; }

    /// <inheritdoc/>
    public ulong NextEvent => _timer.Expiry(TscOffset, _time.Now);

    /// <inheritdoc/>
    public ulong TscDeadline
    {
        get => _timer.Deadline;
        set
        {
            _timer.SetDeadline(value, TscOffset, _time.Now);
            MoveEvent();
        }
    }

    /// <summary>True when INTR reaches the CPU: through LINT0 programmed as ExtINT, or past an APIC that is globally disabled.</summary>
    private bool ExternalInterruptWaits
    {
        get
        {
            if (ExternalAcknowledge == null)
                return false;
            if (_externalMessage)
                return true;
            if (!_pin[0])
                return false;
            uint lint0 = _lvt[LvtIndex(ApicRegister.LvtLint0)];
            return Mode == ApicMode.Disabled || (!Lvt.Mask.IsSet(lint0) && (DeliveryMode)Lvt.Mode.Of(lint0) == DeliveryMode.ExtInt);
        }
    }

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        if (_timer.Expiry(TscOffset, now) > now)
            return;
        _timer.Expire(now);
        SignalLocal(ApicRegister.LvtTimer);
        MoveEvent();
    }

    /// <summary>Sets the level of LINT0 or LINT1; asserted means active, whatever the polarity bit says.</summary>
    public void SetPin(int pin, bool asserted)
    {
        bool rises = asserted && !_pin[pin];
        _pin[pin] = asserted;
        if (Mode == ApicMode.Disabled)
        {
            // As on a processor without an APIC, the pins are INTR and NMI (SDM, "Enabling or Disabling the Local APIC").
            if (pin == 1 && rises)
                _cpu.Post(Mail.Nmi);
        }
        else
        {
            OnPin(pin, rises);
        }
        Update();
    }

    /// <summary>
    /// What firmware leaves on the boot processor (MP specification, "Virtual Wire Mode"): APIC enabled, the 8259 through LINT0, NMI on LINT1.
    /// </summary>
    public void EnterVirtualWireMode()
    {
        _svr |= Svr.Enable.Mask;
        SetLvt(ApicRegister.LvtLint0, Lvt.Mode.With(0, (uint)DeliveryMode.ExtInt));
        SetLvt(ApicRegister.LvtLint1, Lvt.Mode.With(0, (uint)DeliveryMode.Nmi));
    }

    private static int LvtIndex(int offset) => offset == ApicRegister.LvtCmci ? 6 : (offset - ApicRegister.LvtTimer) >> 4;

    /// <summary>The entry's event has happened.</summary>
    private void SignalLocal(int offset)
    {
        uint lvt = _lvt[LvtIndex(offset)];
        if (Lvt.Mask.IsSet(lvt) || Mode == ApicMode.Disabled)
            return;
        // The entries of the timer and of errors have no mode field; where they would have it they are 0: fixed.
        DeliveryMode mode = (DeliveryMode)Lvt.Mode.Of(lvt);
        switch (mode)
        {
            case DeliveryMode.Fixed:
                AcceptFixed((byte)Lvt.Vector.Of(lvt), level: false);
                break;
            case DeliveryMode.Nmi:
                _cpu.Post(Mail.Nmi);
                break;
            case DeliveryMode.Init when offset is ApicRegister.LvtLint0 or ApicRegister.LvtLint1:
                PostInit();
                break;
            case DeliveryMode.ExtInt:
                // A level, not an event: see ExternalInterruptWaits.
                break;
            default:
                _fabric.Report($"CPU {Index}: {ApicRegisters.At(offset)!.Layout.Name} signals with delivery mode {mode}, which is not modelled");
                break;
        }
    }

    private void OnPin(int pin, bool rises)
    {
        int offset = pin == 0 ? ApicRegister.LvtLint0 : ApicRegister.LvtLint1;
        ref uint lvt = ref _lvt[LvtIndex(offset)];
        // LINT1 is always edge-triggered, and only fixed mode heeds the trigger (SDM, "Local Vector Table": Trigger Mode).
        bool level = pin == 0 && Lvt.Trigger.IsSet(lvt) && (DeliveryMode)Lvt.Mode.Of(lvt) == DeliveryMode.Fixed;
        if (!level)
        {
            if (rises)
                SignalLocal(offset);
            return;
        }
        if (!_pin[0] || Lvt.Mask.IsSet(lvt) || Lvt.RemoteIrr.IsSet(lvt))
            return;
        lvt |= Lvt.RemoteIrr.Mask;
        AcceptFixed((byte)Lvt.Vector.Of(lvt), level: true);
    }

    /// <summary>EOI of a level-triggered interrupt from LINT0: taken again when the pin is still asserted.</summary>
    private void EndOfLocalInterrupt(byte vector)
    {
        ref uint lint0 = ref _lvt[LvtIndex(ApicRegister.LvtLint0)];
        if (!Lvt.RemoteIrr.IsSet(lint0) || Lvt.Vector.Of(lint0) != vector)
            return;
        lint0 &= ~Lvt.RemoteIrr.Mask;
        OnPin(0, rises: false);
    }

    private void SetLvt(int offset, uint value)
    {
        RegisterLayout layout = ApicRegisters.At(offset)!.Layout;
        ref uint lvt = ref _lvt[LvtIndex(offset)];
        lvt = layout.Merge(lvt, value & ~_generation.MissingBits(offset));
        // While the APIC is software-disabled the masks cannot be cleared (SDM, "Local APIC State After It Has Been Software Disabled").
        if (!Svr.Enable.IsSet(_svr))
            lvt |= Lvt.Mask.Mask;
        if (offset == ApicRegister.LvtTimer)
        {
            _timer.SetMode((ApicTimerMode)Lvt.TimerMode.Of(lvt), _time.Now);
            MoveEvent();
        }
        else if (offset == ApicRegister.LvtLint0 && Mode != ApicMode.Disabled)
        {
            OnPin(0, rises: false);
        }
        Update();
    }

    private void MaskAllLocal()
    {
        for (int i = 0; i < _lvt.Length; i++)
            _lvt[i] |= Lvt.Mask.Mask;
    }

    private void ResetLocal()
    {
        _externalMessage = false;
        Array.Clear(_lvt);
        MaskAllLocal();
        _timer.Reset();
    }

    /// <summary>The timer was reprogrammed: whoever runs must ask for the next event anew.</summary>
    private void MoveEvent()
    {
        _cpu.RequestExit();
        _time.EventMoved();
    }

    private void SaveLocal(BinaryWriter writer)
    {
        foreach (uint lvt in _lvt)
            writer.Write(lvt);
        writer.Write(_externalMessage);
        writer.Write(_pin[0]);
        writer.Write(_pin[1]);
        _timer.Save(writer);
    }

    private void RestoreLocal(BinaryReader reader)
    {
        for (int i = 0; i < _lvt.Length; i++)
            _lvt[i] = reader.ReadUInt32();
        _externalMessage = reader.ReadBoolean();
        _pin[0] = reader.ReadBoolean();
        _pin[1] = reader.ReadBoolean();
        _timer.Restore(reader);
    }
}
