namespace Emu.Memory;

/// <summary>What a page walk found.</summary>
public struct Translation
{
    public ulong Physical;
    public TlbFlags Flags;

    /// <summary>The page-fault error code when the walk failed.</summary>
    public PageFaultCode Error;
}

/// <summary>
/// Walks the paging structures (SDM, "Paging"): 32-bit, PAE and 4-level, one after the other. All of a walk is checked before any accessed
/// or dirty bit is set.
/// </summary>
public static class PageWalk
{
    private const ulong Present = 1;
    private const ulong Writable = 2;
    private const ulong UserBit = 4;
    private const ulong Accessed = 0x20;
    private const ulong Dirty = 0x40;
    private const ulong PageSize = 0x80;
    private const ulong GlobalBit = 0x100;
    private const ulong ExecuteDisable = 1UL << 63;

    private enum Outcome
    {
        Mapped,
        NotPresent,
        Reserved,
    }

    /// <summary>The entries that a walk used, upper levels first, and what they say together.</summary>
    private ref struct Path
    {
        /// <summary>4 or 8 bytes.</summary>
        public int EntrySize;

        /// <summary>Levels read so far; the last is the one that maps the page.</summary>
        public int Depth;
        public ulong Address0, Address1, Address2, Address3;

        /// <summary>AND of all entries: R/W and U/S count only when every level grants them.</summary>
        public ulong Common;

        /// <summary>OR of all entries: XD counts when any level sets it.</summary>
        public ulong Any;
        public ulong Leaf;

        /// <summary>Some entry has its accessed bit clear.</summary>
        public bool AccessedClear;

        /// <summary>log2 of the page size.</summary>
        public int PageShift;

        public readonly ulong AddressOf(int level) => level switch
        {
            0 => Address0,
            1 => Address1,
            2 => Address2,
            _ => Address3,
        };
    }

    /// <summary>Translates one address and sets accessed and dirty bits; false with the error code when it faults.</summary>
    /// <param name="memory">RAM, in which the paging structures lie; where there is none an entry reads as all ones.</param>
    /// <param name="r">The paging registers.</param>
    /// <param name="linear">The linear address; canonical in long mode.</param>
    /// <param name="kind">Read, write or fetch.</param>
    /// <param name="user">The access is a user-mode access.</param>
    /// <param name="smapRestrained">SMAP applies: supervisor data accesses to user pages fault.</param>
    /// <param name="result">The physical address, and every right that this privilege has on the page: it will be cached for accesses of other kinds.</param>
    /// <param name="pending">The CPU's own waiting stores, which its walks see.</param>
    public static bool TryTranslate(PhysicalMemory memory, ref PagingRegisters r, ulong linear, AccessKind kind, bool user,
        bool smapRestrained, out Translation result, StoreBuffer? pending = null)
    {
        result = default;
        if ((r.Cr0 & PagingBits.Cr0Pg) == 0)
        {
            result.Physical = linear & uint.MaxValue & memory.A20Mask;
            result.Flags = TlbFlags.Read | TlbFlags.Write | TlbFlags.Execute | TlbFlags.PageWritable | TlbFlags.PageDirty;
            return true;
        }

        Path path = new() { Common = ulong.MaxValue };
        Outcome outcome = (r.Efer & PagingBits.EferLma) != 0 ? Walk4Level(memory, pending, ref r, linear, ref path, out ulong physical)
            : (r.Cr4 & PagingBits.Cr4Pae) != 0 ? WalkPae(memory, pending, ref r, linear, ref path, out physical)
            : Walk32Bit(memory, pending, ref r, linear, ref path, out physical);
        PageFaultCode error = Circumstances(ref r, kind, user);
        if (outcome == Outcome.NotPresent)
        {
            result.Error = error;
            return false;
        }
        if (outcome == Outcome.Reserved)
        {
            result.Error = error | PageFaultCode.Present | PageFaultCode.Reserved;
            return false;
        }
        TlbFlags flags = Rights(ref r, in path, user, smapRestrained);
        TlbFlags need = (kind & AccessKind.Execute) != 0 ? TlbFlags.Execute : (kind & AccessKind.Write) != 0 ? TlbFlags.Write : TlbFlags.Read;
        if ((flags & need) == 0)
        {
            result.Error = error | PageFaultCode.Present;
            return false;
        }
        SetAccessedAndDirty(memory, pending, ref path, (kind & AccessKind.Write) != 0);
        // The first write must come by here again and set the dirty bit.
        result.Flags = (path.Leaf & Dirty) != 0 ? flags | TlbFlags.PageDirty : flags & ~TlbFlags.Write;
        result.Physical = physical & memory.A20Mask;
        return true;
    }

    /// <summary>
    /// Where an address lies now, for whoever looks at a machine from outside: no accessed bit is set, no right is asked for, and nothing is cached. False where it
    /// is not mapped.
    /// </summary>
    public static bool TryPeek(PhysicalMemory memory, ref PagingRegisters r, ulong linear, out ulong physical)
    {
        physical = linear & uint.MaxValue & memory.A20Mask;
        if ((r.Cr0 & PagingBits.Cr0Pg) == 0)
            return true;
        Path path = new() { Common = ulong.MaxValue };
        Outcome outcome = (r.Efer & PagingBits.EferLma) != 0 ? Walk4Level(memory, null, ref r, linear, ref path, out physical)
            : (r.Cr4 & PagingBits.Cr4Pae) != 0 ? WalkPae(memory, null, ref r, linear, ref path, out physical)
            : Walk32Bit(memory, null, ref r, linear, ref path, out physical);
        physical &= memory.A20Mask;
        return outcome == Outcome.Mapped;
    }

    /// <summary>4-level paging (SDM, "4-Level Paging and 5-Level Paging").</summary>
    private static Outcome Walk4Level(PhysicalMemory memory, StoreBuffer? pending, ref PagingRegisters r, ulong linear, ref Path path, out ulong physical)
    {
        path.EntrySize = 8;
        ulong frame = FrameMask(r.PhysicalAddressBits);
        // Bits 62:52 are ignored at every level; XD is reserved unless EFER.NXE is set.
        ulong reserved = ~frame & 0x000F_FFFF_FFFF_F000 | ((r.Efer & PagingBits.EferNxe) != 0 ? 0 : ExecuteDisable);
        ulong table = r.Cr3 & frame;
        physical = 0;
        for (int level = 0; ; level++)
        {
            int shift = 39 - 9 * level;
            ulong entry = ReadEntry(memory, pending, ref path, table + ((linear >> shift) & 0x1FF) * 8);
            if ((entry & Present) == 0)
                return Outcome.NotPresent;
            ulong here = reserved;
            bool leaf = level == 3;
            if (level < 3 && (entry & PageSize) != 0)
            {
                // PS is reserved in a PML4E, and in a PDPTE of a CPU without 1-GByte pages.
                if (level == 0 || (level == 1 && r.HasGigabytePages == 0))
                    here |= PageSize;
                leaf = true;
                // Below the frame of a large page only bit 12 (PAT) may be set.
                here |= ((1UL << shift) - 1) & ~0x1FFFUL;
            }
            if ((entry & here) != 0)
                return Outcome.Reserved;
            if (!leaf)
            {
                table = entry & frame;
                continue;
            }
            path.PageShift = shift;
            ulong offsetMask = (1UL << shift) - 1;
            physical = (entry & frame & ~offsetMask) | (linear & offsetMask);
            return Outcome.Mapped;
        }
    }

    /// <summary>PAE paging: the first level stands in four registers of the CPU (SDM, "PAE Paging").</summary>
    private static Outcome WalkPae(PhysicalMemory memory, StoreBuffer? pending, ref PagingRegisters r, ulong linear, ref Path path, out ulong physical)
    {
        path.EntrySize = 8;
        ulong frame = FrameMask(r.PhysicalAddressBits);
        // Unlike with 4-level paging, bits 62:52 are reserved.
        ulong reserved = ~frame & 0x7FFF_FFFF_FFFF_F000 | ((r.Efer & PagingBits.EferNxe) != 0 ? 0 : ExecuteDisable);
        physical = 0;
        ulong pdpte = ((linear >> 30) & 3) switch
        {
            0 => r.Pdpte0,
            1 => r.Pdpte1,
            2 => r.Pdpte2,
            _ => r.Pdpte3,
        };
        // Reserved bits of PDPTEs were checked when the registers were loaded; rights there are not.
        if ((pdpte & Present) == 0)
            return Outcome.NotPresent;
        ulong pde = ReadEntry(memory, pending, ref path, (pdpte & frame) + ((linear >> 21) & 0x1FF) * 8);
        if ((pde & Present) == 0)
            return Outcome.NotPresent;
        bool large = (pde & PageSize) != 0;
        if ((pde & (reserved | (large ? 0x1F_E000UL : 0))) != 0)
            return Outcome.Reserved;
        if (large)
        {
            path.PageShift = 21;
            physical = (pde & frame & ~0x1F_FFFFUL) | (linear & 0x1F_FFFF);
            return Outcome.Mapped;
        }
        ulong pte = ReadEntry(memory, pending, ref path, (pde & frame) + ((linear >> 12) & 0x1FF) * 8);
        if ((pte & Present) == 0)
            return Outcome.NotPresent;
        if ((pte & reserved) != 0)
            return Outcome.Reserved;
        path.PageShift = 12;
        physical = (pte & frame) | (linear & 0xFFF);
        return Outcome.Mapped;
    }

    /// <summary>32-bit paging with 4-KByte and, if CR4.PSE, 4-MByte pages of up to 40 bits of address (SDM, "32-Bit Paging"; PSE-36).</summary>
    private static Outcome Walk32Bit(PhysicalMemory memory, StoreBuffer? pending, ref PagingRegisters r, ulong linear, ref Path path, out ulong physical)
    {
        path.EntrySize = 4;
        physical = 0;
        ulong pde = ReadEntry(memory, pending, ref path, (r.Cr3 & 0xFFFF_F000) + ((linear >> 22) & 0x3FF) * 4);
        if ((pde & Present) == 0)
            return Outcome.NotPresent;
        if ((pde & PageSize) != 0 && (r.Cr4 & PagingBits.Cr4Pse) != 0)
        {
            // Bits (M-20):13 hold address bits (M-1):32, where M is the smaller of 40 and MAXPHYADDR; 21:(M-19) are reserved.
            int m = Math.Min(40, r.PhysicalAddressBits);
            ulong highMask = ((1UL << (m - 32)) - 1) << 13;
            if ((pde & 0x3F_E000 & ~highMask) != 0)
                return Outcome.Reserved;
            path.PageShift = 22;
            physical = ((pde & highMask) << 19) | (pde & 0xFFC0_0000) | (linear & 0x3F_FFFF);
            return Outcome.Mapped;
        }
        ulong pte = ReadEntry(memory, pending, ref path, (pde & 0xFFFF_F000) + ((linear >> 12) & 0x3FF) * 4);
        if ((pte & Present) == 0)
            return Outcome.NotPresent;
        path.PageShift = 12;
        physical = (pte & 0xFFFF_F000) | (linear & 0xFFF);
        return Outcome.Mapped;
    }

    /// <summary>SDM, "Determination of Access Rights", for all kinds of access at once; Write as if the page were dirty already.</summary>
    private static TlbFlags Rights(ref PagingRegisters r, in Path path, bool user, bool smapRestrained)
    {
        bool userPage = (path.Common & UserBit) != 0;
        bool writable = (path.Common & Writable) != 0;
        // With EFER.NXE clear a set XD was a reserved bit; entries of 4 bytes have none.
        bool executable = (path.Any & ExecuteDisable) == 0;

        TlbFlags flags = path.PageShift > Page.Shift ? TlbFlags.Large : TlbFlags.None;
        if ((path.Leaf & GlobalBit) != 0 && (r.Cr4 & PagingBits.Cr4Pge) != 0)
            flags |= TlbFlags.Global;
        if (writable)
            flags |= TlbFlags.PageWritable;
        if (user)
        {
            // User-mode accesses reach user-mode addresses only.
            if (!userPage)
                return flags;
            flags |= TlbFlags.Read;
            if (writable)
                flags |= TlbFlags.Write;
            if (executable)
                flags |= TlbFlags.Execute;
            return flags;
        }
        // Data accesses of a supervisor to user-mode addresses: not with CR4.SMAP, unless EFLAGS.AC excuses an explicit one.
        if (!userPage || !smapRestrained)
        {
            flags |= TlbFlags.Read;
            // With CR0.WP clear a supervisor writes to read-only pages too.
            if (writable || (r.Cr0 & PagingBits.Cr0Wp) == 0)
                flags |= TlbFlags.Write;
        }
        // Fetches of a supervisor from user-mode addresses: not with CR4.SMEP.
        if (executable && !(userPage && (r.Cr4 & PagingBits.Cr4Smep) != 0))
            flags |= TlbFlags.Execute;
        return flags;
    }

    /// <summary>The bits of the error code that tell of the access and not of the entries (SDM, "Page-Fault Exceptions").</summary>
    private static PageFaultCode Circumstances(ref PagingRegisters r, AccessKind kind, bool user)
    {
        PageFaultCode code = user ? PageFaultCode.User : PageFaultCode.None;
        if ((kind & AccessKind.Execute) != 0)
        {
            // I/D is reported only when fetches can be refused: CR4.SMEP, or CR4.PAE with EFER.NXE.
            bool nx = (r.Cr4 & PagingBits.Cr4Pae) != 0 && (r.Efer & PagingBits.EferNxe) != 0;
            if (nx || (r.Cr4 & PagingBits.Cr4Smep) != 0)
                code |= PageFaultCode.Fetch;
        }
        else if ((kind & AccessKind.Write) != 0)
        {
            code |= PageFaultCode.Write;
        }
        return code;
    }

    private static ulong ReadEntry(PhysicalMemory memory, StoreBuffer? pending, ref Path path, ulong address)
    {
        address &= memory.A20Mask;
        ulong entry;
        if (memory.Offset(address) == ulong.MaxValue)
            entry = path.EntrySize == 8 ? ulong.MaxValue : uint.MaxValue;
        else if (pending is { Count: > 0 })
            entry = pending.Load(address, path.EntrySize);
        else
            entry = memory.Read(address, path.EntrySize);
        memory.NoteTable(address);
        switch (path.Depth++)
        {
            case 0:
                path.Address0 = address;
                break;
            case 1:
                path.Address1 = address;
                break;
            case 2:
                path.Address2 = address;
                break;
            default:
                path.Address3 = address;
                break;
        }
        path.Common &= entry;
        path.Any |= entry;
        path.Leaf = entry;
        path.AccessedClear |= (entry & Accessed) == 0;
        return entry;
    }

    /// <summary>
    /// Sets what is clear. The CPU does so with locked operations (SDM, "Automatic Locking"), and a locked operation comes after the CPU's own
    /// earlier stores (x86-TSO).
    /// </summary>
    private static void SetAccessedAndDirty(PhysicalMemory memory, StoreBuffer? pending, ref Path path, bool write)
    {
        bool setDirty = write && (path.Leaf & Dirty) == 0;
        if (!path.AccessedClear && !setDirty)
            return;
        pending?.DrainAll();
        for (int level = 0; level < path.Depth; level++)
        {
            bool leaf = level == path.Depth - 1;
            ulong address = path.AddressOf(level);
            ulong bits = Accessed | (leaf && setDirty ? Dirty : 0);
            if (memory.Offset(address) == ulong.MaxValue)
                continue;
            ulong entry = memory.Read(address, path.EntrySize);
            if ((entry & bits) != bits)
                memory.Write(address, path.EntrySize, entry | bits);
        }
        if (setDirty)
            path.Leaf |= Dirty;
    }

    /// <summary>Bits MAXPHYADDR-1 to 12: the frame address in an 8-byte entry.</summary>
    private static ulong FrameMask(int physicalAddressBits) => ((1UL << physicalAddressBits) - 1) & Page.Mask;
}
