using System.Numerics;
using System.Runtime.InteropServices;
using Emu.Cpus;

namespace Emu.Exploration;

/// <summary>Hashes of what makes two states of a machine equal for all that can follow.</summary>
internal static unsafe class StateMixer
{
    private const ulong Prime = 0x9E37_79B9_7F4A_7C15;
    private static readonly FloatingState UnusedFloating = FloatingState.AfterPowerUp;

    public static ulong Mix(ulong hash, ulong value)
    {
        hash = (hash ^ value) * Prime;
        return hash ^ (hash >> 29);
    }

    /// <summary>Of a CPU.</summary>
    public static ulong OfCpu(Cpu cpu) => OfCpu(cpu.State);

    /// <summary>Everything architectural in a CPU's state; not: counters, caches, addresses of the host, the last fault.</summary>
    public static ulong OfCpu(CpuState* s)
    {
        ulong hash = Mix(Mix((ulong)s->Index + 1, s->Rip), Flags.Get(s));
        hash = Range(hash, &s->Registers[0], 16);
        hash = Mix(hash, (ulong)s->Activity << 32 ^ (ulong)s->InterruptShadow << 8 ^ (ulong)s->NmiBlocked << 4 ^ (ulong)s->Cpl);
        hash = Mix(Mix(Mix(hash, s->Paging.Cr0), s->Paging.Cr2), s->Paging.Cr3);
        hash = Mix(Mix(Mix(hash, s->Paging.Cr4), s->Paging.Efer), s->Cr8);
        // Segments and tables as one range; Es to Idtr follow each other (their order is part of CpuState's contract).
        hash = Range(hash, (ulong*)&s->Es, (8 * sizeof(SegmentRegister) + 2 * sizeof(TableRegister)) / 8);
        hash = Range(hash, &s->DebugAddress[0], 6);
        hash = Range(hash, &s->Star, 8);
        if (IsFloatingUsed(s))
            hash = Range(hash, &s->Floating.Xmm[0], sizeof(FloatingState) / 8);
        return s->Activity == Activity.Waiting ? Mix(hash, s->MonitorAddress) : hash;
    }

    /// <summary>False for registers of x87, MMX and SSE as they are after power-up: most guests leave them alone.</summary>
    private static bool IsFloatingUsed(CpuState* s)
    {
        var used = new ReadOnlySpan<byte>(&s->Floating, sizeof(FloatingState));
        return !used.SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<FloatingState>(in UnusedFloating)));
    }

    private static ulong Range(ulong hash, ulong* words, int count)
    {
        ulong a = hash, b = hash * Prime;
        int i = 0;
        for (; i + 1 < count; i += 2)
        {
            a = (a ^ words[i]) * Prime;
            b = (BitOperations.RotateLeft(b, 23) ^ words[i + 1]) * 0xBF58_476D_1CE4_E5B9;
            a ^= a >> 31;
        }
        if (i < count)
            a = (a ^ words[i]) * Prime;
        return Mix(a, b);
    }
}
