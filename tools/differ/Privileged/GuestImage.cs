using System.Buffers.Binary;
using System.Text;
using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>
/// Puts cases into an image: a multiboot kernel in 32-bit protected mode that runs one after the other, each from the same state, and prints on COM1
/// what became of it. An exception or the vector <see cref="Done"/> ends a case.
/// </summary>
public sealed partial class GuestImage
{
    /// <summary>Fields of the record, four bytes each.</summary>
    private enum Field
    {
        Vector,
        ErrorCode,
        Ip,
        Cs,
        Flags,
        Sp,
        Ss,
        Ax,
        Address,
        Debug,
        Task,

        /// <summary>Of long mode only: upper halves, the stack pointer that the handler began with, and its SS and CS.</summary>
        IpHigh,
        SpHigh,
        AddressHigh,
        HandlerSp,
        HandlerSegments,
        Long,
        Next,
    }

    private const uint MultibootMagic = 0x1BAD_B002, AddressFields = 1 << 16;
    private static readonly string[] _names = ["v", "e", "ip", "cs", "fl", "sp", "ss", "ax", "cr2", "dr6", "tr", "iph", "sph", "cr2h", "hsp", "hseg"];
    private byte[] _bytes = new byte[FirstCase - Image];

    private GuestImage()
    {
    }

    /// <summary>The image of these cases, to be loaded at <see cref="Image"/>.</summary>
    public static byte[] Build(IReadOnlyList<GuestCase> cases)
    {
        var image = new GuestImage();
        image.PlaceStubs();
        image.Place(Common, CommonHandler);
        image.PlaceTables();
        image.PlaceLongMode();
        image.PlaceCases(cases);
        uint entry = image.PlaceRuntime(cases.Count);
        Span<byte> header = image._bytes;
        uint[] words = [MultibootMagic, AddressFields, unchecked(0 - MultibootMagic - AddressFields), Image, Image, Image + (uint)image._bytes.Length, 0, entry];
        for (int i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(header[(4 * i)..], words[i]);
        // Behind the header: a jump to the entry, for a loader that knows of no header.
        header[0x20] = 0xE9;
        BinaryPrimitives.WriteInt32LittleEndian(header[0x21..], (int)(entry - (Image + 0x25)));
        return image._bytes;
    }

    private static AssemblerMemoryOperand At(Field f) => __dword_ptr[Record + 4 * (uint)f];

    private uint Place(uint at, Action<Assembler> code, int bits = 32)
    {
        var assembler = new Assembler(bits);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return Place(at, stream.ToArray());
    }

    private uint Place(uint at, ReadOnlySpan<byte> bytes)
    {
        int offset = (int)(at - Image);
        if (offset + bytes.Length > _bytes.Length)
            Array.Resize(ref _bytes, (offset + bytes.Length + 0xFFF) & ~0xFFF);
        bytes.CopyTo(_bytes.AsSpan(offset));
        return at + (uint)bytes.Length;
    }

    /// <summary>16 bytes a vector: an error code where the CPU pushes none, the vector, and on to the common handler.</summary>
    private void PlaceStubs()
    {
        for (uint v = 0; v < Vectors; v++)
        {
            uint vector = v;
            Place(Stubs + 16 * v, a =>
            {
                if (!EventDelivery.HasErrorCode((Vector)vector))
                    a.push(0);
                a.push(vector);
                a.jmp(Common);
            });
        }
        Place(CaseAssembler.Landing, a => a.@int(Done));
    }

    /// <summary>On the stack: vector, error code, EIP, CS, EFLAGS, and ESP and SS from an outer level.</summary>
    private static void CommonHandler(Assembler a)
    {
        a.pushad();
        a.push(ds);
        a.mov(ax, Data0);
        a.mov(ds, ax);
        a.mov(ebp, esp);
        for (int i = 0; i < 5; i++)
        {
            a.mov(eax, __[ebp + 36 + 4 * i]);
            a.mov(At((Field)i), eax);
        }
        Label same = a.CreateLabel();
        Label print = a.CreateLabel();
        a.test(__dword_ptr[ebp + 48], 3);
        Label outer = a.CreateLabel();
        a.jne(outer);
        a.test(__dword_ptr[ebp + 52], 1 << 17);
        a.je(same);
        a.Label(ref outer);
        for (int i = 5; i < 7; i++)
        {
            a.mov(eax, __[ebp + 36 + 4 * i]);
            a.mov(At((Field)i), eax);
        }
        a.Label(ref same);
        a.mov(eax, __[ebp + 32]);
        a.mov(At(Field.Ax), eax);
        a.cmp(__dword_ptr[ebp + 36], 14);
        Label noAddress = a.CreateLabel();
        a.jne(noAddress);
        a.mov(eax, cr2);
        a.mov(At(Field.Address), eax);
        a.Label(ref noAddress);
        a.cmp(__dword_ptr[ebp + 36], 1);
        a.jne(print);
        a.mov(eax, dr6);
        a.and(eax, 0xE00F);
        a.mov(At(Field.Debug), eax);
        a.Label(ref print);
        a.xor(eax, eax);
        a.str(eax);
        a.mov(At(Field.Task), eax);
        a.jmp(Runtime);
    }

    private void PlaceTables()
    {
        var tables = new byte[TablesSize];
        void Put(uint at, ulong value, int size = 8)
        {
            for (int i = 0; i < size; i++)
                tables[at - Gdt + (uint)i] = (byte)(value >> (8 * i));
        }
        Put(Gdt + Code0, Descriptors.Segment(Descriptors.Code, 0));
        Put(Gdt + Data0, Descriptors.Segment(Descriptors.Data, 0));
        Put(Gdt + (Code3 & ~3U), Descriptors.Segment(Descriptors.Code, 3));
        Put(Gdt + (Data3 & ~3U), Descriptors.Segment(Descriptors.Data, 3));
        Put(Gdt + TssSelector, Descriptors.System(SystemType.AvailableTss32, Tss, 0x2FF));
        Put(Gdt + LdtSelector, Descriptors.System(SystemType.Ldt, Ldt, 0x3F));
        Put(Gdt + TaskSelector, Descriptors.System(SystemType.AvailableTss32, OtherTask, 0x67));
        Put(Gdt + Task16Selector, Descriptors.System(SystemType.AvailableTss16, Task16, 0x2B));
        Put(Gdt + HandlerSelector, Descriptors.System(SystemType.AvailableTss32, HandlerTask, 0x67));
        Put(Gdt + Conforming, Descriptors.Segment(Descriptors.ConformingCode, 0));
        Put(Ldt + 8, Descriptors.Segment(Descriptors.Data, 0));
        for (uint v = 0; v < Vectors; v++)
            Put(Idt + 8 * v, Descriptors.Gate(Code0, Stubs + 16 * v, SystemType.InterruptGate32, v == Done ? 3 : 0));
        Put(Tss + 4, Stack0, 4);
        Put(Tss + 8, Data0, 2);
        Put(Tss + 0x66, 0x88, 2);
        for (uint i = 0x68; i < 0x300; i++)
            Put(Tss + i, 0xFF, 1);
        foreach ((uint tss, uint entry) in ((uint, uint)[])[(OtherTask, CaseAssembler.Landing), (HandlerTask, TaskEntry)])
        {
            Put(tss + 0x20, entry, 4);
            Put(tss + 0x24, 2, 4);
            Put(tss + 0x28, 0xA5A5, 4);
            Put(tss + 0x38, TaskStack, 4);
            foreach (uint segment in (uint[])[0x48, 0x50, 0x54])
                Put(tss + segment, Data0, 2);
            Put(tss + 0x4C, Code0, 2);
            Put(tss + 0x66, 0x68, 2);
        }
        Put(Task16 + 0x12, 0x5A5A, 2);
        Put(Task16 + 0x1A, 0xFFF0, 2);
        foreach (uint segment in (uint[])[0x22, 0x26, 0x28])
            Put(Task16 + segment, Data0, 2);
        Place(Tables, tables);
    }

    /// <summary>Where the task that handles exceptions begins: in the runtime, behind its other entry.</summary>
    private const uint TaskEntry = Runtime + 0x800;

    private void PlaceCases(IReadOnlyList<GuestCase> cases)
    {
        if (CaseList + 8 * (uint)cases.Count > LongTables)
            throw new InvalidOperationException("the list of cases is too long");
        uint at = FirstCase;
        Span<byte> entry = stackalloc byte[8];
        for (int i = 0; i < cases.Count; i++)
        {
            uint name = at;
            at = Place(at, Encoding.ASCII.GetBytes(cases[i].Name + '\0'));
            // Aligned, so that the length of a name moves nothing that a case prints.
            at = (at + 63) & ~63U;
            BinaryPrimitives.WriteUInt32LittleEndian(entry, at);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], name);
            Place(CaseList + 8 * (uint)i, entry);
            GuestCase c = cases[i];
            at = Place(at, a => c.Emit(new CaseAssembler(a)));
        }
        if (Place(at, [0]) > Gdt)
            throw new InvalidOperationException("the image is too long");
    }

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
        a.mov(At(Field.Next), 0);
        a.jmp(next);
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
        a.mov(ecx, (int)Field.Next);
        a.mov(edi, Record);
        a.rep.stosd();
        a.mov(__dword_ptr[TaskStack], eax);
        a.mov(ebx, At(Field.Next));
        a.cmp(ebx, count);
        a.jae(end);
        a.inc(At(Field.Next));
        a.mov(ebx, __dword_ptr[ebx * 8 + CaseList]);
        a.xor(ebp, ebp);
        a.xor(esi, esi);
        a.xor(edi, edi);
        a.xor(edx, edx);
        a.jmp(ebx);
        a.Label(ref end);
        Label letters = a.CreateLabel();
        Label loop = a.CreateLabel();
        foreach (char c in "END\n")
            PutByte(a, c);
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
        a.mov(eax, next);
        a.push(Code0);
        a.push(eax);
        a.retf();

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
