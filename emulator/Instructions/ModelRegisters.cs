using Emu.Cpus;
using F = Emu.Cpus.ControlBits;

namespace Emu.Instructions;

/// <summary>CPUID, RDTSC, RDTSCP, RDPID, RDPMC, RDMSR, WRMSR, SWAPGS, RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE.</summary>
public static unsafe class ModelRegisters
{
    private const byte Ax = 0;
    private const byte Cx = 1 * 8;
    private const byte Dx = 2 * 8;

    public static void Cpuid(ref Lowering l) => l.Use(&ExecuteCpuid);

    public static void Rdtsc(ref Lowering l) => l.Use(&ReadTime);

    /// <summary>RDTSCP: "waits until all previous instructions have been executed", which they have.</summary>
    public static void Rdtscp(ref Lowering l) => l.Use(&ReadTimeAndProcessor);

    /// <summary>RDPMC: no model has counters.</summary>
    public static void Rdpmc(ref Lowering l) => l.Use(&RefuseCounter);

    public static void Rdmsr(ref Lowering l) => l.Use(&ReadMsr);

    /// <summary>WRMSR ends its block: it may change mode, time and interrupts.</summary>
    public static void Wrmsr(ref Lowering l) => l.Use(&WriteMsr, FlowKind.EndsAfter);

    public static void Swapgs(ref Lowering l) => l.Use(&ExecuteSwapgs);

    public static void Rdpid(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Use(&ReadProcessorId);
    }

    /// <summary>RDFSBASE and RDGSBASE.</summary>
    public static void ReadBase(ref Lowering l, SegmentIndex segment)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = (byte)segment;
        l.Select<LoadBase>(l.SizeOf(0));
    }

    /// <summary>WRFSBASE and WRGSBASE.</summary>
    public static void WriteBase(ref Lowering l, SegmentIndex segment)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = (byte)segment;
        l.Select<StoreBase>(l.SizeOf(0));
    }

    private static Op* ExecuteCpuid(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.Next(s, op, Cpus.Cpuid.Execute(s));
    }

    private static Op* ReadTime(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        if (!Msrs.Rdtsc(s, out ulong time))
            return Chain.Fault(s, op);
        Width.Write<W32>(s, Ax, time);
        Width.Write<W32>(s, Dx, time >> 32);
        return Full.Next(s, op);
    }

    private static Op* ReadTimeAndProcessor(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        if (!Msrs.Rdtsc(s, out ulong time))
            return Chain.Fault(s, op);
        Width.Write<W32>(s, Ax, time);
        Width.Write<W32>(s, Dx, time >> 32);
        Width.Write<W32>(s, Cx, s->TscAux);
        return Full.Next(s, op);
    }

    private static Op* RefuseCounter(CpuState* s, Op* op) => Chain.Fault(s, op, Vector.GeneralProtection);

    private static Op* ReadMsr(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.Next(s, op, Msrs.Rdmsr(s));
    }

    private static Op* WriteMsr(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAfter(s, op, Msrs.Wrmsr(s));
    }

    private static Op* ExecuteSwapgs(CpuState* s, Op* op) => SystemOperation.Next(s, op, SystemCalls.Swapgs(s));

    private static Op* ReadProcessorId(CpuState* s, Op* op)
    {
        // The register has the width of the mode, the value 32 bits.
        Width.Write<W32>(s, op->Reg0, s->TscAux);
        return Chain.Next(s, op);
    }

    /// <summary>"#UD: not in 64-bit mode, or CR4.FSGSBASE = 0."</summary>
    private static bool BasesEnabled(CpuState* s) => s->Is64Bit && (s->Paging.Cr4 & F.Cr4FsGsBase) != 0;

    private readonly struct LoadBase : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!BasesEnabled(s))
                return Chain.Fault(s, op, Vector.InvalidOpcode);
            Width.Write<W>(s, op->Reg0, (&s->Es)[op->Reg1].Base);
            return Chain.Next(s, op);
        }
    }

    private readonly struct StoreBase : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!BasesEnabled(s))
                return Chain.Fault(s, op, Vector.InvalidOpcode);
            ulong v = Width.Read<W>(s, op->Reg0);
            if (!Access.IsCanonical(v))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            (&s->Es)[op->Reg1].Base = v;
            return Chain.Next(s, op);
        }
    }
}
