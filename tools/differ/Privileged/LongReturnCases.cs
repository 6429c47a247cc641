using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Emu.Differ.Privileged.LongCases;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Long mode: IRET and far returns of every size, double faults.</summary>
internal static class LongReturnCases
{
    private const uint Landing = CaseAssembler.Landing;

    public static IEnumerable<GuestCase> All => [.. Returns(), .. DoubleFaults()];

    private static GuestCase Case(string name, Action<LongAssembler> emit) => LongAssembler.Case(name, emit);

    private static IEnumerable<GuestCase> Returns()
    {
        (string Name, ushort Selector, ulong Raw)[] codes =
        [
            ("code3", LongCode3, 0), ("code0", LongCode0, 0), ("compatibility3", Code3, 0), ("compatibility0", Code0, 0), ("rpl", LongCode3 & 0xFFF8, 0), ("conforming3", LongConforming | 3, 0), ("data", Data3, 0), ("null", 0, 0),
            ("null3", 3, 0), ("beyond", 0x83, 0), ("np", LongFree | 3, LongCode(Descriptors.Code, 3, present: false)), ("L and D", LongFree | 3, LongCode(Descriptors.Code, 3) | 1UL << 54),
            ("dpl", LongFree | 3, LongCode(Descriptors.Code, 1)), ("short compatibility", LongFree | 3, Segment(Descriptors.Code, 3, limit: 0xFFF)), ("tss", TssSelector, 0),
        ];
        (string Name, ushort Selector, ulong Raw)[] stacks =
        [
            ("null", 0, 0), ("null3", 3, 0), ("rpl", 0x20, 0), ("read-only", LongFree2 | 3, Segment(ReadOnly, 3)), ("code", LongCode3, 0), ("dpl", Data0 | 3, 0), ("beyond", 0x83, 0),
            ("np", LongFree2 | 3, Segment(Data, 3, present: false)), ("16-bit", LongFree2 | 3, Segment(Data, 3, big: false)),
        ];
        foreach (string verb in (string[])["iretq", "iretd", "retfq", "retfd"])
        {
            bool iret = verb[0] == 'i';
            bool wide = verb[^1] == 'q';
            void Return(LongAssembler l, ulong rip, ushort cs, ulong rsp, ushort ss, uint flags = 0x3046)
            {
                ulong[] words = iret ? [rip, cs, flags, rsp, ss] : [rip, cs, rsp, ss];
                for (int i = words.Length - 1; i >= 0; i--)
                {
                    if (wide)
                    {
                        l.Code.mov(rax, words[i]);
                        l.Code.push(rax);
                        continue;
                    }
                    l.Code.sub(AssemblerRegisters.rsp, 4);
                    l.Code.mov(__dword_ptr[AssemblerRegisters.rsp], (uint)words[i]);
                }
                if (wide)
                    l.Code.db(0x48);
                l.Code.db(iret ? (byte)0xCF : (byte)0xCB);
            }
            foreach ((string name, ushort selector, ulong raw) in codes)
                yield return Case($"{verb} to cs {name}", l =>
                {
                    l.SetDescriptor(LongFree, raw);
                    Return(l, Landing, selector, Stack3, selector is LongCode0 or Code0 ? Data0 : Data3);
                });
            foreach (ushort cs in (ushort[])[LongCode3, Code3, LongCode0, Code0])
                foreach ((string name, ushort selector, ulong raw) in stacks)
                    yield return Case($"{verb} to cs {cs:x} ss {name}", l =>
                    {
                        l.SetDescriptor(LongFree2, raw);
                        Return(l, Landing, cs, Stack3, selector);
                    });
            // Of four bytes nothing is left of the hole's address but zero.
            foreach (ulong rip in (ulong[])[.. wide ? [NonCanonical] : (ulong[])[], UpperHalf + Landing, 0x1_0000_0000UL + Landing])
                foreach (ushort cs in (ushort[])[LongCode3, Code3, LongCode0])
                    yield return Case($"{verb} to {cs:x}:{rip:x}", l => Return(l, rip, cs, Stack3, cs == LongCode0 ? Data0 : Data3));
            foreach (ulong rsp in (ulong[])[NonCanonical, UpperHalf + Stack3, 0x1_0000_0000UL + Stack3])
                foreach (ushort cs in (ushort[])[LongCode3, Code3])
                    yield return Case($"{verb} to {cs:x} with rsp {rsp:x}", l => Return(l, Landing, cs, rsp, Data3));
            yield return Case($"{verb} from cpl3 to cpl0", l =>
            {
                l.EnterUser();
                Return(l, Landing, LongCode0, KernelStack, Data0);
            });
            if (!iret)
                continue;
            foreach (uint flags in (uint[])[0x4002, 0x2_0002, 0x24_7ED5, 0x1_0002, 0x18_0002])
                foreach (int cpl in (int[])[0, 3])
                    yield return Case($"{verb} flags {flags:x} cpl{cpl}", l =>
                    {
                        if (cpl == 3)
                            l.EnterUser();
                        Return(l, Landing, cpl == 3 ? LongCode3 : LongCode0, Stack3, cpl == 3 ? Data3 : Data0, flags);
                    });
            yield return Case($"{verb} with nt", l =>
            {
                l.Code.push(0x4002);
                l.Code.popfq();
                Return(l, Landing, LongCode3, Stack3, Data3);
            });
        }
        yield return Case("retfq drops inner data segments", l =>
        {
            l.Code.mov(eax, Data0);
            l.Code.mov(es, ax);
            l.Code.mov(fs, ax);
            l.Code.mov(eax, Data3);
            l.Code.mov(ds, ax);
            Label here = l.Code.CreateLabel();
            l.Code.lea(rax, __[here]);
            l.Code.push(Data3);
            l.Code.push((int)Stack3);
            l.Code.push(LongCode3);
            l.Code.push(rax);
            l.Code.db(0x48, 0xCB);
            l.Code.Label(ref here);
            l.Code.mov(eax, es);
            l.Code.shl(eax, 16);
            l.Code.mov(ax, ds);
            l.Code.mov(cx, fs);
            l.Code.xor(ax, cx);
            l.Done();
        });
    }

    private static IEnumerable<GuestCase> DoubleFaults()
    {
        (string Name, byte Vector, Action<LongAssembler> Code)[] firsts =
        [
            ("#UD", 6, l => l.Code.ud2()),
            ("#DE", 0, l => { l.Code.xor(ecx, ecx); l.Code.div(ecx); }),
            ("#GP", 13, l => { l.Code.mov(eax, 0xFFF8); l.Code.mov(ds, ax); }),
            ("#NP", 11, l => { l.SetDescriptor(LongFree, Segment(Data, 0, present: false)); l.Code.mov(eax, LongFree); l.Code.mov(ds, ax); }),
            ("#SS", 12, l => { l.Code.mov(rbp, NonCanonical); l.Code.mov(eax, __dword_ptr[rbp]); }),
            ("#PF", 14, l => l.Code.mov(eax, __dword_ptr[Page + 0x2000])),
        ];
        foreach ((string name, byte vector, Action<LongAssembler> code) in firsts)
        {
            (string Name, ulong Raw, ulong High)[] gates =
            [
                ("not present", Gate(LongCode0, LongStubs + 16U * vector, SystemType.InterruptGate32, 0, present: false), 0),
                ("to 32-bit code", Gate(Code0, LongStubs + 16U * vector, SystemType.InterruptGate32, 0), 0),
                ("to a non-canonical address", Gate(LongCode0, 0, SystemType.InterruptGate32, 0), 0x8000),
                ("of 16 bits", Gate(LongCode0, LongStubs + 16U * vector, SystemType.InterruptGate16, 0), 0),
                ("with an absent stack", Gate(LongCode0, LongStubs + 16U * vector, SystemType.InterruptGate32, 0, 3), 0),
                ("with a non-canonical stack", Gate(LongCode0, LongStubs + 16U * vector, SystemType.InterruptGate32, 0, 4), 0),
            ];
            // QEMU, which does not look at the address, would raise #GP there for ever.
            foreach ((string wrong, ulong raw, ulong high) in vector == 13 ? gates.Where(g => g.High == 0) : gates)
                yield return Case($"{name} with its gate {wrong}", l =>
                {
                    l.Write64(LongTss + 0x34, Page + 0x3000);
                    l.Write64(LongTss + 0x3C, NonCanonical);
                    l.SetGate(vector, raw, high);
                    code(l);
                });
            yield return Case($"{name} with a non-canonical rsp", l =>
            {
                l.Code.mov(rsp, NonCanonical);
                code(l);
            });
        }
    }
}
