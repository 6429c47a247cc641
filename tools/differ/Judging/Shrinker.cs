using Emu.Differ.Cases;

namespace Emu.Differ.Judging;

/// <summary>Makes a failing case small: everything that the failure does not need goes back to its default, or to a simple value.</summary>
public static class Shrinker
{
    /// <summary>The smallest case found that still fails.</summary>
    /// <param name="fails">Runs a case and says whether it fails.</param>
    public static Case Shrink(Case failing, Func<Case, bool> fails)
    {
        Case best = failing.Copy();
        bool progress = true;
        while (progress)
        {
            progress = false;
            foreach (Case candidate in Candidates(best))
            {
                if (!candidate.Decode() || !fails(candidate))
                    continue;
                best = candidate;
                progress = true;
                break;
            }
        }
        return best;
    }

    /// <summary>Cases a little simpler than this one, the boldest first. Each is smaller by some measure, so that shrinking ends.</summary>
    private static IEnumerable<Case> Candidates(Case c)
    {
        foreach (Case shorter in Shorter(c))
            yield return shorter;
        for (int p = 0; p < c.Memory.Count; p++)
            yield return Change(c, copy => copy.Memory.RemoveAt(p));
        foreach (Action<Case> simpler in FloatingShrinker.Candidates(c))
            yield return Change(c, simpler);
        for (int r = 0; r < 16; r++)
            if (c.Registers[r] != 0)
                yield return Change(c, copy => copy.Registers[r] = 0);
        if (c.Flags != c.Mode.DefaultFlags())
            yield return Change(c, copy => copy.Flags = c.Mode.DefaultFlags());
        for (ulong bit = 1; bit < 1 << 22; bit <<= 1)
            if ((c.Mode.DefaultFlags() & bit) == 0 && (c.Flags & bit) != 0)
                yield return Change(c, copy => copy.Flags &= ~bit);
        for (int r = 0; r < 16; r++)
            foreach (ulong simpler in Simpler(c.Registers[r]))
                yield return Change(c, copy => copy.Registers[r] = simpler);
        for (int p = 0; p < c.Memory.Count; p++)
            foreach (byte[] simpler in Simpler(c.Memory[p].Bytes))
                yield return Change(c, copy => copy.Memory[p] = copy.Memory[p] with { Bytes = simpler });
    }

    private static IEnumerable<Case> Shorter(Case c)
    {
        if (c.Count == 2)
        {
            int first = c.First.Length;
            yield return Change(c, copy => copy.Length = first);
            yield return Change(c, copy => RemoveCode(copy, 0, first));
        }
        for (int i = 0; i < c.Length - 1; i++)
            if (c.Code[i] is 0x66 or 0x67 or 0xF0 or 0xF2 or 0xF3 or 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 or (>= 0x40 and <= 0x4F))
                yield return Change(c, copy => RemoveCode(copy, i, 1));
    }

    /// <summary>Fewer bits set: the lower half, the upper half gone, single bytes gone, single bits gone.</summary>
    private static IEnumerable<ulong> Simpler(ulong value)
    {
        if (value == 0)
            yield break;
        foreach (ulong mask in new ulong[] { 0xFF, 0xFFFF, uint.MaxValue, ~0xFFUL, ~0xFFFFUL, ~0xFFFF_FFFFUL })
            if ((value & mask) != value && (value & mask) != 0)
                yield return value & mask;
        for (ulong bit = 1UL << 63; bit != 0; bit >>= 1)
            if ((value & bit) != 0 && value != bit)
                yield return value & ~bit;
    }

    private static IEnumerable<byte[]> Simpler(byte[] bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == 0)
                continue;
            byte[] copy = [.. bytes];
            copy[i] = 0;
            yield return copy;
        }
        if (bytes.Length > 1)
            yield return bytes[..^1];
    }

    private static void RemoveCode(Case c, int at, int count)
    {
        Array.Copy(c.Code, at + count, c.Code, at, c.Length - at - count);
        c.Length -= count;
    }

    private static Case Change(Case c, Action<Case> change)
    {
        Case copy = c.Copy();
        change(copy);
        return copy;
    }
}
