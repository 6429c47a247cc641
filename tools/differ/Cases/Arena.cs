using System.Runtime.InteropServices;
using Emu.Memory;

namespace Emu.Differ.Cases;

/// <summary>A range of physical addresses that cases read and write, and that is compared.</summary>
public readonly record struct MemoryWindow(ulong Start, int Length);

/// <summary>
/// The memory in which cases of one mode run, the same in the oracle and in Emu: code, data, page tables, a GDT. The data pages are so laid out
/// that an operand may cross from one into another which does not follow it physically, into one that is read-only, or into none.
/// The background of the data is a fixed pattern.
/// </summary>
public sealed unsafe class Arena
{
    /// <summary>Where the data pages of protected modes begin: not mapped, two writable ones, a read-only one, not mapped.</summary>
    public const ulong DataBase = 0x0200_0000;

    /// <summary>In 64-bit mode the same pages once more.</summary>
    public const ulong HighDataBase = 0xFFFF_8800_0200_0000;

    /// <summary>In 64-bit mode: the last page before the addresses that are not canonical, and the first behind them.</summary>
    public const ulong LastLowPage = 0x0000_7FFF_FFFF_F000, FirstHighPage = 0xFFFF_8000_0000_0000;

    /// <summary>At CPL 3: the page of the GDT, which is the system's.</summary>
    private const ulong SystemPage = 0xFFFF_FE00_0000_1000;

    public const ulong FsBase = 0x1230, GsBase = 0x0001_0008;

    /// <summary>Real-address mode: the segments lie close together, so that what may change is one range of 68 KiB.</summary>
    public const ushort RealDs = 0x2000, RealEs = 0x2010, RealSs = 0x2020, RealFs = 0x2030, RealGs = 0x2038;

    // Selectors of the GDT at CPL 0.
    public const ushort CodeSelector = 0x08, DataSelector = 0x10, FsSelector = 0x18, GsSelector = 0x20;

    /// <summary>Selectors at CPL 3, where the GDT is that of Linux (arch/x86/include/asm/segment.h): the host's cases run under it.</summary>
    public const ushort UserCode32Selector = 0x23, UserDataSelector = 0x2B, UserCode64Selector = 0x33;

    /// <summary>No case uses the IDT; SIDT shows it.</summary>
    public const ulong IdtBase = 0x1800;
    public const int IdtLimit = 0x3FF;

    private const ulong GdtAddress = 0x1000, TablesAddress = 0x1_0000;
    private const ulong FirstDataPage = 0x40_0000, SecondDataPage = 0x40_3000, ReadOnlyPage = 0x40_5000;
    private const byte Int3 = 0xCC;
    private const ulong Present = 0x21, Writable = 0x62, User = 4; // with A; with D

    private static readonly Arena?[] s_arenas = new Arena?[CodeModes.All.Count];

    private readonly Dictionary<ulong, ulong> _pages = [];
    private ulong _nextTable = TablesAddress;

    private Arena(CodeMode mode)
    {
        Mode = mode;
        RamSize = mode == CodeMode.Real16 ? 0x20_0000UL : 0x80_0000UL;
        Image = (byte*)NativeMemory.AlignedAlloc((nuint)RamSize, Page.Size);
        NativeMemory.Clear(Image, (nuint)RamSize);
        if (mode == CodeMode.Real16)
            (CodeStart, CodeEnd, Windows) = (0x6_0000, 0xA_0000, [new MemoryWindow(0x2_0000, 0x1_1000)]);
        else
        {
            (CodeStart, CodeEnd) = (0x10_0000, 0x30_0000);
            Windows = [new MemoryWindow(FirstDataPage, Page.Size), new MemoryWindow(SecondDataPage, Page.Size), new MemoryWindow(ReadOnlyPage, Page.Size)];
            if (!mode.IsUser())
                Windows = [new MemoryWindow(GdtAddress, Page.Size), .. Windows];
            BuildGdt();
            Cr3 = NewTable();
            MapAll();
        }
        new Span<byte>(Image + CodeStart, (int)(CodeEnd - CodeStart)).Fill(Int3);
        foreach (MemoryWindow w in Windows.Where(w => w.Start != GdtAddress))
            for (ulong a = w.Start; a < w.Start + (ulong)w.Length; a++)
                Image[a] = (byte)(a * 0x9E37_79B1 >> 13 ^ a >> 4);
    }

    public CodeMode Mode { get; }
    public ulong RamSize { get; }

    /// <summary>RAM as it is before any case.</summary>
    public byte* Image { get; }

    /// <summary>Linear, and physical, addresses of code.</summary>
    public ulong CodeStart { get; }
    public ulong CodeEnd { get; }

    public MemoryWindow[] Windows { get; }

    public ulong Cr3 { get; }
    /// <summary>Linear address of the GDT.</summary>
    public ulong Gdt => Mode.IsUser() ? SystemPage : GdtAddress;
    public uint GdtLimit => Mode.IsUser() ? 16U * 8 - 1 : 5U * 8 - 1;

    public ushort DefaultCs => Mode == CodeMode.Real16 ? (ushort)(CodeStart >> 4) : (ushort)0;
    public ulong DefaultRip => Mode == CodeMode.Real16 ? 0x100UL : CodeStart;

    public static Arena For(CodeMode mode) => s_arenas[(int)mode] ??= new Arena(mode);

    public bool HoldsCode(ulong linear, int length) => linear >= CodeStart && linear + (ulong)length + 16 <= CodeEnd;

    /// <summary>True when these linear addresses are data that a case may set.</summary>
    public bool Holds(ulong linear, int length)
    {
        for (int i = 0; i < length; i++)
            if (Physical(linear + (ulong)i) == ulong.MaxValue)
                return false;
        return true;
    }

    /// <summary>Physical address of data at a linear address, or ulong.MaxValue.</summary>
    public ulong Physical(ulong linear)
    {
        if (Mode == CodeMode.Real16)
            return linear - Windows[0].Start < (ulong)Windows[0].Length ? linear : ulong.MaxValue;
        return _pages.TryGetValue(linear & Page.Mask, out ulong physical) ? physical | (linear & Page.OffsetMask) : ulong.MaxValue;
    }

    /// <summary>True for data that may be written.</summary>
    public bool IsWritable(ulong linear) => Physical(linear) is ulong at && at != ulong.MaxValue && (at & Page.Mask) != ReadOnlyPage;

    /// <summary>Linear and physical addresses of all mapped data pages of protected modes.</summary>
    public IEnumerable<KeyValuePair<ulong, ulong>> DataPages => _pages;

    /// <summary>Linear addresses of pages beside the data that are not mapped.</summary>
    public IEnumerable<ulong> Gaps
    {
        get
        {
            if (Mode == CodeMode.Real16)
                yield break;
            foreach (ulong at in DataBases)
                foreach (ulong gap in new ulong[] { 0, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000 })
                    yield return at + gap;
        }
    }

    private ulong[] DataBases => Mode == CodeMode.Long64 ? [DataBase, HighDataBase] : [DataBase];

    /// <summary>Takes the code of a case out of RAM again.</summary>
    public static void Remove(Case c, byte* ram) => new Span<byte>(ram + c.LinearRip, c.Length).Fill(Int3);

    /// <summary>Puts a case into RAM which holds the background: its memory and its code. All other code is int3.</summary>
    public void Place(Case c, byte* ram)
    {
        foreach (MemoryPatch patch in c.Memory)
            for (int i = 0; i < patch.Bytes.Length; i++)
                ram[Physical(patch.Address + (ulong)i)] = patch.Bytes[i];
        byte* code = ram + c.LinearRip;
        for (int i = 0; i < c.Length; i++)
            code[i] = c.Code[i];
    }

    /// <summary>What data memory holds when a case starts; false where some of it is not mapped.</summary>
    public bool TryReadStart(Case c, ulong linear, int size, out ulong value)
    {
        value = 0;
        for (int i = 0; i < size; i++)
        {
            ulong physical = Physical(linear + (ulong)i);
            if (physical == ulong.MaxValue)
                return false;
            byte b = Image[physical];
            foreach (MemoryPatch patch in c.Memory)
                for (int p = 0; p < patch.Bytes.Length; p++)
                    if (Physical(patch.Address + (ulong)p) == physical)
                        b = patch.Bytes[p];
            value |= (ulong)b << 8 * i;
        }
        return true;
    }

    /// <summary>Number of the line of a physical address, which lies in a window (<see cref="Machines.ChangedLines"/>).</summary>
    public int LineOf(ulong physical)
    {
        int first = 0;
        foreach (MemoryWindow w in Windows)
        {
            if (physical - w.Start < (ulong)w.Length)
                return first + (int)(physical - w.Start) / Machines.ChangedLines.LineBytes;
            first += w.Length / Machines.ChangedLines.LineBytes;
        }
        throw new ArgumentOutOfRangeException(nameof(physical));
    }

    /// <summary>Physical address of a line.</summary>
    public ulong AddressOf(int line)
    {
        ulong offset = (ulong)line * Machines.ChangedLines.LineBytes;
        foreach (MemoryWindow w in Windows)
        {
            if (offset < (ulong)w.Length)
                return w.Start + offset;
            offset -= (ulong)w.Length;
        }
        throw new ArgumentOutOfRangeException(nameof(line));
    }

    private void BuildGdt()
    {
        ulong* gdt = (ulong*)(Image + GdtAddress);
        if (Mode.IsUser())
        {
            BuildLinuxGdt(gdt);
            return;
        }
        // Accessed already, so that loading a selector writes nothing.
        gdt[1] = Mode.Is64() ? 0x00AF_9B00_0000_FFFFUL : 0x00CF_9B00_0000_FFFFUL;
        gdt[2] = DataDescriptor(0);
        gdt[3] = DataDescriptor(FsBase);
        gdt[4] = DataDescriptor(GsBase);
    }

    /// <summary>As in Linux's arch/x86/kernel/cpu/common.c, but for the base of the TSS; the descriptor whose limit tells the number of the CPU is CPU 0's.</summary>
    private static void BuildLinuxGdt(ulong* gdt)
    {
        gdt[1] = 0x00CF_9B00_0000_FFFF;
        gdt[2] = 0x00AF_9B00_0000_FFFF;
        gdt[3] = 0x00CF_9300_0000_FFFF;
        gdt[UserCode32Selector >> 3] = 0x00CF_FB00_0000_FFFF;
        gdt[UserDataSelector >> 3] = 0x00CF_F300_0000_FFFF;
        gdt[UserCode64Selector >> 3] = 0x00AF_FB00_0000_FFFF;
        gdt[8] = 0x0000_8B00_0000_4087;
        gdt[15] = 0x0040_F500_0000_0000;
    }

    private static ulong DataDescriptor(ulong @base) => 0x00CF_9300_0000_FFFF | (@base & 0xFF_FFFF) << 16 | (@base >> 24) << 56;

    private void MapAll()
    {
        for (ulong a = CodeStart; a < CodeEnd; a += Page.Size)
            Map(a, a, Present); // not writable: what a case changed there would not be taken back
        // Unicorn keeps a translation of the page of the GDT from before paging: so it is mapped, and compared like the others.
        if (Mode.IsUser())
            Map(SystemPage, GdtAddress, Present | Writable, user: 0);
        else
            MapData(GdtAddress, GdtAddress, Present | Writable);
        foreach (ulong at in DataBases)
        {
            MapData(at + 0x1000, FirstDataPage, Present | Writable);
            MapData(at + 0x2000, SecondDataPage, Present | Writable);
            MapData(at + 0x3000, ReadOnlyPage, Present);
        }
        if (Mode == CodeMode.Long64)
        {
            MapData(LastLowPage, SecondDataPage, Present | Writable);
            MapData(FirstHighPage, FirstDataPage, Present | Writable);
        }
    }

    private void MapData(ulong linear, ulong physical, ulong flags)
    {
        _pages[linear] = physical;
        Map(linear, physical, flags);
    }

    private void Map(ulong linear, ulong physical, ulong flags) => Map(linear, physical, flags, Mode.IsUser() ? User : 0);

    private void Map(ulong linear, ulong physical, ulong flags, ulong user)
    {
        bool longMode = Mode.HasLongTables();
        ulong table = Cr3;
        int bitsPerLevel = longMode ? 9 : 10;
        for (int shift = longMode ? 39 : 22; ; shift -= bitsPerLevel)
        {
            ulong index = linear >> shift & (1UL << bitsPerLevel) - 1;
            byte* entry = Image + table + index * (longMode ? 8UL : 4UL);
            if (shift == 12)
            {
                Set(entry, physical | flags | user);
                return;
            }
            ulong next = longMode ? *(ulong*)entry : *(uint*)entry;
            if (next == 0)
                Set(entry, next = NewTable() | Present | Writable | user);
            table = next & Page.Mask;
        }

        void Set(byte* entry, ulong value)
        {
            if (longMode)
                *(ulong*)entry = value;
            else
                *(uint*)entry = (uint)value;
        }
    }

    private ulong NewTable()
    {
        ulong table = _nextTable;
        _nextTable += Page.Size;
        return table;
    }
}
