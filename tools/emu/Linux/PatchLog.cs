using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>The first time that a CPU executed a site after it was patched.</summary>
/// <param name="Time">Ticks.</param>
/// <param name="Serialised">What had serialised the CPU last; null where nobody checks.</param>
internal sealed record SiteExecution(ulong Time, XmcSerialisation? Serialised);

/// <summary>A place in the code that the kernel patched.</summary>
/// <param name="address">Linear address of its first byte.</param>
/// <param name="physical">Its physical address.</param>
internal sealed class PatchSite(ulong address, ulong physical, int cpus)
{
    public ulong Address { get; } = address;
    public ulong Physical { get; } = physical;

    /// <summary>Bytes that were written.</summary>
    public int Length { get; set; } = 1;

    /// <summary>What stood there before it was patched the last time; as many bytes as an instruction may have.</summary>
    public byte[] Old { get; } = new byte[15];

    /// <summary>How often it was patched from beginning to end.</summary>
    public long Times { get; set; }

    /// <summary>A breakpoint was written over its first byte, and nothing over that yet.</summary>
    public bool HasBreakpoint { get; set; }

    /// <summary>How often a CPU took that breakpoint.</summary>
    public long Traps { get; set; }

    /// <summary>When the last write began, in ticks, and on which CPU.</summary>
    public ulong Time { get; set; }
    public int Writer { get; set; }

    /// <summary>By CPU: its first execution since; null where there is none.</summary>
    public SiteExecution?[] Executions { get; } = new SiteExecution?[cpus];
}

/// <summary>
/// What a Linux kernel patches, put together from the calls of __text_poke (arch/x86/kernel/alternative.c): a breakpoint over the first byte, the rest, the first byte; or
/// all at once. Code that it changes otherwise (text_poke_early, modules that are loaded) is not in it.
/// </summary>
internal sealed class PatchLog
{
    public const string Batch = "text_poke_bp_batch";
    public const string Poke = "__text_poke";
    public const string BreakpointHandler = "poke_int3_handler";

    private const byte Int3 = 0xCC;
    private const ulong LongestPoke = 4096;

    /// <summary>Offset of ip in struct pt_regs (arch/x86/include/asm/ptrace.h): behind sixteen registers.</summary>
    private const ulong SavedIp = 16 * 8;

    private readonly Dictionary<ulong, PatchSite> _sites = [];
    private Machine _machine;

    public PatchLog(Machine machine) => _machine = machine;

    /// <summary>In the order in which they were patched first.</summary>
    public IReadOnlyCollection<PatchSite> Sites => _sites.Values;

    /// <summary>Breakpoints taken where none of these was written: the boot's self-test, and what nobody should have executed.</summary>
    public long StrayTraps { get; private set; }

    /// <summary>Goes on in another machine.</summary>
    public void Attach(Machine machine)
    {
        _machine = machine;
        foreach (PatchSite site in _sites.Values)
            if (site.Times != 0 && site.Executions.Any(e => e == null))
                machine.Watch.Add(site.Address);
    }

    /// <summary>What is to be done when a function of this name is entered; null for nothing.</summary>
    public Action<Cpu>? HandlerOf(string name, SymbolTable symbols)
    {
        if (name == BreakpointHandler)
            return Trapped;
        if (name != Poke)
            return null;
        // Since Linux 6.0: (how, addr, src, len). Before: (addr, opcode, len).
        bool how = symbols.TryFind("text_poke_memcpy", out _);
        return cpu => Poked(cpu, CpuRegisters.Read(cpu, how ? "rsi" : "rdi"), CpuRegisters.Read(cpu, how ? "rdx" : "rsi"), CpuRegisters.Read(cpu, how ? "rcx" : "rdx"));
    }

    /// <summary>A watched address is reached: the CPU executes a site as it was patched.</summary>
    public void Reached(Cpu cpu, ulong linear)
    {
        // A breakpoint is not what it was patched to.
        if (!_sites.TryGetValue(linear, out PatchSite? site) || site.HasBreakpoint || _machine.Memory.Read(site.Physical, 1) == Int3)
            return;
        site.Executions[cpu.Index.Value] ??= new SiteExecution(_machine.Now, _machine.Monitor?.LastSerialisation(cpu.Index));
        if (Array.TrueForAll(site.Executions, e => e != null))
            _machine.Watch.Remove(linear);
    }

    /// <summary>What memory holds at a site now.</summary>
    public byte[] Present(PatchSite site)
    {
        byte[] bytes = new byte[site.Length];
        _machine.Memory.TryRead(site.Physical, bytes);
        return bytes;
    }

    private void Poked(Cpu cpu, ulong address, ulong source, ulong length)
    {
        byte[] first = new byte[1];
        if (length is 0 or > LongestPoke || !CpuView.TryRead(cpu, source, first) || !CpuView.TryTranslate(cpu, address, out ulong physical))
            return;
        // Behind a breakpoint: the rest of an instruction.
        if (_sites.TryGetValue(address - 1, out PatchSite? before) && before.HasBreakpoint)
        {
            before.Length = Math.Max(before.Length, (int)length + 1);
            return;
        }
        if (!_sites.TryGetValue(address, out PatchSite? site))
            site = _sites[address] = new PatchSite(address, physical, _machine.Cpus.Count);
        (site.Time, site.Writer) = (_machine.Now, cpu.Index.Value);
        if (length == 1 && first[0] == Int3)
        {
            Begin(cpu, site);
            site.HasBreakpoint = true;
            return;
        }
        if (!site.HasBreakpoint)
            Begin(cpu, site);
        site.HasBreakpoint = false;
        site.Length = Math.Max(site.Length, (int)length);
        site.Times++;
        Array.Clear(site.Executions);
        _machine.Watch.Add(address, physical);
    }

    private static void Begin(Cpu cpu, PatchSite site)
    {
        // At the end of a mapping there may be fewer.
        for (int n = site.Old.Length; n > 0 && !CpuView.TryRead(cpu, site.Address, site.Old.AsSpan(0, n)); n--)
            site.Old.AsSpan().Clear();
    }

    private void Trapped(Cpu cpu)
    {
        byte[] ip = new byte[8];
        if (CpuView.TryRead(cpu, CpuRegisters.Read(cpu, "rdi") + SavedIp, ip) && _sites.TryGetValue(BitConverter.ToUInt64(ip) - 1, out PatchSite? site))
            site.Traps++;
        else
            StrayTraps++;
    }
}
