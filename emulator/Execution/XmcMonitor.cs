using Emu.Cpus;
using Emu.Fetch;
using Emu.Instructions;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>
/// The checker of cross-modifying code, as the engine sees it. It keeps every store to code, knows when each CPU last serialised, and judges each
/// instruction that executes although its bytes changed since (<see cref="XmcRule"/>). What ThreadSanitizer is for data, this is for code.
/// <para>The coherent machine executes whole blocks, where nobody looks at an instruction. There, bytes behind whose change not every running CPU has
/// serialised are <em>hot</em>: no block holds them, so that they are executed one instruction at a time, and seen.</para>
/// </summary>
public sealed unsafe class XmcMonitor : ICodeObserver
{
    /// <summary>Stores after which it is worth a look whether the oldest can be forgotten.</summary>
    private const int TrimEvery = 256;

    /// <summary>Versions of an instruction that are compared; with more than that, and no serialisation between, the latest tell enough.</summary>
    private const int MaximumVersions = 32;

    private readonly PhysicalMemory _memory;
    private readonly CodeCache _cache;
    private readonly InstructionDecoder _decoder;
    private readonly Cpu[] _cpus;
    private readonly bool _coherent;
    private readonly XmcLog _log = new();
    private readonly XmcSerialisation[] _serialised;

    /// <summary>CPUs that may execute without being woken first.</summary>
    private readonly bool[] _runs;

    /// <summary>By line: which of its bytes are hot, and the number of the last store to them.</summary>
    private readonly Dictionary<ulong, (ulong Bytes, ulong Last)> _hot = [];

    /// <summary>Every running CPU has serialised behind the stores up to this one; recomputed when it is asked for.</summary>
    private ulong _cool;
    private bool _coolIsOld = true;

    /// <summary>What was judged last at an address on a CPU: the number of the last store then.</summary>
    private readonly Dictionary<(int Cpu, ulong Linear), (ulong Since, ulong Now)> _judged = [];

    /// <summary>
    /// What became of versions, by a hash of all that the verdict depends on: code that is patched to and fro shows the same versions again and again.
    /// Null where they were excused.
    /// </summary>
    private readonly Dictionary<ulong, XmcRace?> _verdicts = [];

    /// <summary>At this size the two are emptied.</summary>
    private const int MostJudged = 4096;

    /// <summary>The stores that made the versions that are being looked at, newest first.</summary>
    private readonly XmcStore[] _changes = new XmcStore[MaximumVersions];
    private readonly Dictionary<ulong, ulong> _old = [];

    /// <param name="rule">The profile whose rule decides.</param>
    /// <param name="coherent">The machine executes blocks; else the modelled machine calls <see cref="Check"/> for each instruction.</param>
    public XmcMonitor(FetchProfile rule, bool coherent, PhysicalMemory memory, CodeCache cache, InstructionDecoder decoder, Cpu[] cpus)
    {
        Rule = rule;
        _coherent = coherent;
        _memory = memory;
        _cache = cache;
        _decoder = decoder;
        _cpus = cpus;
        _serialised = new XmcSerialisation[cpus.Length];
        _runs = new bool[cpus.Length];
        memory.Observe(this);
        foreach (Cpu cpu in cpus)
        {
            Action? other = cpu.OnSerialise;
            cpu.OnSerialise = () =>
            {
                other?.Invoke();
                Serialised(cpu);
            };
        }
    }

    /// <summary>The profile whose rule decides.</summary>
    public FetchProfile Rule { get; }

    /// <summary>Told of every execution that the rule does not excuse; the same one may come again.</summary>
    public Action<XmcRace>? OnRace { get; set; }

    /// <summary>Stores to code so far.</summary>
    public ulong Stores => _log.Now;

    /// <summary>Stores that were forgotten before every CPU had serialised behind them.</summary>
    public ulong Forgotten => _log.Forgotten;

    /// <summary>What serialised a CPU last, by the rule that is checked.</summary>
    public XmcSerialisation LastSerialisation(CpuIndex cpu) => _serialised[cpu.Value];

    /// <summary>A CPU begins to execute: if it was halted, what changed meanwhile is hot until it serialises.</summary>
    public void Resume(Cpu cpu)
    {
        int i = cpu.Index.Value;
        if (_runs[i])
            return;
        _runs[i] = true;
        _coolIsOld = true;
        for (int n = _log.FirstAfter(_serialised[i].Number); n < _log.Stores.Length; n++)
            Heat(_log.Stores[n]);
    }

    /// <summary>A CPU has stopped executing: if it waits for an interrupt, nothing stays hot on its account.</summary>
    public void Pause(Cpu cpu)
    {
        if (cpu.State->Activity == Activity.Active)
            return;
        _runs[cpu.Index.Value] = false;
        _coolIsOld = true;
    }

    /// <summary>True when one of these bytes is hot.</summary>
    public bool IsHot(ulong physical, int length) => ColdBytes(physical, length) < length;

    /// <summary>Bytes from an address up to the first that is hot; at most <paramref name="length"/>.</summary>
    public int ColdBytes(ulong physical, int length)
    {
        if (_hot.Count == 0)
            return length;
        for (ulong at = physical; at < physical + (ulong)length; at = (at | 63) + 1)
        {
            ulong line = at >> 6;
            if (!_hot.TryGetValue(line, out (ulong Bytes, ulong Last) hot))
                continue;
            if (hot.Last <= Cool())
            {
                _hot.Remove(line);
                continue;
            }
            int next = System.Numerics.BitOperations.TrailingZeroCount(hot.Bytes >> (int)(at & 63));
            ulong distance = at + (ulong)next - physical;
            if ((at & 63) + (ulong)next < 64 && distance < (ulong)length)
                return (int)distance;
        }
        return length;
    }

    /// <summary>From now on stores to these bytes (within one page) are seen: they execute without being in a block.</summary>
    public void Cover(ulong physical, int length)
    {
        if (!_cache.IsDecoded(physical, length))
            _cache.NoteDecoded(physical, length);
    }

    /// <summary>Judges an instruction that is about to execute.</summary>
    /// <param name="bytes">The bytes that will execute.</param>
    /// <param name="first">Physical address of its first byte.</param>
    public void Check(Cpu cpu, ulong linear, byte* bytes, int length, ulong first)
    {
        ulong since = _serialised[cpu.Index.Value].Number;
        // Across pages there is nothing quick to say.
        if (_log.Now != since && ((first & Page.OffsetMask) + (ulong)length > Page.Size || _log.MayChange(first, length, since)))
            Look(cpu, linear, bytes, length, new Place(first, 0), since);
    }

    /// <summary>A copy of all state, for a snapshot.</summary>
    public object Save() => new Saved(_log.Save(), [.. _serialised], [.. _runs], new(_judged));

    /// <summary>Takes it back, after RAM was restored.</summary>
    public void Restore(object saved)
    {
        var s = (Saved)saved;
        _log.Restore(s.Log);
        s.Serialised.CopyTo(_serialised, 0);
        s.Runs.CopyTo(_runs, 0);
        _hot.Clear();
        _judged.Clear();
        _verdicts.Clear();
        foreach (((int, ulong) key, (ulong, ulong) value) in s.Judged)
            _judged[key] = value;
        _coolIsOld = true;
        foreach (XmcStore store in _log.Stores)
            if (store.Number > Cool())
                Heat(store);
    }

    void ICodeObserver.BeforeCodeWrite(ulong address, int length)
    {
        if (_coherent && !_cache.IsDecoded(address, length))
            return;
        _old.Clear();
        for (int done = 0; done < length; done += 8)
            _old[address + (ulong)done] = _memory.Read(address + (ulong)done, Math.Min(8, length - done));
    }

    void ICodeObserver.AfterCodeWrite(ulong address, int length)
    {
        if (_coherent && !_cache.IsDecoded(address, length))
            return;
        Writer writer = _memory.Writer;
        ulong time = 0;
        if (writer.Cpu >= 0)
        {
            Cpu cpu = _cpus[writer.Cpu];
            time = cpu.Clock.Now(cpu.Index);
            // Blocks do not keep RIP exact; where stores do not wait, the instruction is the one that executes.
            if (_coherent)
                writer = writer with { Rip = RipOf(cpu.State) };
        }
        for (int done = 0; done < length; done += 8)
        {
            ulong at = address + (ulong)done;
            int n = Math.Min(8, length - done);
            ulong value = _memory.Read(at, n);
            if (value == _old[at])
                continue;
            _log.Add(at, n, _old[at], value, writer, time);
            if (_coherent)
                Heat(_log.Stores[^1]);
            if (_log.Now % TrimEvery == 0)
                Trim();
        }
    }

    private static ulong RipOf(CpuState* s) => s->CurrentOp != null ? Op.RipOf((Op*)s->CurrentOp) : s->Rip;

    private void Serialised(Cpu cpu)
    {
        // The coherent machine takes all of these for serialising; the rule that is checked may not.
        bool counts = cpu.LastSerialisation switch
        {
            SerialisingEvent.Mfence => Rule.MfenceSerialises,
            SerialisingEvent.Breakpoint => Rule.BreakpointSerialises,
            SerialisingEvent.Interrupt => Rule.InterruptSerialises,
            _ => true,
        };
        if (!counts)
            return;
        _serialised[cpu.Index.Value] = new XmcSerialisation(cpu.LastSerialisation, RipOf(cpu.State), cpu.Clock.Now(cpu.Index), _log.Now);
        _coolIsOld = true;
    }

    /// <summary>No block may hold these bytes until every running CPU has serialised.</summary>
    private void Heat(XmcStore store)
    {
        if (!_coherent)
            return;
        for (ulong at = store.Address; at < store.Address + (ulong)store.Length; at++)
        {
            (ulong Bytes, ulong Last) hot = _hot.GetValueOrDefault(at >> 6);
            _hot[at >> 6] = (hot.Bytes | 1UL << (int)(at & 63), store.Number);
        }
        _cache.Invalidate(store.Address, store.Length);
    }

    /// <summary>Number of the store behind which every running CPU has serialised.</summary>
    private ulong Cool()
    {
        if (!_coolIsOld)
            return _cool;
        _cool = ulong.MaxValue;
        for (int i = 0; i < _cpus.Length; i++)
            if (_runs[i])
                _cool = Math.Min(_cool, _serialised[i].Number);
        _coolIsOld = false;
        return _cool;
    }

    private void Trim()
    {
        ulong oldest = _log.Now;
        for (int i = 0; i < _cpus.Length; i++)
            if (_cpus[i].State->Activity is not (Activity.WaitForSipi or Activity.Shutdown))
                oldest = Math.Min(oldest, _serialised[i].Number);
        _log.Trim(oldest);
    }

    private sealed record Saved(
        (XmcStore[], ulong, ulong) Log, XmcSerialisation[] Serialised, bool[] Runs, Dictionary<(int, ulong), (ulong, ulong)> Judged);

    /// <summary>Where the bytes of an instruction are: on one page, or on two.</summary>
    private readonly record struct Place(ulong First, ulong Second)
    {
        public int OnFirst => (int)(Page.Size - (First & Page.OffsetMask));

        public ulong At(int i) => i < OnFirst ? First + (ulong)i : Second + (ulong)(i - OnFirst);

        public bool Changed(in XmcStore store, int length) =>
            store.Changes(First, Math.Min(length, OnFirst)) || (length > OnFirst && store.Changes(Second, length - OnFirst));
    }

    private void Look(Cpu cpu, ulong linear, byte* bytes, int length, Place place, ulong since)
    {
        // The instruction that stood here before, or will, may be longer than the one that executes.
        if (place.OnFirst < XmcRule.MaximumLength)
            place = place with { Second = NextPage(cpu, linear) };
        int span = place.Second != 0 ? XmcRule.MaximumLength : Math.Min(XmcRule.MaximumLength, place.OnFirst);
        (int, ulong) key = (cpu.Index.Value, linear);
        bool judged = _judged.TryGetValue(key, out (ulong Since, ulong Now) before) && before.Since == since && !MayChange(place, span, before.Now);
        if (_judged.Count > MostJudged)
            _judged.Clear();
        _judged[key] = (since, _log.Now);
        if (judged)
            return;
        int count = FindChanges(place, span, Math.Min(length, span), _log.FirstAfter(since));
        if (count == 0)
            return;
        ulong hash = HashOfVersions(cpu, linear, place, span, length, count);
        if (!_verdicts.TryGetValue(hash, out XmcRace? race))
        {
            race = Judge(cpu, linear, bytes, length, place, span, count);
            if (_verdicts.Count > MostJudged)
                _verdicts.Clear();
            _verdicts[hash] = race;
        }
        if (race != null)
            OnRace?.Invoke(race with { Time = cpu.Clock.Now(cpu.Index), Serialised = _serialised[cpu.Index.Value] });
    }

    private bool MayChange(Place place, int span, ulong since) =>
        _log.MayChange(place.First, Math.Min(span, place.OnFirst), since) || (span > place.OnFirst && _log.MayChange(place.Second, span - place.OnFirst, since));

    private XmcRace? Judge(Cpu cpu, ulong linear, byte* bytes, int length, Place place, int span, int count)
    {
        List<XmcVersion> versions = Versions(place, span, count);
        int[] earliest = Earliest(cpu, linear, place, versions, span);
        XmcVerdict verdict = XmcRule.Judge(Rule, linear, [.. versions.Select(v => v.Bytes)], earliest, b => LengthOf(b, cpu.State));
        return verdict.Excused ? null
            : new XmcRace(cpu.Index, cpu.Clock.Now(cpu.Index), cpu.State->Rip, linear, place.First, new ReadOnlySpan<byte>(bytes, length).ToArray(),
                versions, XmcRace.CulpritOf(versions, verdict), _serialised[cpu.Index.Value], Rule, verdict);
    }

    /// <summary>Physical address of the page behind that of an instruction; 0 where there is none.</summary>
    private ulong NextPage(Cpu cpu, ulong linear)
    {
        TlbEntry* e = Access.Translate(cpu.State, (linear & Page.Mask) + Page.Size, 1, AccessKind.Execute);
        ulong physical = e == null ? 0 : e->PhysicalAndFlags & Page.Mask;
        return _memory.Pointer(physical) == null ? 0 : physical;
    }

    /// <summary>Fills <see cref="_changes"/> from a position of the log on; 0 when the first <paramref name="length"/> bytes did not change.</summary>
    private int FindChanges(Place place, int span, int length, int from)
    {
        bool any = false;
        int count = 0;
        ReadOnlySpan<XmcStore> stores = _log.Stores;
        for (int n = stores.Length - 1; n >= from && count < MaximumVersions; n--)
        {
            ref readonly XmcStore store = ref stores[n];
            if (!place.Changed(store, span))
                continue;
            any |= place.Changed(store, length);
            _changes[count++] = store;
        }
        return any ? count : 0;
    }

    /// <summary>The versions follow from the present bytes and from what each store replaced.</summary>
    private ulong HashOfVersions(Cpu cpu, ulong linear, Place place, int span, int length, int count)
    {
        ulong hash = Mix(Mix((ulong)cpu.Index.Value << 32 | cpu.State->ModeKey, linear), place.First ^ (ulong)length << 60 ^ (ulong)span << 56);
        for (int i = 0; i < span; i++)
            hash = Mix(hash, *_memory.Pointer(place.At(i)));
        for (int i = 0; i < count; i++)
        {
            ref readonly XmcStore store = ref _changes[i];
            hash = Mix(Mix(hash, store.Address ^ (ulong)store.Length << 60), store.Old);
            hash = Mix(Mix(hash, store.Writer.Rip), store.Writer.Linear ^ (ulong)store.Writer.Cpu << 56);
        }
        return hash;
    }

    private static ulong Mix(ulong hash, ulong value)
    {
        hash = (hash ^ value) * 0x9E37_79B9_7F4A_7C15;
        return hash ^ hash >> 29;
    }

    /// <summary>The versions of the bytes, oldest first.</summary>
    private List<XmcVersion> Versions(Place place, int span, int count)
    {
        byte[] now = new byte[span];
        for (int i = 0; i < span; i++)
            now[i] = *_memory.Pointer(place.At(i));
        var versions = new List<XmcVersion>();
        foreach (XmcStore store in _changes.AsSpan(0, count))
        {
            versions.Add(new XmcVersion((byte[])now.Clone(), store));
            for (int i = 0; i < span; i++)
                if (place.At(i) - store.Address < (ulong)store.Length)
                    now[i] = (byte)(store.Old >> (8 * (int)(place.At(i) - store.Address)));
        }
        versions.Add(new XmcVersion(now, null));
        versions.Reverse();
        return versions;
    }

    /// <summary>A CPU's own stores are never missed by its own fetches, unless they went through an alias and the profile compares linear addresses.</summary>
    private int[] Earliest(Cpu cpu, ulong linear, Place place, List<XmcVersion> versions, int span)
    {
        int[] earliest = new int[span];
        for (int v = 0; v < versions.Count; v++)
        {
            if (versions[v].Store is not { } store || store.Writer.Cpu != cpu.Index.Value)
                continue;
            for (int i = 0; i < span; i++)
            {
                ulong offset = place.At(i) - store.Address;
                if (offset < (ulong)store.Length && (Rule.CompareBy == CompareBy.Physical || store.Writer.Linear - (linear + (ulong)i) == 0 - offset))
                    earliest[i] = v;
            }
        }
        return earliest;
    }

    private int LengthOf(ReadOnlySpan<byte> bytes, CpuState* s)
    {
        fixed (byte* p = bytes)
        {
            if (!_decoder.TryDecode(p, bytes.Length, s->Rip, s->ModeKey, out Iced.Intel.Instruction instruction))
                return 0;
            return instruction.IsInvalid ? bytes.Length : instruction.Length;
        }
    }
}
