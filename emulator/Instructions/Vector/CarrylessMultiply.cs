using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using HostMultiply = System.Runtime.Intrinsics.X86.Pclmulqdq;

namespace Emu.Instructions;

/// <summary>PCLMULQDQ: the product of two quadwords as polynomials over GF(2). Bit 0 of the immediate chooses that of the destination, bit 4 that of the source.</summary>
public readonly unsafe struct CarrylessMultiply : ILongVectorOperation
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
    {
        ulong x = ((ulong*)destination)[immediate & 1];
        ulong y = ((ulong*)source)[immediate >> 4 & 1];
        if (HostMultiply.IsSupported)
            HostMultiply.CarrylessMultiply(Vector128.CreateScalar(x), Vector128.CreateScalar(y), 0).AsByte().Store(destination);
        else
            *(UInt128*)destination = Portable(x, y);
    }

    public static UInt128 Portable(ulong x, ulong y)
    {
        UInt128 r = 0;
        for (int i = 0; i < 64; i++)
            if ((y >> i & 1) != 0)
                r ^= (UInt128)x << i;
        return r;
    }
}
