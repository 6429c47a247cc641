using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Instructions;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>
/// All decoded code of a machine, by physical address. A store to a decoded byte makes its blocks invalid by replacing their first handler, so
/// that links to them need not be found; if the same bytes come back, so does the block.
/// </summary>
public sealed unsafe class CodeCache : ICodeObserver, IDisposable
{
    private const int Buckets = 1 << 18;
    private const int ChunkBytes = 1 << 22;

    /// <summary>At this size everything is forgotten and decoded anew.</summary>
    private const int MaximumChunks = 24;

    /// <summary>So many blocks of one page may wait for their bytes to come back; a store to the page looks at each.</summary>
    private const int KeptInvalid = 256;

    private sealed class CodePage
    {
        /// <summary>Bit i: bytes of the i-th 64-byte line are decoded.</summary>
        public ulong Lines;
        public readonly List<nint> Blocks = [];

        /// <summary>At so many blocks the invalid ones are let go.</summary>
        public int PurgeAt = KeptInvalid;
    }

    private readonly PhysicalMemory _memory;
    private readonly CodePage?[] _pages;
    private readonly Block** _buckets;
    private readonly List<nint> _chunks = [];
    private byte* _free;
    private byte* _end;
    private Cpu[] _cpus = [];

    public CodeCache(PhysicalMemory memory)
    {
        _memory = memory;
        _pages = new CodePage?[memory.PageCount];
        _buckets = (Block**)NativeMemory.AllocZeroed(Buckets, (nuint)sizeof(Block*));
        memory.Observe(this);
    }

    /// <summary>Who checks cross-modifying code; no block may hold bytes that are hot to it.</summary>
    public XmcMonitor? Monitor { get; set; }

    /// <summary>Addresses before which blocks tell that they are reached.</summary>
    public ExecutionWatch? Watched { get; set; }

    /// <summary>Counts how often everything was forgotten: pointers to blocks from before are dangling.</summary>
    public int Generation { get; private set; }

    /// <summary>The CPUs whose TLBs must not let stores pass by unseen, once a page holds code.</summary>
    public void Attach(Cpu[] cpus) => _cpus = cpus;

    /// <summary>The valid block at a physical address for this RIP and mode, or null. A block whose bytes are back is valid again.</summary>
    public Block* Find(ulong physical, ulong rip, uint modeKey)
    {
        for (Block* b = _buckets[Hash(physical)]; b != null; b = b->Chain)
            if (b->Physical == physical && b->Rip == rip && b->ModeKey == modeKey && (b->Valid != 0 || Revalidate(b)))
                return b;
        return null;
    }

    /// <summary>Room for a block of up to <paramref name="operations"/> operations and <paramref name="bytes"/> bytes; 64-byte aligned.</summary>
    public Block* Reserve(int operations, int bytes)
    {
        int size = sizeof(Block) + operations * sizeof(Op) + bytes;
        if (_free + size > _end)
            NewChunk();
        Block* b = (Block*)_free;
        NativeMemory.Clear(b, (nuint)size);
        return b;
    }

    /// <summary>Keeps a block that was built in the reserved room.</summary>
    public void Keep(Block* b, int operations, ReadOnlySpan<byte> bytes)
    {
        byte* copy = (byte*)(Block.Ops(b) + operations);
        bytes.CopyTo(new Span<byte>(copy, bytes.Length));
        b->Bytes = copy;
        b->ByteCount = (short)bytes.Length;
        b->Valid = 1;
        b->FirstHandler = Block.Ops(b)->Handler;
        _free = (byte*)(((nuint)(copy + bytes.Length) + 63) & ~(nuint)63);
        ref Block* bucket = ref _buckets[Hash(b->Physical)];
        b->Chain = bucket;
        bucket = b;
        CodePage page = Watch(b->Physical);
        page.Lines |= LineMask(b->Physical, b->ByteCount);
        page.Blocks.Add((nint)b);
        if (page.Blocks.Count >= page.PurgeAt)
            Purge(page);
    }

    /// <summary>Declares that a page holds code (decoded or prefetched): from now on stores to it are seen.</summary>
    public void WatchPage(ulong physical) => Watch(physical);

    /// <summary>Notes bytes that were decoded without a block.</summary>
    public void NoteDecoded(ulong physical, int length) => Watch(physical).Lines |= LineMask(physical, length);

    /// <summary>True when a line that holds one of these bytes (within one page) was decoded.</summary>
    public bool IsDecoded(ulong address, int length) => _pages[_memory.Offset(address) >> Page.Shift] is { } page && (page.Lines & LineMask(address, length)) != 0;

    /// <summary>Makes the blocks that hold any of these bytes (within one page) invalid, although the bytes may be theirs.</summary>
    public void Invalidate(ulong address, int length)
    {
        if (Invalidate(address, length, onlyChanged: false))
            RequestExit();
    }

    /// <summary>Makes the blocks invalid that hold a byte, which has not changed: whoever executes one of them may do so to its end.</summary>
    public void Retire(ulong address) => Invalidate(address, 1, onlyChanged: false);

    /// <summary>Those that hold the byte at a linear address.</summary>
    public void RetireLinear(ulong linear)
    {
        for (int i = 0; i < Buckets; i++)
            for (Block* b = _buckets[i]; b != null; b = b->Chain)
                if (b->Valid != 0 && linear - b->Rip < (ulong)b->ByteCount)
                    Invalidate(b);
    }

    /// <summary>Forgets all blocks.</summary>
    public void Clear()
    {
        Generation++;
        NativeMemory.Clear(_buckets, (nuint)(Buckets * sizeof(Block*)));
        foreach (CodePage? page in _pages)
        {
            if (page == null)
                continue;
            if (Monitor == null)
                page.Lines = 0;
            page.Blocks.Clear();
            page.PurgeAt = KeptInvalid;
        }
        for (int i = 1; i < _chunks.Count; i++)
            NativeMemory.AlignedFree((void*)_chunks[i]);
        if (_chunks.Count > 1)
            _chunks.RemoveRange(1, _chunks.Count - 1);
        if (_chunks.Count == 1)
        {
            _free = (byte*)_chunks[0];
            _end = _free + ChunkBytes;
        }
        foreach (Cpu cpu in _cpus)
            cpu.ClearJumpCache();
    }

    void ICodeObserver.BeforeCodeWrite(ulong address, int length)
    {
    }

    void ICodeObserver.AfterCodeWrite(ulong address, int length)
    {
        if (Invalidate(address, length, onlyChanged: true))
            RequestExit();
    }

    /// <summary>True when there was any.</summary>
    private bool Invalidate(ulong address, int length, bool onlyChanged)
    {
        CodePage? page = _pages[_memory.Offset(address) >> Page.Shift];
        if (page == null || (page.Lines & LineMask(address, length)) == 0)
            return false;
        bool any = false;
        foreach (nint p in page.Blocks)
        {
            Block* b = (Block*)p;
            if (b->Valid != 0 && b->Physical < address + (ulong)length && address < b->Physical + (ulong)b->ByteCount
                && (!onlyChanged || !BytesMatch(b)))
            {
                Invalidate(b);
                any = true;
            }
        }
        return any;
    }

    private static void Invalidate(Block* b)
    {
        b->Valid = 0;
        Block.Ops(b)->Handler = &InvalidBlock;
    }

    /// <summary>The block that is running may be among those that are invalid now, on any CPU.</summary>
    private void RequestExit()
    {
        foreach (Cpu cpu in _cpus)
            cpu.State->ExitRequested |= CpuState.CodeChanged;
    }

    public void Dispose()
    {
        foreach (nint chunk in _chunks)
            NativeMemory.AlignedFree((void*)chunk);
        _chunks.Clear();
        NativeMemory.Free(_buckets);
    }

    /// <summary>Stands in for the first handler of an invalid block: back to the loop, which looks the address up again.</summary>
    private static Op* InvalidBlock(CpuState* s, Op* op) => Chain.LeaveBefore(s, op);

    private bool Revalidate(Block* b)
    {
        if (!BytesMatch(b) || Monitor?.IsHot(b->Physical, b->ByteCount) == true || Watched?.Overlaps(b->Rip, b->ByteCount) == true)
            return false;
        b->Valid = 1;
        Block.Ops(b)->Handler = b->FirstHandler;
        return true;
    }

    private bool BytesMatch(Block* b) =>
        new ReadOnlySpan<byte>(b->Bytes, b->ByteCount).SequenceEqual(new ReadOnlySpan<byte>(_memory.Pointer(b->Physical), b->ByteCount));

    /// <summary>Lets go of a page's invalid blocks. Their room comes back with <see cref="Clear"/>: links to them lead to their first handler still.</summary>
    private void Purge(CodePage page)
    {
        page.Blocks.RemoveAll(p =>
        {
            Block* b = (Block*)p;
            if (b->Valid != 0)
                return false;
            Block** link = &_buckets[Hash(b->Physical)];
            while (*link != b)
                link = &(*link)->Chain;
            *link = b->Chain;
            return true;
        });
        page.PurgeAt = 2 * page.Blocks.Count + KeptInvalid;
    }

    private CodePage Watch(ulong physical)
    {
        ulong index = _memory.Offset(physical) >> Page.Shift;
        CodePage? page = _pages[index];
        if (page == null || (_memory.Flags[index] & PageFlags.Code) == 0)
        {
            _pages[index] = page ??= new CodePage();
            _memory.Flags[index] |= PageFlags.Code;
            foreach (Cpu cpu in _cpus)
                for (int i = 0; i < 3; i++)
                    cpu.State->Tlbs[i].ForbidDirectWrites(physical & Page.Mask);
        }
        return page;
    }

    private void NewChunk()
    {
        if (_chunks.Count == MaximumChunks)
        {
            Clear();
            return;
        }
        _free = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, 64);
        _end = _free + ChunkBytes;
        _chunks.Add((nint)_free);
    }

    private static int Hash(ulong physical) => (int)((physical ^ (physical >> 18)) & (Buckets - 1));

    private static ulong LineMask(ulong address, int length)
    {
        int first = (int)(address & Page.OffsetMask) >> 6;
        int last = (int)((address & Page.OffsetMask) + (ulong)length - 1) >> 6;
        return ulong.MaxValue << first & ulong.MaxValue >> (63 - last);
    }
}
