using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>A 64-bit hash of what a machine is and did; the same on every host.</summary>
internal static unsafe class StateHash
{
    private const ulong Prime = 0x9E37_79B1_85EB_CA87;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Combine(ulong hash, ulong value)
    {
        hash = (hash ^ value) * Prime;
        return hash ^ (hash >> 29);
    }

    /// <summary>How far a CPU has come: what is hashed at the end of every slice, and so must cost little.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong OfProgress(Cpu cpu)
    {
        CpuState* s = cpu.State;
        ulong hash = Combine((ulong)cpu.Index.Value ^ s->Rip, s->Registers[0] ^ s->Retired << 16);
        return Combine(hash, s->Registers[4] ^ s->FlagResult << 7);
    }

    /// <summary>Registers, flags and instruction pointer of a CPU.</summary>
    public static ulong OfCpu(Cpu cpu)
    {
        CpuState* s = cpu.State;
        ulong hash = Combine((ulong)cpu.Index.Value, s->Rip);
        for (int i = 0; i < 16; i++)
            hash = Combine(hash, s->Registers[i]);
        FloatingState* f = &s->Floating;
        for (int i = 0; i < 32; i++)
            hash = Combine(hash, f->Xmm[i]);
        for (int i = 0; i < 16; i++)
            hash = Combine(hash, f->X87[i]);
        hash = Combine(hash, (ulong)f->Control << 48 | (ulong)f->Status << 32 | f->Mxcsr);
        return Combine(Combine(hash, f->Tags), Flags.Get(s));
    }

    /// <summary>All CPUs, RAM, and the time.</summary>
    public static ulong OfMachine(Machine machine)
    {
        ulong hash = Combine(machine.Now, machine.Instructions);
        foreach (Cpu cpu in machine.Cpus)
        {
            hash = Combine(hash, OfCpu(cpu));
            hash = Combine(hash, cpu.State->Paging.Cr0);
            hash = Combine(hash, cpu.State->Paging.Cr3);
            hash = Combine(hash, (ulong)cpu.State->Activity);
        }
        return Combine(hash, OfRam(machine.Memory));
    }

    private static ulong OfRam(PhysicalMemory memory)
    {
        ulong hash = 0;
        for (int page = 0; page < memory.PageCount; page++)
        {
            var words = new ReadOnlySpan<ulong>(memory.Base + ((long)page << Page.Shift), Page.Size / 8);
            if (!words.ContainsAnyExcept(0UL))
                continue;
            hash = Combine(hash, (ulong)page);
            foreach (ulong word in words)
                hash = (hash ^ word) * Prime;
            hash ^= hash >> 31;
        }
        return hash;
    }
}
