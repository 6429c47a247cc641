using Iced.Intel;
using F = Iced.Intel.CpuidFeature;

namespace Emu.Differ.Ledgers;

/// <summary>Which instructions the ledger is about: those of an x86-64-v2 machine and what came with it, by Iced's names of CPUID features.</summary>
public static class Scope
{
    /// <summary>AVX, AVX2, FMA, F16C and later are not among them: CPUID hides them.</summary>
    private static readonly F[] s_features =
    [
        F.INTEL8086, F.INTEL8086_ONLY, F.INTEL186, F.INTEL286, F.INTEL286_ONLY, F.INTEL386, F.INTEL386_ONLY, F.INTEL386_A0_ONLY, F.INTEL486, F.INTEL486_A_ONLY,
        F.UDBG, F.CPUID, F.MSR, F.TSC, F.CX8, F.CMOV, F.RDPMC, F.MULTIBYTENOP, F.SMM, F.SEP, F.SYSCALL, F.X64, F.CMPXCHG16B, F.PAUSE,
        F.FPU, F.FPU287, F.FPU287XL_ONLY, F.FPU387, F.FPU387SL_ONLY, F.MMX, F.FXSR, F.SSE, F.SSE2, F.SSE3, F.SSSE3, F.SSE4_1, F.SSE4_2, F.CLFSH, F.MONITOR,
        F.POPCNT, F.LZCNT, F.BMI1, F.BMI2, F.ADX, F.MOVBE, F.AES, F.PCLMULQDQ, F.SHA, F.RDRAND, F.RDSEED, F.FSGSBASE, F.INVPCID, F.SMAP,
        F.XSAVE, F.XSAVEOPT, F.XSAVEC, F.XSAVES, F.RDTSCP, F.RDPID, F.CLFLUSHOPT, F.CLWB, F.PREFETCHW, F.SERIALIZE, F.CLDEMOTE, F.CET_IBT,
    ];

    private static readonly HashSet<F> s_set = [.. s_features];

    private static readonly Lazy<Code[]> s_codes = new(() => [.. Enum.GetValues<Code>().Where(IsInScope)]);

    /// <summary>Every code of those features.</summary>
    public static IReadOnlyList<Code> Codes => s_codes.Value;

    /// <summary>The features, by the names that <see cref="FeatureOf"/> returns, in the order of history.</summary>
    public static IReadOnlyList<string> Features { get; } = [.. s_features.Select(f => f.ToString())];

    /// <summary>The feature under which a code is listed: where it needs several, the latest.</summary>
    public static string FeatureOf(Code code) => code.CpuidFeatures().MaxBy(f => Array.IndexOf(s_features, f)).ToString();

    private static bool IsInScope(Code code) => code.ToOpCode().IsInstruction && code.CpuidFeatures().All(s_set.Contains);
}
