using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Emu.Differ.Host;

/// <summary>What the host's CPU has, by its CPUID: of the features that not every x86-64 CPU has.</summary>
internal static class HostFeatures
{
    private enum Register
    {
        Eax,
        Ebx,
        Ecx,
        Edx,
    }

    private static readonly Dictionary<CpuidFeature, (uint Leaf, uint Subleaf, Register Register, int Bit)> s_bits = new()
    {
        [CpuidFeature.SSE3] = (1, 0, Register.Ecx, 0),
        [CpuidFeature.PCLMULQDQ] = (1, 0, Register.Ecx, 1),
        [CpuidFeature.SSSE3] = (1, 0, Register.Ecx, 9),
        [CpuidFeature.CMPXCHG16B] = (1, 0, Register.Ecx, 13),
        [CpuidFeature.SSE4_1] = (1, 0, Register.Ecx, 19),
        [CpuidFeature.SSE4_2] = (1, 0, Register.Ecx, 20),
        [CpuidFeature.MOVBE] = (1, 0, Register.Ecx, 22),
        [CpuidFeature.POPCNT] = (1, 0, Register.Ecx, 23),
        [CpuidFeature.AES] = (1, 0, Register.Ecx, 25),
        [CpuidFeature.XSAVE] = (1, 0, Register.Ecx, 27),
        [CpuidFeature.RDRAND] = (1, 0, Register.Ecx, 30),
        [CpuidFeature.FSGSBASE] = (7, 0, Register.Ebx, 0),
        [CpuidFeature.BMI1] = (7, 0, Register.Ebx, 3),
        [CpuidFeature.BMI2] = (7, 0, Register.Ebx, 8),
        [CpuidFeature.INVPCID] = (7, 0, Register.Ebx, 10),
        [CpuidFeature.RDSEED] = (7, 0, Register.Ebx, 18),
        [CpuidFeature.ADX] = (7, 0, Register.Ebx, 19),
        [CpuidFeature.SMAP] = (7, 0, Register.Ebx, 20),
        [CpuidFeature.CLFLUSHOPT] = (7, 0, Register.Ebx, 23),
        [CpuidFeature.CLWB] = (7, 0, Register.Ebx, 24),
        [CpuidFeature.SHA] = (7, 0, Register.Ebx, 29),
        [CpuidFeature.RDPID] = (7, 0, Register.Ecx, 22),
        [CpuidFeature.SERIALIZE] = (7, 0, Register.Edx, 14),
        [CpuidFeature.XSAVEOPT] = (0xD, 1, Register.Eax, 0),
        [CpuidFeature.XSAVEC] = (0xD, 1, Register.Eax, 1),
        [CpuidFeature.XSAVES] = (0xD, 1, Register.Eax, 3),
        [CpuidFeature.LZCNT] = (0x8000_0001, 0, Register.Ecx, 5),
        [CpuidFeature.PREFETCHW] = (0x8000_0001, 0, Register.Ecx, 8),
        [CpuidFeature.RDTSCP] = (0x8000_0001, 0, Register.Edx, 27),
    };

    /// <summary>False when CPUID says that the host's CPU lacks the instruction.</summary>
    public static bool Has(Code code)
    {
        foreach (CpuidFeature feature in code.CpuidFeatures())
            if (s_bits.TryGetValue(feature, out (uint Leaf, uint Subleaf, Register Register, int Bit) at) && (Read(at.Leaf, at.Subleaf, at.Register) >> at.Bit & 1) == 0)
                return false;
        return true;
    }

    private static uint Read(uint leaf, uint subleaf, Register register)
    {
        if (!X86Base.IsSupported || (uint)X86Base.CpuId((int)(leaf & 0x8000_0000), 0).Eax < leaf)
            return 0;
        (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)leaf, (int)subleaf);
        return (uint)(register switch { Register.Eax => eax, Register.Ebx => ebx, Register.Ecx => ecx, _ => edx });
    }
}
