using System.Numerics;
using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// Data accesses at linear addresses, complete: translation, permissions, page crossing, devices, store buffer. Every method returns false
/// when the access faults, with <see cref="CpuState.Fault"/> filled in and nothing changed. The fast path in Instructions goes straight to RAM
/// when the TLB allows it and comes here otherwise.
/// </summary>
public static unsafe partial class Access
{
    /// <summary>Reads 1, 2, 4 or 8 bytes.</summary>
    public static bool Load(CpuState* s, ulong linear, int size, AccessKind kind, out ulong value)
    {
        value = 0;
        if (!CheckAlignment(s, linear, size, kind))
            return false;
        byte* direct = ReadPointer(s, linear, size, kind);
        if (direct != null)
        {
            value = size switch
            {
                1 => *direct,
                2 => *(ushort*)direct,
                4 => *(uint*)direct,
                _ => *(ulong*)direct,
            };
            return true;
        }
        if (CrossesPage(linear, size))
            return LoadCrossing(s, linear, size, kind, out value);
        TlbEntry* e = Translate(s, linear, size, kind & ~AccessKind.Write);
        if (e == null)
            return false;
        value = Read(s, e, linear, size, kind);
        return true;
    }

    /// <summary>Writes 1, 2, 4 or 8 bytes; into the store buffer where there is one.</summary>
    public static bool Store(CpuState* s, ulong linear, int size, AccessKind kind, ulong value)
    {
        if (!CheckAlignment(s, linear, size, kind))
            return false;
        if (CrossesPage(linear, size))
            return StoreCrossing(s, linear, size, kind, value);
        TlbEntry* e = TranslateWrite(s, linear, kind);
        if (e == null)
            return false;
        Write(s, e, linear, size, kind, value);
        return true;
    }

    /// <summary>Checks that a write would succeed, and changes nothing but accessed and dirty bits.</summary>
    public static bool ProbeWrite(CpuState* s, ulong linear, int size, AccessKind kind)
    {
        if (!CheckAlignment(s, linear, size, kind) || Translate(s, linear, Math.Min(size, BytesInPage(linear)), kind | AccessKind.Write) == null)
            return false;
        return !CrossesPage(linear, size) || Translate(s, NextPage(s, linear), 1, kind | AccessKind.Write) != null;
    }

    /// <summary>Where in RAM these bytes can be read straight, without any further check; null when the slow path must look. Valid until the next access.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static byte* ReadPointer(CpuState* s, ulong linear, int length, AccessKind kind)
    {
        TlbEntry* e = Tlb.Slot(TlbOf(s, kind), linear);
        return e->ReadTag == ((linear + (ulong)(length - 1)) & Page.Mask) ? (byte*)((nint)linear + e->Addend) : null;
    }

    /// <summary>Where in RAM these bytes can be written straight; null when the slow path must look. Valid until the next access.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static byte* WritePointer(CpuState* s, ulong linear, int length, AccessKind kind)
    {
        TlbEntry* e = Tlb.Slot(TlbOf(s, kind), linear);
        return e->WriteTag == ((linear + (ulong)(length - 1)) & Page.Mask) ? (byte*)((nint)linear + e->Addend) : null;
    }

    /// <summary>Records a fault for the loop to deliver; always false, so that callers can return it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Raise(CpuState* s, Vector vector, uint errorCode = 0, ulong linear = 0)
    {
        s->Fault = new FaultInfo { Vector = vector, ErrorCode = errorCode, LinearAddress = linear };
        return false;
    }

    /// <summary>
    /// The translation of an address for an access that stays inside its page; null when it faults. The entry stays valid until the next
    /// call of a method of this class.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* Translate(CpuState* s, ulong linear, int size, AccessKind kind)
    {
        if ((kind & AccessKind.Write) != 0)
            return TranslateWrite(s, linear, kind);
        TlbEntry* e = Cached(TlbOf(s, kind), linear, (kind & AccessKind.Execute) != 0 ? TlbFlags.Execute : TlbFlags.Read);
        return e != null ? e : Walk(s, linear, kind);
    }

    /// <summary>The same for a write.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TlbEntry* TranslateWrite(CpuState* s, ulong linear, AccessKind kind)
    {
        TlbEntry* e = Cached(TlbOf(s, kind), linear, TlbFlags.Write);
        if (e == null)
            return Walk(s, linear, kind | AccessKind.Write);
        if ((e->WriteTag & TlbEntry.SlowBit) != 0 && (e->ReadTag & TlbEntry.SlowBit) == 0)
            AllowDirectWrite(s, e, linear);
        return e;
    }

    /// <summary>The entry that translates an address and grants what is needed; null when there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TlbEntry* Cached(Tlb* tlb, ulong linear, TlbFlags need)
    {
        TlbEntry* e = Tlb.Slot(tlb, linear);
        return (e->ReadTag & ~TlbEntry.SlowBit) == (linear & Page.Mask) && ((TlbFlags)e->PhysicalAndFlags & need) != 0 ? e : null;
    }

    /// <summary>
    /// Implicit supervisor accesses use the supervisor's translations whatever the CPL. With SMAP they are never excused by AC (SDM, "Determination
    /// of Access Rights"), so they use the restrained set.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Tlb* TlbOf(CpuState* s, AccessKind kind) =>
        (kind & AccessKind.Implicit) == 0 ? s->Tlb : s->Tlbs + ((s->Paging.Cr4 & PagingBits.Cr4Smap) != 0 ? 1 : 0);

    /// <summary>True for an address whose upper bits are a sign extension; always true outside 64-bit mode.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsCanonical(ulong linear) => (ulong)((long)(linear << 16) >> 16) == linear;

    /// <summary>
    /// #AC(0) where data must be aligned and are not (SDM, "Alignment Check Exception (#AC)"): to their size, if that is a power of two; blocks of
    /// other sizes are checked by those who know what is in them. Accesses of the processor itself are exempt; an address that is not canonical
    /// faults otherwise.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckAlignment(CpuState* s, ulong linear, int size, AccessKind kind) =>
        (s->ModeKey & ModeKey.AlignmentChecked) == 0 || IsAligned(s, linear, size, kind);

    private static bool IsAligned(CpuState* s, ulong linear, int size, AccessKind kind)
    {
        bool checkedAccess = (kind & AccessKind.Implicit) == 0 && s->Cpl == 3 && size <= 16 && BitOperations.IsPow2(size);
        return !checkedAccess || (linear & (ulong)(size - 1)) == 0 || (s->LongModeActive && !IsCanonical(linear)) || Raise(s, Vector.AlignmentCheck);
    }

    private static TlbEntry* Walk(CpuState* s, ulong linear, AccessKind kind)
    {
        Tlb* tlb = TlbOf(s, kind);
        if (s->LongModeActive && !IsCanonical(linear))
        {
            Raise(s, (kind & AccessKind.Stack) != 0 ? Vector.StackFault : Vector.GeneralProtection);
            return null;
        }
        Cpu cpu = Cpu.Of(s);
        bool user = s->Cpl == 3 && (kind & AccessKind.Implicit) == 0;
        bool smap = tlb == s->Tlbs + 1;
        if (!PageWalk.TryTranslate(cpu.Memory, ref s->Paging, linear, kind, user, smap, out Translation t, cpu.StoreBuffer))
        {
            Raise(s, Vector.PageFault, (uint)t.Error, linear);
            return null;
        }
        ulong physical = t.Physical & Page.Mask;
        // In a machine with store buffers every access goes the slow way, so that loads see the CPU's own waiting stores.
        byte* host = cpu.Memory.Pointer(physical);
        TlbFlags flags = t.Flags | (host != null ? TlbFlags.Ram : 0);
        bool direct = host != null && cpu.StoreBuffer.Capacity == 0 && cpu.Observer == null
            && ((s->DebugArmed & DebugArmed.Data) == 0 || !DebugRegisters.WatchesPage(s, linear));
        PageFlags pageFlags = host != null ? cpu.Memory.Flags[cpu.Memory.Offset(physical) >> Page.Shift] : 0;
        bool directWrite = direct && pageFlags == PageFlags.Dirty;
        return tlb->Fill(linear, physical, flags, direct ? host : null, directWrite);
    }

    /// <summary>A page that was written for the first time since the last snapshot, and holds no code, may be stored to directly from now on.</summary>
    private static void AllowDirectWrite(CpuState* s, TlbEntry* e, ulong linear)
    {
        Cpu cpu = Cpu.Of(s);
        PageFlags* flags = cpu.Memory.Flags + (cpu.Memory.Offset(e->PhysicalAndFlags & Page.Mask) >> Page.Shift);
        if ((*flags & PageFlags.Rom) != 0)
            return;
        *flags |= PageFlags.Dirty;
        if ((*flags & PageFlags.Code) == 0)
            e->WriteTag = linear & Page.Mask;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read(CpuState* s, TlbEntry* e, ulong linear, int size, AccessKind kind)
    {
        ulong physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        Cpu cpu = Cpu.Of(s);
        // Not where the processor reads its tables: #DB would then come of its own delivery.
        if ((s->DebugArmed & DebugArmed.Data) != 0 && (kind & AccessKind.Implicit) == 0)
            DebugRegisters.NoteData(s, linear, size, write: false);
        if (((TlbFlags)e->PhysicalAndFlags & TlbFlags.Ram) == 0)
            return ReadDevice(cpu, physical, size);
        cpu.Observer?.Loads(physical, linear, size);
        return cpu.StoreBuffer.Count == 0 ? cpu.Memory.Read(physical, size) : cpu.StoreBuffer.Load(physical, size);
    }

    private static ulong ReadDevice(Cpu cpu, ulong physical, int size)
    {
        if (cpu.Observer?.ReachesDevice() == false)
            return 0;
        // Uncached: earlier stores first (SDM, "Strengthening or Weakening the Memory-Ordering Model").
        cpu.StoreBuffer.DrainAll();
        // A CPU's own local APIC takes the access before it comes to the bus (SDM, "Local APIC").
        return cpu.Apic.TryReadPage(physical, size, out ulong value) ? value : cpu.Bus.ReadMmio(cpu.Index, physical, size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(CpuState* s, TlbEntry* e, ulong linear, int size, AccessKind kind, ulong value)
    {
        ulong physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        Cpu cpu = Cpu.Of(s);
        if ((s->DebugArmed & DebugArmed.Data) != 0 && (kind & AccessKind.Implicit) == 0)
            DebugRegisters.NoteData(s, linear, size, write: true);
        if (((TlbFlags)e->PhysicalAndFlags & TlbFlags.Ram) == 0)
            WriteDevice(cpu, physical, size, value);
        else
            cpu.StoreBuffer.Add(physical, linear, size, value, s->Rip);
    }

    private static void WriteDevice(Cpu cpu, ulong physical, int size, ulong value)
    {
        if (cpu.Observer?.ReachesDevice() == false)
            return;
        if (cpu.Profile.XapicIcrWaits)
            cpu.StoreBuffer.DrainAll();
        if (cpu.Apic.TryWritePage(physical, size, value))
            return;
        // A device that reads RAM, as a disk does, finds there what was stored before it was told.
        cpu.StoreBuffer.DrainAll();
        cpu.Bus.WriteMmio(cpu.Index, physical, size, value);
    }

    private static bool LoadCrossing(CpuState* s, ulong linear, int size, AccessKind kind, out ulong value)
    {
        value = 0;
        int first = BytesInPage(linear);
        ulong second = NextPage(s, linear);
        // Both pages are checked before either is read: a device register must not be touched by an access that faults.
        if (Translate(s, linear, first, kind) == null || Translate(s, second, size - first, kind) == null)
            return false;
        for (int i = 0; i < size; i++)
        {
            ulong at = i < first ? linear + (ulong)i : second + (ulong)(i - first);
            TlbEntry* e = Translate(s, at, 1, kind);
            value |= Read(s, e, at, 1, kind) << (8 * i);
        }
        return true;
    }

    private static bool StoreCrossing(CpuState* s, ulong linear, int size, AccessKind kind, ulong value)
    {
        if (!ProbeWrite(s, linear, size, kind))
            return false;
        int first = BytesInPage(linear);
        ulong second = NextPage(s, linear);
        for (int i = 0; i < size; i++)
        {
            ulong at = i < first ? linear + (ulong)i : second + (ulong)(i - first);
            TlbEntry* e = Translate(s, at, 1, kind | AccessKind.Write);
            Write(s, e, at, 1, kind, (value >> (8 * i)) & 0xFF);
        }
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool CrossesPage(ulong linear, int size) => (linear & Page.OffsetMask) + (ulong)size > Page.Size;

    private static int BytesInPage(ulong linear) => Page.Size - (int)(linear & Page.OffsetMask);

    /// <summary>
    /// Start of the following page; outside 64-bit mode linear addresses wrap at 4 GiB. An address above 4 GiB is one of 64-bit mode even while CS
    /// is still another's: the stack to which an interrupt switches, a descriptor table.
    /// </summary>
    private static ulong NextPage(CpuState* s, ulong linear)
    {
        ulong next = (linear & Page.Mask) + Page.Size;
        return s->Is64Bit || linear > uint.MaxValue ? next : next & uint.MaxValue;
    }
}
