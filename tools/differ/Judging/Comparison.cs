using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>One thing in which Emu and the oracle disagree.</summary>
public readonly record struct Difference(string What, string Oracle, string Emu)
{
    public override string ToString() => $"{What}: oracle {Oracle}, emu {Emu}";
}

/// <summary>Compares what a case left behind on the two machines, less what the manual leaves undefined.</summary>
public static class Comparison
{
    /// <summary>Flags that are compared at all: everything but RF and VM, which no case sets.</summary>
    private const ulong ComparedFlags = 0x3C_7FD5;

    /// <summary>True when nothing differs that is defined.</summary>
    public static bool Agree(Case c, Outcome oracle, Outcome emu)
    {
        if (!SameVector(oracle, emu) || !SameErrorCode(oracle, emu) || oracle.FaultAddress != emu.FaultAddress || oracle.Rip != emu.Rip)
            return false;
        UndefinedResult undefined = UndefinedIn(c, oracle);
        if (((oracle.Flags ^ emu.Flags) & ComparedFlags & ~undefined.Flags) != 0)
            return false;
        if (oracle.FsBase != emu.FsBase || oracle.GsBase != emu.GsBase || !SameSelectors(oracle, emu))
            return false;
        return (oracle.Registers.AsSpan().SequenceEqual(emu.Registers) && oracle.Memory.SameAs(emu.Memory) && FloatingComparison.Same(oracle, emu))
            || Describe(c, oracle, emu).Count == 0;
    }

    /// <summary>Everything that differs and is defined, in words.</summary>
    public static List<Difference> Describe(Case c, Outcome oracle, Outcome emu)
    {
        var list = new List<Difference>();
        UndefinedResult undefined = UndefinedIn(c, oracle);
        if (!SameVector(oracle, emu))
            list.Add(new Difference("exception", DescribeVector(oracle), DescribeVector(emu)));
        else if (oracle.FaultAddress != emu.FaultAddress)
            list.Add(new Difference("fault address", $"{oracle.FaultAddress:x}", $"{emu.FaultAddress:x}"));
        else if (!SameErrorCode(oracle, emu))
            list.Add(new Difference("error code", $"{oracle.ErrorCode:x}", $"{emu.ErrorCode:x}"));
        if (oracle.Rip != emu.Rip)
            list.Add(new Difference("rip", $"{oracle.Rip:x}", $"{emu.Rip:x}"));
        for (int r = 0; r < c.Mode.RegisterCount(); r++)
        {
            ulong masked = MaskOfDestination(c, r) & (undefined.Destination ? ulong.MaxValue : undefined.Bits);
            if (((oracle.Registers[r] ^ emu.Registers[r]) & ~masked) != 0)
                list.Add(new Difference(CaseText.NameOf(c.Mode, r), $"{oracle.Registers[r]:x}", $"{emu.Registers[r]:x}"));
        }
        ulong flags = (oracle.Flags ^ emu.Flags) & ComparedFlags & ~undefined.Flags;
        if (flags != 0)
            list.Add(new Difference($"flags {FlagNames.Describe(flags)}", $"{oracle.Flags:x}", $"{emu.Flags:x}"));
        for (int i = 0; i < 6; i++)
            if (!SameSelector(oracle.Selectors[i], emu.Selectors[i]))
                list.Add(new Difference($"selector {"escsssdsfsgs".Substring(2 * i, 2)}", $"{oracle.Selectors[i]:x}", $"{emu.Selectors[i]:x}"));
        if (oracle.FsBase != emu.FsBase)
            list.Add(new Difference("fs base", $"{oracle.FsBase:x}", $"{emu.FsBase:x}"));
        if (oracle.GsBase != emu.GsBase)
            list.Add(new Difference("gs base", $"{oracle.GsBase:x}", $"{emu.GsBase:x}"));
        FloatingComparison.Describe(c, oracle, emu, undefined, list);
        AddMemory(c, oracle.Memory, emu.Memory, undefined, list);
        return list;
    }

    /// <summary>#GP(0), or #SS(0) for the stack segment, is what the manual says of an address that is not canonical.</summary>
    private static bool SameVector(Outcome oracle, Outcome emu) =>
        oracle.Vector == emu.Vector || (oracle.Vector == Outcome.NotCanonical && emu.Vector is (12 or 13));

    private static bool SameSelectors(Outcome oracle, Outcome emu)
    {
        for (int i = 0; i < 6; i++)
            if (!SameSelector(oracle.Selectors[i], emu.Selectors[i]))
                return false;
        return true;
    }

    /// <summary>When the host's kernel goes back to a program, its IRET makes 0 of null selectors (SDM Vol. 2, "IRET", "RETURN-TO-OUTER-PRIVILEGE-LEVEL").</summary>
    private static bool SameSelector(ushort oracle, ushort emu) => oracle == emu || (oracle == 0 && emu < 4);

    private static bool SameErrorCode(Outcome oracle, Outcome emu) =>
        oracle.ErrorCode == null || emu.ErrorCode == null || oracle.ErrorCode == emu.ErrorCode;

    public static string DescribeVector(Outcome o) => o.Vector switch
    {
        Outcome.NoVector => "none",
        Outcome.NotCanonical => "address not canonical",
        14 => $"#PF at {o.FaultAddress:x}",
        _ => o.Vector switch { 0 => "#DE", 1 => "#DB", 3 => "#BP", 4 => "#OF", 5 => "#BR", 6 => "#UD", 8 => "#DF", 10 => "#TS", 11 => "#NP", 12 => "#SS", 13 => "#GP", 16 => "#MF", 17 => "#AC", 19 => "#XM", _ => $"vector {o.Vector}" },
    };

    /// <summary>What is undefined at the end of a case, which may have two instructions; an instruction that faulted leaves nothing.</summary>
    private static UndefinedResult UndefinedIn(Case c, Outcome oracle)
    {
        if (oracle.Vector != Outcome.NoVector)
            return c.Count == 2 && oracle.Rip == c.Second.IP ? Undefined.After(c, c.First, oracle.Flags) : default;
        UndefinedResult result = Undefined.After(c, c.First, oracle.Flags);
        if (c.Count == 2)
        {
            UndefinedResult second = Undefined.After(c, c.Second, oracle.Flags);
            result.Flags = result.Flags & ~Flags(c.Second.RflagsModified) | second.Flags;
            result.Destination |= second.Destination;
            result.Bits |= second.Bits;
            result.Status |= second.Status;
        }
        return result;
    }

    /// <summary>Iced's bits as those of RFLAGS.</summary>
    public static ulong Flags(RflagsBits bits)
    {
        ulong flags = 0;
        if ((bits & RflagsBits.CF) != 0)
            flags |= 1;
        if ((bits & RflagsBits.PF) != 0)
            flags |= 4;
        if ((bits & RflagsBits.AF) != 0)
            flags |= 0x10;
        if ((bits & RflagsBits.ZF) != 0)
            flags |= 0x40;
        if ((bits & RflagsBits.SF) != 0)
            flags |= 0x80;
        if ((bits & RflagsBits.OF) != 0)
            flags |= 0x800;
        return flags;
    }

    private static ulong MaskOfDestination(Case c, int register)
    {
        // The whole register: what is undefined in a 16-bit operand may show above it too.
        Instruction i = c.First;
        return i.Op0Kind == OpKind.Register && EffectiveAddress.NumberOf(i.Op0Register) == register ? ulong.MaxValue : 0;
    }

    private static void AddMemory(Case c, ChangedLines oracle, ChangedLines emu, UndefinedResult undefined, List<Difference> list)
    {
        Arena arena = Arena.For(c.Mode);
        SortedSet<int> lines = [];
        for (int i = 0; i < oracle.Count; i++)
            lines.Add(oracle[i]);
        for (int i = 0; i < emu.Count; i++)
            lines.Add(emu[i]);
        foreach (int line in lines)
        {
            ulong start = arena.AddressOf(line), end = start + ChangedLines.LineBytes;
            for (ulong at = start; at < end; at++)
            {
                if (oracle.ByteAt(arena, at) == emu.ByteAt(arena, at) || (undefined.Destination && IsDestination(c, arena, at)))
                    continue;
                ulong stop = Math.Min(at + 8, end);
                list.Add(new Difference($"memory at physical {at:x}", Hex(arena, oracle, at, stop), Hex(arena, emu, at, stop)));
                at = stop - 1;
                if (list.Count > 12)
                    return;
            }
        }
    }

    private static string Hex(Arena arena, ChangedLines memory, ulong start, ulong end)
    {
        var bytes = new byte[end - start];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = memory.ByteAt(arena, start + (ulong)i);
        return Convert.ToHexStringLower(bytes);
    }

    private static bool IsDestination(Case c, Arena arena, ulong physical)
    {
        if (c.First.Op0Kind != OpKind.Memory)
            return false;
        ulong linear = EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First));
        for (int i = 0; i < c.First.MemorySize.GetSize(); i++)
            if (arena.Physical(linear + (ulong)i) == physical)
                return true;
        return false;
    }
}
