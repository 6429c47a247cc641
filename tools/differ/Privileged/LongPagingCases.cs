using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>4-level paging: rights at every level with WP, SMEP, SMAP and XD, large pages, reserved bits; canonical addresses.</summary>
internal static class LongPagingCases
{
    private const uint Smep = 1 << 20, Smap = 1 << 21;
    private const ulong ExecuteDisable = 1UL << 63, Reserved = 1UL << 51;
    private const uint Ac = 1 << 18, Large = 0x80;

    private static readonly (string Name, Action<Assembler, uint> Code)[] _accesses =
    [
        ("read", (a, at) => a.mov(eax, __dword_ptr[at])),
        ("write", (a, at) => a.mov(__dword_ptr[at + 0x10], eax)),
        ("fetch", (a, at) => { a.mov(eax, at); a.call(rax); }),
        ("rmw", (a, at) => a.@lock.add(__dword_ptr[at + 0x10], 1)),
    ];

    public static IEnumerable<GuestCase> All => [.. Rights(), .. Levels(), .. LargePages(), .. Canonical(), .. Fetches()];

    private static IEnumerable<GuestCase> Rights()
    {
        (string Name, ulong Bits)[] entries =
        [
            ("absent", 0), ("absent nx", ExecuteDisable), ("s r", 1), ("s rw", 3), ("u r", 5), ("u rw", 7), ("s rw nx", 3 | ExecuteDisable), ("u rw nx", 7 | ExecuteDisable), ("u r nx", 5 | ExecuteDisable),
            ("reserved", 7 | Reserved), ("reserved absent", Reserved), ("ignored bits", 7 | 0x7FFUL << 52), ("ignored bits with nx", 7 | 0xFFFUL << 52),
        ];
        (string Name, uint Cr4, bool Wp, bool Ac)[] supervisors =
            [("", 0, false, false), (" wp", 0, true, false), (" smep", Smep, true, false), (" smap", Smap, true, false), (" smap ac", Smap, true, true), (" smap ac nowp", Smap, false, true)];
        foreach ((string access, Action<Assembler, uint> code) in _accesses)
            foreach ((string name, ulong bits) in entries)
            {
                yield return LongAssembler.Case($"page {name} {access} cpl3", l =>
                {
                    l.Write64(PageTable, bits | Page);
                    l.EnterUser();
                    code(l.Code, Page);
                    l.Done();
                });
                foreach ((string suffix, uint cr4, bool wp, bool ac) in supervisors)
                    yield return LongAssembler.Case($"page {name} {access} cpl0{suffix}", l =>
                    {
                        l.Write64(PageTable, bits | Page);
                        ClearWriteProtection(l, wp);
                        if (cr4 != 0)
                            l.SetCr4(cr4);
                        l.Code.push((int)(ac ? Ac | 2 : 2));
                        l.Code.popfq();
                        code(l.Code, Page);
                        l.Code.mov(eax, __dword_ptr[PageTable]);
                        l.Code.and(eax, 0xFFF);
                        l.Done();
                    }, user: false);
            }
    }

    private static void ClearWriteProtection(LongAssembler l, bool wp)
    {
        if (wp)
            return;
        l.Code.mov(rax, cr0);
        l.Code.btr(eax, 16);
        l.Code.mov(cr0, rax);
    }

    /// <summary>Each right taken away, and each reserved bit set, at one level; the others give all.</summary>
    private static IEnumerable<GuestCase> Levels()
    {
        // By the alias in the upper half, whose first entry is another one than that of the code.
        (string Name, uint At, ulong Entry)[] levels = [("pml4e", Pml4 + 8 * 257, Pdpt + 0x6000), ("pdpte", Pdpt + 0x6000, PageDirectory + 0x6000), ("pde", PageDirectory + 0x6000, PageTable + 0x6000), ("pte", PageTable + 0x6000, Page)];
        (string Name, ulong Set, ulong Clear)[] changes =
        [
            ("absent", 0, 1), ("read-only", 0, 2), ("supervisor", 0, 4), ("nx", ExecuteDisable, 0), ("reserved", Reserved, 0), ("ps", Large, 0), ("pwt pcd", 0x18, 0), ("global", 0x100, 0), ("ignored", 0x7FFUL << 52, 0),
            ("accessed", 0x20, 0), ("nothing", 0, 0), ("reserved nx read-only", Reserved | ExecuteDisable, 2),
        ];
        foreach ((string level, uint at, ulong _) in levels)
            foreach ((string change, ulong set, ulong clear) in changes)
                foreach ((string access, int cpl) in ((string, int)[])[("read", 3), ("write", 3), ("fetch", 3), ("write", 0), ("fetch", 0)])
                    foreach (bool nxe in change.Contains("nx", StringComparison.Ordinal) ? (bool[])[true, false] : [true])
                        yield return LongAssembler.Case($"{level} {change} {access} cpl{cpl}{(nxe ? "" : " without nxe")}", l =>
                        {
                            const ulong address = UpperHalf + (1UL << 39);
                            foreach ((string _, uint place, ulong next) in levels)
                                l.Write64(place, place == at ? (next | 7 | set) & ~clear : next | 7);
                            if (!nxe)
                                l.WriteMsr(0xC000_0080, 0x101);
                            if (cpl == 3)
                                l.EnterUser();
                            l.Code.mov(rbx, address);
                            if (access == "read")
                                l.Code.mov(eax, __dword_ptr[rbx]);
                            else if (access == "write")
                                l.Code.mov(__dword_ptr[rbx + 0x10], eax);
                            else
                                l.Code.call(rbx);
                            // Accessed and dirty bits of all four.
                            l.Code.xor(eax, eax);
                            foreach ((string _, uint place, ulong _) in levels)
                            {
                                l.Code.shl(eax, 8);
                                l.Code.or(al, __byte_ptr[place]);
                            }
                            l.Done();
                        });
    }

    private static IEnumerable<GuestCase> LargePages()
    {
        (string Name, uint Entry, uint Address, ulong[] Bits)[] sizes =
        [
            ("2m", PageDirectory + 24, LargePage, [0, 0x1000, 0x2000, 0x4000, 0x10_0000, Reserved, ExecuteDisable, 0x100]),
            ("1g", Pdpt + 8, GigabytePage, [0, 0x1000, 0x2000, 0x20_0000, 0x2000_0000, Reserved, ExecuteDisable, 0x100]),
        ];
        foreach ((string size, uint entry, uint address, ulong[] bits) in sizes)
            foreach (ulong bit in bits)
                foreach ((string access, Action<Assembler, uint> code) in _accesses)
                    yield return LongAssembler.Case($"{size} page with {bit:x} {access}", l =>
                    {
                        // Of the gigabyte the third page of 2 MBytes shows what lies at 4 MiB.
                        l.Write64(entry, (size == "2m" ? Page : 0UL) | 0x87 | bit);
                        l.EnterUser();
                        code(l.Code, size == "2m" ? address : address + Page);
                        l.Code.mov(eax, __dword_ptr[entry]);
                        l.Done();
                    });
    }

    private static IEnumerable<GuestCase> Canonical()
    {
        (string Name, Action<Assembler> Code)[] accesses =
        [
            ("mov from [rbx]", a => a.mov(eax, __dword_ptr[rbx])), ("mov to [rbx]", a => a.mov(__dword_ptr[rbx], eax)), ("mov from [rsp]", a => { a.mov(rsp, rbx); a.mov(eax, __dword_ptr[rsp]); }),
            ("mov from [rbp]", a => { a.mov(rbp, rbx); a.mov(eax, __dword_ptr[rbp]); }), ("mov from fs:[rbp]", a => { a.mov(rbp, rbx); a.db(0x64); a.mov(eax, __dword_ptr[rbp]); }),
            ("mov from ss:[rbx]", a => { a.db(0x36); a.mov(eax, __dword_ptr[rbx]); }),
            ("push", a => { a.mov(rsp, rbx); a.push(rax); }), ("pop", a => { a.mov(rsp, rbx); a.pop(rax); }), ("pushfq", a => { a.mov(rsp, rbx); a.pushfq(); }), ("enter", a => { a.mov(rsp, rbx); a.enter(8, 0); }),
            ("leave", a => { a.mov(rbp, rbx); a.leave(); }), ("push [rbx]", a => a.push(__qword_ptr[rbx])), ("pop [rbx]", a => a.pop(__qword_ptr[rbx])),
            ("call rel", a => { a.mov(rsp, rbx); a.db(0xE8, 0, 0, 0, 0); }), ("ret", a => { a.mov(rsp, rbx); a.ret(); }), ("retf", a => { a.mov(rsp, rbx); a.db(0xCB); }), ("iretq", a => { a.mov(rsp, rbx); a.iretq(); }),
            ("jmp rbx", a => a.jmp(rbx)), ("call rbx", a => a.call(rbx)), ("jmp [rbx]", a => a.jmp(__qword_ptr[rbx])), ("ret to rbx", a => { a.push(rbx); a.ret(); }), ("ret n to rbx", a => { a.push(rbx); a.ret(8); }),
            ("movsb from", a => { a.mov(rsi, rbx); a.mov(edi, Page); a.movsb(); }), ("movsb to", a => { a.mov(esi, Page); a.mov(rdi, rbx); a.movsb(); }), ("xlat", a => { a.db(0xD7); }),
            ("movups", a => { a.mov(rax, cr4); a.or(eax, 0x200); a.mov(cr4, rax); a.movups(xmm0, __xmmword_ptr[rbx]); }), ("movaps", a => { a.mov(rax, cr4); a.or(eax, 0x200); a.mov(cr4, rax); a.movaps(xmm0, __xmmword_ptr[rbx]); }),
            ("fld", a => { a.fninit(); a.fld(__tbyte_ptr[rbx]); }), ("fxsave", a => a.fxsave(__[rbx])), ("invlpg", a => a.invlpg(__[rbx])), ("clflush", a => a.clflush(__byte_ptr[rbx])), ("prefetch", a => a.prefetcht0(__byte_ptr[rbx])),
            ("lgdt", a => a.lgdt(__[rbx])), ("sidt", a => a.sidt(__[rbx])), ("cmpxchg16b", a => a.cmpxchg16b(__xmmword_ptr[rbx])), ("lea", a => a.lea(rax, __[rbx])), ("bt by rax", a => { a.mov(rax, rbx); a.bt(__qword_ptr[rsp], rax); }),
            ("moffs", a => { a.db(0x48, 0xA1); a.dq(LongCases.NonCanonical); }),
        ];
        (string Name, ulong Address)[] addresses = [("hole", LongCases.NonCanonical), ("into the hole", LongCases.Highest - 2), ("end of the hole", UpperHalf - 4), ("before the hole", HighestPage), ("absent", Page + 0x3000)];
        foreach ((string name, Action<Assembler> code) in accesses)
            foreach ((string where, ulong address) in addresses)
            {
                // Without a GDT no case comes back, and execution goes on where nothing was placed.
                if (where == "before the hole" && (name is "lgdt" or "ret" or "retf" or "iretq"))
                    continue;
                if ((where is "before the hole" or "into the hole") && name.Contains("rbx", StringComparison.Ordinal) && (name[0] is 'j' or 'c' || name.StartsWith("ret", StringComparison.Ordinal)))
                    continue;
                yield return LongAssembler.Case($"{name} {where}", l =>
                {
                    foreach (byte v in (byte[])[12, 13, 14, 17, 6, GuestLayout.Done])
                        l.UseInterruptStack(v);
                    l.Code.mov(rbx, address);
                    code(l.Code);
                    l.Done();
                });
            }
        (string Name, uint Msr)[] bases = [("fs", 0xC000_0100), ("gs", 0xC000_0101), ("kernel gs", 0xC000_0102), ("lstar", 0xC000_0082), ("cstar", 0xC000_0083), ("sysenter esp", 0x175), ("sysenter eip", 0x176)];
        foreach ((string name, uint msr) in bases)
            foreach (ulong value in (ulong[])[LongCases.NonCanonical, UpperHalf - 1, UpperHalf, LongCases.Highest])
                yield return LongAssembler.Case($"wrmsr {name} {value:x}", l =>
                {
                    l.WriteMsr(msr, value);
                    l.Done();
                });
        foreach (string verb in (string[])["lgdt", "lidt"])
            foreach (ulong value in (ulong[])[LongCases.NonCanonical, UpperHalf + LongGdt])
                yield return LongAssembler.Case($"{verb} with base {value:x}", l =>
                {
                    l.Code.push(0);
                    l.Code.push(0);
                    l.Code.mov(rax, value);
                    l.Code.mov(__qword_ptr[rsp + 2], rax);
                    l.Code.mov(__word_ptr[rsp], 0x7F);
                    if (verb == "lgdt")
                        l.Code.lgdt(__[rsp]);
                    else
                        l.Code.lidt(__[rsp]);
                    // Back again, where it was accepted.
                    l.Code.mov(__word_ptr[rsp], (short)(verb == "lgdt" ? LongGdtLimit : 16 * Vectors - 1));
                    l.Code.mov(eax, verb == "lgdt" ? LongGdt : LongIdt);
                    l.Code.mov(__qword_ptr[rsp + 2], rax);
                    if (verb == "lgdt")
                        l.Code.lgdt(__[rsp]);
                    else
                        l.Code.lidt(__[rsp]);
                    l.Done();
                });
    }

    /// <summary>Execution up to the end of the lower half and across pages.</summary>
    private static IEnumerable<GuestCase> Fetches()
    {
        // The page behind Page shows at the end of the lower half.
        (string Name, byte[] Code)[] ends = [("nop", [0x90]), ("half an instruction", [0xB8]), ("jmp -2", [0xEB]), ("ud2", [0x0F, 0x0B]), ("prefixes", [0x66, 0x66])];
        foreach ((string name, byte[] bytes) in ends)
            yield return LongAssembler.Case($"execution into the hole behind {name}", l =>
            {
                foreach (byte v in (byte[])[13, 14])
                    l.UseInterruptStack(v);
                uint at = Page + 0x2000 - (uint)bytes.Length;
                for (uint i = 0; i < bytes.Length; i++)
                    l.Code.mov(__byte_ptr[at + i], bytes[i]);
                l.Code.mov(rax, HighestPage + 0x1000 - (ulong)bytes.Length);
                l.Code.jmp(rax);
            });
        foreach (int into in (int[])[1, 2, 3])
            yield return LongAssembler.Case($"instruction across pages at {into}, second absent", l =>
            {
                l.Code.mov(__dword_ptr[Page + 0x2000 - into], 0x24_048B); // mov eax, [rsp]
                l.Code.mov(eax, Page + 0x2000 - (uint)into);
                l.Code.jmp(rax);
            });
        yield return LongAssembler.Case("instruction across pages, second nx", l =>
        {
            l.Write64(PageTable + 8, (Page + 0x1000) | 7 | ExecuteDisable);
            l.Code.mov(__byte_ptr[Page + 0xFFF], 0x48);
            l.Code.mov(eax, Page + 0xFFF);
            l.Code.jmp(rax);
        });
    }
}
