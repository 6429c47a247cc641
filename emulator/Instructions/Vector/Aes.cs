using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using HostAes = System.Runtime.Intrinsics.X86.Aes;

namespace Emu.Instructions;

/// <summary>
/// AES-NI (FIPS 197): one round, or the last, in either direction. By the host's instructions where it has them, else computed: 16 bytes at a time in
/// GF(2^8), without tables.
/// </summary>
public static unsafe class Aes
{
    public static void Lower<THost, TPortable>(ref Lowering l) where THost : struct, IVectorOperation where TPortable : struct, ILongVectorOperation
    {
        if (HostAes.IsSupported)
            VectorForms.Binary<THost>(ref l);
        else
            VectorForms.Long<TPortable, Aligned>(ref l);
    }

    public static class Host
    {
        public readonly struct Encrypt : IVectorOperation
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => HostAes.Encrypt(a, b);
        }

        public readonly struct EncryptLast : IVectorOperation
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => HostAes.EncryptLast(a, b);
        }

        public readonly struct Decrypt : IVectorOperation
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => HostAes.Decrypt(a, b);
        }

        public readonly struct DecryptLast : IVectorOperation
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => HostAes.DecryptLast(a, b);
        }

        public readonly struct InverseMixColumns : IVectorOperation
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => HostAes.InverseMixColumns(b);
        }
    }

    public static class Portable
    {
        public readonly struct Encrypt : ILongVectorOperation
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public static void Execute(CpuState* s, byte* destination, byte* source, int immediate) =>
                (MixColumns(SubBytes(ShiftRows(Vector128.Load(destination)))) ^ Vector128.Load(source)).Store(destination);
        }

        public readonly struct EncryptLast : ILongVectorOperation
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public static void Execute(CpuState* s, byte* destination, byte* source, int immediate) =>
                (SubBytes(ShiftRows(Vector128.Load(destination))) ^ Vector128.Load(source)).Store(destination);
        }

        public readonly struct Decrypt : ILongVectorOperation
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public static void Execute(CpuState* s, byte* destination, byte* source, int immediate) =>
                (InverseMix(InverseSubBytes(InverseShiftRows(Vector128.Load(destination)))) ^ Vector128.Load(source)).Store(destination);
        }

        public readonly struct DecryptLast : ILongVectorOperation
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public static void Execute(CpuState* s, byte* destination, byte* source, int immediate) =>
                (InverseSubBytes(InverseShiftRows(Vector128.Load(destination))) ^ Vector128.Load(source)).Store(destination);
        }

        public readonly struct InverseMixColumns : ILongVectorOperation
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public static void Execute(CpuState* s, byte* destination, byte* source, int immediate) => InverseMix(Vector128.Load(source)).Store(destination);
        }
    }

    /// <summary>AESKEYGENASSIST: of doublewords 1 and 3 SubWord, and RotWord of that with the immediate added.</summary>
    public readonly struct KeygenAssist : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            Vector128<uint> words = SubBytes(Vector128.Load(source)).AsUInt32();
            uint first = words[1], second = words[3], constant = (uint)immediate;
            Vector128.Create(first, uint.RotateRight(first, 8) ^ constant, second, uint.RotateRight(second, 8) ^ constant).AsByte().Store(destination);
        }
    }

    /// <summary>FIPS 197, "SubBytes": the inverse in GF(2^8), then an affine map.</summary>
    private static Vector128<byte> SubBytes(Vector128<byte> v)
    {
        v = Inverse(v);
        return v ^ Rotate(v, 1) ^ Rotate(v, 2) ^ Rotate(v, 3) ^ Rotate(v, 4) ^ Vector128.Create((byte)0x63);
    }

    private static Vector128<byte> InverseSubBytes(Vector128<byte> v) =>
        Inverse(Rotate(v, 1) ^ Rotate(v, 3) ^ Rotate(v, 6) ^ Vector128.Create((byte)0x05));

    /// <summary>Row r of the state is bytes r, r + 4, r + 8, r + 12; it moves left by r.</summary>
    private static Vector128<byte> ShiftRows(Vector128<byte> v) =>
        Vector128.Shuffle(v, Vector128.Create((byte)0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11));

    private static Vector128<byte> InverseShiftRows(Vector128<byte> v) =>
        Vector128.Shuffle(v, Vector128.Create((byte)0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3));

    private static Vector128<byte> MixColumns(Vector128<byte> v) => Double(v ^ Below(v, 1)) ^ Below(v, 1) ^ Below(v, 2) ^ Below(v, 3);

    private static Vector128<byte> InverseMix(Vector128<byte> v) =>
        Times(v, 14) ^ Times(Below(v, 1), 11) ^ Times(Below(v, 2), 13) ^ Times(Below(v, 3), 9);

    /// <summary>In each column the byte that stands <paramref name="rows"/> further down.</summary>
    private static Vector128<byte> Below(Vector128<byte> v, int rows) =>
        ((v.AsUInt32() >>> (8 * rows)) | (v.AsUInt32() << (32 - 8 * rows))).AsByte();

    private static Vector128<byte> Rotate(Vector128<byte> v, int bits) => (v << bits) | (v >>> (8 - bits));

    /// <summary>Times x, modulo x^8 + x^4 + x^3 + x + 1.</summary>
    private static Vector128<byte> Double(Vector128<byte> v) =>
        (v << 1) ^ (Vector128.LessThan(v.AsSByte(), Vector128<sbyte>.Zero).AsByte() & Vector128.Create((byte)0x1B));

    private static Vector128<byte> Times(Vector128<byte> v, byte factor) => Multiply(v, Vector128.Create(factor));

    private static Vector128<byte> Multiply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<byte> r = Vector128<byte>.Zero;
        for (int i = 0; i < 8; i++)
        {
            r ^= a & Vector128.Equals((b >>> i) & Vector128<byte>.One, Vector128<byte>.One);
            a = Double(a);
        }
        return r;
    }

    /// <summary>To the 254th power; zero stays zero.</summary>
    private static Vector128<byte> Inverse(Vector128<byte> v)
    {
        Vector128<byte> power = Multiply(v, v);
        Vector128<byte> r = power;
        for (int i = 0; i < 6; i++)
        {
            power = Multiply(power, power);
            r = Multiply(r, power);
        }
        return r;
    }
}
