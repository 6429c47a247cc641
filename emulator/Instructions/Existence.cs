using Emu.Cpus;
using Iced.Intel;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Instructions;

/// <summary>Which instructions a CPU model has: Iced's feature names against ours. What the model lacks is #UD.</summary>
public static class Existence
{
    /// <summary>True when the model has every feature that the instruction belongs to.</summary>
    public static bool Has(CpuModel model, in Instruction instruction)
    {
        foreach (CpuidFeature feature in instruction.CpuidFeatures)
            if (!Has(model, feature, instruction.Code))
                return false;
        return true;
    }

    private static bool Has(CpuModel model, CpuidFeature feature, Code code) => feature switch
    {
        CpuidFeature.X64 => model.Has(F.LongMode),
        CpuidFeature.ADX => model.Has(F.Adx),
        CpuidFeature.AES => model.Has(F.Aes),
        // Where they do not exist, BSF and BSR are executed instead.
        CpuidFeature.BMI1 => model.Has(F.Bmi1) || code is Code.Tzcnt_r16_rm16 or Code.Tzcnt_r32_rm32 or Code.Tzcnt_r64_rm64,
        CpuidFeature.LZCNT => true,
        CpuidFeature.BMI2 => model.Has(F.Bmi2),
        CpuidFeature.CLFSH => model.Has(F.Clflush),
        CpuidFeature.CLFLUSHOPT => model.Has(F.Clflushopt),
        CpuidFeature.CLWB => model.Has(F.Clwb),
        CpuidFeature.CMOV => model.Has(F.Cmov),
        CpuidFeature.CMPXCHG16B => model.Has(F.Cx16),
        CpuidFeature.CX8 => model.Has(F.Cx8),
        CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 => model.Has(F.Fpu),
        CpuidFeature.FSGSBASE => model.Has(F.FsGsBase),
        CpuidFeature.FXSR => model.Has(F.Fxsr),
        CpuidFeature.INVPCID => model.Has(F.Invpcid),
        // PADDQ came to MMX registers with SSE2.
        CpuidFeature.MMX => model.Has(code == Code.Paddq_mm_mmm64 ? F.Sse2 : F.Mmx),
        CpuidFeature.MONITOR => model.Has(F.Monitor),
        CpuidFeature.MOVBE => model.Has(F.Movbe),
        CpuidFeature.MSR => model.Has(F.Msr),
        CpuidFeature.MULTIBYTENOP => model.Has(F.MultibyteNop),
        CpuidFeature.PCLMULQDQ => model.Has(F.Pclmulqdq),
        CpuidFeature.POPCNT => model.Has(F.Popcnt),
        CpuidFeature.PREFETCHW or CpuidFeature.D3NOW when IsPrefetch(code) => model.Has(F.Prefetchw),
        CpuidFeature.RDPID => model.Has(F.Rdpid),
        CpuidFeature.RDRAND => model.Has(F.Rdrand),
        CpuidFeature.RDSEED => model.Has(F.Rdseed),
        CpuidFeature.RDTSCP => model.Has(F.Rdtscp),
        CpuidFeature.SEP => model.Has(F.Sep),
        CpuidFeature.SERIALIZE => model.Has(F.Serialize),
        CpuidFeature.SHA => model.Has(F.Sha),
        CpuidFeature.SMAP => model.Has(F.Smap),
        CpuidFeature.SSE => model.Has(F.Sse),
        CpuidFeature.SSE2 => model.Has(F.Sse2),
        CpuidFeature.SSE3 => model.Has(F.Sse3),
        CpuidFeature.SSSE3 => model.Has(F.Ssse3),
        CpuidFeature.SSE4_1 => model.Has(F.Sse41),
        CpuidFeature.SSE4_2 => model.Has(F.Sse42),
        CpuidFeature.SYSCALL => model.Has(F.Syscall),
        CpuidFeature.TSC => model.Has(F.Tsc),
        CpuidFeature.XSAVE => model.Has(F.Xsave),
        CpuidFeature.XSAVEC => model.Has(F.Xsavec),
        CpuidFeature.XSAVEOPT => model.Has(F.Xsaveopt),
        CpuidFeature.XSAVES => model.Has(F.Xsaves),
        // On every model: what came before the Pentium Pro, and what is encoded as a hint that older processors ignore.
        CpuidFeature.INTEL8086 or CpuidFeature.INTEL8086_ONLY or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL286_ONLY
            or CpuidFeature.INTEL386 or CpuidFeature.INTEL386_ONLY or CpuidFeature.INTEL386_A0_ONLY or CpuidFeature.INTEL486
            or CpuidFeature.INTEL486_A_ONLY or CpuidFeature.UDBG or CpuidFeature.CPUID or CpuidFeature.PAUSE or CpuidFeature.RDPMC or CpuidFeature.SMM
            or CpuidFeature.CET_IBT or CpuidFeature.CLDEMOTE or CpuidFeature.MPX => true,
        _ => false,
    };

    private static bool IsPrefetch(Code code) => code is Code.Prefetch_m8 or Code.Prefetchw_m8 or Code.Prefetchwt1_m8
        or (>= Code.Prefetchreserved3_m8 and <= Code.Prefetchreserved7_m8);
}
