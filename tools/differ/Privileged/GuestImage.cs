using System.Buffers.Binary;
using System.Text;
using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>
/// Puts cases into an image: a multiboot kernel in 32-bit protected mode that runs one after the other, each from the same state, and prints on COM1
/// what became of it. An exception or the vector <see cref="Done"/> ends a case; so does a shutdown, of which all these machines make a reset: the image runs
/// again, finds the case's number in the CMOS RAM, says so, and goes on behind it.
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
    /// <param name="cases">All of them.</param>
    /// <param name="asked">Of which, by name, those run; the others lie there.</param>
    public static byte[] Build(IReadOnlyList<GuestCase> cases, Func<string, bool> asked)
    {
        var image = new GuestImage();
        image.PlaceStubs();
        image.Place(Common, CommonHandler);
        image.PlaceTables();
        image.PlaceLongMode();
        uint entry = image.PlaceRuntime(image.PlaceCases(cases, asked));
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

    /// <summary>How many of them run.</summary>
    private int PlaceCases(IReadOnlyList<GuestCase> cases, Func<string, bool> asked)
    {
        if (CaseList + 8 * (uint)cases.Count > LongTables)
            throw new InvalidOperationException("the list of cases is too long");
        uint at = FirstCase;
        Span<byte> entry = stackalloc byte[8];
        int count = 0;
        foreach (GuestCase c in cases)
        {
            uint name = at;
            at = Place(at, Encoding.ASCII.GetBytes(c.Name + '\0'));
            // Aligned, so that the length of a name moves nothing that a case prints.
            at = (at + 63) & ~63U;
            if (asked(c.Name))
            {
                BinaryPrimitives.WriteUInt32LittleEndian(entry, at);
                BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], name);
                Place(CaseList + 8 * (uint)count++, entry);
            }
            at = Place(at, a => c.Emit(new CaseAssembler(a)));
        }
        if (Place(at, [0]) > Gdt)
            throw new InvalidOperationException("the image is too long");
        return count;
    }
}
