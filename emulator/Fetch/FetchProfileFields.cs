using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Emu.Fetch;

/// <summary>A field of a profile as users see it: its name, what it may be, and its value in a profile.</summary>
public sealed class FetchProfileField
{
    private readonly Func<FetchProfile, string> _get;
    private readonly Func<FetchProfile, string, FetchProfile?> _set;

    internal FetchProfileField(string name, string values, string meaning, Func<FetchProfile, string> get, Func<FetchProfile, string, FetchProfile?> set)
    {
        Name = name;
        Values = values;
        Meaning = meaning;
        _get = get;
        _set = set;
    }

    /// <summary>As on the command line and in scenarios: <c>atomic-unit</c>.</summary>
    public string Name { get; }

    /// <summary>What may be assigned, in words.</summary>
    public string Values { get; }

    public string Meaning { get; }

    /// <summary>The value in a profile, in the words that <see cref="TrySet"/> takes.</summary>
    public string Get(FetchProfile profile) => _get(profile);

    /// <summary>The profile with this field changed; false when the value is none of <see cref="Values"/>.</summary>
    public bool TrySet(FetchProfile profile, string value, [NotNullWhen(true)] out FetchProfile? changed)
    {
        changed = _set(profile, value);
        return changed != null;
    }
}

/// <summary>All fields of a profile by name, so that each can be set by itself: <c>--set depth=16</c>.</summary>
public static class FetchProfileFields
{
    /// <summary>Beyond it the queue's ring has no room.</summary>
    public const int MaximumDepth = 128;

    public const int MaximumStoreBuffer = 64;

    private static readonly int[] Granules = [1, 8, 16, 32, 64];
    private static readonly int[] AtomicUnits = [1, 2, 4, 8, 16, 32, 64];
    private static readonly (string, FetchOrder)[] Orders = [("in-order", FetchOrder.InOrder), ("any", FetchOrder.Any)];
    private static readonly (string, Retention)[] Retentions = [("queue", Retention.Queue), ("window", Retention.Window)];
    private static readonly (string, CompareBy)[] Comparisons = [("linear", CompareBy.Linear), ("physical", CompareBy.Physical)];
    private static readonly (string, MismatchRule)[] Rules =
        [("stale", MismatchRule.Stale), ("refetch", MismatchRule.Refetch), ("gp", MismatchRule.GeneralProtection)];

    /// <summary>In the order in which tables show them.</summary>
    public static IReadOnlyList<FetchProfileField> All { get; } =
    [
        Number("depth", "bytes that may be prefetched; 0 fetches at execution", 0, MaximumDepth, p => p.Depth, (p, v) => p with { Depth = v }),
        OneOf("granule", "bytes that one fetch reads, aligned", Granules, p => p.Granule, (p, v) => p with { Granule = v }),
        Word("order", "order in which granules are fetched", Orders, p => p.Order, (p, v) => p with { Order = v }),
        OneOf("atomic-unit", "aligned size within which a fetch sees all of a store or nothing", AtomicUnits, p => p.AtomicUnit, (p, v) => p with { AtomicUnit = v }),
        Word("retention", "what may be stale after the queue was emptied without serialising: nothing, or any version since this CPU last serialised",
            Retentions, p => p.Retention, (p, v) => p with { Retention = v }),
        Word("on-mismatch", "what becomes of bytes that memory no longer holds: executed, fetched again, or #GP (the erratum)",
            Rules, p => p.OnMismatch, (p, v) => p with { OnMismatch = v }),
        YesNo("int3-exempt", "a first byte cc, before or after, makes a mismatch harmless", p => p.Int3Exempt, (p, v) => p with { Int3Exempt = v }),
        YesNo("atomic-exempt", "one store within an aligned atomic unit is harmless: the whole old or the whole new instruction retires",
            p => p.AtomicExempt, (p, v) => p with { AtomicExempt = v }),
        YesNo("mfence-serialises", "MFENCE serialises", p => p.MfenceSerialises, (p, v) => p with { MfenceSerialises = v }),
        YesNo("breakpoint-serialises", "delivery of #BP serialises", p => p.BreakpointSerialises, (p, v) => p with { BreakpointSerialises = v }),
        YesNo("interrupt-serialises", "delivery of an interrupt serialises", p => p.InterruptSerialises, (p, v) => p with { InterruptSerialises = v }),
        YesNo("branch-flushes", "a taken branch empties the queue", p => p.BranchFlushes, (p, v) => p with { BranchFlushes = v }),
        YesNo("xapic-icr-waits", "a write to the xAPIC's ICR waits for earlier stores", p => p.XapicIcrWaits, (p, v) => p with { XapicIcrWaits = v }),
        YesNo("x2apic-icr-waits", "WRMSR to the x2APIC's ICR waits for earlier stores", p => p.X2apicIcrWaits, (p, v) => p with { X2apicIcrWaits = v }),
        Word("compare-by", "address by which a CPU's own stores find its prefetched bytes", Comparisons, p => p.CompareBy, (p, v) => p with { CompareBy = v }),
        Number("store-buffer", "entries of the store buffer; 0 makes stores visible at once", 0, MaximumStoreBuffer, p => p.StoreBuffer, (p, v) => p with { StoreBuffer = v }),
    ];

    /// <summary>The field of this name, or null.</summary>
    public static FetchProfileField? Find(string name) => All.FirstOrDefault(f => f.Name == name);

    /// <summary>Applies <c>field=value</c>. The name of the profile tells what was changed.</summary>
    /// <param name="error">What is wrong and how to mend it, in one line; null on success.</param>
    public static bool TrySet(FetchProfile profile, string assignment, [NotNullWhen(true)] out FetchProfile? changed, [NotNullWhen(false)] out string? error)
    {
        changed = null;
        int equals = assignment.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
        {
            error = $"\"{assignment}\" is not field=value; write, for example, depth=16";
            return false;
        }
        string name = assignment[..equals].Trim();
        string value = assignment[(equals + 1)..].Trim();
        FetchProfileField? field = Find(name);
        if (field == null)
        {
            error = $"a profile has no field \"{name}\"; it has {string.Join(", ", All.Select(f => f.Name))}";
            return false;
        }
        if (!field.TrySet(profile, value, out changed))
        {
            error = $"{name} cannot be \"{value}\"; it is {field.Values}";
            return false;
        }
        changed = changed with { Name = $"{profile.Name}+{name}={value}" };
        error = null;
        return true;
    }

    private static FetchProfileField Number(
        string name, string meaning, int least, int most, Func<FetchProfile, int> get, Func<FetchProfile, int, FetchProfile> set) =>
        new(name, $"a number from {least} to {most}", meaning, p => Text(get(p)),
            (p, v) => TryNumber(v, out int n) && n >= least && n <= most ? set(p, n) : null);

    private static FetchProfileField OneOf(string name, string meaning, int[] values, Func<FetchProfile, int> get, Func<FetchProfile, int, FetchProfile> set) =>
        new(name, $"one of {string.Join(", ", values)}", meaning, p => Text(get(p)),
            (p, v) => TryNumber(v, out int n) && values.Contains(n) ? set(p, n) : null);

    private static FetchProfileField YesNo(string name, string meaning, Func<FetchProfile, bool> get, Func<FetchProfile, bool, FetchProfile> set) =>
        new(name, "yes or no", meaning, p => get(p) ? "yes" : "no", (p, v) => v switch
        {
            "yes" => set(p, true),
            "no" => set(p, false),
            _ => null,
        });

    private static FetchProfileField Word<T>(string name, string meaning, (string Word, T Value)[] words, Func<FetchProfile, T> get, Func<FetchProfile, T, FetchProfile> set)
        where T : struct, Enum =>
        new(name, $"one of {string.Join(", ", words.Select(w => w.Word))}", meaning,
            p => words.First(w => w.Value.Equals(get(p))).Word,
            (p, v) =>
            {
                int i = Array.FindIndex(words, w => w.Word == v);
                return i < 0 ? null : set(p, words[i].Value);
            });

    private static bool TryNumber(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
