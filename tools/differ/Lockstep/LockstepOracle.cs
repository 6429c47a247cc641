using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Differ.Unicorn;
using Emu.Memory;

namespace Emu.Differ.Lockstep;

/// <summary>
/// Unicorn beside a machine of Emu: the same RAM contents, the same register state to begin with, one instruction at a time.
/// Unicorn 2.0 walks the page tables but takes the linear address for the physical one, so pages that the guest maps elsewhere are mapped a
/// second time at their linear address when they are first touched. An engine of Unicorn's 32-bit mode does not get into long mode, nor one of its
/// 64-bit mode out of it: so there is one oracle for each, and the second takes over when the guest switches.
/// </summary>
public sealed unsafe class LockstepOracle : IDisposable
{
    private const ulong ScratchAddress = 0xFFFF_F000;
    private const int GeneralSlots = 18;

    private static readonly UnicornRegister[] s_wide =
    [
        UnicornRegister.Rax, UnicornRegister.Rcx, UnicornRegister.Rdx, UnicornRegister.Rbx, UnicornRegister.Rsp, UnicornRegister.Rbp,
        UnicornRegister.Rsi, UnicornRegister.Rdi, UnicornRegister.R8, UnicornRegister.R9, UnicornRegister.R10, UnicornRegister.R11,
        UnicornRegister.R12, UnicornRegister.R13, UnicornRegister.R14, UnicornRegister.R15, UnicornRegister.Rflags, UnicornRegister.Rip,
        UnicornRegister.Es, UnicornRegister.Cs, UnicornRegister.Ss, UnicornRegister.Ds, UnicornRegister.Fs, UnicornRegister.Gs,
        UnicornRegister.Cr0, UnicornRegister.Cr3, UnicornRegister.Cr4,
    ];

    private static readonly UnicornRegister[] s_narrow =
    [
        UnicornRegister.Eax, UnicornRegister.Ecx, UnicornRegister.Edx, UnicornRegister.Ebx, UnicornRegister.Esp, UnicornRegister.Ebp,
        UnicornRegister.Esi, UnicornRegister.Edi, .. Enumerable.Repeat(UnicornRegister.Eax, 8), UnicornRegister.Eflags, UnicornRegister.Eip,
        .. s_wide[18..],
    ];

    private readonly UnicornEngine _engine;
    private readonly bool _long;
    private readonly Cpu _cpu;
    private readonly byte* _ram;
    private readonly byte* _scratch;
    private readonly HashSet<ulong> _aliases = [];
    private readonly int* _numbers;
    private readonly void** _pointers;

    /// <param name="cpu">The CPU of Emu, in 32-bit protected mode or in long mode with flat segments; its state and memory are taken over.</param>
    /// <param name="paging">
    /// Whether Unicorn walks page tables. Its CPU has no NX, and takes the bit in an entry for a reserved one: from where the guest uses it, the
    /// walk has to be left out, and with it the setting of accessed and dirty bits.
    /// </param>
    public LockstepOracle(Cpu cpu, bool paging)
    {
        _cpu = cpu;
        Paging = paging;
        _long = cpu.State->LongModeActive;
        _engine = new UnicornEngine(_long ? UnicornMode.Long64 : UnicornMode.Protected32, UnicornCpu.SkylakeClient);
        UnicornRegister[] order = _long ? s_wide : s_narrow;
        ulong size = cpu.Memory.LowSize;
        _ram = (byte*)NativeMemory.AlignedAlloc((nuint)size, Page.Size);
        Buffer.MemoryCopy(cpu.Memory.Base, _ram, size, size);
        _scratch = (byte*)NativeMemory.AlignedAlloc(Page.Size, Page.Size);
        _numbers = (int*)NativeMemory.AllocZeroed((nuint)order.Length, sizeof(int));
        Values = (ulong*)NativeMemory.AllocZeroed((nuint)order.Length, sizeof(ulong));
        _pointers = (void**)NativeMemory.AllocZeroed((nuint)order.Length, (nuint)sizeof(void*));
        for (int i = 0; i < order.Length; i++)
        {
            _numbers[i] = (int)order[i];
            _pointers[i] = Values + i;
        }
        _engine.Map(0, size, _ram);
        _engine.OnUnmapped = MapAlias;
        _engine.CountBlocks();
        EnterProtectedMode();
        CopyRegisters();
    }

    /// <summary>Unicorn walks page tables.</summary>
    public bool Paging { get; }

    /// <summary>Registers after <see cref="Read"/>: the 16 general ones, RFLAGS, RIP, ES to GS, CR0, CR3, CR4.</summary>
    public ulong* Values { get; }

    /// <summary>Runs one instruction (all rounds of a repeated one), which ends at one of these linear addresses.</summary>
    public UnicornStop Step(ulong linearRip, ReadOnlySpan<ulong> exits, bool repeated)
    {
        _engine.MaximumBlocks = repeated ? 1 << 26 : 64;
        _engine.SetExits(exits);
        // The guest may have changed its code through another mapping, which Unicorn does not know to be the same memory.
        _engine.RemoveTranslations(linearRip, linearRip + 16);
        return _engine.Run(linearRip);
    }

    public void Read() => _engine.ReadBatch(_numbers, _pointers, s_wide.Length);

    /// <summary>Takes over general registers, flags and RIP of Emu.</summary>
    public void CopyRegisters()
    {
        CpuState* s = _cpu.State;
        // In 32-bit mode the slots of R8 to R15 are EAX's.
        for (int i = 0; i < 16; i++)
            Values[i] = s->Registers[_long || i < 8 ? i : 0];
        Values[16] = Flags.Get(s);
        Values[17] = s->Rip;
        _engine.WriteBatch(_numbers, _pointers, GeneralSlots);
    }

    /// <summary>Takes over bytes of RAM.</summary>
    public void CopyMemory(ulong physical, ulong length)
    {
        if (_cpu.Memory.Contains(physical, length))
            Buffer.MemoryCopy(_cpu.Memory.Pointer(physical), _ram + physical, length, length);
    }

    /// <summary>The page tables have changed: pages mapped at linear addresses go.</summary>
    public void ForgetAliases()
    {
        foreach (ulong page in _aliases)
            _engine.Unmap(page, Page.Size);
        _aliases.Clear();
    }

    /// <summary>The first physical address below 4 GiB at which the two RAMs differ, or ulong.MaxValue.</summary>
    public ulong FirstDifference()
    {
        while (true)
        {
            ulong at = FindDifference();
            // Accessed and dirty bits of a page-table entry.
            if (Paging || at == ulong.MaxValue || (at & 3) != 0 || ((_ram[at] ^ _cpu.Memory.Base[at]) & ~0x60) != 0)
                return at;
            _ram[at] = _cpu.Memory.Base[at];
        }
    }

    private ulong FindDifference()
    {
        // In pieces that a span can hold.
        const ulong Piece = 1UL << 28;
        for (ulong start = 0; start < _cpu.Memory.LowSize; start += Piece)
        {
            int n = (int)Math.Min(Piece, _cpu.Memory.LowSize - start);
            int at = new ReadOnlySpan<byte>(_ram + start, n).CommonPrefixLength(new ReadOnlySpan<byte>(_cpu.Memory.Base + start, n));
            if (at < n)
                return start + (ulong)at;
        }
        return ulong.MaxValue;
    }

    public byte ByteAt(ulong physical) => _ram[physical];

    public void Dispose()
    {
        _engine.Dispose();
        NativeMemory.AlignedFree(_ram);
        NativeMemory.AlignedFree(_scratch);
        NativeMemory.Free(_numbers);
        NativeMemory.Free(Values);
        NativeMemory.Free(_pointers);
    }

    private bool MapAlias(ulong address)
    {
        CpuState* s = _cpu.State;
        FaultInfo fault = s->Fault;
        // Whatever may be done with the page, it is somewhere: Unicorn's own walk checks the rights.
        TlbEntry* e = Access.Translate(s, address, 1, AccessKind.Read | AccessKind.Implicit);
        s->Fault = fault;
        if (e == null)
            return false;
        ulong physical = e->PhysicalAndFlags & Page.Mask;
        if (!_cpu.Memory.Contains(physical, Page.Size) || physical >= _cpu.Memory.LowSize || !_aliases.Add(address & Page.Mask))
            return false;
        _engine.Map(address & Page.Mask, Page.Size, _ram + physical);
        return true;
    }

    /// <summary>Takes over the mode. Selectors are loaded from a descriptor table which exists only for this.</summary>
    private void EnterProtectedMode()
    {
        CpuState* s = _cpu.State;
        _engine.Map(ScratchAddress, Page.Size, _scratch);
        ulong* gdt = (ulong*)_scratch;
        NativeMemory.Clear(_scratch, Page.Size);
        gdt[s->Cs.Selector >> 3] = s->Is64Bit ? 0x00AF_9B00_0000_FFFFUL : 0x00CF_9B00_0000_FFFFUL;
        _engine.WriteTable(UnicornRegister.Gdtr, new UnicornTableRegister { Base = ScratchAddress, Limit = 0xFF });
        if (_long && !s->Is64Bit)
            JumpToCompatibilityMode(s->Cs.Selector);
        else
            _engine.Write(UnicornRegister.Cs, s->Cs.Selector);
        foreach ((UnicornRegister register, SegmentIndex index) in new[]
        {
            (UnicornRegister.Ds, SegmentIndex.Ds), (UnicornRegister.Es, SegmentIndex.Es), (UnicornRegister.Ss, SegmentIndex.Ss),
            (UnicornRegister.Fs, SegmentIndex.Fs), (UnicornRegister.Gs, SegmentIndex.Gs),
        })
        {
            ref SegmentRegister segment = ref (&s->Es)[(int)index];
            gdt[segment.Selector >> 3] = 0x00CF_9300_0000_FFFF | (segment.Base & 0xFF_FFFF) << 16 | (segment.Base >> 24 & 0xFF) << 56;
            _engine.Write(register, segment.Selector);
        }
        _engine.WriteTable(UnicornRegister.Gdtr, new UnicornTableRegister { Base = s->Gdtr.Base, Limit = s->Gdtr.Limit });
        _engine.WriteTable(UnicornRegister.Idtr, new UnicornTableRegister { Base = s->Idtr.Base, Limit = s->Idtr.Limit });
        if (_long)
        {
            _engine.WriteMsr(0xC000_0080, s->Paging.Efer);
            _engine.Write(UnicornRegister.FsBase, s->Fs.Base);
            _engine.Write(UnicornRegister.GsBase, s->Gs.Base);
            _engine.WriteMsr(0xC000_0102, s->KernelGsBase);
        }
        _engine.Write(UnicornRegister.Cr4, s->Paging.Cr4);
        _engine.Write(UnicornRegister.Cr3, s->Paging.Cr3);
        _engine.Write(UnicornRegister.Cr0, Paging ? s->Paging.Cr0 : s->Paging.Cr0 & ~PagingBits.Cr0Pg);
        _engine.Unmap(ScratchAddress, Page.Size);
    }

    /// <summary>Writing CS does not take Unicorn out of 64-bit mode; a far jump does.</summary>
    private void JumpToCompatibilityMode(ushort selector)
    {
        const int Code = 0x400, Pointer = 0x500, Target = 0x600;
        byte* code = _scratch + Code;
        code[0] = 0xFF;
        code[1] = 0x2D; // jmp far [rip + displacement]
        *(int*)(code + 2) = Pointer - (Code + 6);
        *(uint*)(_scratch + Pointer) = (uint)(ScratchAddress + Target);
        *(ushort*)(_scratch + Pointer + 4) = selector;
        _engine.MaximumBlocks = 4;
        _engine.SetExits([ScratchAddress + Target]);
        _engine.Run(ScratchAddress + Code);
    }
}
