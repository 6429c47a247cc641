using Emu.Cpus;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Long mode: segments, far transfers, gates of 16 bytes, the interrupt stack table.</summary>
internal static class LongCases
{
    internal const ulong NonCanonical = 0x0000_8000_0000_0000, Highest = HighestPage + 0xFFF;
    private const uint Landing = CaseAssembler.Landing;

    private static readonly int[] _levels = [0, 1, 3];

    public static IEnumerable<GuestCase> All => [.. Segments(), .. SystemSegments(), .. Transfers(), .. CallGates(), .. InterruptGates(), .. Stacks(), .. LongReturnCases.All];

    private static GuestCase Case(string name, Action<LongAssembler> emit) => LongAssembler.Case(name, emit);

    private static IEnumerable<GuestCase> Segments()
    {
        foreach (int cpl in (int[])[0, 3])
        {
            foreach (int rpl in (int[])[0, 1, 2, 3])
                foreach (bool stack in (bool[])[false, true])
                    yield return Case($"null rpl{rpl} into {(stack ? "ss" : "ds")} cpl{cpl}", l =>
                    {
                        if (cpl == 3)
                            l.EnterUser();
                        l.Code.mov(eax, rpl);
                        if (stack)
                            l.Code.mov(ss, ax);
                        else
                            l.Code.mov(ds, ax);
                        l.Code.push(0x55);
                        l.Code.mov(eax, __dword_ptr[rsp]);
                        l.Done();
                    });
            foreach (int rpl in (int[])[0, 3])
                yield return Case($"null rpl{rpl} into ss in compatibility mode cpl{cpl}", l =>
                {
                    l.EnterCompatibility(cpl == 3);
                    l.Embed(32, a =>
                    {
                        a.mov(eax, rpl);
                        a.mov(ss, ax);
                        a.@int(GuestLayout.Done);
                    });
                });
            for (int type = 0; type < 32; type++)
            {
                int t = type;
                foreach (bool stack in (bool[])[false, true])
                    yield return Case($"type {t:x} into {(stack ? "ss" : "es")} cpl{cpl}", l =>
                    {
                        l.SetDescriptor(LongFree, Segment(t & 15, cpl) & ~(t < 16 ? 1UL << 44 : 0));
                        if (cpl == 3)
                            l.EnterUser();
                        l.Code.mov(eax, LongFree | cpl);
                        if (stack)
                            l.Code.mov(ss, ax);
                        else
                            l.Code.mov(es, ax);
                        l.Done();
                    });
                yield return Case($"lar lsl verr verw of type {t:x} cpl{cpl}", l =>
                {
                    l.SetDescriptor(LongFree, Segment(t & 15, 3, limit: 0x1234) & ~(t < 16 ? 1UL << 44 : 0));
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.mov(ecx, LongFree);
                    l.Code.xor(ebx, ebx);
                    l.Code.xor(edx, edx);
                    l.Code.xor(esi, esi);
                    foreach (Action query in (Action[])[() => l.Code.lar(edx, ecx), () => l.Code.lsl(esi, ecx), () => l.Code.verr(cx), () => l.Code.verw(cx)])
                    {
                        query();
                        l.Code.sete(al);
                        l.Code.movzx(eax, al);
                        l.Code.lea(ebx, __[rax + rbx * 2]);
                    }
                    l.Code.lea(eax, __[rdx + rsi]);
                    l.Code.shl(ebx, 24);
                    l.Code.add(eax, ebx);
                    l.Done();
                });
            }
        }
    }

    private static IEnumerable<GuestCase> SystemSegments()
    {
        (string Name, ushort Selector, ulong Raw, ulong High)[] wrong =
        [
            ("null", 0, 0, 0), ("local", LongFree | 4, 0, 0), ("beyond", 0x80, 0, 0), ("half beyond", 0x78, 0, 0), ("data", Data0, 0, 0), ("code", LongCode0, 0, 0),
            ("good", LongFree, 0, 0), ("np", LongFree, 1UL << 47, 0), ("non-canonical", LongFree, 0, 0x8000), ("high", LongFree, 0, 0xFFFF_8000), ("upper type", LongFree, 0, 0x100_0000_0000),
            ("upper type of all", LongFree, 0, 0x1F00_0000_0000), ("rpl", LongFree | 3, 0, 0),
        ];
        foreach ((string name, ushort selector, ulong flip, ulong high) in wrong)
            foreach (bool task in (bool[])[false, true])
                yield return Case($"{(task ? "ltr" : "lldt")} {name}", l =>
                {
                    ulong raw = task ? Descriptors.System(SystemType.AvailableTss32, LongTss, 0x67) : Descriptors.System(SystemType.Ldt, Ldt, 0x3F);
                    if (name != "beyond" && name != "half beyond")
                        l.SetDescriptor(LongFree, raw ^ flip, high);
                    else
                        l.Write64(LongGdt + 0x78, raw);
                    l.Code.mov(eax, selector);
                    if (task)
                        l.Code.ltr(ax);
                    else
                        l.Code.lldt(ax);
                    l.Done();
                });
        for (int type = 0; type < 16; type++)
        {
            int t = type;
            foreach (bool task in (bool[])[false, true])
                yield return Case($"{(task ? "ltr" : "lldt")} of type {t:x}", l =>
                {
                    l.SetDescriptor(LongFree, Descriptors.System(t, LongTss, 0x67));
                    l.Code.mov(eax, LongFree);
                    if (task)
                        l.Code.ltr(ax);
                    else
                        l.Code.lldt(ax);
                    l.Done();
                });
        }
    }

    private static (string Name, ushort Selector, ulong Raw)[] CodeTargets(int cpl) =>
    [
        ("code", LongFree, LongCode(Descriptors.Code, cpl)), ("compatibility", LongFree, Segment(Descriptors.Code, cpl)), ("16-bit", LongFree, Segment(Descriptors.Code, cpl, big: false)),
        ("L and D", LongFree, LongCode(Descriptors.Code, cpl) | 1UL << 54), ("conforming", LongConforming, 0), ("conforming compatibility", LongFree, Segment(ConformingCode, 0)),
        ("data", LongFree, Segment(Data, cpl)), ("np", LongFree, LongCode(Descriptors.Code, cpl, present: false)), ("null", 0, 0), ("beyond", 0x80, 0), ("local", 0x0C, 0),
        ("short compatibility", LongFree, Segment(Descriptors.Code, cpl, limit: 0xFFF)), ("tss", TssSelector, 0), ("ldt", LongLdt, 0),
    ];

    private static IEnumerable<GuestCase> Transfers()
    {
        foreach (bool call in (bool[])[false, true])
            foreach (int cpl in (int[])[0, 3])
            {
                string verb = call ? "call" : "jmp";
                foreach ((string name, ushort selector, ulong raw) in CodeTargets(cpl))
                    foreach (bool wide in (bool[])[false, true])
                        yield return Case($"{verb} {name} cpl{cpl}{(wide ? " wide" : "")}", l =>
                        {
                            if (raw != 0)
                                l.SetDescriptor(LongFree, raw);
                            if (name == "16-bit")
                                l.Write32(Landing & 0xFFFF, 0x41CD);
                            if (cpl == 3)
                                l.EnterUser();
                            l.Transfer(call, selector | cpl, name == "16-bit" ? Landing & 0xFFFF : Landing, wide);
                        });
                foreach (int dpl in _levels)
                    foreach (int rpl in _levels)
                        yield return Case($"{verb} code cpl{cpl} dpl{dpl} rpl{rpl}", l =>
                        {
                            l.SetDescriptor(LongFree, LongCode(Descriptors.Code, dpl));
                            if (cpl == 3)
                                l.EnterUser();
                            l.Transfer(call, LongFree | rpl);
                        });
                foreach (ulong offset in (ulong[])[NonCanonical, UpperHalf + Landing, 0x1_0000_0000UL + Landing, ulong.MaxValue])
                    yield return Case($"{verb} to {offset:x} cpl{cpl}", l =>
                    {
                        if (cpl == 3)
                            l.EnterUser();
                        l.Transfer(call, cpl == 3 ? LongCode3 : LongCode0, offset);
                    });
                yield return Case($"{verb} from compatibility mode cpl{cpl}", l =>
                {
                    l.EnterCompatibility(cpl == 3);
                    l.Embed(32, a =>
                    {
                        a.push(cpl == 3 ? LongCode3 : LongCode0);
                        a.push((int)Landing);
                        if (call)
                            a.call(__fword_ptr[esp]);
                        else
                            a.jmp(__fword_ptr[esp]);
                    });
                });
            }
    }

    private static ulong GateHigh(ulong offset) => offset >> 32;

    private static IEnumerable<GuestCase> CallGates()
    {
        foreach (bool call in (bool[])[false, true])
            foreach (int cpl in (int[])[0, 3])
            {
                string verb = call ? "call" : "jmp";
                foreach ((string name, ushort selector, ulong raw) in CodeTargets(0))
                    yield return Case($"{verb} gate to {name} cpl{cpl}", l =>
                    {
                        ushort target = selector == LongFree ? LongFree2 : selector;
                        l.SetDescriptor(LongFree, Gate(target, Landing, SystemType.CallGate32, 3));
                        if (raw != 0)
                            l.SetDescriptor(LongFree2, raw);
                        if (cpl == 3)
                            l.EnterUser();
                        l.Transfer(call, LongFree | 3);
                    });
                foreach (int dpl in (int[])[0, 3])
                    foreach (int rpl in (int[])[0, 3])
                        foreach (bool present in (bool[])[true, false])
                            yield return Case($"{verb} gate cpl{cpl} dpl{dpl} rpl{rpl}{(present ? "" : " np")}", l =>
                            {
                                l.SetDescriptor(LongFree, Gate(LongCode0, Landing, SystemType.CallGate32, dpl, present: present));
                                if (cpl == 3)
                                    l.EnterUser();
                                l.Transfer(call, LongFree | rpl);
                            });
                (string Name, ulong High)[] highs = [("non-canonical", 0x8000), ("upper half", 0xFFFF_8000), ("upper type", 1UL << 40), ("upper type of all", 0x1FUL << 40), ("upper reserved", 1UL << 63)];
                foreach ((string name, ulong high) in highs)
                    yield return Case($"{verb} gate {name} cpl{cpl}", l =>
                    {
                        l.SetDescriptor(LongFree, Gate(LongCode0, Landing, SystemType.CallGate32, 3), high);
                        if (cpl == 3)
                            l.EnterUser();
                        l.Transfer(call, LongFree | 3);
                    });
                for (int type = 0; type < 16; type++)
                {
                    int t = type;
                    yield return Case($"{verb} system type {t:x} cpl{cpl}", l =>
                    {
                        l.SetDescriptor(LongFree, Gate(LongCode0, Landing, t, 3));
                        if (cpl == 3)
                            l.EnterUser();
                        l.Transfer(call, LongFree | 3);
                    });
                }
                yield return Case($"{verb} gate half beyond cpl{cpl}", l =>
                {
                    l.Write64(LongGdt + 0x78, Gate(LongCode0, Landing, SystemType.CallGate32, 3));
                    if (cpl == 3)
                        l.EnterUser();
                    l.Transfer(call, 0x78 | 3);
                });
            }
    }

    private static IEnumerable<GuestCase> InterruptGates()
    {
        foreach (int cpl in (int[])[0, 3])
        {
            void Raise(LongAssembler l, ulong gate, ulong high = 0)
            {
                l.SetGate(FreeVector, gate, high);
                if (cpl == 3)
                    l.EnterUser();
                l.Code.@int(FreeVector);
            }
            foreach ((string name, ushort selector, ulong raw) in (IEnumerable<(string, ushort, ulong)>)[.. CodeTargets(0), ("dpl3", LongFree, LongCode(Descriptors.Code, 3)), ("dpl1", LongFree, LongCode(Descriptors.Code, 1))])
                yield return Case($"int to {name} cpl{cpl}", l =>
                {
                    if (raw != 0)
                        l.SetDescriptor(LongFree, raw);
                    Raise(l, Gate(selector, Landing, SystemType.InterruptGate32, 3));
                });
            for (int type = 0; type < 16; type++)
            {
                int t = type;
                yield return Case($"int through type {t:x} cpl{cpl}", l => Raise(l, Gate(LongCode0, Landing, t, 3)));
            }
            foreach (int dpl in _levels)
                foreach (bool present in (bool[])[true, false])
                    yield return Case($"int cpl{cpl} dpl{dpl}{(present ? "" : " np")}", l => Raise(l, Gate(LongCode0, Landing, SystemType.TrapGate32, dpl, present: present)));
            (string Name, ulong High)[] highs = [("non-canonical", 0x8000), ("upper half", 0xFFFF_8000), ("upper type", 1UL << 40), ("upper reserved", 1UL << 63)];
            foreach ((string name, ulong high) in highs)
                yield return Case($"int {name} cpl{cpl}", l => Raise(l, Gate(LongCode0, Landing, SystemType.InterruptGate32, 3), high));
            for (int stack = 0; stack < 4; stack++)
            {
                int s = stack;
                yield return Case($"int with stack {s} cpl{cpl}", l => Raise(l, Gate(LongCode0, LongStubs + 16 * FreeVector, SystemType.InterruptGate32, 3, s)));
            }
            yield return Case($"int beyond the idt cpl{cpl}", l =>
            {
                if (cpl == 3)
                    l.EnterUser();
                l.Code.@int(0x90);
            });
            yield return Case($"int whose gate is half beyond cpl{cpl}", l =>
            {
                l.Code.push(0);
                l.Code.push(0);
                l.Code.mov(__word_ptr[rsp], 16 * GuestLayout.FreeVector + 14);
                l.Code.mov(__dword_ptr[rsp + 2], LongIdt);
                l.Code.lidt(__[rsp]);
                Raise(l, Gate(LongCode0, Landing, SystemType.InterruptGate32, 3));
            });
            foreach (byte vector in (byte[])[3, 1])
                yield return Case($"{(vector == 3 ? "int3" : "int1")} dpl0 cpl{cpl}", l =>
                {
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.db(vector == 3 ? (byte)0xCC : (byte)0xF1);
                });
            for (int low = 0; low < 16; low += 5)
            {
                int by = low;
                yield return Case($"int with rsp - {by} cpl{cpl}", l =>
                {
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.sub(rsp, by);
                    l.Done();
                });
            }
        }
        yield return Case("int from compatibility mode", l =>
        {
            l.EnterCompatibility(user: true);
            l.Embed(32, a => a.@int(GuestLayout.Done));
        });
        yield return Case("into in 64-bit mode", l => l.Code.db(0xCE));
        yield return Case("trap gate keeps if", l =>
        {
            l.SetGate(FreeVector, Gate(LongCode0, Landing, SystemType.TrapGate32, 3));
            l.EnterUser(0x202);
            l.Code.@int(FreeVector);
        });
        yield return Case("nt and rf are cleared", l =>
        {
            l.SetGate(FreeVector, Gate(LongCode0, Landing, SystemType.TrapGate32, 3));
            l.Code.push(0x4002);
            l.Code.popfq();
            l.Code.@int(FreeVector);
        });
    }

    /// <summary>Stacks of gates that are wrong, for interrupts by privilege and by the interrupt stack table, and for call gates.</summary>
    private static IEnumerable<GuestCase> Stacks()
    {
        (string Name, ulong Pointer)[] pointers =
        [
            ("absent", Page + 0x3000), ("non-canonical", NonCanonical), ("at the hole", NonCanonical + 0x10), ("behind the hole", UpperHalf + 8), ("odd", Stack0 - 3), ("zero", 0),
            ("upper half", UpperHalf + Stack0),
        ];
        foreach ((string name, ulong pointer) in pointers)
        {
            void Prepare(LongAssembler l, uint field)
            {
                l.Write64(LongTss + field, pointer);
                foreach (byte v in (byte[])[10, 12, 13, 14])
                    l.UseInterruptStack(v);
                // The first stack of the table is good unless it is what is tried.
                l.SetDescriptor(LongFree, Gate(LongCode0, Landing, SystemType.CallGate32, 3));
                l.SetGate(FreeVector, Gate(LongCode0, LongStubs + 16 * FreeVector, SystemType.InterruptGate32, 3, field == 0x34 ? 3 : 0));
                l.UseInterruptStack(GuestLayout.Done);
                l.EnterUser();
            }
            yield return Case($"int to stack {name}", l =>
            {
                Prepare(l, 4);
                l.Code.@int(FreeVector);
            });
            yield return Case($"int to ist {name}", l =>
            {
                Prepare(l, 0x34);
                l.Code.@int(FreeVector);
            });
            yield return Case($"call gate to stack {name}", l =>
            {
                Prepare(l, 4);
                l.Transfer(true, LongFree | 3);
            });
        }
        // Shorter ones leave an exception at CPL 3 without a stack, or the interrupt stack table without its entry.
        foreach ((string what, uint limit) in ((string, uint)[])[("int", 0x67), ("int", 0xB), ("call gate", 0x67), ("call gate", 0xB), ("ist", 0x67), ("ist", 0x3B), ("ist", 0x3A), ("ist", 0x33), ("ist", 3)])
            yield return Case($"{what} with a tss of {limit + 1:x} bytes", l =>
            {
                l.SetDescriptor(LongFree2, Descriptors.System(SystemType.AvailableTss32, LongTss, limit));
                l.SetDescriptor(LongFree, Gate(LongCode0, Landing, SystemType.CallGate32, 3));
                l.SetGate(FreeVector, Gate(LongCode0, LongStubs + 16 * FreeVector, SystemType.InterruptGate32, 3, what == "ist" ? 3 : 0));
                l.Write64(LongTss + 0x34, InterruptStack1);
                l.Code.mov(eax, LongFree2);
                l.Code.ltr(ax);
                if (what == "ist")
                {
                    l.Code.@int(FreeVector);
                    return;
                }
                l.EnterUser();
                if (what == "int")
                    l.Code.@int(FreeVector);
                else
                    l.Transfer(true, LongFree | 3);
            });
    }
}
