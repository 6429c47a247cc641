using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Bochs. It boots from a floppy by a BIOS, so a boot sector stands before the image and does what a multiboot loader does.</summary>
internal static class BochsMachine
{
    private const int SectorBytes = 512, SectorsPerTrack = 18, FloppyBytes = 1440 * 1024;
    private const ushort BufferSegment = 0x800;

    /// <summary>How often the debugger is told to go on.</summary>
    private const int MostResets = 1000;

    /// <summary>Where the boot sector puts what follows it unless told otherwise, and up to where it may reach.</summary>
    internal const uint LoadedAt = 0x1_0000, LoadLimit = 0x9_0000;
    private const uint BootSector = 0x7C00, ProtectedEntry = BootSector + 0xE0, GdtAt = BootSector + 0x120, MoveTable = BootSector + 0x160;

    internal const string Program = "bochs";
    private const string Bios = "/usr/share/seabios/bios.bin", Vga = "/usr/share/seabios/vgabios-stdvga.bin";

    internal static bool HasFirmware => File.Exists(Bios) && File.Exists(Vga);

    /// <summary>Writes "bochsrc" for a machine that boots "floppy.img".</summary>
    /// <param name="directory">Where it is put.</param>
    /// <param name="resets">A triple fault starts the machine again, rather than ending it.</param>
    internal static void WriteConfiguration(string directory, bool resets = false) => File.WriteAllLines(Path.Combine(directory, "bochsrc"),
    [
        $"romimage: file={Bios}",
        $"vgaromimage: file={Vga}",
        "megs: 32",
        "floppya: 1_44=floppy.img, status=inserted",
        "boot: floppy",
        "com1: enabled=1, mode=file, dev=serial.out",
        $"cpu: model=corei7_skylake_x, count=1, ips=1000000, reset_on_triple_fault={(resets ? 1 : 0)}, ignore_bad_msrs=0",
        "clock: sync=none, time0=946684800", // Every run is the same.
        "display_library: rfb, options=\"timeout=0\"",
        "sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
        "speaker: enabled=0",
        "log: bochs.log",
        "panic: action=fatal",
        "error: action=report",
    ]);

    /// <summary>What COM1 received; null when Bochs or its BIOS is not there.</summary>
    public static string? Run(byte[] image)
    {
        if (!HasFirmware)
            return null;
        string directory = Directory.CreateTempSubdirectory("emu-bochs-").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(directory, "floppy.img"), Floppy(image, Jump, GuestLayout.Image));
            WriteConfiguration(directory, resets: true);
            // Debian's has the debugger, which waits for a command, and for another one after each triple fault.
            File.WriteAllLines(Path.Combine(directory, "commands"), Enumerable.Repeat("continue", MostResets));
            return WholeMachine.Run(Program, ["-q", "-f", "bochsrc", "-rc", "commands"], directory) ? WholeMachine.Serial(directory) : null;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>A floppy whose boot sector loads what follows and enters it, in flat protected mode.</summary>
    /// <param name="loaded">What follows.</param>
    /// <param name="enter">Code at its end, behind the loading of the segments.</param>
    /// <param name="to">Where it is put.</param>
    internal static byte[] Floppy(byte[] loaded, Action<Assembler> enter, uint to = LoadedAt)
    {
        var floppy = new byte[FloppyBytes];
        byte[] load = Assemble(16, BootSector, a => Load(a, (loaded.Length + SectorBytes - 1) / SectorBytes));
        if (load.Length > ProtectedEntry - BootSector)
            throw new InvalidOperationException("the boot sector is too long");
        load.CopyTo(floppy, 0);
        Assemble(32, ProtectedEntry, a => Enter(a, enter)).CopyTo(floppy, (int)(ProtectedEntry - BootSector));
        ulong[] gdt = [(ulong)GdtAt << 16 | 23, Descriptors.Segment(Descriptors.Code, 0), Descriptors.Segment(Descriptors.Data, 0)];
        for (int i = 0; i < gdt.Length; i++)
            BitConverter.GetBytes(gdt[i]).CopyTo(floppy, (int)(GdtAt - BootSector) + 8 * i);
        // For the BIOS, which moves blocks beyond the first megabyte: the third and fourth descriptor are source and destination.
        ulong[] move = [Descriptors.Segment(Descriptors.Data, 0, 0xFFFF, BufferSegment << 4, big: false), Descriptors.Segment(Descriptors.Data, 0, 0xFFFF, to, big: false)];
        for (int i = 0; i < move.Length; i++)
            BitConverter.GetBytes(move[i]).CopyTo(floppy, (int)(MoveTable - BootSector) + 8 * (i + 2));
        floppy[510] = 0x55;
        floppy[511] = 0xAA;
        loaded.CopyTo(floppy, SectorBytes);
        return floppy;
    }

    private static byte[] Assemble(int bits, uint at, Action<Assembler> code)
    {
        var assembler = new Assembler(bits);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }

    /// <summary>Reads the sectors one by one, has the BIOS move each to its place, and enters protected mode.</summary>
    private static void Load(Assembler a, int sectors)
    {
        Label next = a.CreateLabel();
        Label loaded = a.CreateLabel();
        a.cli();
        a.xor(ax, ax);
        a.mov(ds, ax);
        a.mov(ss, ax);
        a.mov(sp, (ushort)BootSector);
        // After a reset of a guest that marked its run, memory still has it.
        a.mov(al, GuestLayout.RunningMark);
        a.@out(0x70, al);
        a.@in(al, 0x71);
        a.cmp(al, GuestLayout.Mark);
        a.je(loaded);
        a.sti();
        a.mov(bp, 1);
        a.Label(ref next);
        a.mov(ax, bp);
        a.xor(dx, dx);
        a.mov(bx, SectorsPerTrack);
        a.div(bx);
        a.mov(cl, dl);
        a.inc(cl);
        a.xor(dx, dx);
        a.mov(bx, 2);
        a.div(bx);
        a.mov(ch, al);
        a.mov(dh, dl);
        a.mov(dl, 0);
        a.mov(bx, BufferSegment);
        a.mov(es, bx);
        a.xor(bx, bx);
        a.mov(ax, 0x0201);
        a.@int(0x13);
        a.jc(next);
        a.xor(ax, ax);
        a.mov(es, ax);
        a.mov(si, (ushort)MoveTable);
        a.mov(cx, SectorBytes / 2);
        a.mov(ah, 0x87);
        a.@int(0x15);
        a.jc(next);
        a.add(__word_ptr[(ushort)(MoveTable + 0x1A)], SectorBytes);
        a.adc(__byte_ptr[(ushort)(MoveTable + 0x1C)], 0);
        a.inc(bp);
        a.cmp(bp, (ushort)(sectors + 1));
        a.jne(next);
        a.Label(ref loaded);
        a.cli();
        a.@in(al, 0x92);
        a.or(al, 2);
        a.@out(0x92, al);
        a.lgdt(__[(ushort)GdtAt]);
        a.mov(eax, cr0);
        a.or(al, 1);
        a.mov(cr0, eax);
        a.db(0x66, 0xEA);
        a.dd(ProtectedEntry);
        a.dw(8);
    }

    private static void Enter(Assembler a, Action<Assembler> then)
    {
        a.mov(eax, 16);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.mov(ss, ax);
        then(a);
    }

    private static void Jump(Assembler a)
    {
        a.mov(eax, GuestLayout.Image + 0x20);
        a.jmp(eax);
    }
}
