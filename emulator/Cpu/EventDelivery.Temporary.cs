namespace Emu.Cpus;

// Until the real EventDelivery.cs lands: then delete this file.
public enum EventKind
{
    Fault,
    Trap,
    SoftwareInterrupt,
    ExternalInterrupt,
    Nmi,
}

public static unsafe class EventDelivery
{
    public static bool Deliver(CpuState* s, Vector vector, EventKind kind, uint? errorCode = null) => throw new NotImplementedException();

    public static bool DeliverFault(CpuState* s) => throw new NotImplementedException();
}
