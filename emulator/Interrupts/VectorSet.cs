using System.Numerics;

namespace Emu.Interrupts;

/// <summary>A set of interrupt vectors: IRR, ISR or TMR, 256 bits.</summary>
internal struct VectorSet
{
    private ulong _v0, _v64, _v128, _v192;

    /// <summary>The highest vector, or -1 when empty.</summary>
    public readonly int Highest =>
        _v192 != 0 ? 255 - BitOperations.LeadingZeroCount(_v192)
        : _v128 != 0 ? 191 - BitOperations.LeadingZeroCount(_v128)
        : _v64 != 0 ? 127 - BitOperations.LeadingZeroCount(_v64)
        : _v0 != 0 ? 63 - BitOperations.LeadingZeroCount(_v0)
        : -1;

    public readonly bool Contains(int vector) => ((Word(vector) >> (vector & 63)) & 1) != 0;

    public void Add(int vector) => Set(vector, Word(vector) | (1UL << (vector & 63)));

    public void Remove(int vector) => Set(vector, Word(vector) & ~(1UL << (vector & 63)));

    /// <summary>One of the eight 32-bit registers that software sees.</summary>
    public readonly uint Register(int index) => (uint)(Word(index * 32) >> (32 * (index & 1)));

    public readonly void Save(BinaryWriter writer)
    {
        writer.Write(_v0);
        writer.Write(_v64);
        writer.Write(_v128);
        writer.Write(_v192);
    }

    public static VectorSet Read(BinaryReader reader) => new()
    {
        _v0 = reader.ReadUInt64(),
        _v64 = reader.ReadUInt64(),
        _v128 = reader.ReadUInt64(),
        _v192 = reader.ReadUInt64(),
    };

    private readonly ulong Word(int vector) => (vector >> 6) switch { 0 => _v0, 1 => _v64, 2 => _v128, _ => _v192 };

    private void Set(int vector, ulong word)
    {
        switch (vector >> 6)
        {
            case 0:
                _v0 = word;
                break;
            case 1:
                _v64 = word;
                break;
            case 2:
                _v128 = word;
                break;
            default:
                _v192 = word;
                break;
        }
    }
}
