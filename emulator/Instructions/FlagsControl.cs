using System.Runtime.CompilerServices;
using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>CLC, STC, CMC, CLD, STD, CLI, STI, CLAC, STAC, LAHF, SAHF.</summary>
public static unsafe class FlagsControl
{
    private const ulong LowByte = Rflags.Sf | Rflags.Zf | Rflags.Af | Rflags.Pf | Rflags.Cf;

    public static void Clc(ref Lowering l) => l.Use(&ClearCarry);

    public static void Stc(ref Lowering l) => l.Use(&SetCarry);

    public static void Cmc(ref Lowering l) => l.Use(&ComplementCarry);

    public static void Cld(ref Lowering l) => l.Use(&ClearDirection);

    public static void Std(ref Lowering l) => l.Use(&SetDirection);

    public static void Cli(ref Lowering l) => l.Use(&ClearInterrupt);

    /// <summary>STI ends its block: the loop looks at interrupts after the instruction behind it.</summary>
    public static void Sti(ref Lowering l) => l.Use(&SetInterrupt, FlowKind.EndsAfter);

    /// <summary>STI and HLT, as an idle loop has them: STI goes straight on to HLT where nothing may come between.</summary>
    public static void TryFuse(in Instruction first, Op* op, in Instruction second)
    {
        if (first.Mnemonic == Mnemonic.Sti && second.Mnemonic == Mnemonic.Hlt)
            op->Handler = op->Full = &SetInterruptBeforeHalt;
    }

    public static void Clac(ref Lowering l) => l.Use(&ClearAc);

    public static void Stac(ref Lowering l) => l.Use(&SetAc);

    public static void Lahf(ref Lowering l)
    {
        if (l.CodeBits == 64 && !l.Model.Has(CpuFeature.LahfLm))
            Refusals.Undefined(ref l);
        else
            l.Use(&LoadAh);
    }

    public static void Sahf(ref Lowering l)
    {
        if (l.CodeBits == 64 && !l.Model.Has(CpuFeature.LahfLm))
            Refusals.Undefined(ref l);
        else
            l.Use(&StoreAh);
    }

    /// <summary>CPL is not above IOPL. In virtual-8086 mode, where CPL is 3, that is IOPL = 3; in real-address mode it always holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IoPrivileged(CpuState* s) => (ulong)s->Cpl <= (s->SystemFlags & Rflags.IoplMask) >> 12;

    private static Op* ClearCarry(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, false);
        return Chain.Next(s, op);
    }

    private static Op* SetCarry(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, true);
        return Chain.Next(s, op);
    }

    private static Op* ComplementCarry(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, !Flags.Carry(s));
        return Chain.Next(s, op);
    }

    private static Op* ClearDirection(CpuState* s, Op* op)
    {
        s->SystemFlags &= ~Rflags.Df;
        return Chain.Next(s, op);
    }

    private static Op* SetDirection(CpuState* s, Op* op)
    {
        s->SystemFlags |= Rflags.Df;
        return Chain.Next(s, op);
    }

    private static Op* ClearInterrupt(CpuState* s, Op* op)
    {
        if (!IoPrivileged(s))
        {
            if (!VirtualInterrupts.Apply(s))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            VirtualInterrupts.Clear(s);
            return Chain.Next(s, op);
        }
        s->SystemFlags &= ~Rflags.If;
        return Chain.Next(s, op);
    }

    private static Op* SetInterrupt(CpuState* s, Op* op)
    {
        if (!IoPrivileged(s))
        {
            if (!VirtualInterrupts.Apply(s))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            return VirtualInterrupts.Set(s) ? Chain.LeaveAfter(s, op) : Chain.Fault(s, op);
        }
        // "If IF was 0, maskable interrupts are not recognised until after the next instruction" (SDM, STI); a second STI in a row adds nothing.
        if ((s->SystemFlags & Rflags.If) != 0)
        {
            s->Rip = Op.NextRipOf(op);
            return Chain.Continue(s, op);
        }
        s->SystemFlags |= Rflags.If;
        s->InterruptShadow = 1;
        return Chain.LeaveAfter(s, op);
    }

    private static Op* SetInterruptBeforeHalt(CpuState* s, Op* op)
    {
        // Where IF was set there is no shadow, and what waits comes before HLT.
        if ((s->SystemFlags & Rflags.If) != 0 || !IoPrivileged(s))
            return SetInterrupt(s, op);
        // The shadow covers HLT, and ends with it.
        s->SystemFlags |= Rflags.If;
        return Chain.Next(s, op);
    }

    private static Op* ClearAc(CpuState* s, Op* op) => ChangeAc(s, op, 0);

    private static Op* SetAc(CpuState* s, Op* op) => ChangeAc(s, op, Rflags.Ac);

    /// <summary>AC chooses between the two sets of supervisor translations (<see cref="CpuMode.TlbIndex"/>).</summary>
    private static Op* ChangeAc(CpuState* s, Op* op, ulong ac)
    {
        if (s->Cpl != 0)
            return Chain.Fault(s, op, Vector.InvalidOpcode);
        s->SystemFlags = (s->SystemFlags & ~Rflags.Ac) | ac;
        CpuMode.Update(s);
        return Chain.Next(s, op);
    }

    private static Op* LoadAh(CpuState* s, Op* op)
    {
        Width.Write<W8>(s, 1, (Flags.Get(s) & LowByte) | Rflags.Reserved1);
        return Chain.Next(s, op);
    }

    private static Op* StoreAh(CpuState* s, Op* op)
    {
        Flags.SetArithmetic(s, (Flags.Get(s) & Rflags.Of) | (Width.Read<W8>(s, 1) & LowByte));
        return Chain.Next(s, op);
    }
}
