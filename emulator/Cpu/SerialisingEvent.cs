namespace Emu.Cpus;

/// <summary>What serialises (SDM, "Serializing Instructions"), for those who ask what did it last.</summary>
public enum SerialisingEvent
{
    /// <summary>Power-up, and whatever starts a CPU in the middle.</summary>
    Start,
    Init,
    Sipi,
    Cpuid,
    Iret,
    Serialize,

    /// <summary>Where the profile says so.</summary>
    Mfence,

    /// <summary>INVD or WBINVD.</summary>
    CacheInvalidation,
    MovToControlRegister,
    MovToDebugRegister,
    Invlpg,
    Wrmsr,
    Lldt,
    Ltr,

    /// <summary>LGDT or LIDT.</summary>
    LoadDescriptorTable,

    /// <summary>Delivery of #BP, where the profile says so.</summary>
    Breakpoint,

    /// <summary>Delivery of an interrupt or NMI, where the profile says so.</summary>
    Interrupt,
}

/// <summary>How reports call them.</summary>
public static class SerialisingEvents
{
    public static string Name(this SerialisingEvent e) => e switch
    {
        SerialisingEvent.Start => "start of the CPU",
        SerialisingEvent.CacheInvalidation => "INVD or WBINVD",
        SerialisingEvent.MovToControlRegister => "MOV to CR",
        SerialisingEvent.MovToDebugRegister => "MOV to DR",
        SerialisingEvent.LoadDescriptorTable => "LGDT or LIDT",
        SerialisingEvent.Breakpoint => "delivery of #BP",
        SerialisingEvent.Interrupt => "delivery of an interrupt",
        _ => e.ToString().ToUpperInvariant(),
    };
}
