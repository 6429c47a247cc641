using System.Numerics;
using System.Runtime.CompilerServices;

namespace Emu.Interrupts;

/// <summary>A set of interrupt vectors: IRR, ISR or TMR, 256 bits.</summary>
internal struct VectorSet
{
    [InlineArray(4)]
    private struct Words
    {
        private ulong _first;
    }

    private Words _words;

    /// <summary>The highest vector, or -1 when empty.</summary>
    public readonly int Highest
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            ulong top = _words[3];
            return top != 0 ? 192 + BitOperations.Log2(top) : (_words[0] | _words[1] | _words[2]) == 0 ? -1 : HighestBelow192;
        }
    }

    private readonly int HighestBelow192
    {
        get
        {
            int i = 2;
            while (_words[i] == 0)
                i--;
            return (i << 6) + BitOperations.Log2(_words[i]);
        }
    }

    public readonly bool Contains(int vector) => ((_words[vector >> 6] >> (vector & 63)) & 1) != 0;

    public void Add(int vector) => _words[vector >> 6] |= 1UL << (vector & 63);

    public void Remove(int vector) => _words[vector >> 6] &= ~(1UL << (vector & 63));

    /// <summary>One of the eight 32-bit registers that software sees.</summary>
    public readonly uint Register(int index) => (uint)(_words[index >> 1] >> (32 * (index & 1)));

    public readonly void Save(BinaryWriter writer)
    {
        for (int i = 0; i < 4; i++)
            writer.Write(_words[i]);
    }

    public static VectorSet Read(BinaryReader reader)
    {
        VectorSet set = default;
        for (int i = 0; i < 4; i++)
            set._words[i] = reader.ReadUInt64();
        return set;
    }
}
