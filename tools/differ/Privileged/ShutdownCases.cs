using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>
/// Triple faults: "If another contributory or page fault exception occurs while attempting to call the double-fault handler, the processor enters shutdown mode" (SDM
/// Vol. 3A, "Interrupt 8—Double Fault Exception (#DF)"). Beside them stand cases in which the double fault gets through.
/// </summary>
internal static class ShutdownCases
{
    private const byte DoubleFault = 8, GeneralProtection = 13;
    private const ushort Beyond = 0xFFF8;

    public static IEnumerable<GuestCase> All => [.. Limits(), .. Gates(), .. Stacks(), .. Pages(), .. RealMode(), .. LongGates(), .. LongStacks(), .. LongPages()];

    /// <summary>A contributory exception that finds no gate: #GP, and #NP in its place, together #DF.</summary>
    private static void RaiseDoubleFault(CaseAssembler c, bool user)
    {
        c.SetGate(GeneralProtection, Gate(Code0, 0, SystemType.InterruptGate32, 0, present: false));
        if (user)
            c.EnterUser();
        c.Code.mov(eax, Beyond);
        c.Code.mov(ds, ax);
    }

    private static void RaiseDoubleFault(LongAssembler l, bool user)
    {
        l.SetGate(GeneralProtection, Gate(LongCode0, 0, SystemType.InterruptGate32, 0, present: false));
        if (user)
            l.EnterUser();
        l.Code.mov(eax, Beyond);
        l.Code.mov(ds, ax);
    }

    private static void LoadIdt(CaseAssembler c, uint @base, int limit) => LoadTable(c, @base, limit, interrupts: true);

    private static void LoadTable(CaseAssembler c, uint @base, int limit, bool interrupts)
    {
        Label behind = c.Code.CreateLabel();
        c.Code.call(behind);
        c.Code.dw((ushort)limit);
        c.Code.dd(@base);
        c.Code.Label(ref behind);
        c.Code.pop(eax);
        if (interrupts)
            c.Code.lidt(__[eax]);
        else
            c.Code.lgdt(__[eax]);
    }

    private static void LoadTable(LongAssembler l, ulong @base, int limit, bool interrupts)
    {
        l.Code.mov(rax, @base);
        l.Code.push(rax);
        l.Code.push(0);
        l.Code.mov(__word_ptr[rsp + 6], limit);
        if (interrupts)
            l.Code.lidt(__[rsp + 6]);
        else
            l.Code.lgdt(__[rsp + 6]);
    }

    private static IEnumerable<GuestCase> Limits()
    {
        (string Name, Action<Assembler> Code)[] firsts =
        [
            ("ud2", a => a.ud2()), ("int", a => a.@int(FreeVector)), ("mov ds", a => { a.mov(eax, Beyond); a.mov(ds, ax); }),
        ];
        // The gate of #DF ends at 47.
        foreach (int limit in (int[])[0, 0x46, 0x47])
            foreach ((string name, Action<Assembler> code) in firsts)
                yield return new($"{name} with an idt of limit {limit:x}", c =>
                {
                    LoadIdt(c, Idt, limit);
                    code(c.Code);
                });
        foreach (int limit in (int[])[0, 0x8E, 0x8F])
            foreach ((string name, Action<Assembler> code) in firsts)
                yield return LongAssembler.Case($"{name} with an idt of limit {limit:x}", l =>
                {
                    LoadTable(l, LongIdt, limit, interrupts: true);
                    code(l.Code);
                });
    }

    private static IEnumerable<GuestCase> Gates()
    {
        const uint handler = Stubs + 16 * DoubleFault;
        (string Name, ulong Gate, ulong Target)[] gates =
        [
            ("good", Gate(Code0, handler, SystemType.InterruptGate32, 0), 0), ("np", Gate(Code0, handler, SystemType.InterruptGate32, 0, present: false), 0),
            ("of type 0", Gate(Code0, handler, 0, 0), 0), ("of a call gate", Gate(Code0, handler, SystemType.CallGate32, 0), 0),
            ("null", Gate(0, handler, SystemType.InterruptGate32, 0), 0), ("beyond", Gate(Beyond, handler, SystemType.InterruptGate32, 0), 0),
            ("data", Gate(Data0, handler, SystemType.InterruptGate32, 0), 0), ("dpl3", Gate(Code3, handler, SystemType.InterruptGate32, 0), 0),
            ("code np", Gate(Free, handler, SystemType.InterruptGate32, 0), Segment(Descriptors.Code, 0, present: false)),
            ("short", Gate(Free, handler, SystemType.InterruptGate32, 0), Segment(Descriptors.Code, 0, limit: 0xFFF)),
            ("task", Gate(HandlerSelector, 0, SystemType.TaskGate, 0), 0), ("task np", Gate(Free, 0, SystemType.TaskGate, 0), Descriptors.System(SystemType.AvailableTss32, HandlerTask, 0x67, present: false)),
            ("task busy", Gate(TssSelector, 0, SystemType.TaskGate, 0), 0), ("task short", Gate(Free, 0, SystemType.TaskGate, 0), Descriptors.System(SystemType.AvailableTss32, HandlerTask, 0x66)),
            ("task of no tss", Gate(Code0, 0, SystemType.TaskGate, 0), 0),
        ];
        // From CPL 3 a handler of DPL 3 would run, and find #GP in its own code.
        foreach ((string name, ulong gate, ulong target) in gates)
            foreach (bool user in name == "dpl3" ? (bool[])[false] : [false, true])
                yield return new($"#DF with its gate {name} cpl{(user ? 3 : 0)}", c =>
                {
                    if (target != 0)
                        c.SetDescriptor(Free, target);
                    c.SetGate(DoubleFault, gate);
                    RaiseDoubleFault(c, user);
                });
    }

    /// <summary>Stacks that stop every handler: the undefined opcode, what comes of it, and the double fault of both.</summary>
    private static IEnumerable<GuestCase> Stacks()
    {
        (string Name, ushort Selector, ulong Raw, uint Pointer)[] stacks =
        [
            ("null", 0, 0, Stack0), ("rpl", Free | 3, Segment(Data, 0), Stack0), ("dpl", Free, Segment(Data, 3), Stack0), ("read-only", Free, Segment(ReadOnly, 0), Stack0),
            ("beyond", Beyond, 0, Stack0), ("np", Free, Segment(Data, 0, present: false), Stack0), ("short", Free, Segment(Data, 0, limit: 0xFFFF), Stack0),
        ];
        foreach ((string name, ushort selector, ulong raw, uint pointer) in stacks)
            yield return new($"#DF with a stack {name} cpl3", c =>
            {
                c.SetDescriptor(Free, raw);
                c.Write32(Tss + 4, pointer);
                c.Write16(Tss + 8, selector);
                c.EnterUser();
                c.Code.ud2();
            });
        yield return new("#DF with a tss too short for a stack cpl3", c =>
        {
            c.SetDescriptor(Free, Descriptors.System(SystemType.AvailableTss32, Tss, 8));
            c.Code.mov(eax, Free);
            c.Code.ltr(ax);
            c.EnterUser();
            c.Code.ud2();
        });
        yield return new("#DF with a stack beyond its limit cpl0", c =>
        {
            c.SetDescriptor(Free, Segment(Data, 0, limit: 0xFFFF));
            c.Code.mov(eax, Free);
            c.Code.mov(ss, ax);
            c.Code.ud2();
        });
    }

    private static IEnumerable<GuestCase> Pages()
    {
        // The page at Page is absent, the one behind it present, and that behind both absent.
        yield return new("#DF with the idt absent", c =>
        {
            c.EnablePaging(0, user: false);
            LoadIdt(c, Page, 0x27F);
            c.Code.ud2();
        });
        yield return new("#DF with its gate absent", c =>
        {
            c.EnablePaging(0, user: false);
            c.Write32(Page + 0x2000 - 8 * DoubleFault, 0);
            c.Write32(Page + 0x2004 - 8 * DoubleFault, 0);
            LoadIdt(c, Page + 0x2000 - 8 * DoubleFault, 0x27F);
            c.Code.xor(ecx, ecx);
            c.Code.div(ecx);
        });
        yield return new("#DF with the gdt absent", c =>
        {
            c.EnablePaging(0, user: false);
            LoadTable(c, Page, 0xFF, interrupts: false);
            c.Code.ud2();
        });
        foreach ((string name, ulong entry) in ((string, ulong)[])[("absent", 0), ("read-only", 1), ("reserved", 3 | 1UL << 51)])
        {
            yield return new($"#DF with its stack {name} cpl0", c =>
            {
                c.EnablePaging(entry, user: false);
                c.Code.mov(esp, Page + 0x800);
                c.Code.ud2();
            });
            yield return new($"#DF with its stack {name} cpl3", c =>
            {
                c.EnablePaging(entry, user: true);
                c.Write32(Tss + 4, Page + 0x800);
                c.EnterUser();
                c.Code.ud2();
            });
        }
        yield return new("#DF to a task that is absent", c =>
        {
            c.EnablePaging(0, user: false);
            c.SetDescriptor(Free, Descriptors.System(SystemType.AvailableTss32, Page, 0x67));
            c.SetGate(DoubleFault, Gate(Free, 0, SystemType.TaskGate, 0));
            RaiseDoubleFault(c, user: false);
        });
    }

    /// <summary>SDM, "Interrupt and Exception Handling" of real-address mode: the table has its limit there too.</summary>
    private static IEnumerable<GuestCase> RealMode()
    {
        foreach ((string name, Action<Assembler> code) in ((string, Action<Assembler>)[])[("ud2", a => a.ud2()), ("int", a => a.@int(FreeVector))])
            yield return new($"real mode {name} with an idt of limit 0", c =>
            {
                c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: 0xFFFF, @base: Virtual8086, big: false));
                c.SetDescriptor(Free2, Segment(Data, 0, limit: 0xFFFF, big: false));
                LoadIdt(c, 0, 0);
                c.CopyBelow1M(a =>
                {
                    a.mov(eax, cr0);
                    a.and(eax, 0x7FFF_FFFE);
                    a.mov(cr0, eax);
                    a.jmp((ushort)(Virtual8086 >> 4), 0x11); // What follows.
                    a.xor(ax, ax);
                    a.mov(ss, ax);
                    a.mov(sp, 0x7000);
                    code(a);
                });
                c.Code.mov(eax, Free2);
                c.Code.mov(ss, ax);
                c.Transfer(call: false, Free, 0);
            });
    }

    private static IEnumerable<GuestCase> LongGates()
    {
        const uint handler = LongStubs + 16 * DoubleFault;
        (string Name, ulong Gate, ulong High, ulong Target)[] gates =
        [
            ("good", Gate(LongCode0, handler, SystemType.InterruptGate32, 0, 2), 0, 0), ("np", Gate(LongCode0, handler, SystemType.InterruptGate32, 0, 2, present: false), 0, 0),
            ("of type 0", Gate(LongCode0, handler, 0, 0, 2), 0, 0), ("of a call gate", Gate(LongCode0, handler, SystemType.CallGate32, 0, 2), 0, 0),
            ("of 16 bits", Gate(LongCode0, handler, SystemType.InterruptGate16, 0, 2), 0, 0), ("of a task", Gate(TssSelector, 0, SystemType.TaskGate, 0), 0, 0),
            ("null", Gate(0, handler, SystemType.InterruptGate32, 0, 2), 0, 0), ("beyond", Gate(Beyond, handler, SystemType.InterruptGate32, 0, 2), 0, 0),
            ("data", Gate(Data0, handler, SystemType.InterruptGate32, 0, 2), 0, 0), ("dpl3", Gate(LongCode3, handler, SystemType.InterruptGate32, 0, 2), 0, 0),
            ("compatibility", Gate(Code0, handler, SystemType.InterruptGate32, 0, 2), 0, 0),
            ("code np", Gate(LongFree, handler, SystemType.InterruptGate32, 0, 2), 0, LongCode(Descriptors.Code, 0, present: false)),
            ("L and D", Gate(LongFree, handler, SystemType.InterruptGate32, 0, 2), 0, LongCode(Descriptors.Code, 0) | 1UL << 54),
            ("to a non-canonical address", Gate(LongCode0, handler, SystemType.InterruptGate32, 0, 2), 0x8000, 0),
        ];
        foreach ((string name, ulong gate, ulong high, ulong target) in gates)
            foreach (bool user in name == "dpl3" ? (bool[])[false] : [false, true])
                yield return LongAssembler.Case($"#DF with its gate {name} cpl{(user ? 3 : 0)}", l =>
                {
                    if (target != 0)
                        l.SetDescriptor(LongFree, target);
                    l.SetGate(DoubleFault, gate, high);
                    RaiseDoubleFault(l, user);
                });
    }

    private static IEnumerable<GuestCase> LongStacks()
    {
        (string Name, ulong Pointer)[] pointers = [("good", InterruptStack2), ("absent", Page + 0x3000), ("non-canonical", LongCases.NonCanonical + 0x1000), ("read-only", Page + 0x800)];
        foreach ((string name, ulong pointer) in pointers)
        {
            void Protect(LongAssembler l)
            {
                if (name == "read-only")
                    l.Write32(PageTable, Page | 1);
            }
            foreach (bool user in (bool[])[false, true])
                yield return LongAssembler.Case($"#DF with its ist {name} cpl{(user ? 3 : 0)}", l =>
                {
                    Protect(l);
                    l.Write64(LongTss + 0x2C, pointer);
                    RaiseDoubleFault(l, user);
                });
            yield return LongAssembler.Case($"#DF with a stack {name} and no ist cpl0", l =>
            {
                Protect(l);
                l.SetGate(DoubleFault, Gate(LongCode0, LongStubs + 16 * DoubleFault, SystemType.InterruptGate32, 0));
                l.Code.mov(rsp, pointer);
                RaiseDoubleFault(l, user: false);
            });
            yield return LongAssembler.Case($"#DF with a stack {name} and no ist cpl3", l =>
            {
                Protect(l);
                l.SetGate(DoubleFault, Gate(LongCode0, LongStubs + 16 * DoubleFault, SystemType.InterruptGate32, 0));
                l.Write64(LongTss + 4, pointer);
                RaiseDoubleFault(l, user: true);
            });
        }
        foreach (uint limit in (uint[])[0x33, 0x32])
            yield return LongAssembler.Case($"#DF with its ist in a tss of {limit + 1:x} bytes", l =>
            {
                l.SetDescriptor(LongFree2, Descriptors.System(SystemType.AvailableTss32, LongTss, limit));
                l.Code.mov(eax, LongFree2);
                l.Code.ltr(ax);
                RaiseDoubleFault(l, user: false);
            });
    }

    private static IEnumerable<GuestCase> LongPages()
    {
        yield return LongAssembler.Case("#DF with the idt absent", l =>
        {
            LoadTable(l, Page + 0x3000, 0x4FF, interrupts: true);
            l.Code.ud2();
        });
        yield return LongAssembler.Case("#DF with the idt behind the hole", l =>
        {
            LoadTable(l, LongCases.NonCanonical - 16 * DoubleFault, 0x4FF, interrupts: true);
            l.Code.mov(eax, Beyond);
            l.Code.mov(ds, ax);
        });
        yield return LongAssembler.Case("#DF with the gdt absent", l =>
        {
            LoadTable(l, Page + 0x3000, 0xFF, interrupts: false);
            l.Code.ud2();
        });
        yield return LongAssembler.Case("#DF with the tss absent", l =>
        {
            l.SetDescriptor(LongFree2, Descriptors.System(SystemType.AvailableTss32, Page + 0x3000, 0x67));
            l.Code.mov(eax, LongFree2);
            l.Code.ltr(ax);
            RaiseDoubleFault(l, user: false);
        });
        yield return LongAssembler.Case("#DF with no page tables", l =>
        {
            l.Code.mov(eax, Page);
            l.Code.mov(cr3, rax);
            l.Code.ud2();
        });
    }
}
