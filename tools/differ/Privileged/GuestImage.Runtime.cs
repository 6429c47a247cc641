using System.Text;
using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>What runs between the cases: the start, the state from which each begins, and the printing of what was found.</summary>
public sealed partial class GuestImage
{
    private uint PlaceRuntime(int count)
    {
        uint entry = 0;
        Place(TaskEntry, TaskHandler);
        uint end = Place(Runtime, a => Print(a));
        uint next = (end + 15) & ~15U;
        end = Place(next, a => Next(a, count));
        entry = (end + 15) & ~15U;
        uint last = Place(entry, a => Start(a, next));
        if (last > TaskEntry)
            throw new InvalidOperationException("the runtime is too long");
        // The end of printing jumps to the next case, whose place is known only now.
        Place(Runtime, a => Print(a, next));
        return entry;
    }

    private static void Start(Assembler a, uint next)
    {
        a.cli();
        a.mov(esp, KernelStack);
        // 115200 baud, 8N1, no interrupts; and none from the 8259.
        (ushort Port, byte Value)[] uart = [(0x3FB, 0x80), (0x3F8, 1), (0x3F9, 0), (0x3FB, 3), (0x3FA, 7), (0x3FC, 3), (0x3F9, 0), (0x21, 0xFF), (0xA1, 0xFF)];
        foreach ((ushort port, byte value) in uart)
        {
            a.mov(dx, port);
            a.mov(al, value);
            a.@out(dx, al);
        }
        Label fresh = a.CreateLabel();
        ReadCell(a, RunningMark);
        a.cmp(al, Mark);
        a.jne(fresh);
        // Back from a reset: printing wants a GDT of ours.
        Label gdt = a.CreateLabel();
        a.call(gdt);
        a.dw((ushort)GdtLimit);
        a.dd(Tables);
        a.Label(ref gdt);
        a.pop(eax);
        a.lgdt(__[eax]);
        ClearRecord(a);
        ReadCell(a, RunningCase + 1);
        a.movzx(ebx, al);
        a.shl(ebx, 8);
        ReadCell(a, RunningCase);
        a.mov(bl, al);
        a.mov(At(Field.Next), ebx);
        a.mov(At(Field.Vector), ShutdownVector);
        a.mov(eax, Runtime);
        a.jmp(eax);
        a.Label(ref fresh);
        a.mov(At(Field.Next), 0);
        a.mov(al, Mark);
        WriteCell(a, RunningMark);
        a.jmp(next);
    }

    private static void ReadCell(Assembler a, byte cell)
    {
        a.mov(al, cell);
        a.@out(0x70, al);
        a.@in(al, 0x71);
    }

    /// <summary>Puts AL into a cell; AH is lost.</summary>
    private static void WriteCell(Assembler a, byte cell)
    {
        a.mov(ah, al);
        a.mov(al, cell);
        a.@out(0x70, al);
        a.mov(al, ah);
        a.@out(0x71, al);
    }

    /// <summary>All fields before <see cref="Field.Next"/>; EAX is 0 then.</summary>
    private static void ClearRecord(Assembler a)
    {
        a.xor(eax, eax);
        a.mov(ecx, (int)Field.Next);
        a.mov(edi, Record);
        a.rep.stosd();
    }

    /// <summary>GDTR, IDTR, LDTR and TR.</summary>
    private static void LoadTables(Assembler a, uint gdt, uint gdtLimit, uint idt, int idtLimit, ushort ldt)
    {
        Label descriptors = a.CreateLabel();
        a.call(descriptors);
        a.dw((ushort)gdtLimit);
        a.dd(gdt);
        a.dw((ushort)idtLimit);
        a.dd(idt);
        a.Label(ref descriptors);
        a.pop(eax);
        a.lgdt(__[eax]);
        a.lidt(__[eax + 6]);
        a.mov(eax, ldt);
        a.lldt(ax);
        a.mov(eax, TssSelector);
        a.ltr(ax);
    }

    /// <summary>The state from which every case begins.</summary>
    private static void Next(Assembler a, int count)
    {
        Label end = a.CreateLabel();
        a.mov(esi, Tables);
        a.mov(edi, Gdt);
        a.mov(ecx, TablesSize / 4);
        a.rep.movsd();
        LoadTables(a, Gdt, GdtLimit, Idt, 8 * Vectors - 1, LdtSelector);
        a.xor(eax, eax);
        a.mov(fs, ax);
        a.mov(gs, ax);
        a.mov(dr7, eax);
        a.mov(dr6, eax);
        ClearRecord(a);
        a.mov(__dword_ptr[TaskStack], eax);
        a.mov(ebx, At(Field.Next));
        a.cmp(ebx, count);
        a.jae(end);
        a.inc(At(Field.Next));
        a.mov(al, __byte_ptr[Record + 4 * (uint)Field.Next]);
        WriteCell(a, RunningCase);
        a.mov(al, __byte_ptr[Record + 4 * (uint)Field.Next + 1]);
        WriteCell(a, RunningCase + 1);
        a.mov(ebx, __dword_ptr[ebx * 8 + CaseList]);
        a.xor(eax, eax);
        a.xor(ebp, ebp);
        a.xor(esi, esi);
        a.xor(edi, edi);
        a.xor(edx, edx);
        a.jmp(ebx);
        a.Label(ref end);
        a.xor(eax, eax);
        WriteCell(a, RunningMark);
        Label letters = a.CreateLabel();
        Label loop = a.CreateLabel();
        foreach (char c in "END\n")
            PutByte(a, c);
        // Until the last one has left, for the machine is gone at once.
        Label sending = a.CreateLabel();
        a.mov(dx, 0x3FD);
        a.Label(ref sending);
        a.@in(al, dx);
        a.test(al, 0x40);
        a.je(sending);
        // The way out of Emu and QEMU, then that of Bochs.
        a.mov(dx, 0xF4);
        a.mov(eax, 0x10);
        a.@out(dx, eax);
        a.call(letters);
        a.db(Encoding.ASCII.GetBytes("Shutdown"));
        a.Label(ref letters);
        a.pop(esi);
        a.mov(ecx, 8);
        a.mov(dx, 0x8900);
        a.rep.outsb();
        a.Label(ref loop);
        a.hlt();
        a.jmp(loop);
    }

    private static void PutByte(Assembler a, char c)
    {
        Label wait = a.CreateLabel();
        a.mov(dx, 0x3FD);
        a.Label(ref wait);
        a.@in(al, dx);
        a.test(al, 0x20);
        a.je(wait);
        a.mov(dx, 0x3F8);
        a.mov(al, (byte)c);
        a.@out(dx, al);
    }

    /// <summary>The task that a task gate leads to: what it finds is in its TSS and in that of the task before it.</summary>
    private static void TaskHandler(Assembler a)
    {
        a.mov(At(Field.Vector), TaskVector);
        a.mov(eax, __[esp]);
        a.mov(At(Field.ErrorCode), eax);
        a.movzx(eax, __word_ptr[HandlerTask]);
        a.mov(At(Field.Ss), eax);
        // The TSS that the link names, by its descriptor.
        a.and(eax, 0xFFF8);
        a.mov(ebx, __dword_ptr[eax + (Gdt + 2)]);
        a.and(ebx, 0xFF_FFFF);
        foreach ((uint offset, Field f) in ((uint, Field)[])[(0x20, Field.Ip), (0x24, Field.Flags), (0x28, Field.Ax), (0x38, Field.Sp), (0x4C, Field.Cs)])
        {
            a.mov(ecx, __dword_ptr[ebx + offset]);
            a.mov(At(f), ecx);
        }
        a.pushfd();
        a.pop(eax);
        a.mov(At(Field.Address), eax);
        a.xor(eax, eax);
        a.str(eax);
        a.mov(At(Field.Task), eax);
        a.jmp(Runtime);
    }

    /// <summary>Prints the record in flat segments without paging, and goes on to the next case.</summary>
    private static void Print(Assembler a, uint next = Runtime)
    {
        Label put = a.CreateLabel();
        Label text = a.CreateLabel();
        Label hex = a.CreateLabel();
        a.cld();
        a.mov(eax, 0x11);
        a.mov(cr0, eax);
        a.xor(eax, eax);
        a.mov(cr4, eax);
        a.mov(cr3, eax);
        a.mov(eax, Data0);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.mov(ss, ax);
        a.mov(esp, KernelStack);
        a.push(2);
        a.popfd();
        a.mov(ebx, At(Field.Next));
        a.mov(esi, __dword_ptr[ebx * 8 + (CaseList - 4)]);
        a.call(text);
        Label end = a.CreateLabel();
        for (int i = 0; i < _names.Length; i++)
        {
            if (i == (int)Field.IpHigh)
            {
                a.cmp(At(Field.Long), 0);
                a.je(end);
            }
            foreach (char c in $" {_names[i]}=")
            {
                a.mov(al, (byte)c);
                a.call(put);
            }
            a.mov(ebx, At((Field)i));
            a.call(hex);
        }
        a.Label(ref end);
        a.mov(al, (byte)'\n');
        a.call(put);
        // IRET, which loads VIF and VIP: POPF leaves them as a case made them.
        a.mov(eax, next);
        a.push(2);
        a.push(Code0);
        a.push(eax);
        a.iretd();

        Label letter = a.CreateLabel();
        a.Label(ref text);
        a.lodsb();
        a.test(al, al);
        Label done = a.CreateLabel();
        a.je(done);
        a.call(put);
        a.jmp(text);

        // EBX without leading zeros.
        a.Label(ref hex);
        a.mov(ecx, 8);
        Label skip = a.CreateLabel();
        Label digits = a.CreateLabel();
        a.Label(ref skip);
        a.rol(ebx, 4);
        a.test(bl, 0xF);
        a.jne(digits);
        a.loop(skip);
        a.inc(ecx);
        a.Label(ref digits);
        a.mov(eax, ebx);
        a.and(eax, 0xF);
        a.add(al, (byte)'0');
        a.cmp(al, (byte)'9');
        a.jbe(letter);
        a.add(al, 'a' - '0' - 10);
        a.Label(ref letter);
        a.call(put);
        a.rol(ebx, 4);
        a.loop(digits);
        a.Label(ref done);
        a.ret();

        a.Label(ref put);
        a.mov(ah, al);
        a.mov(dx, 0x3FD);
        Label wait = a.CreateLabel();
        a.Label(ref wait);
        a.@in(al, dx);
        a.test(al, 0x20);
        a.je(wait);
        a.mov(dx, 0x3F8);
        a.mov(al, ah);
        a.@out(dx, al);
        a.ret();
    }
}
