using System.Runtime.InteropServices;

namespace Emu.Differ.Unicorn;

/// <summary>What a run of Unicorn ended with, besides its registers and memory.</summary>
public struct UnicornStop
{
    /// <summary>What uc_emu_start returned.</summary>
    public UnicornError Error;

    /// <summary>Exception or interrupt number, or -1.</summary>
    public int Vector;

    /// <summary>Address of an access to memory that is not mapped (physically), or ulong.MaxValue.</summary>
    public ulong UnmappedAddress;

    /// <summary>CR2 when <see cref="Vector"/> is #PF.</summary>
    public ulong FaultAddress;

    /// <summary>It entered more blocks than it may.</summary>
    public bool Runaway;
}

/// <summary>An error of a call that the differ has no use for: it is a fault of the differ, or of a Unicorn unlike the one it was written for.</summary>
public sealed class UnicornException(string message) : Exception(message);

/// <summary>
/// One Unicorn engine. Exceptions do not go through the guest's IDT: Unicorn reports them and the run ends. Unicorn itself then believes to be
/// still delivering the exception, so that a second would become a double fault; <see cref="Restore"/> takes that back too.
/// </summary>
public sealed unsafe class UnicornEngine : IDisposable
{
    private readonly nint _engine;
    private readonly nint _context;
    private GCHandle _self;
    private UnicornStop _stop;
    private int _blocks;

    /// <summary>Opens an engine.</summary>
    /// <exception cref="OracleMissingException">The library cannot be had.</exception>
    public UnicornEngine(UnicornMode mode, UnicornCpu cpu)
    {
        UnicornLibrary.Require();
        Check(Native.uc_open(Native.ArchX86, (int)mode, out _engine), "uc_open");
        Check(Native.uc_ctl_set(_engine, Native.CtlSetCpuModel, (int)cpu), "uc_ctl(UC_CTL_CPU_MODEL)");
        Check(Native.uc_ctl_set(_engine, Native.CtlUseExits, 1), "uc_ctl(UC_CTL_UC_USE_EXITS)");
        _self = GCHandle.Alloc(this);
        delegate* unmanaged<nint, uint, nint, void> interrupt = &OnInterrupt;
        AddHook(UnicornHooks.Interrupt, interrupt);
        delegate* unmanaged<nint, int, ulong, int, long, nint, byte> invalid = &OnInvalidMemory;
        AddHook(UnicornHooks.MemoryInvalid, invalid);
        Check(Native.uc_context_alloc(_engine, out _context), "uc_context_alloc");
    }

    /// <summary>Maps host memory at a physical address, readable, writable and executable.</summary>
    public void Map(ulong address, ulong size, void* host) => Check(Native.uc_mem_map_ptr(_engine, address, (nuint)size, 7, host), "uc_mem_map_ptr");

    /// <summary>Takes a mapping back.</summary>
    public void Unmap(ulong address, ulong size) => Check(Native.uc_mem_unmap(_engine, address, (nuint)size), "uc_mem_unmap");

    /// <summary>
    /// Asked when nothing is mapped at an address: it may map something there and return true, and the access goes on.
    /// </summary>
    public Func<ulong, bool>? OnUnmapped { get; set; }

    /// <summary>Blocks that a run may enter before it is stopped: a guard against an exit that is never reached. 0 for no limit.</summary>
    public int MaximumBlocks { get; set; }

    /// <summary>Remembers all registers.</summary>
    public void Save() => Check(Native.uc_context_save(_engine, _context), "uc_context_save");

    /// <summary>Brings back the registers of <see cref="Save"/>.</summary>
    public void Restore() => Check(Native.uc_context_restore(_engine, _context), "uc_context_restore");

    public ulong Read(UnicornRegister register)
    {
        ulong value = 0;
        Check(Native.uc_reg_read(_engine, (int)register, &value), "uc_reg_read");
        return value;
    }

    public void Write(UnicornRegister register, ulong value) => Check(Native.uc_reg_write(_engine, (int)register, &value), "uc_reg_write");

    /// <summary>Writes a model-specific register.</summary>
    public void WriteMsr(uint number, ulong value)
    {
        UnicornMsr msr = new() { Number = number, Value = value };
        Check(Native.uc_reg_write(_engine, (int)UnicornRegister.Msr, &msr), "uc_reg_write(UC_X86_REG_MSR)");
    }

    public UnicornTableRegister ReadTable(UnicornRegister register)
    {
        UnicornTableRegister value = default;
        Check(Native.uc_reg_read(_engine, (int)register, &value), "uc_reg_read");
        return value;
    }

    public void WriteTable(UnicornRegister register, UnicornTableRegister value) =>
        Check(Native.uc_reg_write(_engine, (int)register, &value), "uc_reg_write");

    /// <summary>Reads several registers; <paramref name="values"/> are pointers to 8 bytes each.</summary>
    public void ReadBatch(int* registers, void** values, int count) =>
        Check(Native.uc_reg_read_batch(_engine, registers, values, count), "uc_reg_read_batch");

    public void WriteBatch(int* registers, void** values, int count) =>
        Check(Native.uc_reg_write_batch(_engine, registers, values, count), "uc_reg_write_batch");

    /// <summary>
    /// Forgets the translations of a range of code, which was changed behind Unicorn's back. Not by UC_CTL_TB_FLUSH, which clears the buffer for
    /// translated code, all of its gigabyte.
    /// </summary>
    public void RemoveTranslations(ulong begin, ulong end) =>
        Check(Native.uc_ctl_remove(_engine, Native.CtlRemoveTranslations, begin, end), "uc_ctl(UC_CTL_TB_REMOVE_CACHE)");

    /// <summary>
    /// Where runs end, before the instruction at that linear address. Runs are not ended by uc_emu_start's count: with it each round of a REP
    /// counts, EIP is wrong in real-address mode, and the code behind the end is translated, on some of which Unicorn aborts the process.
    /// </summary>
    public void SetExits(ReadOnlySpan<ulong> addresses)
    {
        fixed (ulong* exits = addresses)
            Check(Native.uc_ctl_set_exits(_engine, Native.CtlSetExits, exits, (nuint)addresses.Length), "uc_ctl(UC_CTL_UC_EXITS)");
    }

    /// <summary>Runs from a linear address to an exit, an exception or a fault.</summary>
    public UnicornStop Run(ulong begin)
    {
        _stop = new UnicornStop { Vector = -1, UnmappedAddress = ulong.MaxValue };
        _blocks = 0;
        _stop.Error = Native.uc_emu_start(_engine, begin, 0, 0, 0);
        if (_stop.Error == UnicornError.InvalidInstruction)
            _stop.Vector = 6;
        return _stop;
    }

    /// <summary>Counts blocks, for <see cref="MaximumBlocks"/>.</summary>
    public void CountBlocks()
    {
        delegate* unmanaged<nint, ulong, uint, nint, void> block = &OnBlock;
        AddHook(UnicornHooks.Block, block);
    }

    public void Dispose()
    {
        if (!_self.IsAllocated)
            return;
        Native.uc_context_free(_context);
        Native.uc_close(_engine);
        _self.Free();
    }

    private void AddHook(UnicornHooks type, void* callback) =>
        // begin > end: everywhere.
        Check(Native.uc_hook_add(_engine, out _, (int)type, callback, GCHandle.ToIntPtr(_self), 1, 0, 0), "uc_hook_add");

    private static UnicornEngine Of(nint user) => (UnicornEngine)GCHandle.FromIntPtr(user).Target!;

    [UnmanagedCallersOnly]
    private static void OnInterrupt(nint engine, uint vector, nint user)
    {
        UnicornEngine self = Of(user);
        if (self._stop.Vector < 0)
        {
            self._stop.Vector = (int)vector;
            // Now: when a run ends Unicorn looks up the addresses of the exits, and may fault in that.
            if (vector == 14)
                self._stop.FaultAddress = self.Read(UnicornRegister.Cr2);
        }
        Native.uc_emu_stop(engine);
    }

    [UnmanagedCallersOnly]
    private static byte OnInvalidMemory(nint engine, int type, ulong address, int size, long value, nint user)
    {
        UnicornEngine self = Of(user);
        if (self.OnUnmapped?.Invoke(address) == true)
            return 1;
        self._stop.UnmappedAddress = address;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static void OnBlock(nint engine, ulong address, uint size, nint user)
    {
        UnicornEngine self = Of(user);
        if (++self._blocks > self.MaximumBlocks && self.MaximumBlocks != 0)
        {
            self._stop.Runaway = true;
            Native.uc_emu_stop(engine);
        }
    }

    private static void Check(UnicornError error, string call)
    {
        if (error != UnicornError.Ok)
            throw new UnicornException($"{call}: {Marshal.PtrToStringAnsi((nint)Native.uc_strerror(error))}");
    }
}

/// <summary>enum uc_cpu_x86, as far as the differ uses it.</summary>
public enum UnicornCpu
{
    Pentium3 = 10,
    SkylakeClient = 21,
}
