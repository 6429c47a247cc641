using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>FXSAVE, FXRSTOR, XSAVE, XRSTOR and their kin, XGETBV, XSETBV, LDMXCSR, STMXCSR, EMMS.</summary>
public static unsafe class StateSaving
{
    public static void Fxsave(ref Lowering l) => Area(ref l, &Save);

    public static void Fxrstor(ref Lowering l) => Area(ref l, &Restore);

    public static void Ldmxcsr(ref Lowering l) => l.Select<LoadMxcsr, SseUnit>(4, l.Memory());

    public static void Stmxcsr(ref Lowering l) => l.Select<StoreMxcsr, SseUnit>(4, l.Memory());

    public static void Emms(ref Lowering l) => l.Select<EmptyRegisters, MmxUnit>(8, AddressForm.None);

    public static void Xsave(ref Lowering l, ExtendedSave instruction)
    {
        l.Op->Reg0 = (byte)instruction;
        Area(ref l, &SaveExtended);
    }

    public static void Xrstor(ref Lowering l, bool supervisor)
    {
        l.Op->Reg0 = (byte)(supervisor ? 1 : 0);
        Area(ref l, &RestoreExtended);
    }

    public static void Xgetbv(ref Lowering l) => l.Use(&GetRegister);

    public static void Xsetbv(ref Lowering l) => l.Use(&SetRegister);

    private static void Area(ref Lowering l, delegate*<CpuState*, Op*, Op*> handler)
    {
        l.Memory();
        l.Op->Immediate = (ulong)Layout(l);
        l.Use(handler);
    }

    /// <summary>Layout of the pointers: by mode and REX.W.</summary>
    private static PointerLayout Layout(in Lowering l) =>
        l.CodeBits != 64 ? PointerLayout.Legacy
            : l.Instruction.Mnemonic is Mnemonic.Fxsave64 or Mnemonic.Fxrstor64 or Mnemonic.Xsave64 or Mnemonic.Xsaveopt64 or Mnemonic.Xsavec64
                or Mnemonic.Xsaves64 or Mnemonic.Xrstor64 or Mnemonic.Xrstors64 ? PointerLayout.Promoted : PointerLayout.Compatible;

    private static Op* Save(CpuState* s, Op* op)
    {
        bool ok = X87Unit.Check(s) && Address(s, op, AccessKind.Write, out ulong linear)
            && SavedState.Save(s, linear, Full.Kind(op), (PointerLayout)op->Immediate);
        return SystemOperation.Next(s, op, ok);
    }

    private static Op* Restore(CpuState* s, Op* op)
    {
        bool ok = X87Unit.Check(s) && Address(s, op, AccessKind.Read, out ulong linear)
            && SavedState.Restore(s, linear, Full.Kind(op), (PointerLayout)op->Immediate);
        return SystemOperation.Next(s, op, ok);
    }

    private static Op* SaveExtended(CpuState* s, Op* op)
    {
        bool ok = ExtendedState.CheckUnit(s, supervisor: (ExtendedSave)op->Reg0 == ExtendedSave.Xsaves)
            && Full.Linear(s, op, ExtendedState.Size, AccessKind.Write, out ulong linear)
            && ExtendedState.Save(s, linear, Full.Kind(op), (PointerLayout)op->Immediate, (ExtendedSave)op->Reg0);
        return SystemOperation.Next(s, op, ok);
    }

    private static Op* RestoreExtended(CpuState* s, Op* op)
    {
        bool ok = ExtendedState.CheckUnit(s, supervisor: op->Reg0 != 0) && Full.Linear(s, op, ExtendedState.Size, AccessKind.Read, out ulong linear)
            && ExtendedState.Restore(s, linear, Full.Kind(op), (PointerLayout)op->Immediate, op->Reg0 != 0);
        return SystemOperation.Next(s, op, ok);
    }

    private static Op* GetRegister(CpuState* s, Op* op) => SystemOperation.Next(s, op, ExtendedState.GetRegister(s));

    private static Op* SetRegister(CpuState* s, Op* op) => SystemOperation.Next(s, op, ExtendedState.SetRegister(s));

    /// <summary>"If a memory operand is not aligned on a 16-byte boundary, regardless of segment: #GP(0)."</summary>
    private static bool Address(CpuState* s, Op* op, AccessKind kind, out ulong linear) =>
        Full.Linear(s, op, SavedState.Size, kind, out linear) && ((linear & 15) == 0 || Access.Raise(s, Vector.GeneralProtection));

    private readonly struct LoadMxcsr : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong value))
                return M.Failed(s, op);
            if (!SavedState.IsValidMxcsr(s, (uint)value))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            s->Floating.Mxcsr = (uint)value;
            return M.Next(s, op);
        }
    }

    private readonly struct StoreMxcsr : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W>(s, op, s->Floating.Mxcsr) ? M.Next(s, op) : M.Failed(s, op);
    }

    /// <summary>SDM, "Effects of MMX Instructions on x87 FPU State": all tags empty, TOS 0.</summary>
    private readonly struct EmptyRegisters : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W64>(s))
                return M.Failed(s, op);
            VectorRegister.EnterMmx<W64>(s);
            s->Floating.Tags = 0;
            return M.Next(s, op);
        }
    }
}
