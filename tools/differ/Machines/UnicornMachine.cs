using System.Runtime.InteropServices;
using Emu.Differ.Cases;
using Emu.Differ.Unicorn;
using Iced.Intel;

namespace Emu.Differ.Machines;

/// <summary>Runs cases of one mode in Unicorn. One engine is kept open; only registers and the case's memory change.</summary>
public sealed unsafe class UnicornMachine : IOracle
{
    private const int MaximumSlots = 28;

    private static readonly UnicornRegister[] s_wide =
    [
        UnicornRegister.Rax, UnicornRegister.Rcx, UnicornRegister.Rdx, UnicornRegister.Rbx, UnicornRegister.Rsp, UnicornRegister.Rbp,
        UnicornRegister.Rsi, UnicornRegister.Rdi, UnicornRegister.R8, UnicornRegister.R9, UnicornRegister.R10, UnicornRegister.R11,
        UnicornRegister.R12, UnicornRegister.R13, UnicornRegister.R14, UnicornRegister.R15, UnicornRegister.Rflags, UnicornRegister.Rip,
    ];

    private static readonly UnicornRegister[] s_narrow =
    [
        UnicornRegister.Eax, UnicornRegister.Ecx, UnicornRegister.Edx, UnicornRegister.Ebx, UnicornRegister.Esp, UnicornRegister.Ebp,
        UnicornRegister.Esi, UnicornRegister.Edi, UnicornRegister.Eflags, UnicornRegister.Eip,
    ];

    private static readonly UnicornRegister[] s_system =
    [
        UnicornRegister.Es, UnicornRegister.Cs, UnicornRegister.Ss, UnicornRegister.Ds, UnicornRegister.Fs, UnicornRegister.Gs,
        UnicornRegister.FsBase, UnicornRegister.GsBase,
    ];

    private readonly Arena _arena;
    private readonly UnicornEngine _engine;
    private IReadOnlyList<Case> _cases = [];

    /// <summary>No translation stands at or above this linear address of code.</summary>
    private ulong _fresh;

    /// <summary>The code of the last case, whose translation is still right.</summary>
    private readonly byte[] _lastCode = new byte[Case.MaximumBytes];
    private ulong _lastRip;
    private int _lastLength;
    private readonly UnicornFloating _floating;
    private readonly byte* _ram;
    private readonly byte* _gap;

    // Registers by number, their values, and pointers to those: as the batch calls want them.
    private readonly int* _numbers;
    private readonly ulong* _values;
    private readonly void** _pointers;
    private readonly int _general;
    private readonly int _slots;

    public UnicornMachine(CodeMode mode)
    {
        _arena = Arena.For(mode);
        _ram = (byte*)NativeMemory.AlignedAlloc((nuint)_arena.RamSize, 4096);
        Buffer.MemoryCopy(_arena.Image, _ram, _arena.RamSize, _arena.RamSize);
        _gap = (byte*)NativeMemory.AlignedAlloc(4096, 4096);
        _numbers = (int*)NativeMemory.AllocZeroed(MaximumSlots, sizeof(int));
        _values = (ulong*)NativeMemory.AllocZeroed(MaximumSlots, sizeof(ulong));
        _pointers = (void**)NativeMemory.AllocZeroed(MaximumSlots, (nuint)sizeof(void*));
        _general = mode.RegisterCount();
        foreach (UnicornRegister register in (mode.Is64() ? s_wide : s_narrow).Concat(s_system))
        {
            _numbers[_slots] = (int)register;
            _pointers[_slots] = _values + _slots;
            _slots++;
        }
        _floating = new UnicornFloating(mode);
        _engine = new UnicornEngine(
            mode switch { CodeMode.Real16 => UnicornMode.Real16, CodeMode.Protected32 => UnicornMode.Protected32, _ => UnicornMode.Long64 },
            UnicornCpu.SkylakeClient);
        _engine.Map(0, _arena.RamSize, _ram);
        MapData();
        _engine.WriteTable(UnicornRegister.Gdtr, new UnicornTableRegister { Base = _arena.Gdt, Limit = (ushort)_arena.GdtLimit });
        _engine.WriteTable(UnicornRegister.Idtr, new UnicornTableRegister { Base = Arena.IdtBase, Limit = Arena.IdtLimit });
        _engine.WriteTable(UnicornRegister.Ldtr, default);
        if (mode == CodeMode.Real16)
            LoadRealSegments();
        else
            EnterProtectedMode(mode.Is64());
        _engine.Save();
    }

    public OracleKind Kind => OracleKind.Unicorn;

    public int BatchSize => 64;

    public void Submit(IReadOnlyList<Case> cases) => _cases = cases;

    public void Collect(IReadOnlyList<Outcome> outcomes)
    {
        for (int i = 0; i < _cases.Count; i++)
            Run(_cases[i], outcomes[i]);
    }

    private void Run(Case c, Outcome o)
    {
        bool again = c.LinearRip == _lastRip && c.Code.AsSpan(0, c.Length).SequenceEqual(_lastCode.AsSpan(0, c.Length)) && c.Length == _lastLength;
        (_lastRip, _lastLength) = (c.LinearRip, c.Length);
        c.Code.CopyTo(_lastCode, 0);
        if (c.LinearRip < _fresh && !again)
            _engine.RemoveTranslations(_arena.CodeStart, _arena.CodeEnd);
        _fresh = c.LinearRip + (ulong)c.Length + 2;
        _arena.Place(c, _ram);
        _engine.Restore();
        _floating.Write(_engine, c.Floating);
        if (c.Mode == CodeMode.Real16)
            _engine.Write(UnicornRegister.Cs, c.Cs);
        for (int i = 0; i < _general; i++)
            _values[i] = c.Registers[i];
        _values[_general] = c.Flags;
        _engine.WriteBatch(_numbers, _pointers, _general + 1);
        UnicornStop stop = c.Count == 2 ? RunTwo(c) : RunLast(c, c.LinearRip);
        new Span<ulong>(_values, _slots).Clear();
        _engine.ReadBatch(_numbers, _pointers, _slots);
        Collect(c, o, stop);
        o.Floating = c.Floating;
        o.KnowsPointers = false;
        _floating.Read(_engine, ref o.Floating);
        o.Memory.Take(_arena, _ram);
        Arena.Remove(c, _ram);
    }

    public void Dispose()
    {
        _engine.Dispose();
        _floating.Dispose();
        NativeMemory.AlignedFree(_ram);
        NativeMemory.AlignedFree(_gap);
        NativeMemory.Free(_numbers);
        NativeMemory.Free(_values);
        NativeMemory.Free(_pointers);
    }

    /// <summary>One by one: of a fault far from the arena Unicorn knows only in which run it was, and not at which instruction.</summary>
    private UnicornStop RunTwo(Case c)
    {
        ulong second = c.LinearRip + (ulong)c.First.Length;
        _engine.SetExits([second]);
        UnicornStop stop = _engine.Run(c.LinearRip);
        return stop is { Error: UnicornError.Ok, Vector: < 0 } ? RunLast(c, second) : stop;
    }

    private UnicornStop RunLast(Case c, ulong begin)
    {
        SetExits(c);
        return _engine.Run(begin);
    }

    private void SetExits(Case c)
    {
        Span<ulong> exits = [c.LinearRip + (ulong)c.Length, 0];
        int count = 1;
        // Where there is no code the fetch ends the run.
        if (c.Last.FlowControl != FlowControl.Next && BranchTarget.TryFind(c, _ram, out ulong target) && HoldsCode(target))
        {
            exits[count++] = target;
            // An exit counts only when it is translated, and some earlier case may have stood there.
            _engine.RemoveTranslations(target, target + 1);
        }
        _engine.SetExits(exits[..count]);
    }

    private bool HoldsCode(ulong linear) => _arena.Mode == CodeMode.Real16 || _arena.HoldsCode(linear, -16) || _arena.Holds(linear, 1);

    private void Collect(Case c, Outcome o, in UnicornStop stop)
    {
        o.Clear();
        for (int i = 0; i < 16; i++)
            o.Registers[i] = i < _general ? _values[i] : 0;
        o.Flags = _values[_general];
        o.Rip = _values[_general + 1];
        ulong* system = _values + _general + 2;
        for (int i = 0; i < 6; i++)
            o.Selectors[i] = (ushort)system[i];
        // Only in 64-bit mode does Unicorn tell bases apart from selectors; elsewhere the selectors are compared.
        o.FsBase = c.Mode.Is64() ? system[6] : 0;
        o.GsBase = c.Mode.Is64() ? system[7] : 0;
        o.Vector = stop.Vector;
        if (stop.Vector == 14)
            o.FaultAddress = stop.FaultAddress;
        if (stop.Error is UnicornError.ReadUnmapped or UnicornError.WriteUnmapped or UnicornError.FetchUnmapped)
        {
            // Far from the arena, where there are no tables to walk (see MapData).
            bool canonical = !c.Mode.Is64() || IsCanonical(stop.UnmappedAddress);
            o.Vector = canonical ? 14 : Outcome.NotCanonical;
            o.FaultAddress = canonical ? stop.UnmappedAddress : 0;
        }
        else if (stop.Error is not (UnicornError.Ok or UnicornError.InvalidInstruction))
        {
            o.Refusal = $"uc_emu_start: {stop.Error}";
        }
        // A fault in fetching the target of a branch: the branch itself is done. Behind an exit Unicorn also looks up the byte before it, and may fault in that.
        bool left = c.Last.FlowControl != FlowControl.Next && o.Rip != c.First.IP && o.Rip != c.Last.IP;
        if (left && o.Vector is (13 or 14 or Outcome.NotCanonical))
        {
            o.Vector = Outcome.NoVector;
            o.FaultAddress = 0;
        }
    }

    private static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;

    /// <summary>
    /// Unicorn 2.0 walks the page tables for permissions, but then takes the linear address for the physical one ("identity map"). So every
    /// linear data page is mapped once more as if it were physical, onto the host memory of the page that it is translated to; and the gaps
    /// are mapped too, for otherwise the walk, and with it the page fault, does not come about.
    /// </summary>
    private void MapData()
    {
        foreach ((ulong linear, ulong physical) in _arena.DataPages.Where(p => p.Key >= _arena.RamSize))
            _engine.Map(linear, 4096, _ram + physical);
        foreach (ulong gap in _arena.Gaps)
            _engine.Map(gap, 4096, _gap);
    }

    private void LoadRealSegments()
    {
        _engine.Write(UnicornRegister.Cr0, 0x10); // ET
        _engine.Write(UnicornRegister.Ds, Arena.RealDs);
        _engine.Write(UnicornRegister.Es, Arena.RealEs);
        _engine.Write(UnicornRegister.Ss, Arena.RealSs);
        _engine.Write(UnicornRegister.Fs, Arena.RealFs);
        _engine.Write(UnicornRegister.Gs, Arena.RealGs);
    }

    private void EnterProtectedMode(bool longMode)
    {
        _engine.Write(UnicornRegister.Cs, Arena.CodeSelector);
        _engine.Write(UnicornRegister.Ds, Arena.DataSelector);
        _engine.Write(UnicornRegister.Es, Arena.DataSelector);
        _engine.Write(UnicornRegister.Ss, Arena.DataSelector);
        _engine.Write(UnicornRegister.Fs, Arena.FsSelector);
        _engine.Write(UnicornRegister.Gs, Arena.GsSelector);
        _engine.Write(UnicornRegister.Cr3, _arena.Cr3);
        _engine.Write(UnicornRegister.Cr4, longMode ? 0x620UL : 0x600UL); // PAE; OSFXSR, OSXMMEXCPT
        _engine.Write(UnicornRegister.Cr0, 0x8001_0033); // PG, WP, NE, ET, MP, PE
    }
}
