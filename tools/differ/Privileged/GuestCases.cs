using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>All cases in their order: each rule is provoked with one thing wrong at a time.</summary>
public static class GuestCases
{
    private static readonly (string Name, int Type)[] _segmentTypes =
        [("data", Data), ("read-only", ReadOnly), ("expand-down", ExpandDown), ("code", Descriptors.Code), ("execute-only", ExecuteOnly), ("conforming", ConformingCode)];

    private static readonly int[] _levels = [0, 1, 3];

    /// <summary>Every case.</summary>
    public static IReadOnlyList<GuestCase> All { get; } =
    [
        .. SegmentLoads(), .. OddSelectors(), .. FarTransfers(), .. CallGates(), .. InnerStacks(), .. InterruptGates(), .. Returns(), .. Queries(), .. DoubleFaults(),
        .. PagingCases.All, .. TaskCases.All, .. ModeCases.All, .. LongCases.All, .. LongPagingCases.All, .. LongSystemCases.All,
        .. ShutdownCases.All, .. ControlCases.All, .. FormCases.All,
    ];

    private static IEnumerable<GuestCase> SegmentLoads()
    {
        foreach (bool stack in (bool[])[false, true])
            foreach ((string name, int type) in _segmentTypes)
                foreach (int cpl in (int[])[0, 3])
                    foreach (int dpl in _levels)
                        foreach (int rpl in _levels)
                            foreach (bool present in (bool[])[true, false])
                                yield return new($"load {(stack ? "ss" : "ds")} {name} cpl{cpl} dpl{dpl} rpl{rpl}{(present ? "" : " np")}", c =>
                                {
                                    c.SetDescriptor(Free, Segment(type, dpl, type == ExpandDown ? 0xFFFU : null, present: present));
                                    if (cpl == 3)
                                        c.EnterUser();
                                    c.Code.mov(eax, Free | rpl);
                                    if (stack)
                                        c.Code.mov(ss, ax);
                                    else
                                        c.Code.mov(ds, ax);
                                    c.Done();
                                });
    }

    private static IEnumerable<GuestCase> OddSelectors()
    {
        foreach (int cpl in (int[])[0, 3])
            foreach (ushort selector in (ushort[])[0, 1, 3, 4, 0x0C, 0x0F, 0x14, 0x44, 0x28, 0x30, 0x38, 0x6B, 0x70, 0xFFF8, 0xFFFF])
                foreach (bool stack in (bool[])[false, true])
                    yield return new($"selector {selector:x} into {(stack ? "ss" : "fs")} cpl{cpl}", c =>
                    {
                        if (cpl == 3)
                            c.EnterUser();
                        c.Code.mov(eax, selector);
                        if (stack)
                            c.Code.mov(ss, ax);
                        else
                            c.Code.mov(fs, ax);
                        c.Done();
                    });
        foreach ((string name, ushort selector) in ((string, ushort)[])[("null", 0), ("local", 0x34), ("data", Data0), ("tss", TaskSelector), ("beyond", 0x70), ("ldt", LdtSelector), ("busy", TssSelector)])
        {
            yield return new($"lldt {name}", c =>
            {
                c.Code.mov(eax, selector);
                c.Code.lldt(ax);
                c.Done();
            });
            yield return new($"ltr {name}", c =>
            {
                c.Code.mov(eax, selector);
                c.Code.ltr(ax);
                c.Done();
            });
        }
    }

    private static IEnumerable<GuestCase> FarTransfers()
    {
        foreach (bool call in (bool[])[false, true])
        {
            string verb = call ? "call" : "jmp";
            foreach ((string name, int type) in _segmentTypes)
                foreach (int cpl in (int[])[0, 3])
                    foreach (int dpl in _levels)
                        foreach (int rpl in _levels)
                            yield return new($"{verb} {name} cpl{cpl} dpl{dpl} rpl{rpl}", c =>
                            {
                                c.SetDescriptor(Free, Segment(type, dpl));
                                if (cpl == 3)
                                    c.EnterUser();
                                c.Transfer(call, Free | rpl);
                            });
            yield return new($"{verb} not present", c =>
            {
                c.SetDescriptor(Free, Segment(Descriptors.Code, 0, present: false));
                c.Transfer(call, Free);
            });
            yield return new($"{verb} beyond the limit", c =>
            {
                c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: 0xFFFF));
                c.Transfer(call, Free);
            });
            foreach (int selector in (int[])[0, 3, 0x70, 0x0C, LdtSelector])
                yield return new($"{verb} selector {selector:x}", c => c.Transfer(call, selector));
        }
    }

    private static IEnumerable<GuestCase> CallGates()
    {
        (string Name, ushort Selector, ulong Raw)[] targets =
        [
            ("code0", Free2, Segment(Descriptors.Code, 0)), ("code3", Free2, Segment(Descriptors.Code, 3)), ("conforming", Free2, Segment(ConformingCode, 0)),
            ("data", Free2, Segment(Data, 0)), ("code np", Free2, Segment(Descriptors.Code, 0, present: false)), ("short", Free2, Segment(Descriptors.Code, 0, limit: 0xFFF)),
            ("null", 0, 0), ("beyond", 0x70, 0),
        ];
        foreach (bool call in (bool[])[false, true])
            foreach (int cpl in (int[])[0, 3])
            {
                string verb = call ? "call" : "jmp";
                foreach ((string name, ushort selector, ulong raw) in targets)
                    foreach (int parameters in call && cpl == 3 ? (int[])[0, 3] : [0])
                        yield return new($"{verb} gate to {name} cpl{cpl} parameters {parameters}", c =>
                        {
                            c.SetDescriptor(Free2, raw);
                            c.SetDescriptor(Free, Gate(selector, CaseAssembler.Landing, SystemType.CallGate32, 3, parameters));
                            if (cpl == 3)
                                c.EnterUser();
                            c.Code.push(0x33);
                            c.Code.push(0x22);
                            c.Transfer(call, Free | 3);
                        });
                foreach (int dpl in (int[])[0, 3])
                    foreach (int rpl in (int[])[0, 3])
                        foreach (bool present in (bool[])[true, false])
                            yield return new($"{verb} gate cpl{cpl} dpl{dpl} rpl{rpl}{(present ? "" : " np")}", c =>
                            {
                                c.SetDescriptor(Free, Gate(Code0, CaseAssembler.Landing, SystemType.CallGate32, dpl, present: present));
                                if (cpl == 3)
                                    c.EnterUser();
                                c.Transfer(call, Free | rpl);
                            });
                for (int type = 0; type < 16; type++)
                {
                    // Those of tasks have cases of their own; a gate of 16 bits does not reach the landing.
                    if (type is SystemType.AvailableTss16 or SystemType.TaskGate or SystemType.AvailableTss32)
                        continue;
                    int t = type;
                    yield return new($"{verb} system type {t} cpl{cpl}", c =>
                    {
                        c.SetDescriptor(Free, Gate(Code0, CaseAssembler.Landing, t, 3));
                        c.Write16(CaseAssembler.Landing & 0xFFFF, 0x41CD);
                        if (cpl == 3)
                            c.EnterUser();
                        c.Transfer(call, Free | 3);
                    });
                }
            }
    }

    /// <summary>The stack of the TSS with each thing wrong, for a call gate and for an interrupt.</summary>
    private static IEnumerable<GuestCase> InnerStacks()
    {
        (string Name, ushort Selector, ulong Raw, uint Pointer)[] stacks =
        [
            ("null", 0, 0, Stack0), ("rpl", Free2 | 3, Segment(Data, 0), Stack0), ("dpl", Free2, Segment(Data, 3), Stack0), ("read-only", Free2, Segment(ReadOnly, 0), Stack0),
            ("code", Free2, Segment(Descriptors.Code, 0), Stack0), ("beyond", 0x70, 0, Stack0), ("np", Free2, Segment(Data, 0, present: false), Stack0),
            ("short", Free2, Segment(Data, 0, limit: 0xFFFF), Stack0), ("no room", Free2, Segment(Data, 0), 4), ("expand-down", Free2, Segment(ExpandDown, 0, limit: 0x1000), Stack0),
            ("below expand-down", Free2, Segment(ExpandDown, 0, limit: 0x21_2000), Stack0), ("local", 0x0C, 0, Stack0),
        ];
        foreach ((string name, ushort selector, ulong raw, uint pointer) in stacks)
        {
            void Prepare(CaseAssembler c)
            {
                c.SetDescriptor(Free2, raw);
                c.SetDescriptor(Free, Gate(Code0, CaseAssembler.Landing, SystemType.CallGate32, 3, 2));
                c.SetGate(FreeVector, Gate(Code0, CaseAssembler.Landing, SystemType.InterruptGate32, 3));
                c.Write32(Tss + 4, pointer);
                c.Write16(Tss + 8, selector);
                // Exceptions of the gate find that same stack: they go to a task.
                foreach (byte v in (byte[])[8, 10, 12, 13])
                    c.SetGate(v, Gate(HandlerSelector, 0, SystemType.TaskGate, 0));
                c.SetGate(GuestLayout.Done, Gate(HandlerSelector, 0, SystemType.TaskGate, 3));
                c.EnterUser();
            }
            yield return new($"call to stack {name}", c =>
            {
                Prepare(c);
                c.Code.push(1);
                c.Code.push(2);
                c.Transfer(true, Free | 3);
            });
            yield return new($"int to stack {name}", c =>
            {
                Prepare(c);
                c.Code.@int(FreeVector);
            });
        }
    }

    private static IEnumerable<GuestCase> InterruptGates()
    {
        foreach (int cpl in (int[])[0, 3])
        {
            for (int type = 0; type < 16; type++)
            {
                if (type == SystemType.TaskGate)
                    continue;
                int t = type;
                yield return new($"int through type {t} cpl{cpl}", c =>
                {
                    c.SetGate(FreeVector, Gate(Code0, CaseAssembler.Landing, t, 3));
                    c.Write16(CaseAssembler.Landing & 0xFFFF, 0x41CD);
                    if (cpl == 3)
                        c.EnterUser();
                    c.Code.@int(FreeVector);
                });
            }
            foreach (int dpl in _levels)
                foreach (bool present in (bool[])[true, false])
                    yield return new($"int cpl{cpl} dpl{dpl}{(present ? "" : " np")}", c =>
                    {
                        c.SetGate(FreeVector, Gate(Code0, CaseAssembler.Landing, SystemType.TrapGate32, dpl, present: present));
                        if (cpl == 3)
                            c.EnterUser();
                        c.Code.@int(FreeVector);
                    });
            (string Name, ushort Selector, ulong Raw)[] targets =
            [
                ("code3", Free, Segment(Descriptors.Code, 3)), ("code1", Free, Segment(Descriptors.Code, 1)), ("conforming", Free, Segment(ConformingCode, 0)), ("data", Free, Segment(Data, 0)),
                ("np", Free, Segment(Descriptors.Code, 0, present: false)), ("short", Free, Segment(Descriptors.Code, 0, limit: 0xFFF)), ("null", 0, 0), ("beyond", 0x70, 0), ("local", 0x0C, 0),
            ];
            foreach ((string name, ushort selector, ulong raw) in targets)
                yield return new($"int to {name} cpl{cpl}", c =>
                {
                    c.SetDescriptor(Free, raw);
                    c.SetGate(FreeVector, Gate(selector, CaseAssembler.Landing, SystemType.InterruptGate32, 3));
                    if (cpl == 3)
                        c.EnterUser();
                    c.Code.@int(FreeVector);
                });
            yield return new($"int beyond the idt cpl{cpl}", c =>
            {
                if (cpl == 3)
                    c.EnterUser();
                c.Code.@int(0x90);
            });
            foreach (int vector in (int[])[3, 4])
                yield return new($"int{vector} dpl0 cpl{cpl}", c =>
                {
                    if (cpl == 3)
                        c.EnterUser();
                    c.Code.xor(eax, eax);
                    c.Code.dec(eax);
                    c.Code.mov(eax, 0x7FFF_FFFF);
                    c.Code.inc(eax);
                    if (vector == 3)
                        c.Code.int3();
                    else
                        c.Code.into();
                });
        }
    }

    private static IEnumerable<GuestCase> Returns()
    {
        (string Name, ushort Selector, ulong Raw)[] codes =
        [
            ("code3", Code3, 0), ("rpl", 0x18, 0), ("conforming", Conforming | 3, 0), ("data", Data3, 0), ("null", 0, 0), ("beyond", 0x73, 0),
            ("np", Free | 3, Segment(Descriptors.Code, 3, present: false)), ("short", Free | 3, Segment(Descriptors.Code, 3, limit: 0xFFF)), ("dpl", Free | 3, Segment(Descriptors.Code, 1)),
        ];
        (string Name, ushort Selector, ulong Raw)[] stacks =
        [
            ("null", 0, 0), ("rpl", 0x20, 0), ("read-only", Free2 | 3, Segment(ReadOnly, 3)), ("code", Code3, 0), ("dpl", Data0 | 3, 0), ("beyond", 0x73, 0),
            ("np", Free2 | 3, Segment(Data, 3, present: false)),
        ];
        foreach (bool iret in (bool[])[false, true])
        {
            string verb = iret ? "iret" : "retf";
            void Return(CaseAssembler c, ushort cs, ushort ss)
            {
                c.Code.push(ss);
                c.Code.push(Stack3);
                if (iret)
                    c.Code.push(0x3046);
                c.Code.push(cs);
                c.Code.push(CaseAssembler.Landing);
                if (iret)
                    c.Code.iretd();
                else
                    c.Code.retf();
            }
            foreach ((string name, ushort selector, ulong raw) in codes)
                yield return new($"{verb} to cs {name}", c =>
                {
                    c.SetDescriptor(Free, raw);
                    Return(c, selector, Data3);
                });
            foreach ((string name, ushort selector, ulong raw) in stacks)
                yield return new($"{verb} to ss {name}", c =>
                {
                    c.SetDescriptor(Free2, raw);
                    Return(c, Code3, selector);
                });
            yield return new($"{verb} from cpl3 to cpl0", c =>
            {
                c.EnterUser();
                Return(c, Code0, Data0);
            });
        }
        yield return new("retf drops inner data segments", c =>
        {
            c.SetDescriptor(Free, Segment(ConformingCode, 0));
            c.Code.mov(eax, Free);
            c.Code.mov(es, ax);
            c.Code.mov(eax, Data0);
            c.Code.mov(fs, ax);
            c.Code.mov(eax, Data3);
            c.Code.mov(gs, ax);
            Label here = c.Code.CreateLabel();
            c.PushHere(here);
            c.Code.pop(eax);
            c.Code.push(Data3);
            c.Code.push(Stack3);
            c.Code.push(Code3);
            c.Code.push(eax);
            c.Code.retf();
            c.Code.Label(ref here);
            c.Code.xor(eax, eax);
            c.Code.mov(ax, fs);
            c.Code.shl(eax, 16);
            c.Code.mov(ax, es);
            c.Code.mov(cx, gs);
            c.Code.xor(ax, cx);
            c.Done();
        });
        foreach (int iopl in (int[])[0, 3])
            yield return new($"popf at cpl3 iopl{iopl}", c =>
            {
                c.EnterUser(2U | (uint)iopl << 12);
                c.Code.push(0x24_7ED7 & ~0x100);
                c.Code.popfd();
                c.Code.pushfd();
                c.Code.pop(eax);
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> Queries()
    {
        foreach (int cpl in (int[])[0, 3])
        {
            for (int type = 0; type < 32; type++)
                foreach (int dpl in (int[])[0, 3])
                {
                    int t = type;
                    yield return new($"lar lsl verr verw of type {t:x} dpl{dpl} cpl{cpl}", c =>
                    {
                        c.SetDescriptor(Free, Segment(t & 15, dpl, limit: 0x1234) & ~(t < 16 ? 1UL << 44 : 0));
                        if (cpl == 3)
                            c.EnterUser();
                        c.Code.mov(ecx, Free);
                        c.Code.mov(ebx, 0);
                        foreach (Action query in (Action[])[() => c.Code.lar(edx, ecx), () => c.Code.lsl(esi, ecx), () => c.Code.verr(cx), () => c.Code.verw(cx)])
                        {
                            query();
                            c.Code.sete(al);
                            c.Code.movzx(eax, al);
                            c.Code.lea(ebx, __[eax + ebx * 2]);
                        }
                        c.Code.mov(eax, edx);
                        c.Code.add(eax, esi);
                        c.Code.shl(ebx, 24);
                        c.Code.add(eax, ebx);
                        c.Done();
                    });
                }
            foreach (int selector in (int[])[0, 3, 0x70, 0x0C, 0x44])
                yield return new($"lar of selector {selector:x} cpl{cpl}", c =>
                {
                    if (cpl == 3)
                        c.EnterUser();
                    c.Code.mov(eax, 0x77);
                    c.Code.mov(ecx, selector);
                    c.Code.lar(eax, ecx);
                    c.Done();
                });
        }
        foreach (int pair in (int[])[0x0003, 0x0300, 0x0101, 0x0201])
            yield return new($"arpl {pair:x4}", c =>
            {
                c.Code.mov(eax, 0x50 | pair >> 8);
                c.Code.mov(ecx, 0x60 | pair & 3);
                c.Code.arpl(ax, cx);
                c.Done();
            });
    }

    private static IEnumerable<GuestCase> DoubleFaults()
    {
        (string Name, Action<CaseAssembler> Code)[] firsts =
        [
            ("#UD", c => c.Code.ud2()),
            ("#DE", c => { c.Code.xor(ecx, ecx); c.Code.div(ecx); }),
            ("#GP", c => { c.Code.mov(eax, 0xFFF8); c.Code.mov(ds, ax); }),
            ("#NP", c => { c.SetDescriptor(Free, Segment(Data, 0, present: false)); c.Code.mov(eax, Free); c.Code.mov(ds, ax); }),
            ("#SS", c => { c.SetDescriptor(Free, Segment(Data, 0, present: false)); c.Code.mov(eax, Free); c.Code.mov(ss, ax); }),
        ];
        byte[] vectors = [6, 0, 13, 11, 12];
        for (int i = 0; i < firsts.Length; i++)
        {
            (string name, Action<CaseAssembler> code) = firsts[i];
            byte vector = vectors[i];
            yield return new($"{name} with its gate not present", c =>
            {
                c.SetGate(vector, Gate(Code0, Stubs + 16U * vector, SystemType.InterruptGate32, 0, present: false));
                code(c);
            });
            yield return new($"{name} with a data segment in its gate", c =>
            {
                c.SetGate(vector, Gate(Data0, Stubs + 16U * vector, SystemType.InterruptGate32, 0));
                code(c);
            });
            yield return new($"{name} with its gate not present, #DF to a task", c =>
            {
                c.SetGate(vector, Gate(Code0, Stubs + 16U * vector, SystemType.InterruptGate32, 0, present: false));
                c.SetGate(8, Gate(HandlerSelector, 0, SystemType.TaskGate, 0));
                code(c);
            });
        }
    }
}
