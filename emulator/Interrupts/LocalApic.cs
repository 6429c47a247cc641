using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>Bits of IA32_APIC_BASE.</summary>
public static class ApicBase
{
    public const ulong Bsp = 1UL << 8;

    /// <summary>EXTD: x2APIC mode.</summary>
    public const ulong X2Apic = 1UL << 10;

    /// <summary>EN: global enable.</summary>
    public const ulong Enable = 1UL << 11;
    public const ulong DefaultAddress = 0xFEE0_0000;
}

/// <summary>Modes of a local APIC (SDM, "x2APIC State Transitions").</summary>
public enum ApicMode
{
    Disabled,
    XApic,
    X2Apic,
}

/// <summary>
/// A CPU's local APIC (SDM, "Advanced Programmable Interrupt Controller"). This part accepts interrupts, ranks them and hands them to the CPU;
/// LocalApic.Access.cs is what software sees, LocalApic.Local.cs the local vector table, its pins and the timer.
/// </summary>
public sealed unsafe partial class LocalApic : ILocalApic, ITimed, ISnapshotted
{
    private readonly Cpu _cpu;
    private readonly InterruptFabric _fabric;
    private readonly ITimeline _time;
    private readonly ApicGeneration _generation;

    /// <summary>The CPU's, where the base register lies. Sound: it lives as long as the CPU, to which this APIC belongs.</summary>
    private readonly CpuState* _state;

    /// <summary>Bits of the base register that are an address.</summary>
    private readonly ulong _addressMask;

    /// <summary>The registers of the page that this generation has, by bits 9:4 of their offset.</summary>
    private readonly RegisterLayout?[] _page;

    /// <summary>The page at the base register is local APICs' and neither RAM nor another device's.</summary>
    private bool _onBus;

    private VectorSet _irr, _isr, _tmr;
    private uint _tpr, _ldr, _dfr, _svr, _esr;
    private uint _xApicId;
    private ulong _icr;

    /// <summary>Errors since ESR was last written, and whether the error interrupt was already raised for them.</summary>
    private ApicErrors _errors;
    private bool _errorSignalled;

    /// <summary>Makes the APIC of a CPU, in its power-up state, and puts it on the fabric. The APIC of the first CPU is the boot processor's.</summary>
    public LocalApic(Cpu cpu, InterruptFabric fabric, ITimeline time)
    {
        _cpu = cpu;
        _fabric = fabric;
        _time = time;
        _generation = ApicGeneration.Of(cpu.Model);
        _state = cpu.State;
        _addressMask = Page.Mask & ((1UL << cpu.Model.PhysicalAddressBits) - 1);
        _page = ApicRegisters.PageOf(_generation);
        fabric.Attach(this);
        Reset(init: false);
    }

    /// <summary>The CPU that this is part of.</summary>
    public Cpu Cpu => _cpu;

    public CpuIndex Index => _cpu.Index;

    /// <summary><see cref="Cpu.HasInterrupt"/>, which this APIC keeps.</summary>
    public bool HasInterrupt => _cpu.HasInterrupt;

    public ApicMode Mode
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (BaseRegister & ApicBase.Enable) == 0 ? ApicMode.Disabled : (BaseRegister & ApicBase.X2Apic) == 0 ? ApicMode.XApic : ApicMode.X2Apic;
    }

    /// <summary>Physical address of the register page.</summary>
    public ulong PageAddress => BaseRegister & _addressMask;

    /// <summary>True when the registers answer at this page: xAPIC mode, and the base register says so.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool AnswersAt(ulong page) => (BaseRegister & (_addressMask | ApicBase.Enable | ApicBase.X2Apic)) == (page | ApicBase.Enable);

    /// <summary>The ID by which physical destinations find this APIC.</summary>
    public uint Id
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (BaseRegister & ApicBase.X2Apic) != 0 ? (uint)Index.Value : _xApicId;
    }

    /// <summary>The LDR as software reads it: in x2APIC mode it follows from the ID (SDM, "Deriving Logical x2APIC ID from the Local x2APIC ID").</summary>
    public uint LogicalDestination => Mode == ApicMode.X2Apic ? (Id >> 4 << 16) | (1u << (int)(Id & 0xF)) : _ldr;

    /// <summary>SVR bit 8, and globally enabled.</summary>
    public bool IsSoftwareEnabled => Svr.Enable.IsSet(_svr) && (BaseRegister & ApicBase.Enable) != 0;

    /// <summary>PPR: the higher of the task's priority and that of the interrupt in service (SDM, "Task and Processor Priorities").</summary>
    public byte ProcessorPriority
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            uint serviced = (uint)Math.Max(_isr.Highest, 0) & 0xF0;
            return (byte)((_tpr & 0xF0) >= serviced ? _tpr : serviced);
        }
    }

    /// <summary>APR, by which a lowest-priority message finds its target (SDM, "Lowest Priority Delivery Mode": the formula for the P6 family).</summary>
    public byte ArbitrationPriority
    {
        get
        {
            uint task = _tpr >> 4;
            uint serviced = (uint)Math.Max(_isr.Highest, 0) >> 4;
            uint requested = (uint)Math.Max(_irr.Highest, 0) >> 4;
            return (byte)(task >= requested && task > serviced ? _tpr : Math.Max(task & serviced, requested) << 4);
        }
    }

    /// <inheritdoc/>
    public ulong TaskPriority
    {
        get => _tpr >> 4;
        set
        {
            _tpr = (uint)(value & 0xF) << 4;
            Update();
        }
    }

    // The register itself is the CPU's, where RDMSR finds it.
    private ulong BaseRegister
    {
        get => _state->ApicBase;
        set => _state->ApicBase = value;
    }

    private ulong TscOffset => _state->TscOffset;

    private bool WaitsForSipi => _state->Activity == Activity.WaitForSipi;

    /// <inheritdoc/>
    public byte AcknowledgeInterrupt()
    {
        int vector = _irr.Highest;
        byte answer;
        if (vector >= 0 && vector >> 4 > ProcessorPriority >> 4)
        {
            _irr.Remove(vector);
            _isr.Add(vector);
            answer = (byte)vector;
        }
        else if (ExternalInterruptWaits)
        {
            // The 8259 supplies the vector, and neither IRR nor ISR knows of it (SDM, "Local Vector Table": ExtINT).
            _externalMessage = false;
            answer = ExternalAcknowledge!();
        }
        else
        {
            // It has gone since the CPU saw it: no ISR bit, and no EOI expected (SDM, "Spurious Interrupt").
            answer = (byte)Svr.Vector.Of(_svr);
        }
        Update();
        return answer;
    }

    /// <summary>True when a message of this kind would be taken: a software-disabled APIC answers to INIT, NMI, SMI and start-up IPIs only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Accepts(DeliveryMode mode) =>
        (BaseRegister & ApicBase.Enable) != 0 && (mode is not (DeliveryMode.Fixed or DeliveryMode.LowestPriority) || Svr.Enable.IsSet(_svr));

    /// <summary>A message arrives. False when this APIC does not take it.</summary>
    internal bool Accept(in InterruptMessage message)
    {
        if (!Accepts(message.Mode))
            return false;
        if (message.Mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority)
            AcceptFixed(message.Vector, message.LevelTriggered);
        else
            AcceptOther(message);
        return true;
    }

    private void AcceptOther(in InterruptMessage message)
    {
        switch (message.Mode)
        {
            case DeliveryMode.Nmi:
                _cpu.Post(Mail.Nmi);
                break;
            case DeliveryMode.Init:
                PostInit();
                break;
            case DeliveryMode.StartUp:
                // A start-up IPI wakes only a processor that waits for one; it is not remembered (SDM, "MP Initialization Protocol Algorithm").
                bool willWait = WaitsForSipi || (_cpu.Mailbox & Mail.Init) != 0;
                if (willWait && (_cpu.Mailbox & Mail.Sipi) == 0)
                    _cpu.Post(Mail.Sipi, message.Vector);
                break;
            case DeliveryMode.ExtInt when ExternalAcknowledge != null:
                _externalMessage = true;
                Update();
                break;
            default:
                _fabric.Report($"CPU {Index}: {message.Describe()} arrived; {message.Mode} delivery is not modelled and the message is dropped");
                break;
        }
    }

    /// <summary>True when this APIC is meant (SDM, "Determining IPI Destination").</summary>
    /// <param name="wide">The destination has 32 bits (x2APIC sender), else 8.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool IsAddressed(uint destination, bool logical, bool wide) =>
        destination == (wide ? uint.MaxValue : 0xFF) || (logical ? IsAddressedLogically(destination) : destination == Id);

    private bool IsAddressedLogically(uint destination)
    {
        if (Mode == ApicMode.X2Apic)
        {
            uint ldr = LogicalDestination;
            return destination >> 16 == ldr >> 16 && (destination & ldr & 0xFFFF) != 0;
        }
        // Other models than these two are undefined; they match nothing.
        return (_dfr >> 28) switch
        {
            0xF => (destination & (_ldr >> 24) & 0xFF) != 0,
            0x0 => (destination >> 4) == _ldr >> 28 && (destination & (_ldr >> 24) & 0xF) != 0,
            _ => false,
        };
    }

    internal void AcceptFixed(byte vector, bool level)
    {
        if (vector < 16)
        {
            Log(ApicErrors.ReceiveIllegalVector);
            return;
        }
        _irr.Add(vector);
        if (level)
            _tmr.Add(vector);
        else
            _tmr.Remove(vector);
        Update();
    }

    /// <summary>A start-up IPI that came before this INIT and was not looked at is lost.</summary>
    private void PostInit()
    {
        _cpu.SetMailbox(_cpu.Mailbox & ~Mail.Sipi, _cpu.SipiVector);
        _cpu.Post(Mail.Init);
    }

    /// <summary>EOI: the highest interrupt in service is done; a level-triggered one is told to the I/O APICs.</summary>
    private void EndOfInterrupt()
    {
        int vector = _isr.Highest;
        if (vector < 0)
            return;
        _isr.Remove(vector);
        Update();
        if (!_tmr.Contains(vector))
            return;
        EndOfLocalInterrupt((byte)vector);
        if (!Svr.EoiSuppression.IsSet(_svr))
            _fabric.BroadcastEoi((byte)vector);
    }

    /// <summary>Notes an error; the first since ESR was last written raises the error interrupt.</summary>
    internal void Log(ApicErrors error)
    {
        _errors |= error;
        if (_errorSignalled)
            return;
        _errorSignalled = true;
        SignalLocal(ApicRegister.LvtError);
    }

    /// <summary>Call after every change of IRR, ISR, TPR or the pins.</summary>
    private void Update()
    {
        int vector = _irr.Highest;
        bool waits = (vector >= 0 && vector >> 4 > ProcessorPriority >> 4) || ((_pin[0] | _externalMessage) && ExternalInterruptWaits);
        _cpu.HasInterrupt = waits;
        if (waits)
            _cpu.Alert();
    }

    /// <inheritdoc/>
    public void Reset(bool init)
    {
        if (!init)
        {
            BaseRegister = ApicBase.DefaultAddress | ApicBase.Enable | (Index.Value == 0 ? ApicBase.Bsp : 0);
            _xApicId = (uint)Index.Value;
            _onBus = _fabric.MapPage(this, PageAddress);
        }
        ResetRegisters();
    }

    /// <summary>
    /// What RESET, INIT and a global disable have in common (SDM, "Local APIC State After Power-Up or Reset" and "After It Receives an INIT-Deassert IPI"):
    /// the ID and the base register stay.
    /// </summary>
    private void ResetRegisters()
    {
        _irr = _isr = _tmr = default;
        _tpr = _ldr = _esr = 0;
        _icr = 0;
        _dfr = uint.MaxValue;
        _svr = 0xFF;
        _errors = ApicErrors.None;
        _errorSignalled = false;
        ResetLocal();
        Update();
        MoveEvent();
    }

    public void Save(BinaryWriter writer)
    {
        _irr.Save(writer);
        _isr.Save(writer);
        _tmr.Save(writer);
        writer.Write(_tpr);
        writer.Write(_ldr);
        writer.Write(_dfr);
        writer.Write(_svr);
        writer.Write(_esr);
        writer.Write(_xApicId);
        writer.Write(_icr);
        writer.Write((uint)_errors);
        writer.Write(_errorSignalled);
        SaveLocal(writer);
    }

    /// <summary>IA32_APIC_BASE is part of the CPU's state, which must have been restored before.</summary>
    public void Restore(BinaryReader reader)
    {
        _irr = VectorSet.Read(reader);
        _isr = VectorSet.Read(reader);
        _tmr = VectorSet.Read(reader);
        _tpr = reader.ReadUInt32();
        _ldr = reader.ReadUInt32();
        _dfr = reader.ReadUInt32();
        _svr = reader.ReadUInt32();
        _esr = reader.ReadUInt32();
        _xApicId = reader.ReadUInt32();
        _icr = reader.ReadUInt64();
        _errors = (ApicErrors)reader.ReadUInt32();
        _errorSignalled = reader.ReadBoolean();
        RestoreLocal(reader);
        _onBus = _fabric.MapPage(this, PageAddress);
        Update();
    }
}
