using Emu.Cpus;
using Emu.Differ.Cases;

namespace Emu.Differ.Judging;

/// <summary>Simpler states of x87, MMX and SSE for the <see cref="Shrinker"/>.</summary>
internal static unsafe class FloatingShrinker
{
    /// <summary>Changes, each of which brings something back to its default or clears bits.</summary>
    public static List<Action<Case>> Candidates(Case c)
    {
        FloatingState standard = FloatingImage.Default;
        var list = new List<Action<Case>>();
        ref FloatingState s = ref c.Floating;
        if (FloatingComparison.Same(s, standard))
            return list;
        list.Add(copy => copy.Floating = standard);
        for (int i = 0; i < 32; i++)
            if (s.Xmm[i] != 0)
                AddVector(list, i, s.Xmm[i]);
        for (int i = 0; i < 16; i++)
            if (s.X87[i] != 0)
                AddRegister(list, i);
        if (s.Mxcsr != standard.Mxcsr)
        {
            list.Add(copy => copy.Floating.Mxcsr = standard.Mxcsr);
            AddBits(list, s.Mxcsr ^ standard.Mxcsr, (copy, bit) => copy.Floating.Mxcsr ^= (uint)bit);
        }
        if (s.Control != standard.Control)
        {
            list.Add(copy => copy.Floating.Control = standard.Control);
            AddBits(list, (ulong)(s.Control ^ standard.Control), (copy, bit) => copy.Floating.Control ^= (ushort)bit);
        }
        if (s.Status != 0)
        {
            list.Add(copy => copy.Floating.Status = 0);
            AddBits(list, s.Status, (copy, bit) => copy.Floating.Status ^= (ushort)bit);
        }
        if (s.Tags != 0)
            AddBits(list, s.Tags, (copy, bit) => copy.Floating.Tags ^= (byte)bit);
        if (s.Opcode != 0)
            list.Add(copy => copy.Floating.Opcode = 0);
        if (s.InstructionPointer != 0)
            list.Add(copy => copy.Floating.InstructionPointer = 0);
        if (s.DataPointer != 0)
            list.Add(copy => copy.Floating.DataPointer = 0);
        return list;
    }

    private static void AddVector(List<Action<Case>> list, int i, ulong value)
    {
        list.Add(copy => copy.Floating.Xmm[i] = 0);
        if ((uint)value != value)
            list.Add(copy => copy.Floating.Xmm[i] = (uint)value);
        if ((uint)value != 0 && value >> 32 != 0)
            list.Add(copy => copy.Floating.Xmm[i] = value & ~(ulong)uint.MaxValue);
    }

    private static void AddRegister(List<Action<Case>> list, int i) => list.Add(copy => copy.Floating.X87[i] = 0);

    private static void AddBits(List<Action<Case>> list, ulong bits, Action<Case, ulong> flip)
    {
        for (ulong bit = 1; bit != 0 && bit <= bits; bit <<= 1)
        {
            ulong one = bit;
            if ((bits & bit) != 0)
                list.Add(copy => flip(copy, one));
        }
    }
}
