using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>LFENCE, SFENCE, MFENCE, SERIALIZE, CLFLUSH, CLFLUSHOPT, CLWB, INVD, WBINVD.</summary>
public static unsafe class Fences
{
    /// <summary>
    /// LFENCE: "does not execute until all prior instructions have completed locally". Here an instruction completes before the next one begins; what
    /// was prefetched stays (SDM, LFENCE: "does not serialize instruction fetch"), so there is nothing to do.
    /// </summary>
    public static void Lfence(ref Lowering l) => Miscellaneous.Nop(ref l);

    /// <summary>SFENCE orders stores among themselves, as x86-TSO does anyway for all memory that is modelled (write-back); it waits for none.</summary>
    public static void Sfence(ref Lowering l) => Miscellaneous.Nop(ref l);

    /// <summary>MFENCE: all earlier stores are in memory before anything later; whether it also discards prefetched code is the profile's business.</summary>
    public static void Mfence(ref Lowering l) => l.Use(&DrainStores);

    /// <summary>SERIALIZE.</summary>
    public static void Serialize(ref Lowering l) => l.Use(&SerialiseAll);

    /// <summary>CLFLUSH, CLFLUSHOPT, CLWB: there is no cache to flush, but the address is checked as that of a load; ordered as a store, it drains nothing.</summary>
    public static void CacheLine(ref Lowering l)
    {
        l.Memory();
        l.Use(&CheckLine);
    }

    /// <summary>INVD and WBINVD: privileged, and serialising.</summary>
    public static void CacheAll(ref Lowering l) => l.Use(&InvalidateCaches);

    private static Op* DrainStores(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        Cpu cpu = Cpu.Of(s);
        if (cpu.Profile.MfenceSerialises)
            cpu.Serialise(SerialisingEvent.Mfence);
        else
            cpu.StoreBuffer.DrainAll();
        return Full.Next(s, op);
    }

    private static Op* SerialiseAll(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        Cpu.Of(s).Serialise(SerialisingEvent.Serialize);
        return Full.Next(s, op);
    }

    private static Op* CheckLine(CpuState* s, Op* op) =>
        SystemOperation.Next(s, op, Full.Linear(s, op, 1, AccessKind.Read, out ulong linear) && Access.Translate(s, linear, 1, Full.Kind(op)) != null);

    private static Op* InvalidateCaches(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        if (!Privilege.CheckCpl0(s))
            return Chain.Fault(s, op);
        Cpu.Of(s).Serialise(SerialisingEvent.CacheInvalidation);
        return Full.Next(s, op);
    }
}
