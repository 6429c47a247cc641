using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Virtual-8086 mode, privileged instructions at CPL 3, ports, limits, alignment, encodings, single steps and breakpoints.</summary>
internal static class ModeCases
{
    private const uint Vme = 1, Pvi = 2, De = 8;

    public static IEnumerable<GuestCase> All => [.. Virtual8086Mode(), .. Privileged(), .. Ports(), .. Limits(), .. Alignment(), .. Encodings(), .. Debugging()];

    private static void SetCr4(CaseAssembler c, uint bits)
    {
        c.Code.mov(eax, bits);
        c.Code.mov(cr4, eax);
    }

    private static IEnumerable<GuestCase> Virtual8086Mode()
    {
        (string Name, Action<Assembler> Code)[] bodies =
        [
            ("cli", a => a.cli()), ("sti", a => a.sti()), ("pushf", a => { a.pushf(); a.pop(ax); }), ("pushfd", a => a.pushfd()), ("popf", a => { a.push(0x3243); a.popf(); a.pushf(); a.pop(ax); }),
            ("popf tf", a => { a.push(0x0102); a.popf(); a.nop(); }), ("int 42", a => a.@int(FreeVector)), ("int3", a => a.int3()), ("into", a => { a.mov(al, 0x7F); a.add(al, 1); a.into(); }),
            ("iret", a => { a.push(0x3206); a.push(0x7000); a.push(11); a.iret(); a.nop(); a.nop(); }), ("hlt", a => a.hlt()), ("in", a => a.@in(al, 0x60)),
            ("lgdt", a => a.lgdt(__[0x100])), ("smsw", a => a.smsw(eax)), ("sldt", a => a.sldt(ax)), ("lar", a => a.lar(ax, cx)), ("arpl", a => a.arpl(ax, cx)), ("mov cr0", a => a.mov(eax, cr0)),
            ("ds", a => { a.mov(ax, 0x1234); a.mov(ds, ax); a.mov(ax, ds); }), ("limit", a => { a.mov(si, 0xFFFF); a.mov(ax, __word_ptr[si]); }), ("stack limit", a => { a.mov(sp, 1); a.push(ax); }),
            ("far jmp", a => { a.push(0x7000); a.push(9); a.jmp(__dword_ptr[0xFFEC]); }), ("ud2", a => a.ud2()),
        ];
        foreach ((string name, Action<Assembler> code) in bodies)
            foreach (int iopl in (int[])[0, 3])
                foreach ((string suffix, uint cr4, uint flags) in ((string, uint, uint)[])[("", 0, 0), (" vme", Vme, 0), (" vme vif", Vme, 1 << 19), (" vme vip", Vme, 1 << 20)])
                    yield return new($"v86 {name} iopl{iopl}{suffix}", c =>
                    {
                        if (cr4 != 0)
                            SetCr4(c, cr4);
                        c.SetGate(FreeVector, Gate(Code0, Stubs + 16U * FreeVector, SystemType.InterruptGate32, 3));
                        c.RunVirtual8086(a =>
                        {
                            code(a);
                            a.hlt();
                        }, flags | (uint)iopl << 12);
                    });
        foreach (int iopl in (int[])[0, 3])
            foreach (bool redirected in (bool[])[false, true])
                yield return new($"v86 int redirected={redirected} iopl{iopl}", c =>
                {
                    SetCr4(c, Vme);
                    if (redirected)
                        c.Write8(Tss + 0x68 + FreeVector / 8, 0);
                    c.Write32(4 * FreeVector, 0x7000_0040);
                    c.SetGate(FreeVector, Gate(Code0, Stubs + 16U * FreeVector, SystemType.InterruptGate32, 3));
                    c.RunVirtual8086(a =>
                    {
                        a.@int(FreeVector);
                        a.hlt();
                        for (int i = 0; i < 0x40; i++)
                            a.nop();
                        a.pop(cx);
                        a.pop(dx);
                        a.pop(ax);
                        a.hlt();
                    }, 1U << 19 | (uint)iopl << 12);
                });
        (string Name, ushort Selector, ulong Raw)[] handlers = [("dpl3", Code3, 0), ("conforming", Conforming, 0), ("dpl1", Free, Segment(Descriptors.Code, 1))];
        foreach ((string name, ushort selector, ulong raw) in handlers)
            yield return new($"v86 int to {name}", c =>
            {
                c.SetDescriptor(Free, raw);
                c.SetGate(FreeVector, Gate(selector, CaseAssembler.Landing, SystemType.InterruptGate32, 3));
                c.RunVirtual8086(a => a.@int(FreeVector), 3 << 12);
            });
    }

    private static IEnumerable<GuestCase> Privileged()
    {
        (string Name, Action<Assembler> Code)[] bodies =
        [
            ("hlt", a => a.hlt()), ("cli", a => a.cli()), ("sti", a => a.sti()), ("lgdt", a => a.lgdt(__[esp])), ("lidt", a => a.lidt(__[esp])), ("lldt", a => a.lldt(ax)), ("ltr", a => a.ltr(ax)),
            ("mov cr0", a => a.mov(cr0, eax)), ("mov from cr3", a => a.mov(eax, cr3)), ("mov dr7", a => a.mov(dr7, eax)), ("mov from dr0", a => a.mov(eax, dr0)), ("clts", a => a.clts()), ("lmsw", a => a.lmsw(ax)),
            ("invlpg", a => a.invlpg(__[esp])), ("invd", a => a.invd()), ("wbinvd", a => a.wbinvd()), ("rdmsr", a => a.rdmsr()), ("wrmsr", a => a.wrmsr()), ("sysexit", a => a.sysexit()),
            ("smsw", a => a.smsw(eax)), ("sldt", a => a.sldt(eax)), ("str", a => a.str(eax)), ("clac", a => a.clac()), ("swapgs", a => a.db(0x0F, 0x01, 0xF8)), ("rsm", a => a.db(0x0F, 0xAA)),
            ("syscall", a => a.db(0x0F, 0x05)), ("sysenter", a => a.sysenter()), ("monitor", a => a.monitor()),
        ];
        foreach ((string name, Action<Assembler> code) in bodies)
            foreach (int iopl in (int[])[0, 3])
                yield return new($"user {name} iopl{iopl}", c =>
                {
                    c.EnterUser(2U | (uint)iopl << 12);
                    code(c.Code);
                    c.Done();
                });
        foreach ((string name, uint msr) in ((string, uint)[])[("unknown", 0x1234_5678), ("SYSENTER_CS", 0x174)])
            foreach (bool write in (bool[])[false, true])
                yield return new($"{(write ? "wrmsr" : "rdmsr")} {name}", c =>
                {
                    c.Code.mov(ecx, msr);
                    c.Code.xor(eax, eax);
                    if (write)
                        c.Code.wrmsr();
                    else
                        c.Code.rdmsr();
                    c.Done();
                });
        (string Name, Action<Assembler> Code)[] controls =
        [
            ("cr1", a => a.db(0x0F, 0x22, 0xC8)), ("cr5", a => a.db(0x0F, 0x20, 0xE8)), ("dr4", a => a.db(0x0F, 0x21, 0xE0)),
            ("dr5 with de", a => { a.mov(eax, De); a.mov(cr4, eax); a.db(0x0F, 0x21, 0xE8); }), ("pcide outside long mode", a => { a.mov(eax, 1U << 17); a.mov(cr4, eax); }),
        ];
        foreach ((string name, Action<Assembler> code) in controls)
            yield return new($"mov {name}", c =>
            {
                code(c.Code);
                c.Done();
            });
        foreach (string name in (string[])["cli", "sti", "sti vip"])
            yield return new($"pvi {name}", c =>
            {
                SetCr4(c, Pvi);
                c.EnterUser(name == "sti vip" ? 2U | 1 << 20 : 2U);
                if (name == "cli")
                    c.Code.cli();
                else
                    c.Code.sti();
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> Ports()
    {
        foreach (int size in (int[])[1, 2, 4])
            foreach (int free in (int[])[1, 2, 3, 4])
                foreach (ushort port in (ushort[])[0x80, 0x85, 0x87])
                    yield return new($"in {size} from {port:x} with {free} ports open", c =>
                    {
                        uint bits = ~(((1U << free) - 1) << (port & 7));
                        c.Write16(Tss + 0x88 + (uint)(port >> 3), (ushort)bits);
                        c.EnterUser();
                        c.Code.mov(edx, port);
                        if (size == 1)
                            c.Code.@in(al, dx);
                        else if (size == 2)
                            c.Code.@in(ax, dx);
                        else
                            c.Code.@in(eax, dx);
                        c.Code.xor(eax, eax);
                        c.Done();
                    });
        foreach (uint map in (uint[])[0x68, 0x2EF, 0x2F0, 0x2FF, 0xFFFF])
            yield return new($"in with the bit map at {map:x}", c =>
            {
                c.Write16(Tss + 0x66, (ushort)map);
                for (uint i = 0x2E8; i < 0x300; i += 4)
                    c.Write32(Tss + i, 0);
                c.Write16(Tss + 0x68 + 0x10, 0);
                c.EnterUser();
                c.Code.@in(al, 0x80);
                c.Code.xor(eax, eax);
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> Limits()
    {
        (string Name, ulong Raw)[] segments =
        [
            ("limit fff", Segment(Data, 0, limit: 0xFFF, @base: Page)), ("expand-down fff", Segment(ExpandDown, 0, limit: 0xFFF, @base: Page)),
            ("expand-down fff 16", Segment(ExpandDown, 0, limit: 0xFFF, @base: Page, big: false)), ("read-only", Segment(ReadOnly, 0, limit: 0xFFFF, @base: Page)), ("code", Segment(Descriptors.Code, 0, limit: 0xFFFF, @base: Page)),
        ];
        foreach ((string name, ulong raw) in segments)
            foreach (uint offset in (uint[])[0, 0xFFC, 0xFFD, 0xFFF, 0x1000, 0xFFFC, 0xFFFD])
                foreach (bool write in (bool[])[false, true])
                    yield return new($"{(write ? "write" : "read")} at {offset:x} of {name}", c =>
                    {
                        c.SetDescriptor(Free, raw);
                        c.Code.mov(eax, Free);
                        c.Code.mov(gs, ax);
                        c.Code.xor(eax, eax);
                        if (write)
                            c.Code.mov(__dword_ptr.gs[offset], eax);
                        else
                            c.Code.mov(ecx, __dword_ptr.gs[offset]);
                        c.Done();
                    });
        yield return new("read through a null segment", c =>
        {
            c.Code.mov(eax, __dword_ptr.fs[0]);
            c.Done();
        });
        yield return new("jump beyond the limit", c =>
        {
            c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: CaseAssembler.Landing + 1));
            c.Code.push(Free);
            c.Code.push(CaseAssembler.Landing);
            c.Code.retf();
        });
        yield return new("instruction across the limit", c =>
        {
            c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: CaseAssembler.Landing));
            c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: 0xFFFFF));
            c.Code.push(Free);
            c.Code.push(0xF_FFFF);
            c.Code.retf();
        });
        foreach (int index in (int[])[-1, 5, 10, 11])
            yield return new($"bound {index}", c =>
            {
                c.Code.push(10);
                c.Code.push(5);
                c.Code.mov(eax, index);
                c.Code.bound(eax, __qword_ptr[esp]);
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> Alignment()
    {
        foreach (bool am in (bool[])[false, true])
            foreach (bool ac in (bool[])[false, true])
                foreach (int cpl in (int[])[0, 3])
                    yield return new($"misaligned read am={am} ac={ac} cpl{cpl}", c =>
                    {
                        c.Code.mov(eax, am ? 0x4_0011U : 0x11);
                        c.Code.mov(cr0, eax);
                        if (cpl == 3)
                        {
                            c.EnterUser(ac ? 0x4_0002U : 2);
                        }
                        else
                        {
                            c.Code.push(ac ? 0x4_0002U : 2);
                            c.Code.popfd();
                        }
                        c.Code.mov(eax, __dword_ptr[Page + 1]);
                        c.Code.xor(eax, eax);
                        c.Done();
                    });
        (string Name, Action<Assembler> Code)[] bodies =
        [
            ("push", a => { a.sub(esp, 1); a.push(eax); }), ("word", a => a.mov(ax, __word_ptr[Page + 3])), ("qword", a => a.@lock.cmpxchg8b(__qword_ptr[Page + 4])), ("movs", a => { a.mov(esi, Page + 2); a.mov(edi, Page); a.movsd(); }),
            ("far pointer", a => a.les(eax, __fword_ptr[Page + 2])), ("not canonical", a => { a.mov(eax, 0x70); a.mov(fs, ax); }),
        ];
        foreach ((string name, Action<Assembler> code) in bodies)
            yield return new($"misaligned {name}", c =>
            {
                c.Write32(Page, 0);
                c.Write32(Page + 4, 0);
                c.Code.mov(eax, 0x4_0011U);
                c.Code.mov(cr0, eax);
                c.EnterUser(0x4_0002U);
                code(c.Code);
                c.Code.mov(eax, 0);
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> Encodings()
    {
        (string Name, byte[] Bytes)[] codes =
        [
            ("15 bytes", [.. Enumerable.Repeat((byte)0x3E, 14), 0x90]), ("16 bytes", [.. Enumerable.Repeat((byte)0x3E, 15), 0x90]), ("lock nop", [0xF0, 0x90]), ("lock add register", [0xF0, 0x01, 0xC0]),
            ("lock mov", [0xF0, 0x89, 0x04, 0x24]), ("lock inc", [0xF0, 0xFF, 0x04, 0x24]), ("mov cs", [0x8E, 0xC8]), ("ud0", [0x0F, 0xFF, 0xC0]), ("ud1", [0x0F, 0xB9, 0xC0]), ("lea register", [0x8D, 0xC0]),
            ("les register", [0xC4, 0xC0, 0, 0]), ("bound register", [0x62, 0xC0, 0, 0]), ("mov segment 6", [0x8E, 0xF0]), ("fe /7", [0xFE, 0xF8]), ("ff /7", [0xFF, 0xF8]), ("8f /1", [0x8F, 0xC8]), ("c6 /1", [0xC6, 0xC8, 0]),
            ("0f 01 /5 register", [0x0F, 0x01, 0xE8]), ("0f 00 /6", [0x0F, 0x00, 0xF0]), ("0f ba /0", [0x0F, 0xBA, 0xC0, 0]), ("0f c7 /1 register", [0x0F, 0xC7, 0xC8]), ("salc", [0xD6]), ("icebp", [0xF1]),
        ];
        foreach ((string name, byte[] bytes) in codes)
            yield return new($"encoding {name}", c =>
            {
                c.Code.mov(eax, 0);
                c.Code.db(bytes);
                c.Done();
            });
    }

    private static void Arm(CaseAssembler c, uint address, uint control)
    {
        c.Code.mov(eax, address);
        c.Code.mov(dr0, eax);
        c.Code.mov(eax, control | 2);
        c.Code.mov(dr7, eax);
    }

    private static void StepFrom(CaseAssembler c)
    {
        c.Code.push(0x102);
        c.Code.popfd();
    }

    private static IEnumerable<GuestCase> Debugging()
    {
        (string Name, Action<CaseAssembler> Code)[] steps =
        [
            ("nop", c => c.Code.nop()), ("mov ss", c => { c.Code.mov(ss, cx); c.Code.nop(); }), ("int", c => c.Code.@int(GuestLayout.Done)), ("ud2", c => c.Code.ud2()),
            ("pushfd", c => { c.Code.pushfd(); }), ("popfd", c => { c.Code.popfd(); c.Code.nop(); }), ("sti", c => { c.Code.sti(); }),
        ];
        foreach ((string name, Action<CaseAssembler> code) in steps)
            yield return new($"step {name}", c =>
            {
                c.Code.mov(ecx, Data0);
                c.Code.push(2);
                StepFrom(c);
                code(c);
                c.Code.nop();
                c.Done();
            });
        yield return new("step rep movsb", c =>
        {
            c.Code.mov(esi, Page);
            c.Code.mov(edi, Page + 64);
            c.Code.mov(ecx, 3);
            StepFrom(c);
            c.Code.rep.movsb();
            c.Done();
        });
        yield return new("step jump", c =>
        {
            Label over = c.Code.CreateLabel();
            StepFrom(c);
            c.Code.jmp(over);
            c.Code.ud2();
            c.Code.Label(ref over);
            c.Done();
        });
        (string Name, uint Control, Action<Assembler> Code)[] breakpoints =
        [
            ("write", 1 << 16 | 3 << 18, a => a.mov(__dword_ptr[Page], eax)), ("read of a write", 1 << 16 | 3 << 18, a => a.mov(eax, __dword_ptr[Page])), ("read", 3 << 16 | 3 << 18, a => a.mov(eax, __dword_ptr[Page])),
            ("byte above", 1 << 16 | 3 << 18, a => a.mov(__byte_ptr[Page + 3], al)), ("byte beyond", 1 << 16 | 3 << 18, a => a.mov(__byte_ptr[Page + 4], al)), ("overlap from below", 1 << 16, a => a.mov(__dword_ptr[Page - 3], eax)),
            ("rep stosb", 1 << 16, a => { a.mov(edi, Page - 2); a.mov(ecx, 6); a.rep.stosb(); }), ("mov ss", 3 << 16 | 1 << 18, a => { a.mov(ss, __word_ptr[Page]); a.nop(); a.nop(); }),
            ("push", 1 << 16 | 3 << 18, a => { a.mov(ebp, esp); a.mov(esp, Page + 4); a.push(eax); a.mov(esp, ebp); }),
        ];
        foreach ((string name, uint control, Action<Assembler> code) in breakpoints)
            yield return new($"breakpoint {name}", c =>
            {
                c.Write32(Page, Data0);
                Arm(c, Page, control);
                code(c.Code);
                c.Code.nop();
                c.Done();
            });
        yield return new("breakpoint on an instruction", c =>
        {
            Label here = c.Code.CreateLabel();
            c.PushHere(here);
            c.Code.pop(ecx);
            c.Code.mov(dr0, ecx);
            c.Code.mov(eax, 2);
            c.Code.mov(dr7, eax);
            c.Code.jmp(ecx);
            c.Code.Label(ref here);
            c.Done();
        });
        yield return new("breakpoint on an instruction with rf", c =>
        {
            Label here = c.Code.CreateLabel();
            c.PushHere(here);
            c.Code.pop(ecx);
            c.Code.mov(dr0, ecx);
            c.Code.mov(eax, 2);
            c.Code.mov(dr7, eax);
            c.Code.push(0x1_0002);
            c.Code.push(Code0);
            c.Code.push(ecx);
            c.Code.iretd();
            c.Code.Label(ref here);
            c.Done();
        });
        foreach (bool de in (bool[])[false, true])
            yield return new($"breakpoint on a port de={de}", c =>
            {
                SetCr4(c, de ? De : 0);
                Arm(c, 0x80, 2 << 16);
                c.Code.mov(eax, 0);
                c.Code.@out(0x80, al);
                c.Code.nop();
                c.Done();
            });
        yield return new("general detect", c =>
        {
            c.Code.mov(eax, 1 << 13);
            c.Code.mov(dr7, eax);
            c.Code.mov(eax, dr2);
            c.Done();
        });
    }
}
