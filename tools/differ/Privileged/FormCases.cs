using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>System instructions and loads of segment registers in forms that no rule asked for: other operand sizes, registers and memory, pointers in the instruction.</summary>
internal static class FormCases
{
    private const uint Landing = CaseAssembler.Landing;

    /// <summary>A port that all machines have and nobody listens at.</summary>
    private const byte Nowhere = 0x80;

    public static IEnumerable<GuestCase> All => [.. Segments(), .. Transfers(), .. Ports(), .. LongForms(), .. LongTransfers()];

    private static IEnumerable<GuestCase> Segments()
    {
        (string Name, byte[] Pop)[] pops = [("ds", [0x1F]), ("es", [0x07]), ("ss", [0x17]), ("fs", [0x0F, 0xA1]), ("gs", [0x0F, 0xA9])];
        (string Name, byte[] Push)[] pushes = [("cs", [0x0E]), ("ds", [0x1E]), ("es", [0x06]), ("ss", [0x16]), ("fs", [0x0F, 0xA0]), ("gs", [0x0F, 0xA8])];
        (string Name, byte[] Load)[] loads = [("lds", [0xC5]), ("les", [0xC4]), ("lss", [0x0F, 0xB2]), ("lfs", [0x0F, 0xB4]), ("lgs", [0x0F, 0xB5])];
        foreach (bool wide in (bool[])[true, false])
        {
            byte[] prefix = wide ? [] : [0x66];
            string suffix = wide ? "" : " 16";
            foreach ((string name, byte[] code) in pushes)
                yield return new($"push {name}{suffix}", c =>
                {
                    c.Code.push(-1);
                    c.Code.db([.. prefix, .. code]);
                    c.Code.mov(eax, __dword_ptr[esp]);
                    c.Done();
                });
            foreach ((string name, byte[] code) in pops)
                foreach (ushort selector in (ushort[])[Data0, 0, Code0, 0x70])
                    yield return new($"pop {name}{suffix} of {selector:x}", c =>
                    {
                        c.Code.push((uint)(selector | 0x5555 << 16));
                        c.Code.db([.. prefix, .. code]);
                        c.Code.mov(eax, esp);
                        c.Done();
                    });
            foreach ((string name, byte[] code) in loads)
                foreach (ushort selector in (ushort[])[Data0, 0, 0x70])
                    yield return new($"{name}{suffix} of {selector:x}", c =>
                    {
                        c.Code.push(0);
                        c.Code.push(wide ? selector : 0U);
                        c.Code.push(wide ? 0x1234_5678 : (uint)(selector << 16 | 0x5678));
                        c.Code.mov(eax, -1);
                        c.Code.db([.. prefix, .. code, 0x04, 0x24]);
                        c.Done();
                    });
        }
    }

    private static IEnumerable<GuestCase> Transfers()
    {
        foreach (bool call in (bool[])[false, true])
            foreach (bool wide in (bool[])[false, true])
            {
                string name = $"{(call ? "call" : "jmp")}{(wide ? "" : " 16")}";
                const ushort low = (ushort)(Landing & 0xFFFF);
                yield return new($"{name} by a pointer in the instruction", c =>
                {
                    c.Write16(low, 0x41CD);
                    if (!wide)
                        c.Code.db(0x66);
                    c.Code.db((byte)(call ? 0x9A : 0xEA));
                    if (wide)
                        c.Code.dd(Landing);
                    else
                        c.Code.dw(low);
                    c.Code.dw(Code0);
                });
                if (!wide)
                    yield return new($"{name} by a pointer in memory", c =>
                    {
                        c.Write16(low, 0x41CD);
                        c.Code.push((uint)(Code0 << 16 | low));
                        c.Code.db(0x66, 0xFF, (byte)(call ? 0x1C : 0x2C), 0x24);
                    });
            }
        foreach (int release in (int[])[0, 8, 0xFFFC])
        {
            yield return new($"retf {release:x}", c =>
            {
                c.Code.push(Code0);
                c.Code.push(Landing);
                c.Code.retf((ushort)release);
            });
            yield return new($"retf 16 {release:x}", c =>
            {
                c.Write16(Landing & 0xFFFF, 0x41CD);
                c.Code.push((uint)Code0 << 16 | Landing & 0xFFFF);
                c.Code.db(0x66, 0xCA, (byte)release, (byte)(release >> 8));
            });
            yield return new($"retf {release:x} to cpl3", c =>
            {
                c.Code.push(Data3);
                c.Code.push(Stack3);
                for (int i = 0; i < release >> 2 && release < 0x100; i++)
                    c.Code.push(0);
                c.Code.push(Code3);
                c.Code.push(Landing);
                c.Code.retf((ushort)(release < 0x100 ? release : 0));
            });
        }
    }

    private static IEnumerable<GuestCase> Ports()
    {
        (string Name, Action<Assembler> Code)[] bodies =
        [
            ("out imm8 al", a => a.@out(Nowhere, al)), ("out imm8 ax", a => a.@out(Nowhere, ax)), ("out imm8 eax", a => a.@out(Nowhere, eax)), ("out dx al", a => a.@out(dx, al)), ("out dx ax", a => a.@out(dx, ax)),
            ("out dx eax", a => a.@out(dx, eax)), ("outsb", a => a.outsb()), ("outsw", a => a.outsw()), ("outsd", a => a.outsd()), ("rep outsb", a => { a.mov(ecx, 3); a.rep.outsb(); a.mov(eax, ecx); }),
            ("in al of a cell", a => { a.mov(al, RunningMark); a.@out(0x70, al); a.@in(al, 0x71); }), ("in al dx of a cell", a => { a.mov(al, RunningMark); a.@out(0x70, al); a.mov(edx, 0x71); a.@in(al, dx); }),
            ("insb of a cell", a => { a.mov(al, RunningMark); a.@out(0x70, al); a.mov(edx, 0x71); a.mov(edi, Page); a.insb(); a.movzx(eax, __byte_ptr[Page]); }),
            ("rep insb of a cell", a => { a.mov(al, RunningMark); a.@out(0x70, al); a.mov(edx, 0x71); a.mov(edi, Page); a.mov(ecx, 4); a.rep.insb(); a.mov(eax, __dword_ptr[Page]); }),
        ];
        foreach ((string name, Action<Assembler> code) in bodies)
            foreach (int iopl in (int[])[-1, 0, 3])
                yield return new($"{name}{(iopl < 0 ? "" : $" cpl3 iopl{iopl}")}", c =>
                {
                    if (iopl >= 0)
                        c.EnterUser(2U | (uint)iopl << 12);
                    c.Code.mov(edx, Nowhere);
                    c.Code.mov(esi, Page);
                    code(c.Code);
                    c.Done();
                });
    }

    private static IEnumerable<GuestCase> LongForms()
    {
        (string Name, Action<Assembler> Code)[] bodies =
        [
            ("sldt rax", a => a.sldt(rax)), ("sldt ax", a => a.sldt(ax)), ("str rax", a => a.str(rax)), ("str ax", a => a.str(ax)), ("smsw rax", a => a.smsw(rax)), ("smsw ax", a => a.smsw(ax)),
            ("mov rax fs", a => a.db(0x48, 0x8C, 0xE0)), ("lar rax", a => a.db(0x48, 0x0F, 0x02, 0xC1)), ("lsl rax", a => a.db(0x48, 0x0F, 0x03, 0xC1)), ("lar ax", a => a.db(0x66, 0x0F, 0x02, 0xC1)),
            ("lsl ax", a => a.db(0x66, 0x0F, 0x03, 0xC1)), ("verr [rsp]", a => { a.push(rcx); a.db(0x0F, 0x00, 0x24, 0x24); a.sete(al); }), ("verw [rsp]", a => { a.push(rcx); a.db(0x0F, 0x00, 0x2C, 0x24); a.sete(al); }),
            ("lldt [rsp]", a => { a.push(LongLdt); a.db(0x0F, 0x00, 0x14, 0x24); }), ("lmsw [rsp]", a => { a.push(0x1B); a.db(0x0F, 0x01, 0x34, 0x24); a.smsw(eax); }),
            ("push fs", a => { a.db(0x0F, 0xA0); a.mov(rax, __qword_ptr[rsp]); }), ("push gs 16", a => { a.push(-1); a.db(0x66, 0x0F, 0xA8); a.mov(rax, rsp); }), ("pop fs", a => { a.push(Data3); a.db(0x0F, 0xA1); a.mov(eax, fs); }),
            ("pop gs 16", a => { a.push(Data3); a.db(0x66, 0x0F, 0xA9); a.mov(rax, rsp); }), ("lss", a => Load(a, 0xB2, Data0)), ("lfs", a => Load(a, 0xB4, Data3)), ("lgs", a => Load(a, 0xB5, Data3)),
            ("stac", a => a.stac()), ("clac", a => a.clac()), ("rdpmc", a => { a.mov(ecx, 0x7FFF); a.rdpmc(); }), ("rdfsbase eax", a => a.db(0xF3, 0x0F, 0xAE, 0xC0)), ("wrgsbase eax", a => a.db(0xF3, 0x0F, 0xAE, 0xD8)),
        ];
        foreach ((string name, Action<Assembler> code) in bodies)
            foreach (int cpl in (int[])[0, 3])
                yield return LongAssembler.Case($"form {name} cpl{cpl}", l =>
                {
                    l.SetCr4(1 << 16);
                    if (cpl == 3)
                        l.EnterUser();
                    l.Code.mov(rax, 0x1111_2222_3333_4444);
                    l.Code.mov(ecx, Data3);
                    code(l.Code);
                    l.Done();
                });
    }

    /// <summary>A pointer of 4 bytes and the selector behind it.</summary>
    private static void Load(Assembler a, byte opcode, int selector)
    {
        a.push(selector);
        a.sub(rsp, 4);
        a.mov(__dword_ptr[rsp], 0x1234);
        a.db(0x0F, opcode, 0x04, 0x24);
    }

    private static IEnumerable<GuestCase> LongTransfers()
    {
        foreach (int release in (int[])[0, 8, 0x7FF8])
        {
            yield return LongAssembler.Case($"retfq {release:x}", l =>
            {
                l.Code.push(LongCode0);
                l.Code.push((int)Landing);
                l.Code.db(0x48, 0xCA, (byte)release, (byte)(release >> 8));
            });
            yield return LongAssembler.Case($"retfd {release:x}", l =>
            {
                l.Code.push(0);
                l.Code.mov(__dword_ptr[rsp], Landing);
                l.Code.mov(__dword_ptr[rsp + 4], LongCode0);
                l.Code.db(0xCA, (byte)release, (byte)(release >> 8));
            });
        }
    }
}
