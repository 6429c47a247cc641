namespace Emu.Fetch;

/// <summary>Length of the instruction that these bytes begin; 0 when they are too few to tell.</summary>
public delegate int InstructionLength(ReadOnlySpan<byte> bytes);

/// <summary>What a profile says of an instruction whose bytes changed since the CPU that executes it last serialised.</summary>
/// <param name="Excused">Nothing that may have been fetched does harm.</param>
/// <param name="Torn">The bytes that do harm are those of no version: parts of several.</param>
/// <param name="Fetched">The bytes that the CPU may have fetched and that are not excused; empty when there are none.</param>
/// <param name="Version">The version that they are, 0 being the oldest; -1 when torn.</param>
/// <param name="Field">The field of the profile that decides, as <see cref="FetchProfileFields"/> names it.</param>
/// <param name="Value">Its value.</param>
/// <param name="Reason">Why it is forbidden, or excused, in a sentence.</param>
/// <param name="Source">Where the rule comes from.</param>
/// <param name="Remedy">What would have excused it; empty when it is excused.</param>
public sealed record XmcVerdict(
    bool Excused, bool Torn, byte[] Fetched, int Version, string Field, string Value, string Reason, string Source, string Remedy);

/// <summary>
/// The rule of cross-modifying code: a pure function of a profile and of the versions that the bytes of an instruction have had since a CPU last
/// serialised. What the CPU holds may come from any of them, unit by unit as the profile fetches; each combination is compared with the present bytes,
/// and has to be harmless. It needs no lucky schedule: that a stale fetch was possible is enough.
/// </summary>
public static class XmcRule
{
    /// <summary>An instruction has at most so many bytes.</summary>
    public const int MaximumLength = 15;

    private const byte Int3 = 0xCC;

    /// <summary>Combinations that are tried; with more versions than that give, nobody has kept to any protocol.</summary>
    private const int MaximumCombinations = 4096;

    /// <summary>Judges an instruction of which any version since the last serialisation may have been fetched.</summary>
    /// <param name="linear">Linear address of the instruction: says where the units of fetching begin.</param>
    /// <param name="versions">Its bytes, oldest first, the present ones last; all of one length, up to <see cref="MaximumLength"/>.</param>
    /// <param name="earliest">For each byte the first version that can have been fetched (later than 0 behind a store of the CPU itself); empty for all.</param>
    public static XmcVerdict Judge(FetchProfile profile, ulong linear, IReadOnlyList<byte[]> versions, ReadOnlySpan<int> earliest, InstructionLength length)
    {
        if (profile.Depth == 0 && profile.Retention == Retention.Queue)
            return Excuse(profile, "depth", "code is fetched when it is executed");
        int unit = UnitOf(profile);
        int[] first = new int[versions[0].Length];
        for (int at = 0; at < first.Length; at++)
        {
            // A unit is fetched at one moment: the latest bound of its bytes holds for all of them.
            for (int i = UnitStart(linear, at, unit); i < UnitEnd(linear, at, unit, first.Length); i++)
                if (!earliest.IsEmpty)
                    first[at] = Math.Max(first[at], earliest[i]);
        }
        var search = new Search(profile, linear, unit, versions, first, length);
        search.Extend(0, 0);
        return search.Worst ?? search.Mildest ?? Excuse(profile, "", "all that may have been fetched is what memory holds");
    }

    /// <summary>Judges one fetch: the bytes that were fetched against those that memory holds now.</summary>
    /// <param name="versions">Versions since the last serialisation, oldest first, the present one last.</param>
    public static XmcVerdict JudgeFetched(FetchProfile profile, ulong linear, IReadOnlyList<byte[]> versions, ReadOnlySpan<byte> fetched)
    {
        byte[] present = versions[^1];
        int n = fetched.Length;
        if (fetched.SequenceEqual(present.AsSpan(0, n)))
            return Excuse(profile, "", "what was fetched is what memory holds");
        byte[] bytes = fetched.ToArray();
        int version = versions.Count - 1;
        while (version >= 0 && !bytes.AsSpan().SequenceEqual(versions[version].AsSpan(0, n)))
            version--;
        bool breakpoint = fetched[0] == Int3 || present[0] == Int3;
        if (fetched[0] == Int3 && profile.Int3Exempt)
            return Excuse(profile, "int3-exempt", "a breakpoint was fetched: it traps, whatever memory holds by now");
        if (version < 0)
        {
            int unit = UnitOf(profile);
            bool parts = UnitEnd(linear, 0, unit, n) < n;
            return new XmcVerdict(false, true, bytes, -1, "atomic-unit", Text(profile.AtomicUnit),
                parts ? $"its bytes lie in several units of {unit}, each fetched at a time of its own: old and new parts may meet in one instruction"
                    : "the bytes are those of no version that memory held",
                profile.Source,
                parts ? "a serialising instruction on the executing CPU between the changes of the two parts, while the first byte is a breakpoint"
                    : "a serialising instruction on the executing CPU behind the change");
        }
        if (breakpoint && profile.Int3Exempt)
            return Excuse(profile, "int3-exempt", "a breakpoint stands in the first byte now: the instruction that was there may still retire, whole");
        if (breakpoint)
            return new XmcVerdict(false, false, bytes, version, "int3-exempt", "no",
                "the bytes changed since this CPU last serialised, and that one of the two versions is a breakpoint is no excuse here", profile.Source,
                "a serialising instruction on the executing CPU behind the change; or a profile with int3-exempt=yes, which no manual grants");
        if (profile.AtomicExempt && IsOneStore(profile, linear, versions, bytes, version))
            return Excuse(profile, "atomic-exempt", $"one store within an aligned unit of {profile.AtomicUnit} bytes made the difference: the old instruction may retire, whole");
        return new XmcVerdict(false, false, bytes, version, profile.AtomicExempt ? "atomic-exempt" : "on-mismatch",
            profile.AtomicExempt ? "yes" : profile.OnMismatch == MismatchRule.GeneralProtection ? "gp" : profile.OnMismatch == MismatchRule.Stale ? "stale" : "refetch",
            profile.AtomicExempt ? $"more than one store, or one beyond an aligned unit of {profile.AtomicUnit} bytes, made the difference, and the CPU has not serialised since"
                : "one whole instruction became another, and the CPU has not serialised since: it may still hold the old one",
            profile.Source,
            "a serialising instruction on the executing CPU behind the change; or a breakpoint in the first byte before it, and a serialising instruction between");
    }

    /// <summary>True when the next store to a version of these bytes made them the present ones, inside one atomic unit.</summary>
    private static bool IsOneStore(FetchProfile profile, ulong linear, IReadOnlyList<byte[]> versions, byte[] fetched, int version)
    {
        byte[] present = versions[^1];
        int n = fetched.Length;
        if (version + 1 >= versions.Count || !versions[version + 1].AsSpan(0, n).SequenceEqual(present.AsSpan(0, n)))
            return false;
        int first = -1;
        int last = -1;
        for (int i = 0; i < n; i++)
        {
            if (fetched[i] == present[i])
                continue;
            first = first < 0 ? i : first;
            last = i;
        }
        ulong unit = (ulong)profile.AtomicUnit;
        return (linear + (ulong)first) / unit == (linear + (ulong)last) / unit;
    }

    /// <summary>As <see cref="PrefetchQueue.Unit"/>: bytes that are always of the same moment.</summary>
    private static int UnitOf(FetchProfile profile) => Math.Max(profile.AtomicUnit > profile.Granule ? profile.AtomicUnit : Math.Min(profile.Granule, profile.AtomicUnit), 1);

    private static int UnitStart(ulong linear, int at, int unit) => Math.Max(0, at - (int)((linear + (ulong)at) % (ulong)unit));

    private static int UnitEnd(ulong linear, int at, int unit, int length) => Math.Min(length, at - (int)((linear + (ulong)at) % (ulong)unit) + unit);

    private static XmcVerdict Excuse(FetchProfile profile, string field, string reason) =>
        new(true, false, [], -1, field, field.Length == 0 ? "" : FetchProfileFields.Find(field)!.Get(profile), reason, profile.Source, "");

    private static string Text(int number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Goes through the combinations of versions that may have been fetched, unit by unit.</summary>
    private sealed class Search(FetchProfile profile, ulong linear, int unit, IReadOnlyList<byte[]> versions, int[] first, InstructionLength length)
    {
        private readonly byte[] _bytes = new byte[first.Length];
        private int _left = MaximumCombinations;

        /// <summary>The first that is not excused.</summary>
        public XmcVerdict? Worst { get; private set; }

        /// <summary>One that had to be excused.</summary>
        public XmcVerdict? Mildest { get; private set; }

        /// <summary>Chooses a version for the unit at an offset; bytes before it are chosen.</summary>
        /// <param name="fetched">Of the unit before it: units in order are fetched one after the other, and so never of an older version.</param>
        public void Extend(int at, int fetched)
        {
            int known = at == 0 ? 0 : length(_bytes.AsSpan(0, at));
            if (known != 0 || at == _bytes.Length)
            {
                Conclude(known == 0 ? at : known);
                return;
            }
            int end = UnitEnd(linear, at, unit, _bytes.Length);
            int oldest = Math.Max(first[at], profile.Order == FetchOrder.InOrder ? fetched : 0);
            // The present version first: what differs from it in one unit only is the clearest to show.
            for (int v = versions.Count - 1; v >= oldest && Worst == null; v--)
            {
                // In order, a later moment with the same bytes leaves fewer choices behind it, so it is the earliest one that counts.
                if (Repeats(v, oldest, at, end))
                    continue;
                versions[v].AsSpan(at, end - at).CopyTo(_bytes.AsSpan(at));
                Extend(end, v);
            }
        }

        /// <summary>True when an older version that may be chosen has the same bytes here.</summary>
        private bool Repeats(int version, int oldest, int at, int end)
        {
            for (int v = oldest; v < version; v++)
                if (versions[v].AsSpan(at, end - at).SequenceEqual(versions[version].AsSpan(at, end - at)))
                    return true;
            return false;
        }

        private void Conclude(int bytes)
        {
            if (_left-- == 0)
            {
                Worst = new XmcVerdict(false, false, versions[0], 0, "on-mismatch", "", "so many versions since this CPU last serialised that not all combinations were tried",
                    profile.Source, "a serialising instruction on the executing CPU behind each change");
                return;
            }
            XmcVerdict verdict = JudgeFetched(profile, linear, versions, _bytes.AsSpan(0, bytes));
            if (!verdict.Excused)
                Worst ??= verdict;
            else if (verdict.Field.Length != 0)
                Mildest ??= verdict;
        }
    }
}
