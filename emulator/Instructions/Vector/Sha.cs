using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>SHA extensions (FIPS 180-4): steps of SHA-1 and SHA-256. In SHA-1's vectors the first word stands highest, in SHA-256's lowest.</summary>
public static unsafe class Sha
{
    /// <summary>SHA1RNDS4: four rounds; A to D in the destination, W with E already added to the first in the source.</summary>
    public readonly struct Sha1Rounds : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            uint a = r[3], b = r[2], c = r[1], d = r[0], e = 0;
            uint w0 = w[3], w1 = w[2], w2 = w[1], w3 = w[0];
            uint k = (immediate & 3) switch { 0 => 0x5A82_7999, 1 => 0x6ED9_EBA1, 2 => 0x8F1B_BCDC, _ => 0xCA62_C1D6 };
            for (int i = 0; i < 4; i++)
            {
                uint f = (immediate & 3) switch
                {
                    0 => (b & c) ^ (~b & d),
                    2 => (b & c) ^ (b & d) ^ (c & d),
                    _ => b ^ c ^ d,
                };
                uint wi = i switch { 0 => w0, 1 => w1, 2 => w2, _ => w3 };
                uint next = f + uint.RotateLeft(a, 5) + wi + e + k;
                (a, b, c, d, e) = (next, a, uint.RotateLeft(b, 30), c, d);
            }
            (r[3], r[2], r[1], r[0]) = (a, b, c, d);
        }
    }

    /// <summary>SHA1NEXTE: E of four rounds later, added to the first word of the source.</summary>
    public readonly struct Sha1NextE : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            (r[0], r[1], r[2], r[3]) = (w[0], w[1], w[2], w[3] + uint.RotateLeft(r[3], 30));
        }
    }

    /// <summary>SHA1MSG1.</summary>
    public readonly struct Sha1Message1 : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            (r[3], r[2], r[1], r[0]) = (r[1] ^ r[3], r[0] ^ r[2], w[3] ^ r[1], w[2] ^ r[0]);
        }
    }

    /// <summary>SHA1MSG2.</summary>
    public readonly struct Sha1Message2 : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            uint w16 = uint.RotateLeft(r[3] ^ w[2], 1);
            (r[3], r[2], r[1], r[0]) = (w16, uint.RotateLeft(r[2] ^ w[1], 1), uint.RotateLeft(r[1] ^ w[0], 1), uint.RotateLeft(r[0] ^ w16, 1));
        }
    }

    /// <summary>SHA256RNDS2: two rounds; A, B, E, F in the source, C, D, G, H in the destination, W + K in the low half of XMM0.</summary>
    public readonly struct Sha256Rounds : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            uint* wk = (uint*)FloatingRegisters.Xmm(s, 0);
            uint a = w[3], b = w[2], c = r[3], d = r[2], e = w[1], f = w[0], g = r[1], h = r[0];
            uint wk0 = wk[0], wk1 = wk[1];
            for (int i = 0; i < 2; i++)
            {
                uint t = ((e & f) ^ (~e & g)) + (uint.RotateRight(e, 6) ^ uint.RotateRight(e, 11) ^ uint.RotateRight(e, 25)) + (i == 0 ? wk0 : wk1) + h;
                uint next = t + ((a & b) ^ (a & c) ^ (b & c)) + (uint.RotateRight(a, 2) ^ uint.RotateRight(a, 13) ^ uint.RotateRight(a, 22));
                (a, b, c, d, e, f, g, h) = (next, a, b, c, t + d, e, f, g);
            }
            (r[3], r[2], r[1], r[0]) = (a, b, e, f);
        }
    }

    /// <summary>SHA256MSG1.</summary>
    public readonly struct Sha256Message1 : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            (r[3], r[2], r[1], r[0]) = (r[3] + Sigma0(w[0]), r[2] + Sigma0(r[3]), r[1] + Sigma0(r[2]), r[0] + Sigma0(r[1]));
        }

        private static uint Sigma0(uint v) => uint.RotateRight(v, 7) ^ uint.RotateRight(v, 18) ^ (v >> 3);
    }

    /// <summary>SHA256MSG2.</summary>
    public readonly struct Sha256Message2 : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint* r = (uint*)destination;
            uint* w = (uint*)source;
            uint w16 = r[0] + Sigma1(w[2]), w17 = r[1] + Sigma1(w[3]);
            (r[0], r[1], r[2], r[3]) = (w16, w17, r[2] + Sigma1(w16), r[3] + Sigma1(w17));
        }

        private static uint Sigma1(uint v) => uint.RotateRight(v, 17) ^ uint.RotateRight(v, 19) ^ (v >> 10);
    }
}
