using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Bochs. It boots from a floppy by a BIOS, so a boot sector stands before the image and does what a multiboot loader does.</summary>
internal static class BochsMachine
{
    private const int SectorBytes = 512, SectorsPerTrack = 18, FloppyBytes = 1440 * 1024;
    private const ushort LoadSegment = 0x1000;
    private const uint BootSector = 0x7C00, ProtectedEntry = BootSector + 0xE0, GdtAt = BootSector + 0x120;

    /// <summary>What COM1 received; null when Bochs or its BIOS is not there.</summary>
    public static string? Run(byte[] image)
    {
        string bios = "/usr/share/seabios/bios.bin", vga = "/usr/share/seabios/vgabios-stdvga.bin";
        if (!File.Exists(bios) || !File.Exists(vga))
            return null;
        string directory = Directory.CreateTempSubdirectory("emu-bochs-").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(directory, "floppy.img"), Floppy(image));
            File.WriteAllLines(Path.Combine(directory, "bochsrc"),
            [
                $"romimage: file={bios}",
                $"vgaromimage: file={vga}",
                "megs: 32",
                "floppya: 1_44=floppy.img, status=inserted",
                "boot: floppy",
                "com1: enabled=1, mode=file, dev=serial.out",
                "cpu: model=corei7_skylake_x, count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=0",
                "clock: sync=none",
                "display_library: rfb, options=\"timeout=0\"",
                "sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
                "speaker: enabled=0",
                "log: bochs.log",
                "panic: action=fatal",
                "error: action=report",
            ]);
            // Debian's has the debugger, which waits for a command.
            File.WriteAllText(Path.Combine(directory, "commands"), "continue\n");
            if (WholeMachine.Run("bochs", ["-q", "-f", "bochsrc", "-rc", "commands"], directory) == null)
                return null;
            return WholeMachine.Serial(directory);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static byte[] Floppy(byte[] image)
    {
        var floppy = new byte[FloppyBytes];
        Assemble(16, BootSector, a => Load(a, (image.Length + SectorBytes - 1) / SectorBytes)).CopyTo(floppy, 0);
        Assemble(32, ProtectedEntry, a => Enter(a, image.Length)).CopyTo(floppy, (int)(ProtectedEntry - BootSector));
        ulong[] gdt = [(ulong)GdtAt << 16 | 23, Descriptors.Segment(Descriptors.Code, 0), Descriptors.Segment(Descriptors.Data, 0)];
        for (int i = 0; i < gdt.Length; i++)
            BitConverter.GetBytes(gdt[i]).CopyTo(floppy, (int)(GdtAt - BootSector) + 8 * i);
        floppy[510] = 0x55;
        floppy[511] = 0xAA;
        image.CopyTo(floppy, SectorBytes);
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

    /// <summary>Reads the sectors one by one, for a transfer must not cross 64 KiB, and enters protected mode.</summary>
    private static void Load(Assembler a, int sectors)
    {
        Label next = a.CreateLabel();
        a.cli();
        a.xor(ax, ax);
        a.mov(ds, ax);
        a.mov(ss, ax);
        a.mov(sp, (ushort)BootSector);
        a.sti();
        a.mov(si, 1);
        a.mov(bp, LoadSegment);
        a.Label(ref next);
        a.mov(ax, si);
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
        a.mov(es, bp);
        a.xor(bx, bx);
        a.mov(ax, 0x0201);
        a.@int(0x13);
        a.jc(next);
        a.add(bp, SectorBytes / 16);
        a.inc(si);
        a.cmp(si, (ushort)(sectors + 1));
        a.jne(next);
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

    private static void Enter(Assembler a, int length)
    {
        a.mov(eax, 16);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.mov(ss, ax);
        a.mov(esi, LoadSegment << 4);
        a.mov(edi, GuestLayout.Image);
        a.mov(ecx, (uint)(length + 3) / 4);
        a.cld();
        a.rep.movsd();
        a.mov(eax, GuestLayout.Image + 0x20);
        a.jmp(eax);
    }
}
