using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>One thing to provoke: a name, and the code that does it, which begins at CPL 0.</summary>
public sealed record GuestCase(string Name, Action<CaseAssembler> Emit);

/// <summary>What cases are written with.</summary>
public sealed class CaseAssembler(Assembler code)
{
    /// <summary>The instructions themselves.</summary>
    public Assembler Code { get; } = code;

    /// <summary>An address at which <see cref="GuestLayout.Done"/> is raised, to be jumped to.</summary>
    public const uint Landing = Stubs + 16 * Vectors;

    public void Write32(uint address, uint value) => Code.mov(__dword_ptr[address], value);

    public void Write16(uint address, ushort value) => Code.mov(__word_ptr[address], value);

    public void Write8(uint address, byte value) => Code.mov(__byte_ptr[address], value);

    /// <summary>A descriptor of the GDT, or of the LDT.</summary>
    public void SetDescriptor(ushort selector, ulong raw)
    {
        uint at = ((selector & 4) != 0 ? Ldt : Gdt) + (selector & 0xFFF8U);
        Write32(at, (uint)raw);
        Write32(at + 4, (uint)(raw >> 32));
    }

    public void SetGate(byte vector, ulong raw)
    {
        Write32(Idt + 8U * vector, (uint)raw);
        Write32(Idt + 8U * vector + 4, (uint)(raw >> 32));
    }

    /// <summary>Says that nothing happened.</summary>
    public void Done() => Code.@int(GuestLayout.Done);

    /// <summary>Goes on at this place at CPL 3.</summary>
    public void EnterUser(uint flags = 2)
    {
        Label body = Code.CreateLabel();
        PushHere(body);
        Code.pop(eax);
        Code.push(Data3);
        Code.push(Stack3);
        Code.push(flags);
        Code.push(Code3);
        Code.push(eax);
        Code.mov(ecx, Data3);
        Code.mov(ds, cx);
        Code.mov(es, cx);
        Code.iretd();
        Code.Label(ref body);
        Code.nop();
    }

    /// <summary>Runs 16-bit code in virtual-8086 mode.</summary>
    public void RunVirtual8086(Action<Assembler> body, uint flags)
    {
        CopyBelow1M(body);
        for (int i = 0; i < 5; i++)
            Code.push(Virtual8086 >> 4);
        Code.push(0xFFF0);
        Code.push(flags | 1 << 17 | 2);
        Code.push(Virtual8086 >> 4);
        Code.push(0);
        Code.iretd();
    }

    /// <summary>Puts 16-bit code to <see cref="Virtual8086"/>.</summary>
    public void CopyBelow1M(Action<Assembler> body)
    {
        var assembler = new Assembler(16);
        body(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        Label behind = Code.CreateLabel();
        Code.call(behind);
        Code.db(stream.ToArray());
        Code.Label(ref behind);
        Code.pop(esi);
        Code.mov(edi, Virtual8086);
        Code.mov(ecx, (uint)stream.Length);
        Code.rep.movsb();
    }

    /// <summary>A far JMP or CALL, by a pointer on the stack.</summary>
    public void Transfer(bool call, int selector, uint offset = Landing)
    {
        Code.push(selector);
        Code.push(offset);
        if (call)
            Code.call(__fword_ptr[esp]);
        else
            Code.jmp(__fword_ptr[esp]);
    }

    /// <summary>Pushes an address from which execution jumps to a label.</summary>
    public void PushHere(Label target)
    {
        Label behind = Code.CreateLabel();
        Code.call(behind);
        Code.jmp(target);
        Code.Label(ref behind);
    }

    /// <summary>
    /// Paging on: everything below 4 MiB maps to itself, for users only if asked for; the page at <see cref="Page"/> as its entry says, a page behind it is
    /// for all. PAE, so that XD exists.
    /// </summary>
    /// <param name="entry">Bits of the page-table entry besides the address.</param>
    /// <param name="user">CPL 3 may use the rest.</param>
    /// <param name="cr4">Bits of CR4 besides PAE.</param>
    /// <param name="writeProtect">CR0.WP.</param>
    public void EnablePaging(ulong entry, bool user, uint cr4 = 0, bool writeProtect = true)
    {
        uint rights = user ? 7U : 3;
        const uint directory = PageTables + 0x1000, table = PageTables + 0x3000;
        Code.mov(edi, PageTables);
        Code.xor(eax, eax);
        Code.mov(ecx, 0x4000 / 4);
        Code.rep.stosd();
        Write32(PageTables, directory | 1);
        // 2 MiB at 0 and at 2 MiB as large pages; the third 2 MiB by a table.
        Write32(directory, 0x80 | rights);
        Write32(directory + 8, 0x20_0080 | rights);
        Write32(directory + 16, table | 7);
        Write32(table, (uint)entry | Page);
        Write32(table + 4, (uint)(entry >> 32));
        Write32(table + 8, (Page + 0x1000) | 7);
        Write8(Page, 0xC3);
        Code.mov(ecx, 0xC000_0080);
        Code.mov(eax, 0x800);
        Code.xor(edx, edx);
        Code.wrmsr();
        Code.mov(eax, cr4 | 0x20);
        Code.mov(AssemblerRegisters.cr4, eax);
        Code.mov(eax, PageTables);
        Code.mov(cr3, eax);
        Code.mov(eax, 0x8000_0011 | (writeProtect ? 0x1_0000U : 0));
        Code.mov(cr0, eax);
    }
}
