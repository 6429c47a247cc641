using Emu.Cpus;

namespace Emu.Interrupts;

/// <summary>What differs between the local APICs of the CPU models.</summary>
/// <param name="Version">Bits 7:0 of the version register.</param>
/// <param name="MaxLvtEntry">Entries of the local vector table less one.</param>
/// <param name="ApicBus">Three-wire APIC bus of the P6 family: a message that nobody accepts is an error, spurious vectors end in 1111.</param>
/// <param name="IdWritable">Software may change the APIC ID.</param>
/// <param name="EoiSuppression">SVR bit 12 exists.</param>
/// <param name="X2Apic">x2APIC mode exists.</param>
/// <param name="TscDeadline">The timer has its third mode.</param>
internal sealed record ApicGeneration(byte Version, int MaxLvtEntry, bool ApicBus, bool IdWritable, bool EoiSuppression, bool X2Apic, bool TscDeadline)
{
    /// <summary>Follows the features of a model: SSE2 came with the first xAPIC, x2APIC with the CMCI entry and EOI suppression.</summary>
    public static ApicGeneration Of(CpuModel model)
    {
        bool deadline = model.Has(CpuFeature.TscDeadline);
        if (model.Has(CpuFeature.X2Apic))
            return new ApicGeneration(0x15, 6, false, false, true, true, deadline);
        if (model.Has(CpuFeature.Sse2))
            return new ApicGeneration((byte)(model.Vendor == CpuVendor.Amd ? 0x10 : 0x14), 5, false, true, false, false, deadline);
        return new ApicGeneration(0x11, 4, true, true, false, false, deadline);
    }

    public uint VersionRegister => Version | ((uint)MaxLvtEntry << 16) | (EoiSuppression ? 1u << 24 : 0);

    /// <summary>True when the register at an offset exists in this generation.</summary>
    public bool Has(int offset) => offset switch
    {
        ApicRegister.LvtThermal => MaxLvtEntry >= 5,
        ApicRegister.LvtCmci => MaxLvtEntry >= 6,
        _ => true,
    };

    /// <summary>Bits of a register that this generation does not have, although the table names them.</summary>
    public uint MissingBits(int offset) => offset switch
    {
        ApicRegister.LvtTimer when !TscDeadline => 1u << 18,
        ApicRegister.SpuriousVector when !EoiSuppression => Svr.EoiSuppression.Mask,
        _ => 0,
    };
}
