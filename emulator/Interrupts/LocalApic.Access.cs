using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>What software sees: the registers in both modes, IA32_APIC_BASE, and what a write to the ICR does.</summary>
public sealed partial class LocalApic
{
    private const uint FirstMsr = 0x800;
    private const uint LastMsr = 0x8FF;

    /// <inheritdoc/>
    public bool TryReadPage(ulong physical, int size, out ulong value)
    {
        bool answers = AnswersAt(physical & Page.Mask) && _onBus;
        value = answers ? ReadPage((int)(physical & Page.OffsetMask), size) : 0;
        return answers;
    }

    /// <inheritdoc/>
    public bool TryWritePage(ulong physical, int size, ulong value)
    {
        bool answers = AnswersAt(physical & Page.Mask) && _onBus;
        if (answers)
            WritePage((int)(physical & Page.OffsetMask), size, value);
        return answers;
    }

    /// <summary>A load from the register page, xAPIC mode.</summary>
    internal ulong ReadPage(int offset, int size)
    {
        // Registers are 32 bits wide at multiples of 16; what other accesses give is undefined (SDM, "Local APIC Register Address Map"):
        // here they give the bytes of the register, and zeros between registers.
        int within = offset & 0xF;
        if (within >= 4)
            return 0;
        ulong value = Find(offset, RegisterAccess.Read) == null ? 0 : ReadRegister(offset & ~0xF);
        return (value >> (8 * within)) & (ulong.MaxValue >> (64 - 8 * size));
    }

    /// <summary>A store to the register page, xAPIC mode. Stores of other than 32 bits are undefined: narrower ones are ignored, of wider ones the low half counts.</summary>
    internal void WritePage(int offset, int size, ulong value)
    {
        if ((offset & 0xF) == 0 && size >= 4 && Find(offset, RegisterAccess.Write) is RegisterLayout layout)
            WriteRegister(layout, (uint)value);
    }

    /// <inheritdoc/>
    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        if (!TryFindMsr(msr, RegisterAccess.Read, out int offset))
            return false;
        value = offset == ApicRegister.IcrLow ? _icr : ReadRegister(offset);
        return true;
    }

    /// <inheritdoc/>
    public bool TryWriteMsr(uint msr, ulong value)
    {
        if (!TryFindMsr(msr, RegisterAccess.Write, out int offset))
            return false;
        RegisterLayout layout = ApicRegisters.At(offset)!.Layout;
        // Reserved bits must be zero (SDM, "Reserved Bit Checking"). EOI has no bits; ESR takes only zero; the upper half exists in the ICR alone.
        uint allowed = offset == ApicRegister.ErrorStatus ? 0 : layout.Defined & ~_generation.MissingBits(offset);
        if (((uint)value & ~allowed) != 0 || (value >> 32 != 0 && offset != ApicRegister.IcrLow))
            return false;
        switch (offset)
        {
            case ApicRegister.IcrLow:
                // WRMSR to x2APIC registers does not wait for earlier stores (SDM, "x2APIC Register Access": it is not serializing).
                if (_cpu.Profile.X2apicIcrWaits)
                    _cpu.StoreBuffer.DrainAll();
                _icr = (value & 0xFFFF_FFFF_0000_0000) | ((uint)value & layout.Writable);
                SendIpi((uint)(_icr >> 32));
                break;
            case ApicRegister.SelfIpi:
                Send((byte)value, DeliveryMode.Fixed, Shorthand.Self, 0, logical: false);
                break;
            default:
                WriteRegister(layout, (uint)value);
                break;
        }
        return true;
    }

    /// <inheritdoc/>
    public bool TryWriteApicBase(ulong value)
    {
        ulong bits = ApicBase.Bsp | ApicBase.Enable | (_generation.X2Apic ? ApicBase.X2Apic : 0);
        if ((value & ~(bits | _addressMask)) != 0)
            return false;
        bool enable = (value & ApicBase.Enable) != 0;
        bool x2Apic = (value & ApicBase.X2Apic) != 0;
        ApicMode to = !enable ? ApicMode.Disabled : x2Apic ? ApicMode.X2Apic : ApicMode.XApic;
        ApicMode from = Mode;
        // SDM, "x2APIC State Transitions": EXTD without EN is invalid, x2APIC is entered from xAPIC only and left for disabled only.
        if ((!enable && x2Apic) || (from == ApicMode.Disabled && to == ApicMode.X2Apic) || (from == ApicMode.X2Apic && to == ApicMode.XApic))
            return false;
        BaseRegister = value;
        if (from == ApicMode.XApic && to == ApicMode.X2Apic)
            _icr &= uint.MaxValue;
        if (to == ApicMode.Disabled && from != ApicMode.Disabled)
        {
            _xApicId = (uint)Index.Value;
            ResetRegisters();
        }
        if (to == ApicMode.XApic)
            _onBus = _fabric.MapPage(this, PageAddress);
        Update();
        return true;
    }

    private bool TryFindMsr(uint msr, RegisterAccess access, out int offset)
    {
        offset = 0;
        if (Mode != ApicMode.X2Apic || msr is < FirstMsr or > LastMsr)
            return false;
        offset = (int)(msr - FirstMsr) << 4;
        ApicRegisterLayout? register = ApicRegisters.At(offset);
        return register != null && _generation.Has(offset) && (register.X2Apic & access) != 0;
    }

    /// <summary>Finds a register of the page; one that does not exist is an error, one that is read-only or write-only is left alone: null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private RegisterLayout? Find(int offset, RegisterAccess access)
    {
        RegisterLayout? layout = (uint)offset < 0x400 ? _page[offset >> 4] : null;
        if (layout == null)
        {
            Log(ApicErrors.IllegalRegisterAddress);
            return null;
        }
        return (layout.Access & access) != 0 || (offset == ApicRegister.Id && _generation.IdWritable) ? layout : null;
    }

    private uint ReadRegister(int offset)
    {
        switch (offset)
        {
            case ApicRegister.Id:
                return Mode == ApicMode.X2Apic ? Id : Id << 24;
            case ApicRegister.Version:
                return _generation.VersionRegister;
            case ApicRegister.TaskPriority:
                return _tpr;
            case ApicRegister.ArbitrationPriority:
                return ArbitrationPriority;
            case ApicRegister.ProcessorPriority:
                return ProcessorPriority;
            case ApicRegister.LogicalDestination:
                return LogicalDestination;
            case ApicRegister.DestinationFormat:
                return _dfr;
            case ApicRegister.SpuriousVector:
                return _svr;
            case >= ApicRegister.InService and < ApicRegister.TriggerMode:
                return _isr.Register((offset - ApicRegister.InService) >> 4);
            case >= ApicRegister.TriggerMode and < ApicRegister.InterruptRequest:
                return _tmr.Register((offset - ApicRegister.TriggerMode) >> 4);
            case >= ApicRegister.InterruptRequest and < ApicRegister.ErrorStatus:
                return _irr.Register((offset - ApicRegister.InterruptRequest) >> 4);
            case ApicRegister.ErrorStatus:
                return _esr;
            case ApicRegister.IcrLow:
                return (uint)_icr;
            case ApicRegister.IcrHigh:
                return (uint)(_icr >> 32);
            case ApicRegister.LvtCmci:
            case >= ApicRegister.LvtTimer and <= ApicRegister.LvtError:
                return _lvt[LvtIndex(offset)];
            case ApicRegister.InitialCount:
                return _timer.InitialCount;
            case ApicRegister.CurrentCount:
                return _timer.CurrentCount(_time.Now);
            case ApicRegister.DivideConfiguration:
                return _timer.DivideConfiguration;
            default:
                return 0;
        }
    }

    private void WriteRegister(RegisterLayout layout, uint value)
    {
        switch (layout.Offset)
        {
            case ApicRegister.Id:
                _xApicId = value >> 24;
                break;
            case ApicRegister.TaskPriority:
                _tpr = value & layout.Writable;
                Update();
                break;
            case ApicRegister.Eoi:
                EndOfInterrupt();
                break;
            case ApicRegister.LogicalDestination:
                _ldr = value & layout.Writable;
                break;
            case ApicRegister.DestinationFormat:
                _dfr = layout.Merge(uint.MaxValue, value);
                break;
            case ApicRegister.SpuriousVector:
                WriteSpuriousVector(layout, value);
                break;
            case ApicRegister.ErrorStatus:
                // The write latches what was detected since the last one, and re-arms the error interrupt (SDM, "Error Handling").
                _esr = (uint)_errors;
                _errors = ApicErrors.None;
                _errorSignalled = false;
                break;
            case ApicRegister.IcrLow:
                _icr = (_icr & 0xFFFF_FFFF_0000_0000) | (value & layout.Writable);
                SendIpi((uint)(_icr >> 56));
                break;
            case ApicRegister.IcrHigh:
                _icr = (uint)_icr | ((ulong)(value & layout.Writable) << 32);
                break;
            case ApicRegister.LvtCmci:
            case >= ApicRegister.LvtTimer and <= ApicRegister.LvtError:
                SetLvt(layout.Offset, value);
                break;
            case ApicRegister.InitialCount:
                _timer.Start(value, _time.Now);
                MoveEvent();
                break;
            case ApicRegister.DivideConfiguration:
                _timer.SetDivide(value & layout.Writable, _time.Now);
                MoveEvent();
                break;
        }
    }

    private void WriteSpuriousVector(RegisterLayout layout, uint value)
    {
        _svr = value & layout.Writable & ~_generation.MissingBits(layout.Offset);
        // Bits 3:0 are hardwired on the P6 family (SDM, "Spurious Interrupt").
        if (_generation.ApicBus)
            _svr |= 0xF;
        if (!Svr.Enable.IsSet(_svr))
            MaskAllLocal();
        Update();
        // Interrupts that wait in an I/O APIC for somebody to accept them find this one now.
        if (Svr.Enable.IsSet(_svr))
            _fabric.RetryIoApics();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SendIpi(uint destination)
    {
        uint icr = (uint)_icr;
        DeliveryMode mode = (DeliveryMode)Icr.Mode.Of(icr);
        // INIT level de-assert only synchronised the arbitration IDs of the APIC bus; no CPU is initialised (SDM, "Interrupt Command Register": Level).
        if (mode == DeliveryMode.Init && Icr.Trigger.IsSet(icr) && !Icr.Level.IsSet(icr))
            return;
        Send((byte)Icr.Vector.Of(icr), mode, (Shorthand)Icr.Shorthand.Of(icr), destination, Icr.Logical.IsSet(icr));
    }

    private void Send(byte vector, DeliveryMode mode, Shorthand shorthand, uint destination, bool logical)
    {
        bool toSelf = shorthand is Shorthand.Self or Shorthand.AllIncludingSelf;
        if (mode == DeliveryMode.Reserved || (toSelf && mode != DeliveryMode.Fixed))
        {
            // SDM, "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local xAPIC Interrupt Command Register".
            _fabric.Report($"CPU {Index}: ICR with delivery mode {mode} and shorthand {shorthand} is not a valid combination; nothing is sent");
            return;
        }
        if (vector < 16 && mode is (DeliveryMode.Fixed or DeliveryMode.LowestPriority))
        {
            Log(ApicErrors.SendIllegalVector);
            return;
        }
        if (!_fabric.SendIpi(this, vector, mode, shorthand, destination, logical) && _generation.ApicBus)
            Log(ApicErrors.SendAccept);
    }
}
