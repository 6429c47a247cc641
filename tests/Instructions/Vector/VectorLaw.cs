using System.Buffers.Binary;
using System.Numerics;

namespace Emu.Tests.Instructions;

/// <summary>Scalar references for vector instructions: elements as integers, one at a time.</summary>
internal static class VectorLaw
{
    private static readonly byte[] _edges = [0, 1, 0x7F, 0x80, 0x81, 0xFE, 0xFF];

    /// <summary>Pairs of vectors, half of them made of edge values; always the same sequence.</summary>
    public static IEnumerable<(byte[] A, byte[] B)> Pairs(int bytes, int count = 200)
    {
        var random = new Random(2009);
        for (int i = 0; i < count; i++)
            yield return (Next(), Next());

        byte[] Next()
        {
            byte[] v = new byte[bytes];
            random.NextBytes(v);
            int how = random.Next(4);
            for (int j = 0; j < bytes && how < 2; j++)
                v[j] = _edges[random.Next(_edges.Length)];
            // Words whose bytes agree: 0000, 7FFF, 8000, FFFF and their like.
            for (int j = 0; j < bytes && how == 1; j += 4)
                BinaryPrimitives.WriteUInt32LittleEndian(v.AsSpan(j), random.Next(6) switch
                {
                    0 => 0,
                    1 => 0x7FFF_FFFF,
                    2 => 0x8000_0000,
                    3 => 0x8000_8000,
                    4 => 0x7FFF_7FFF,
                    _ => uint.MaxValue,
                });
            return v;
        }
    }

    /// <summary>The element at an index.</summary>
    public static BigInteger Get(byte[] v, int bits, int index, bool signed) =>
        new(v.AsSpan(index * bits / 8, bits / 8), isUnsigned: !signed);

    /// <summary>Stores the low bits.</summary>
    public static void Put(byte[] v, int bits, int index, BigInteger value)
    {
        for (int i = 0; i < bits / 8; i++)
            v[index * bits / 8 + i] = (byte)(value >> (8 * i) & 0xFF);
    }

    /// <summary>A function of elements in the same place.</summary>
    public static byte[] Map(byte[] a, byte[] b, int bits, bool signed, Func<BigInteger, BigInteger, BigInteger> f)
    {
        byte[] r = new byte[a.Length];
        for (int i = 0; i < 8 * a.Length / bits; i++)
            Put(r, bits, i, f(Get(a, bits, i, signed), Get(b, bits, i, signed)));
        return r;
    }

    public static BigInteger Saturate(BigInteger v, int bits, bool signed)
    {
        BigInteger low = signed ? -(BigInteger.One << (bits - 1)) : 0;
        BigInteger high = (BigInteger.One << (signed ? bits - 1 : bits)) - 1;
        return BigInteger.Min(high, BigInteger.Max(low, v));
    }
}
