using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Emu.Memory;

/// <summary>What RAM knows of each of its 4 KiB pages.</summary>
[Flags]
public enum PageFlags : byte
{
    None = 0,

    /// <summary>Written since the last snapshot. Only such a page may be stored to without going through <see cref="PhysicalMemory"/>.</summary>
    Dirty = 1,

    /// <summary>Holds bytes that were decoded or prefetched: every store is shown to <see cref="ICodeObserver"/>.</summary>
    Code = 2,

    /// <summary>A paging structure that a walk has read; noted only while a <see cref="MemoryJournal"/> is attached.</summary>
    Tables = 4,

    /// <summary>Holds code that an explorer found to be patched: <see cref="MemoryJournal"/> keeps its changes apart.</summary>
    Patched = 8,

    /// <summary>Read-only memory: stores are lost.</summary>
    Rom = 16,
}

/// <summary>Told of stores to pages that hold code.</summary>
public interface ICodeObserver
{
    /// <summary>Called before <paramref name="length"/> bytes at <paramref name="address"/> (within one page) change.</summary>
    void BeforeCodeWrite(ulong address, int length);

    /// <summary>Called after they changed.</summary>
    void AfterCodeWrite(ulong address, int length);
}

/// <summary>Who stores: the CPU, the linear address that its program used, and the RIP of the store (<see cref="PendingStore.Rip"/>).</summary>
public readonly record struct Writer(int Cpu, ulong Linear, ulong Rip = 0)
{
    /// <summary>A device, or a host program.</summary>
    public static readonly Writer Nobody = new(-1, 0);
}

/// <summary>
/// Guest RAM: one native block, seen at 0 up to <see cref="LowLimit"/> and, for the rest, from 4 GiB; and behind it in the block a ROM, if there is one, which
/// ends at 4 GiB.
/// This is one of the rooms with unsafe code: <see cref="Pointer"/> is the only way to a host address, and it checks.
/// </summary>
public sealed unsafe class PhysicalMemory : IDisposable
{
    /// <summary>RAM below 4 GiB ends here; devices and firmware live above it.</summary>
    public const ulong LowLimit = 0xC000_0000;

    /// <summary>Most bytes of ROM.</summary>
    public const ulong MaximumRom = 4UL << 20;

    /// <summary>Where RAM beyond <see cref="LowLimit"/> goes on.</summary>
    public const ulong HighBase = 0x1_0000_0000;

    private readonly void* _allocation;
    private readonly byte* _ram;
    private readonly PageFlags* _flags;
    private readonly ulong _romStart;
    private ICodeObserver[] _observers = [];

    /// <param name="size">Bytes of RAM, a multiple of 4096, at least 1 MiB.</param>
    /// <param name="romSize">Bytes of ROM below 4 GiB, a multiple of 4096, at most 4 MiB.</param>
    public PhysicalMemory(ulong size, ulong romSize = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(romSize, MaximumRom);
        if (romSize % Page.Size != 0)
            throw new ArgumentException("ROM size must be a multiple of 4096 bytes", nameof(romSize));
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1UL << 20);
        if (size % Page.Size != 0)
            throw new ArgumentException("RAM size must be a multiple of 4096 bytes", nameof(size));
        Size = size;
        RomSize = romSize;
        _romStart = HighBase - romSize;
        LowSize = Math.Min(size, LowLimit);
        // AllocZeroed leaves the pages of a large block untouched, so that RAM which the guest never uses costs nothing.
        _allocation = NativeMemory.AllocZeroed((nuint)(size + romSize + Page.Size));
        _ram = (byte*)(((nuint)_allocation + Page.Size - 1) & ~(nuint)(Page.Size - 1));
        _flags = (PageFlags*)NativeMemory.AllocZeroed((nuint)((size + romSize) >> Page.Shift));
        for (ulong page = size >> Page.Shift; page < (ulong)PageCount; page++)
            _flags[page] = PageFlags.Rom;
    }

    ~PhysicalMemory() => Free();

    /// <summary>Bytes of RAM.</summary>
    public ulong Size { get; }

    /// <summary>Bytes of RAM below 4 GiB, from address 0.</summary>
    public ulong LowSize { get; }

    /// <summary>Bytes of ROM, which ends at 4 GiB; 0 where there is none.</summary>
    public ulong RomSize { get; }

    /// <summary>Number of 4 KiB pages of RAM and ROM.</summary>
    public int PageCount => (int)((Size + RomSize) >> Page.Shift);

    /// <summary>Host address of the first byte; byte i of RAM (not: of the physical address space) is at Base + i.</summary>
    public byte* Base => _ram;

    /// <summary>One flag byte per page of RAM.</summary>
    public PageFlags* Flags => _flags;

    /// <summary>
    /// What the CPUs' physical addresses pass through on their way out: all ones, or, while the A20 gate of a PC is closed, all but bit 20. Page walks apply it,
    /// so that translations hold it; whoever changes it flushes the TLBs.
    /// </summary>
    public ulong A20Mask { get; set; } = ulong.MaxValue;

    /// <summary>Whose store is being made, for observers.</summary>
    public Writer Writer { get; set; } = Writer.Nobody;

    /// <summary>Keeps every change, while one is attached.</summary>
    public MemoryJournal? Journal { get; set; }

    /// <summary>Adds one who is told of stores to code pages.</summary>
    public void Observe(ICodeObserver observer) => _observers = [.. _observers, observer];

    /// <summary>Offset in the block of a physical address, or ulong.MaxValue when neither RAM nor ROM is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Offset(ulong address)
    {
        if (address < LowSize)
            return address;
        ulong high = address - HighBase + LowLimit;
        if (address >= HighBase && high < Size)
            return high;
        ulong rom = address - _romStart;
        return rom < RomSize ? Size + rom : ulong.MaxValue;
    }

    /// <summary>Physical address of an offset in RAM or ROM: the inverse of <see cref="Offset"/>.</summary>
    public ulong AddressOf(ulong offset) => offset >= Size ? offset - Size + _romStart : offset < LowLimit ? offset : offset - LowLimit + HighBase;

    /// <summary>True where all of [address, address + length) is RAM and contiguous.</summary>
    public bool Contains(ulong address, ulong length)
    {
        ulong first = Offset(address);
        if (first >= Size || length == 0)
            return false;
        ulong end = address < LowLimit ? LowSize : Size;
        return length <= end - first;
    }

    /// <summary>Fills the ROM from its start, as its maker did; nobody is told.</summary>
    public void LoadRom(ReadOnlySpan<byte> data) => data.CopyTo(new Span<byte>(_ram + Size, (int)RomSize));

    /// <summary>Host address of a byte of RAM or ROM, or null where there is none. Valid up to the end of its 4 KiB page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Pointer(ulong address)
    {
        ulong offset = Offset(address);
        return offset == ulong.MaxValue ? null : _ram + offset;
    }

    /// <summary>Reads 1 to 8 bytes inside one page, little endian. The caller has checked that it is RAM.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Read(ulong address, int size)
    {
        byte* p = Pointer(address);
        return size switch
        {
            1 => *p,
            2 => *(ushort*)p,
            4 => *(uint*)p,
            8 => *(ulong*)p,
            _ => ReadBytes(p, size),
        };
    }

    /// <summary>Writes 1 to 8 bytes inside one page, little endian, and tells whoever watches the page. The caller has checked that it is RAM.</summary>
    public void Write(ulong address, int size, ulong value)
    {
        ulong offset = Offset(address);
        PageFlags flags = _flags[offset >> Page.Shift];
        if ((flags & PageFlags.Rom) != 0)
            return;
        if (Journal != null)
        {
            Journal.Write(address, _ram + offset, size, value, flags);
        }
        else if ((flags & PageFlags.Code) != 0)
        {
            foreach (ICodeObserver observer in _observers)
                observer.BeforeCodeWrite(address, size);
            WriteBytes(_ram + offset, size, value);
            foreach (ICodeObserver observer in _observers)
                observer.AfterCodeWrite(address, size);
        }
        else
        {
            WriteBytes(_ram + offset, size, value);
        }
        _flags[offset >> Page.Shift] |= PageFlags.Dirty;
    }

    /// <summary>Says whether a page holds code that is patched, for the journal.</summary>
    internal void SetPatched(int page, bool patched) => _flags[page] = patched ? _flags[page] | PageFlags.Patched : _flags[page] & ~PageFlags.Patched;

    /// <summary>A walk reads a paging structure here.</summary>
    internal void NoteTable(ulong address)
    {
        if (Journal != null && Offset(address) is var offset and not ulong.MaxValue)
            _flags[offset >> Page.Shift] |= PageFlags.Tables;
    }

    /// <summary>Copies bytes in, over any number of pages; false, and nothing written, when a part is not RAM.</summary>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty)
            return true;
        if (!Contains(address, (ulong)data.Length))
            return false;
        while (!data.IsEmpty)
        {
            int n = (int)Math.Min((ulong)data.Length, Page.Size - (address & Page.OffsetMask));
            ulong offset = Offset(address);
            bool code = (_flags[offset >> Page.Shift] & PageFlags.Code) != 0;
            if (code)
                foreach (ICodeObserver observer in _observers)
                    observer.BeforeCodeWrite(address, n);
            data[..n].CopyTo(new Span<byte>(_ram + offset, n));
            _flags[offset >> Page.Shift] |= PageFlags.Dirty;
            if (code)
                foreach (ICodeObserver observer in _observers)
                    observer.AfterCodeWrite(address, n);
            data = data[n..];
            address += (ulong)n;
        }
        return true;
    }

    /// <summary>Copies bytes out; false when a part is neither RAM nor ROM.</summary>
    public bool TryRead(ulong address, Span<byte> data)
    {
        if (data.IsEmpty)
            return true;
        ulong rom = address - _romStart;
        if (!Contains(address, (ulong)data.Length) && (rom >= RomSize || (ulong)data.Length > RomSize - rom))
            return false;
        new ReadOnlySpan<byte>(_ram + Offset(address), data.Length).CopyTo(data);
        return true;
    }

    /// <summary>Puts the contents of a page back, RAM or ROM, by its number; false when there is no such page. For a machine that has executed nothing: no observer is told.</summary>
    public bool TryRestorePage(int page, ReadOnlySpan<byte> data)
    {
        if ((uint)page >= (uint)PageCount || data.Length != Page.Size)
            return false;
        data.CopyTo(new Span<byte>(_ram + ((long)page << Page.Shift), Page.Size));
        if ((_flags[page] & PageFlags.Rom) == 0)
            _flags[page] |= PageFlags.Dirty;
        return true;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool _freed;

    private void Free()
    {
        if (_freed)
            return;
        _freed = true;
        NativeMemory.Free(_allocation);
        NativeMemory.Free(_flags);
    }

    private static ulong ReadBytes(byte* p, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size; i++)
            value |= (ulong)p[i] << (8 * i);
        return value;
    }

    private static void WriteBytes(byte* p, int size, ulong value)
    {
        switch (size)
        {
            case 1:
                *p = (byte)value;
                break;
            case 2:
                *(ushort*)p = (ushort)value;
                break;
            case 4:
                *(uint*)p = (uint)value;
                break;
            case 8:
                *(ulong*)p = value;
                break;
            default:
                for (int i = 0; i < size; i++)
                    p[i] = (byte)(value >> (8 * i));
                break;
        }
    }
}
