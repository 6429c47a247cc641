using Emu.Interrupts;
using static Emu.Interrupts.RegisterAccess;

namespace Emu.Devices;

/// <summary>Registers of the 16550A (PC16550D data sheet, "Summary of Registers").</summary>
internal static class UartRegisters
{
    /// <summary>RBR and THR; DLL with DLAB.</summary>
    public const int Data = 0;

    /// <summary>IER; DLM with DLAB.</summary>
    public const int InterruptEnable = 1;
    public const int InterruptIdentification = 2;
    public const int FifoControl = 2;
    public const int LineControl = 3;
    public const int ModemControl = 4;
    public const int LineStatus = 5;
    public const int ModemStatus = 6;
    public const int Scratch = 7;

    public static readonly BitField DataInterrupt = new("ERBFI", 0);
    public static readonly BitField TransmitterInterrupt = new("ETBEI", 1);
    public static readonly BitField LineInterrupt = new("ELSI", 2);
    public static readonly BitField ModemInterrupt = new("EDSSI", 3);
    public static readonly RegisterLayout Ier = new(InterruptEnable, "IER", ReadWrite, DataInterrupt, TransmitterInterrupt, LineInterrupt, ModemInterrupt);

    /// <summary>IIR bits 3:0, in order of priority after "none".</summary>
    public const uint IdNone = 1;
    public const uint IdLine = 6;
    public const uint IdData = 4;
    public const uint IdTimeout = 0xC;
    public const uint IdTransmitter = 2;
    public const uint IdModem = 0;
    public static readonly BitField FifosEnabled = new("FIFOs Enabled", 7, 6, Read);

    public static readonly BitField FifoEnable = new("FIFO Enable", 0);
    public static readonly BitField ResetReceiver = new("RCVR FIFO Reset", 1);
    public static readonly BitField ResetTransmitter = new("XMIT FIFO Reset", 2, 2, ReadWrite, "the transmitter is always empty");
    public static readonly BitField DmaMode = new("DMA Mode Select", 3, 3, ReadWrite, "there is no DMA");
    public static readonly BitField Trigger = new("RCVR Trigger", 7, 6);
    public static readonly int[] TriggerLevels = [1, 4, 8, 14];
    public static readonly RegisterLayout Fcr = new(FifoControl, "FCR", Write, FifoEnable, ResetReceiver, ResetTransmitter, DmaMode, Trigger);

    public static readonly BitField WordLength = new("Word Length", 1, 0);
    public static readonly BitField StopBits = new("STB", 2);
    public static readonly BitField Parity = new("PEN", 3);
    public static readonly BitField ParityKind = new("Stick Parity, EPS", 5, 4, ReadWrite, "the line makes no errors");
    public static readonly BitField Break = new("Set Break", 6, 6, ReadWrite, "a break is not passed on");
    public static readonly BitField Dlab = new("DLAB", 7);
    public static readonly RegisterLayout Lcr = new(LineControl, "LCR", ReadWrite, WordLength, StopBits, Parity, ParityKind, Break, Dlab);

    public static readonly BitField Dtr = new("DTR", 0);
    public static readonly BitField Rts = new("RTS", 1);
    public static readonly BitField Out1 = new("OUT1", 2);
    public static readonly BitField Out2 = new("OUT2", 3);
    public static readonly BitField Loop = new("Loop", 4);
    public static readonly RegisterLayout Mcr = new(ModemControl, "MCR", ReadWrite, Dtr, Rts, Out1, Out2, Loop);

    public static readonly BitField DataReady = new("DR", 0);
    public static readonly BitField Overrun = new("OE", 1);
    public static readonly BitField LineErrors = new("PE, FE, BI", 4, 2, Read, "the line makes no errors");
    public static readonly BitField TransmitterHoldingEmpty = new("THRE", 5);
    public static readonly BitField TransmitterEmpty = new("TEMT", 6);
    public static readonly BitField FifoError = new("Error in RCVR FIFO", 7, 7, Read, "the line makes no errors");
    public static readonly RegisterLayout Lsr = new(LineStatus, "LSR", Read, DataReady, Overrun, LineErrors, TransmitterHoldingEmpty, TransmitterEmpty, FifoError);

    public static readonly BitField Deltas = new("DCTS, DDSR, TERI, DDCD", 3, 0, Read);
    public static readonly BitField Cts = new("CTS", 4);
    public static readonly BitField Dsr = new("DSR", 5);
    public static readonly BitField Ri = new("RI", 6);
    public static readonly BitField Dcd = new("DCD", 7);
    public static readonly RegisterLayout Msr = new(ModemStatus, "MSR", Read, Deltas, Cts, Dsr, Ri, Dcd);

    /// <summary>All, for a person who wants to know what is there.</summary>
    public static IReadOnlyList<RegisterLayout> All { get; } = [Ier, Fcr, Lcr, Mcr, Lsr, Msr];
}
