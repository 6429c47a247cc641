using Emu.Cpus;
using Emu.Fetch;

namespace Emu.Differ.Fuzz;

/// <summary>A stream of bytes that upset the host, and how to run it again.</summary>
public sealed record FuzzFailure(string Replay, Exception Cause);

/// <summary>
/// Executes random bytes on random state. Nothing is compared: the host must not be upset, whatever the guest does. Everything follows from seed, mode
/// and number; streams run in groups from the same memory, so that one may leave what the next one meets.
/// </summary>
public sealed unsafe class Fuzzer : IDisposable
{
    /// <summary>Streams between two restorations of memory and devices; a replay begins at a multiple of it.</summary>
    public const int Group = 64;

    private const int CodeBytes = 24;
    private const int Instructions = 12;

    private readonly ulong _seed;
    private readonly FuzzMode _mode;

    /// <summary>Of the coherent machine, and of one with prefetch queue and store buffer.</summary>
    private readonly FuzzWorld[] _worlds;

    public Fuzzer(ulong seed, FuzzMode mode)
    {
        _seed = seed;
        _mode = mode;
        _worlds = [new FuzzWorld(mode, FetchProfiles.Coherent), new FuzzWorld(mode, FetchProfiles.P6)];
    }

    /// <summary>Streams that came to the HLT of a handler.</summary>
    public long Halted { get; private set; }

    /// <summary>Instructions retired.</summary>
    public long Retired { get; private set; }

    /// <summary>Leads a translation astray after each group; for the test that it is noticed.</summary>
    public bool Sabotage { get; init; }

    /// <summary>Runs one group, number <paramref name="first"/> and those behind it; null when nothing was upset.</summary>
    public FuzzFailure? RunGroup(long first)
    {
        // One group in four on the modelled machine, which is slower.
        FuzzWorld world = _worlds[first / Group % 4 == 3 ? 1 : 0];
        long at = first;
        try
        {
            world.Restore();
            for (; at < first + Group; at++)
                RunStream(world, at);
            if (Sabotage)
                world.LeadAstray();
            world.CheckTranslations();
            return null;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return new FuzzFailure($"emu diff fuzz --mode {_mode} --seed {_seed} --first {first} --count {Group} (stream {at})", e);
        }
    }

    public void Dispose()
    {
        foreach (FuzzWorld world in _worlds)
            world.Dispose();
    }

    private void RunStream(FuzzWorld world, long number)
    {
        ulong random = _seed * 0x9E37_79B9_7F4A_7C15 ^ (ulong)number ^ (ulong)_mode << 56;
        CpuState* s = world.Rewind();
        for (int i = 0; i < 16; i++)
            s->Registers[i] = Value(ref random);
        s->Registers[1] = SplitMix64.Next(ref random) % 300; // REP may take its time.
        ulong bits = SplitMix64.Next(ref random);
        s->Registers[4] = (bits & 7) == 0 ? s->Registers[4] : _mode <= FuzzMode.Virtual8086 ? 0x8000 : 0x3_8000 + (bits >> 8 & 0x1FFF);
        ulong flags = bits >> 24 & (Rflags.Arithmetic | Rflags.Df | Rflags.If | Rflags.IoplMask | Rflags.Ac | ((bits & 0x70) == 0 ? Rflags.Tf : 0));
        if (_mode >= FuzzMode.Protected16 && (bits & 8) != 0)
            FuzzWorld.EnterUser(s, _mode);
        // Now and then: alignment checks, write protection, PVI and VME, breakpoints.
        s->Paging.Cr0 |= (bits >> 56 & 1) << 18 | (bits >> 57 & 1) << 16;
        s->Paging.Cr4 |= (bits >> 58 & 1) * 3 | (bits >> 59 & 1) << 9;
        if ((bits >> 60) == 0)
        {
            for (int i = 0; i < 4; i++)
                s->DebugAddress[i] = Value(ref random);
            s->Dr7 = DebugRegisters.Dr7Reserved | SplitMix64.Next(ref random) & 0xFFFF_23FF;
            DebugRegisters.Arm(s);
        }
        Flags.Set(s, s->SystemFlags & Rflags.Vm | flags);
        CpuMode.Update(s);
        PlaceCode(world, s, ref random);
        long before = (long)s->Retired;
        world.Run(Instructions, stepping: (bits >> 61 & 1) != 0);
        Retired += (long)s->Retired - before;
        if (s->Activity == Activity.Halted)
            Halted++;
    }

    private void PlaceCode(FuzzWorld world, CpuState* s, ref ulong random)
    {
        Span<byte> code = stackalloc byte[CodeBytes];
        for (int i = 0; i < CodeBytes; i += 8)
            BitConverter.TryWriteBytes(code[i..], SplitMix64.Next(ref random));
        ulong bits = SplitMix64.Next(ref random);
        ReadOnlySpan<byte> prefixes = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x64, 0x48];
        if ((bits & 3) == 0)
            code[0] = 0x0F;
        else if ((bits & 3) == 1)
            (code[0], code[1]) = (prefixes[(int)(bits >> 8 & 7)], (bits & 4) != 0 ? (byte)0x0F : code[1]);
        // At the end of a page now and then.
        uint offset = (bits >> 16 & 7) == 0 ? 0xFF0 + (uint)(bits >> 20 & 15) : (uint)(bits >> 20 & 0xFFF);
        ulong at = 0x2_0000 + 0x1000 * (bits >> 32 & 7) + offset;
        _ = world.Memory.TryWrite(at, code);
        s->Rip = _mode <= FuzzMode.Virtual8086 ? at & 0xFFFF : at;
        if (_mode == FuzzMode.Protected16)
        {
            // 16-bit code reaches 64 KiB of its segment.
            s->Cs.Base = 0x2_0000;
            s->Rip = at - 0x2_0000;
            CpuMode.Update(s);
        }
    }

    /// <summary>A small number, an address in RAM or near its end, a selector, one at the edge of something, or any.</summary>
    private static ulong Value(ref ulong random)
    {
        ulong bits = SplitMix64.Next(ref random);
        ulong more = bits >> 8;
        return (bits & 7) switch
        {
            0 => more % 300,
            1 or 2 => more % FuzzWorld.RamSize,
            3 => 0x2_0000 + more % 0x2_0000,
            4 => more % 0x90,
            5 => (more & 7) switch { 0 => 0x7FFF_FFFF_FFFF, 1 => 0xFFFF_8000_0000_0000, 2 => 0xFFFF_FFFF, 3 => 0xFEE0_0000 + (more >> 3 & 0xFFF), 4 => 0xFFFF, 5 => ulong.MaxValue, 6 => 1UL << (int)(more >> 3 & 63), _ => FuzzWorld.RamSize - 1 },
            6 => (uint)more,
            _ => SplitMix64.Next(ref random),
        };
    }
}
