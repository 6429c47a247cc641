using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Control registers and IA32_EFER bit by bit, and the combinations that are refused (SDM Vol. 2, "MOV—Move to/from Control Registers"; Vol. 3A, "Control Registers").</summary>
internal static class ControlCases
{
    private const uint Efer = 0xC000_0080, Lme = 0x100, Pae = 0x20, Pcide = 0x2_0000, PagingOn = 0x8000_0011;

    public static IEnumerable<GuestCase> All => [.. Cr0(), .. Cr4(), .. Pointers(), .. Activation(), .. LongCr0(), .. LongCr3(), .. LongCr4(), .. LongOthers()];

    private static void Set(CaseAssembler c, AssemblerRegisterCR register, uint value)
    {
        c.Code.mov(eax, value);
        c.Code.mov(register, eax);
    }

    private static void Set(LongAssembler l, AssemblerRegisterCR register, ulong value)
    {
        l.Code.mov(rax, value);
        l.Code.mov(register, rax);
    }

    private static IEnumerable<GuestCase> Cr0()
    {
        foreach ((string name, uint value) in ((string, uint)[])[("pg without pe", 0x8000_0010), ("nw without cd", 0x2000_0011), ("nw and cd", 0x6000_0011), ("reserved bits", 0x1FFA_FFD1), ("et clear", 1)])
            yield return new($"cr0 {name}", c =>
            {
                Set(c, cr0, value);
                c.Code.mov(eax, cr0);
                c.Done();
            });
        foreach (byte number in (byte[])[1, 5, 6, 7])
            foreach (bool write in (bool[])[false, true])
                yield return new($"mov {(write ? "to" : "from")} cr{number}", c =>
                {
                    c.Code.db(0x0F, (byte)(write ? 0x22 : 0x20), (byte)(0xC0 | number << 3));
                    c.Done();
                });
    }

    private static IEnumerable<GuestCase> Cr4()
    {
        for (int bit = 0; bit < 32; bit++)
        {
            uint value = 1U << bit;
            yield return new($"cr4 bit {bit}", c =>
            {
                Set(c, cr4, value);
                c.Code.mov(eax, cr4);
                c.Done();
            });
        }
    }

    /// <summary>
    /// "If any of the four PDPTEs has both the P flag (bit 0) and any reserved bit set" (SDM Vol. 3A, "PDPTE Registers"): #GP(0) for MOV to CR3, and to CR0 and CR4 where they
    /// change what paging is about.
    /// </summary>
    private static IEnumerable<GuestCase> Pointers()
    {
        const uint entry = PageTables + 8;
        void Fill(CaseAssembler c, ulong bits)
        {
            c.EnablePaging(3, user: false);
            c.Write32(entry, (PageTables + 0x1000) | (uint)bits);
            c.Write32(entry + 4, (uint)(bits >> 32));
        }
        foreach (int bit in (int[])[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 51, 52, 62, 63])
            foreach (bool present in (bool[])[true, false])
                yield return new($"pdpte bit {bit}{(present ? "" : " absent")} mov cr3", c =>
                {
                    Fill(c, 1UL << bit | (present ? 1UL : 0));
                    Set(c, cr3, PageTables);
                    c.Done();
                });
        (string Name, AssemblerRegisterCR Register, uint Value)[] writes =
        [
            ("cr0 cd", cr0, PagingOn | 0x4001_0000), ("cr0 ts", cr0, PagingOn | 0x1_0008), ("cr0 wp", cr0, PagingOn), ("cr4 pge", cr4, Pae | 0x80), ("cr4 pse", cr4, Pae | 0x10), ("cr4 smep", cr4, Pae | 0x10_0000),
            ("cr4 mce", cr4, Pae | 0x40),
        ];
        foreach ((string name, AssemblerRegisterCR register, uint value) in writes)
            yield return new($"pdpte reserved mov {name}", c =>
            {
                Fill(c, 7);
                Set(c, register, value);
                c.Code.mov(eax, register);
                c.Done();
            });
    }

    /// <summary>What stands in the way of IA-32e mode (SDM Vol. 3A, "Initializing IA-32e Mode").</summary>
    private static IEnumerable<GuestCase> Activation()
    {
        void SetLme(CaseAssembler c)
        {
            c.Code.mov(ecx, Efer);
            c.Code.mov(eax, Lme);
            c.Code.xor(edx, edx);
            c.Code.wrmsr();
        }
        yield return new("long mode without pae", c =>
        {
            SetLme(c);
            Set(c, cr3, PageTables);
            Set(c, cr0, PagingOn);
            c.Done();
        });
        yield return new("long mode with a tss of 16 bits", c =>
        {
            c.Code.mov(eax, Task16Selector);
            c.Code.ltr(ax);
            SetLme(c);
            Set(c, cr4, Pae);
            Set(c, cr3, PageTables);
            Set(c, cr0, PagingOn);
            c.Done();
        });
        yield return new("long mode from a code segment with L", c =>
        {
            c.SetDescriptor(Free, Segment(Descriptors.Code, 0) | 1UL << 53);
            SetLme(c);
            Set(c, cr4, Pae);
            Set(c, cr3, PageTables);
            Label here = c.Code.CreateLabel();
            c.PushHere(here);
            c.Code.pop(eax);
            c.Code.push(Free);
            c.Code.push(eax);
            c.Code.retf();
            c.Code.Label(ref here);
            Set(c, cr0, PagingOn);
            c.Done();
        });
        yield return new("efer lme while paging", c =>
        {
            c.EnablePaging(3, user: false);
            SetLme(c);
            c.Done();
        });
        yield return new("efer lma without paging", c =>
        {
            c.Code.mov(ecx, Efer);
            c.Code.mov(eax, 0x400);
            c.Code.xor(edx, edx);
            c.Code.wrmsr();
            c.Code.rdmsr();
            c.Done();
        });
        yield return new("cr4 pcide with lme alone", c =>
        {
            SetLme(c);
            Set(c, cr4, Pae | Pcide);
            c.Done();
        });
    }

    private static GuestCase Long(string name, Action<LongAssembler> code) => LongAssembler.Case(name, l =>
    {
        code(l);
        l.Done();
    }, user: false);

    private static IEnumerable<GuestCase> LongCr0()
    {
        foreach ((string name, uint value) in ((string, uint)[])[("pg without pe", 0x8001_0010), ("pg clear", 0x1_0011), ("pe and pg clear", 0x1_0010)])
            yield return Long($"cr0 {name}", l => Set(l, cr0, value));
        for (int bit = 32; bit < 64; bit++)
        {
            int b = bit;
            yield return Long($"cr0 only bit {b}", l => Set(l, cr0, 0x8001_0011 | 1UL << b));
        }
        yield return Long("cr0 pg clear with pcide in compatibility mode", l =>
        {
            Set(l, cr4, Pae | Pcide);
            l.EnterCompatibility(user: false);
            l.Embed(32, a =>
            {
                a.mov(eax, 0x1_0011);
                a.mov(cr0, eax);
            });
        });
        yield return Long("cr0 pe and pg clear in compatibility mode", l =>
        {
            l.EnterCompatibility(user: false);
            l.Embed(32, a =>
            {
                a.mov(eax, 0x8001_0010);
                a.mov(cr0, eax);
            });
        });
    }

    private static IEnumerable<GuestCase> LongCr3()
    {
        foreach (bool pcide in (bool[])[false, true])
            for (int bit = 48; bit < 64; bit++)
            {
                int b = bit;
                yield return Long($"cr3 bit {b}{(pcide ? " pcide" : "")}", l =>
                {
                    if (pcide)
                        Set(l, cr4, Pae | Pcide);
                    Set(l, cr3, PageTables | 1UL << b);
                    l.Code.mov(rax, cr3);
                    l.Code.bswap(rax);
                });
            }
        yield return Long("cr3 bit 63 with another pcid", l =>
        {
            Set(l, cr4, Pae | Pcide);
            Set(l, cr3, PageTables | 5 | 1UL << 63);
            l.Code.mov(rax, cr3);
        });
    }

    private static IEnumerable<GuestCase> LongCr4()
    {
        yield return Long("cr4 pae clear", l => Set(l, cr4, 0));
        yield return Long("cr4 pae clear in compatibility mode", l =>
        {
            l.EnterCompatibility(user: false);
            l.Embed(32, a =>
            {
                a.xor(eax, eax);
                a.mov(cr4, eax);
            });
        });
        for (int bit = 0; bit < 64; bit++)
        {
            int b = bit;
            if (b != 5)
                yield return Long($"cr4 bit {b}", l =>
                {
                    Set(l, cr4, Pae | 1UL << b);
                    l.Code.mov(rax, cr4);
                });
        }
        // Any of bits 11:0 of CR3, not those alone that mean something without PCIDs.
        for (int bit = 0; bit < 12; bit++)
        {
            int b = bit;
            yield return Long($"cr4 pcide with bit {b} in cr3", l =>
            {
                Set(l, cr3, PageTables | 1UL << b);
                Set(l, cr4, Pae | Pcide);
            });
        }
    }

    private static IEnumerable<GuestCase> LongOthers()
    {
        for (int bit = 4; bit < 64; bit++)
        {
            int b = bit;
            yield return Long($"cr8 only bit {b}", l => Set(l, cr8, 1UL << b));
        }
        foreach (byte number in (byte[])[1, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
            foreach (bool write in (bool[])[false, true])
                yield return Long($"mov {(write ? "to" : "from")} cr{number}", l =>
                    l.Code.db((byte)(number > 7 ? 0x44 : 0x40), 0x0F, (byte)(write ? 0x22 : 0x20), (byte)(0xC0 | (number & 7) << 3)));
        for (int bit = 0; bit < 64; bit++)
        {
            int b = bit;
            yield return Long($"efer bit {b}", l =>
            {
                l.WriteMsr(Efer, 0xD01 ^ 1UL << b);
                l.Code.rdmsr();
            });
        }
    }
}
