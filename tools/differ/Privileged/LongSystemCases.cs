using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>System calls and control registers in long mode, and what its encodings lack.</summary>
internal static class LongSystemCases
{
    private const uint Efer = 0xC000_0080, Star = 0xC000_0081, LongStar = 0xC000_0082, FlagMask = 0xC000_0084, SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176;
    private const uint Landing = CaseAssembler.Landing;

    public static IEnumerable<GuestCase> All => [.. SystemCalls(), .. Encodings(), .. Controls()];

    private static IEnumerable<GuestCase> SystemCalls()
    {
        const ulong star = (ulong)(LongCode3 - 16) << 48 | (ulong)LongCode0 << 32;
        foreach (int cpl in (int[])[0, 3])
        {
            foreach (uint mask in (uint[])[0, 0x4_7700, uint.MaxValue])
                yield return LongAssembler.Case($"syscall cpl{cpl} mask {mask:x}", l =>
                {
                    l.WriteMsr(Star, star);
                    l.WriteMsr(LongStar, Landing);
                    l.WriteMsr(FlagMask, mask);
                    if (cpl == 3)
                        l.EnterUser(0x4_0AD7 & ~0x100U);
                    l.Code.syscall();
                });
            yield return LongAssembler.Case($"syscall cpl{cpl} into the upper half", l =>
            {
                l.WriteMsr(Star, star | 3UL << 32);
                l.WriteMsr(LongStar, UpperHalf + Landing);
                if (cpl == 3)
                    l.EnterUser();
                l.Code.syscall();
            });
            yield return LongAssembler.Case($"syscall cpl{cpl} saves r11 and rcx", l =>
            {
                Label here = l.Code.CreateLabel();
                Label at = l.Code.CreateLabel();
                l.WriteMsr(Star, star);
                l.Code.lea(rax, __[here]);
                l.Code.mov(rdx, rax);
                l.Code.shr(rdx, 32);
                l.Code.mov(ecx, LongStar);
                l.Code.wrmsr();
                if (cpl == 3)
                    l.EnterUser(0x246);
                l.Code.syscall();
                l.Code.Label(ref at);
                l.Code.nop();
                l.Code.Label(ref here);
                l.Code.lea(rax, __[at]);
                l.Code.sub(rcx, rax);
                l.Code.mov(eax, r11d);
                l.Code.shl(ecx, 24);
                l.Code.or(eax, ecx);
                l.Done();
            });
            yield return LongAssembler.Case($"syscall cpl{cpl} without sce", l =>
            {
                l.WriteMsr(Efer, 0x900);
                if (cpl == 3)
                    l.EnterUser();
                l.Code.syscall();
            });
            yield return LongAssembler.Case($"syscall in compatibility mode cpl{cpl}", l =>
            {
                l.WriteMsr(Star, star);
                l.WriteMsr(0xC000_0083, Landing);
                l.EnterCompatibility(cpl == 3);
                l.Code.syscall();
            });
            foreach (string verb in (string[])["sysretq", "sysretd"])
            {
                void Return(LongAssembler l)
                {
                    if (verb == "sysretq")
                        l.Code.db(0x48);
                    l.Code.db(0x0F, 0x07);
                }
                // Of four bytes nothing is left of the hole's address but zero.
                foreach (ulong rcx in (ulong[])[Landing, .. verb == "sysretq" || cpl == 3 ? [LongCases.NonCanonical] : (ulong[])[], UpperHalf + Landing, 0x1_0000_0000UL + Landing])
                    yield return LongAssembler.Case($"{verb} to {rcx:x} cpl{cpl}", l =>
                    {
                        l.WriteMsr(Star, star);
                        if (cpl == 3)
                            l.EnterUser();
                        l.Code.mov(AssemblerRegisters.rcx, rcx);
                        l.Code.mov(r11d, 0x3246);
                        Return(l);
                    });
                foreach (ulong flags in (ulong[])[0, 0x3_4D7 | 0x20_0000, 0xFFFF_FFFF_FFFF_FEFF])
                    yield return LongAssembler.Case($"{verb} with flags {flags:x} cpl{cpl}", l =>
                    {
                        l.WriteMsr(Star, star);
                        if (cpl == 3)
                            l.EnterUser();
                        l.Code.mov(ecx, Landing);
                        l.Code.mov(r11, flags);
                        Return(l);
                    });
                yield return LongAssembler.Case($"{verb} without sce cpl{cpl}", l =>
                {
                    l.WriteMsr(Efer, 0x900);
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.mov(ecx, Landing);
                    Return(l);
                });
            }
            foreach (ushort cs in (ushort[])[LongCode0, 0, 3, 0x4B])
                foreach (bool compatibility in (bool[])[false, true])
                    yield return LongAssembler.Case($"sysenter with cs {cs:x} cpl{cpl}{(compatibility ? " in compatibility mode" : "")}", l =>
                    {
                        l.WriteMsr(SysenterCs, cs);
                        l.WriteMsr(SysenterEsp, UpperHalf + Stack0 - 0x10);
                        l.WriteMsr(SysenterEip, UpperHalf + Landing);
                        if (compatibility)
                            l.EnterCompatibility(cpl == 3);
                        else if (cpl == 3)
                            l.EnterUser(0x4_0202);
                        l.Code.sysenter();
                    });
            foreach (bool wide in (bool[])[false, true])
                foreach ((string name, ulong rdx, ulong rcx, ushort cs) in ((string, ulong, ulong, ushort)[])[
                    ("", Landing, Stack3, LongCode0 - 0x18), (" rip non-canonical", LongCases.NonCanonical, Stack3, LongCode0), (" rsp non-canonical", Landing, LongCases.NonCanonical, LongCode0),
                    (" high", 0x1_0000_0000UL + Landing, 0x1_0000_0000UL + Stack3, LongCode0), (" cs 0", Landing, Stack3, 0), (" upper half", UpperHalf + Landing, UpperHalf + Stack3, LongCode0)])
                {
                    if (!wide && cpl == 0 && rdx == LongCases.NonCanonical)
                        continue;
                    yield return LongAssembler.Case($"{(wide ? "sysexitq" : "sysexitd")}{name} cpl{cpl}", l =>
                    {
                        l.WriteMsr(SysenterCs, cs);
                        if (cpl == 3)
                            l.EnterUser();
                        l.Code.mov(AssemblerRegisters.rdx, rdx);
                        l.Code.mov(AssemblerRegisters.rcx, rcx);
                        if (wide)
                            l.Code.db(0x48);
                        l.Code.db(0x0F, 0x35);
                    });
                }
            yield return LongAssembler.Case($"swapgs cpl{cpl}", l =>
            {
                l.WriteMsr(0xC000_0101, 0x1234_5678);
                l.WriteMsr(0xC000_0102, Page + 0x1000);
                if (cpl == 3)
                    l.EnterUser();
                l.Code.swapgs();
                l.Code.db(0x65);
                l.Code.mov(eax, __dword_ptr[rbx]);
                l.Done();
            });
            yield return LongAssembler.Case($"swapgs in compatibility mode cpl{cpl}", l =>
            {
                l.EnterCompatibility(cpl == 3);
                l.Code.swapgs();
            });
            foreach (string which in (string[])["rdfsbase", "wrfsbase", "wrgsbase non-canonical", "wrfsbase without fsgsbase"])
                yield return LongAssembler.Case($"{which} cpl{cpl}", l =>
                {
                    if (!which.Contains("without", StringComparison.Ordinal))
                        l.SetCr4(1 << 16);
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.mov(rax, which.Contains("non", StringComparison.Ordinal) ? LongCases.NonCanonical : Page);
                    if (which[0] == 'r')
                        l.Code.rdfsbase(rax);
                    else if (which[2] == 'f')
                        l.Code.wrfsbase(rax);
                    else
                        l.Code.wrgsbase(rax);
                    l.Done();
                });
        }
    }

    private static IEnumerable<GuestCase> Controls()
    {
        // CR0 without PG or PE, CR4 without PAE, CR4 and CR3 with reserved bits are not among them: QEMU takes them, and does not come back.
        (string Name, Action<LongAssembler> Code)[] cases =
        [
            ("cr0 nw without cd", l => Control(l, 0, 0xA001_0011)), ("cr0 nw and cd", l => Control(l, 0, 0xE001_0011)),
            ("cr0 bit 32", l => Control(l, 0, 0x1_8001_0011)), ("cr0 bit 63", l => Control(l, 0, 0x8000_0000_8001_0011)), ("cr0 reserved low bits", l => Control(l, 0, 0x8001_0011 | 0x1FFA_FFC0UL)),
            ("cr4 pcide", l => Control(l, 4, 0x2_0020)),
            ("cr4 pcide with a pcid in cr3", l => { Control(l, 3, PageTables | 8); Control(l, 4, 0x2_0020); }), ("cr4 pcide with pwt in cr3", l => { Control(l, 3, PageTables | 0x18); Control(l, 4, 0x2_0020); }),
            ("cr3 with a pcid", l => { Control(l, 4, 0x2_0020); Control(l, 3, PageTables | 0xFFF); }),
            ("cr3 low bits", l => Control(l, 3, PageTables | 0xFE7)),
            ("cr2 any", l => { l.Code.mov(rax, LongCases.NonCanonical + 0x55); l.Code.mov(cr2, rax); l.Code.mov(rax, cr2); }),
            ("cr8 5", l => { l.Code.mov(eax, 5); l.Code.mov(cr8, rax); l.Code.xor(eax, eax); l.Code.mov(rax, cr8); l.Code.xor(ecx, ecx); l.Code.mov(cr8, rcx); }), ("cr8 16", l => { l.Code.mov(eax, 16); l.Code.mov(cr8, rax); }),
            ("cr8 bit 32", l => { l.Code.mov(rax, 1UL << 32); l.Code.mov(cr8, rax); }),
            ("dr6 bit 32", l => { l.Code.mov(rax, 1UL << 32); l.Code.mov(dr6, rax); }), ("dr7 bit 32", l => { l.Code.mov(rax, 1UL << 32 | 0x400); l.Code.mov(dr7, rax); }), ("dr7 bit 63", l => { l.Code.mov(rax, 1UL << 63); l.Code.mov(dr7, rax); }),
            ("dr0 any", l => { l.Code.mov(rax, LongCases.NonCanonical); l.Code.mov(dr0, rax); l.Code.mov(rax, dr0); l.Code.shr(rax, 40); }),
            ("efer without lme", l => l.WriteMsr(Efer, 0x801)), ("efer reserved bit 1", l => l.WriteMsr(Efer, 0x903)), ("efer reserved bit 9", l => l.WriteMsr(Efer, 0xB01)), ("efer bit 32", l => l.WriteMsr(Efer, 0x1_0000_0901)),
            ("efer lma clear", l => { l.WriteMsr(Efer, 0x901); l.Code.mov(ecx, Efer); l.Code.rdmsr(); }), ("efer svme", l => l.WriteMsr(Efer, 0x1901)), ("efer nxe clear", l => { l.WriteMsr(Efer, 0x101); l.Code.mov(ecx, Efer); l.Code.rdmsr(); }),
            ("pat reserved type 2", l => l.WriteMsr(0x277, 0x02)), ("pat reserved bits", l => l.WriteMsr(0x277, 0x08)), ("pat good", l => { l.WriteMsr(0x277, 0x0007_0406_0007_0406); l.Code.mov(ecx, 0x277); l.Code.rdmsr(); }),
            ("star any", l => { l.WriteMsr(Star, ulong.MaxValue); l.Code.mov(ecx, Star); l.Code.rdmsr(); }), ("fmask bit 32", l => l.WriteMsr(FlagMask, 1UL << 32)),
            ("sysenter cs bit 32", l => l.WriteMsr(SysenterCs, 1UL << 32)), ("tsc aux bit 32", l => l.WriteMsr(0xC000_0103, 1UL << 32)),
            ("lmsw clears nothing", l => { l.Code.mov(eax, 0x10); l.Code.lmsw(ax); l.Code.mov(rax, cr0); }), ("smsw", l => l.Code.smsw(eax)), ("clts", l => { Control(l, 0, 0x8001_0019); l.Code.clts(); l.Code.mov(rax, cr0); }),
            ("invpcid type 4", l => { l.Code.mov(eax, 4); l.Code.invpcid(rax, __xmmword_ptr[rsp - 16]); }), ("invpcid type 0 non-canonical", l => { Invpcid(l, 0, 0, LongCases.NonCanonical); }), ("invpcid type 1 pcid 1", l => { Invpcid(l, 1, 1, 0); }),
            ("invpcid type 0 reserved", l => { Invpcid(l, 0, 0x1000, 0); }), ("invpcid type 2", l => { Invpcid(l, 2, 0, 0); }), ("invpcid type 3 reserved", l => { Invpcid(l, 3, 1UL << 63, 0); }),
            ("xsetbv", l => { l.SetCr4(1 << 18); l.Code.xor(ecx, ecx); l.Code.xor(edx, edx); l.Code.mov(eax, 2); l.Code.xsetbv(); }), ("xsetbv without osxsave", l => { l.Code.xor(ecx, ecx); l.Code.mov(eax, 3); l.Code.xsetbv(); }),
            ("xsetbv ecx 1", l => { l.SetCr4(1 << 18); l.Code.mov(ecx, 9); l.Code.mov(eax, 3); l.Code.xsetbv(); }),
        ];
        foreach ((string name, Action<LongAssembler> code) in cases)
            foreach (int cpl in (int[])[0, 3])
                yield return LongAssembler.Case($"{name} cpl{cpl}", l =>
                {
                    if (cpl == 3)
                        l.EnterUser();
                    code(l);
                    l.Done();
                });
        foreach (bool umip in (bool[])[false, true])
            foreach ((string name, Action<Assembler> code) in ((string, Action<Assembler>)[])[
                ("sgdt", a => a.sgdt(__[Page + 0x1000])), ("sidt", a => a.sidt(__[Page + 0x1000])), ("sldt", a => a.sldt(eax)), ("str", a => a.str(eax)), ("smsw", a => a.smsw(eax))])
                yield return LongAssembler.Case($"user {name}{(umip ? " umip" : "")}", l =>
                {
                    if (umip)
                        l.SetCr4(1 << 11);
                    l.EnterUser();
                    code(l.Code);
                    l.Done();
                });
    }

    private static void Control(LongAssembler l, int register, ulong value)
    {
        l.Code.mov(rax, value);
        l.Code.mov(register switch { 0 => cr0, 3 => cr3, _ => cr4 }, rax);
    }

    private static void Invpcid(LongAssembler l, int type, ulong pcid, ulong address)
    {
        l.Code.mov(rax, address);
        l.Code.push(rax);
        l.Code.mov(rax, pcid);
        l.Code.push(rax);
        l.Code.mov(eax, type);
        l.Code.invpcid(rax, __xmmword_ptr[rsp]);
    }

    /// <summary>What 64-bit mode does not have, and the limit of 15 bytes.</summary>
    private static IEnumerable<GuestCase> Encodings()
    {
        (string Name, byte[] Bytes)[] encodings =
        [
            ("push es", [0x06]), ("pop ds", [0x1F]), ("daa", [0x27]), ("aaa", [0x37]), ("pusha", [0x60]), ("popa", [0x61]), ("aam", [0xD4, 0x0A]), ("salc", [0xD6]), ("far call", [0x9A, 0, 0, 0, 0, 8, 0]), ("far jmp", [0xEA, 0, 0, 0, 0, 8, 0]),
            ("les", [0xC4, 0x00]), ("lds", [0xC5, 0x00]), ("82", [0x82, 0xC0, 0x01]), ("lock nop", [0xF0, 0x90]), ("lock xchg reg", [0xF0, 0x87, 0xC0]), ("lock add reg", [0xF0, 0x01, 0xC0]), ("rex push es", [0x48, 0x06]),
            ("0f 04", [0x0F, 0x04]), ("0f 0a", [0x0F, 0x0A]), ("0f ff", [0x0F, 0xFF, 0xC0]), ("mov cs", [0x8E, 0xC8]), ("mov from segment 6", [0x8C, 0xF0]), ("mov cr1", [0x0F, 0x22, 0xC8]), ("mov cr9", [0x44, 0x0F, 0x22, 0xC8]),
            ("mov dr8", [0x44, 0x0F, 0x23, 0xC0]), ("mov tr", [0x0F, 0x24, 0xC0]), ("ff /7", [0xFF, 0xF8]), ("fe /2", [0xFE, 0xD0]), ("c6 /1", [0xC6, 0x08, 0]), ("8f /1", [0x8F, 0x08]), ("lea reg", [0x8D, 0xC0]),
            ("arpl is movsxd", [0x63, 0xC0]), ("16 bytes", [0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90]),
            ("15 bytes", [0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90]), ("16 bytes by its immediate", [0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x05, 1, 2, 3, 4]),
            ("66 far jmp m", [0x66, 0xFF, 0x28]), ("rsm", [0x0F, 0xAA]), ("ud0", [0x0F, 0xFF, 0x00]), ("ud1", [0x0F, 0xB9, 0xC0]), ("cmpxchg8b reg", [0x0F, 0xC7, 0xC8]), ("movntq reg", [0x0F, 0xE7, 0xC0]), ("bound is evex", [0x62, 0x00]),
        ];
        foreach ((string name, byte[] bytes) in encodings)
            foreach (int cpl in (int[])[0, 3])
                yield return LongAssembler.Case($"encoding {name} cpl{cpl}", l =>
                {
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.mov(eax, Page + 0x800);
                    l.Code.db(bytes);
                    l.Done();
                });
    }
}
