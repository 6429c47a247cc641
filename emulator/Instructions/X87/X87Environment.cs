using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>
/// FNSTENV, FLDENV, FNSAVE and FRSTOR in their four layouts: 16 or 32 bits, protected or real (SDM Vol. 1, "Saving the x87 FPU's State with
/// FSTENV/FNSTENV and FSAVE/FNSAVE"). Virtual-8086 mode uses that of real-address mode, 64-bit mode the protected one of 32 bits.
/// </summary>
public static unsafe class X87Environment
{
    private const int RegisterBytes = 80;

    private static int Size(bool wide) => wide ? 28 : 14;

    public static void LowerStore(ref Lowering l, bool wide) => Lower(ref l, wide, &StoreEnvironment);

    public static void LowerLoad(ref Lowering l, bool wide) => Lower(ref l, wide, &LoadEnvironment);

    public static void LowerSave(ref Lowering l, bool wide) => Lower(ref l, wide, &Save);

    public static void LowerRestore(ref Lowering l, bool wide) => Lower(ref l, wide, &Restore);

    private static void Lower(ref Lowering l, bool wide, delegate*<CpuState*, Op*, Op*> handler)
    {
        l.Memory();
        l.Op->OperandSize = (byte)(wide ? 4 : 2);
        l.Use(handler);
    }

    private static bool IsWide(Op* op) => op->OperandSize == 4;

    /// <summary>"FNSTENV saves the environment and then masks all floating-point exceptions."</summary>
    private static Op* StoreEnvironment(CpuState* s, Op* op)
    {
        byte* image = stackalloc byte[28];
        bool wide = IsWide(op);
        Compose(s, image, wide);
        if (!X87Unit.Check(s) || !Store(s, op, image, Size(wide)))
            return Full.Failed(s, op);
        X87.SetControl(s, (ushort)(s->Floating.Control | X87.ExceptionMask));
        return Full.Next(s, op);
    }

    private static Op* LoadEnvironment(CpuState* s, Op* op)
    {
        byte* image = stackalloc byte[28];
        bool wide = IsWide(op);
        if (!WaitingUnit.Check(s) || !Load(s, op, image, Size(wide)))
            return Full.Failed(s, op);
        Take(s, image, wide);
        return Full.Next(s, op);
    }

    private static Op* Save(CpuState* s, Op* op)
    {
        byte* image = stackalloc byte[28 + RegisterBytes];
        bool wide = IsWide(op);
        int at = Size(wide);
        Compose(s, image, wide);
        for (int i = 0; i < 8; i++)
        {
            ulong* r = X87.Register(s, i);
            *(ulong*)(image + at + 10 * i) = r[0];
            *(ushort*)(image + at + 10 * i + 8) = (ushort)r[1];
        }
        if (!X87Unit.Check(s) || !Store(s, op, image, at + RegisterBytes))
            return Full.Failed(s, op);
        X87.Initialise(s);
        return Full.Next(s, op);
    }

    private static Op* Restore(CpuState* s, Op* op)
    {
        byte* image = stackalloc byte[28 + RegisterBytes];
        bool wide = IsWide(op);
        int at = Size(wide);
        if (!WaitingUnit.Check(s) || !Load(s, op, image, at + RegisterBytes))
            return Full.Failed(s, op);
        Take(s, image, wide);
        for (int i = 0; i < 8; i++)
        {
            ulong* r = X87.Register(s, i);
            r[0] = *(ulong*)(image + at + 10 * i);
            r[1] = *(ushort*)(image + at + 10 * i + 8);
        }
        return Full.Next(s, op);
    }

    private static bool Store(CpuState* s, Op* op, byte* image, int size) =>
        Full.Linear(s, op, size, AccessKind.Write, out ulong linear) && IsAligned(s, op, linear) && Access.StoreBlock(s, linear, size, Full.Kind(op), image);

    private static bool Load(CpuState* s, Op* op, byte* image, int size) =>
        Full.Linear(s, op, size, AccessKind.Read, out ulong linear) && IsAligned(s, op, linear) && Access.LoadBlock(s, linear, size, Full.Kind(op), image);

    /// <summary>Reserved upper halves of 32-bit words are all ones, as CPUs store them.</summary>
    private static void Compose(CpuState* s, byte* image, bool wide)
    {
        ref FloatingState f = ref s->Floating;
        uint* words = stackalloc uint[7];
        words[0] = 0xFFFF_0000U | f.Control;
        words[1] = 0xFFFF_0000U | f.Status;
        words[2] = 0xFFFF_0000U | X87.FullTags(s);
        if ((s->ModeKey & ModeKey.Real) != 0)
        {
            // Linear addresses: 32 bits in two parts, or 20 bits, the upper part in bits 12 and up of its word.
            uint ip = (uint)(f.InstructionSelector * 16UL + f.InstructionPointer), data = (uint)(f.DataSelector * 16UL + f.DataPointer);
            words[3] = wide ? ip & 0xFFFF : ip;
            words[4] = (ip >> 16 << 12) | f.Opcode;
            words[5] = wide ? data & 0xFFFF : data;
            words[6] = data >> 16 << 12;
        }
        else
        {
            // SDM Vol. 1, "x87 FPU Instruction and Data (Operand) Pointers": a processor that deprecates the selectors saves 0 for them.
            bool selectors = !Cpu.Of(s).Model.Has(CpuFeature.NoX87Selectors);
            words[3] = (uint)f.InstructionPointer;
            words[4] = (selectors ? f.InstructionSelector : 0U) | (uint)f.Opcode << 16;
            words[5] = (uint)f.DataPointer;
            words[6] = 0xFFFF_0000U | (selectors ? f.DataSelector : 0U);
        }
        for (int i = 0; i < 7; i++)
        {
            if (wide)
                ((uint*)image)[i] = words[i];
            else
                ((ushort*)image)[i] = (ushort)words[i];
        }
    }

    private static void Take(CpuState* s, byte* image, bool wide)
    {
        ref FloatingState f = ref s->Floating;
        uint* words = stackalloc uint[7];
        for (int i = 0; i < 7; i++)
            words[i] = wide ? ((uint*)image)[i] : ((ushort*)image)[i];
        X87.SetControl(s, (ushort)words[0]);
        X87.SetStatus(s, (ushort)words[1]);
        X87.SetFullTags(s, (ushort)words[2]);
        if ((s->ModeKey & ModeKey.Real) != 0)
        {
            uint high = wide ? 0x0FFF_F000U : 0xF000U;
            f.InstructionPointer = (words[3] & 0xFFFF) | (words[4] & high) << 4;
            f.DataPointer = (words[5] & 0xFFFF) | (words[6] & high) << 4;
            f.InstructionSelector = f.DataSelector = 0;
            f.Opcode = (ushort)(words[4] & 0x7FF);
        }
        else
        {
            f.InstructionPointer = words[3];
            f.InstructionSelector = (ushort)words[4];
            // The 16-bit protected layout has no opcode.
            f.Opcode = wide ? (ushort)(words[4] >> 16 & 0x7FF) : (ushort)0;
            f.DataPointer = words[5];
            f.DataSelector = (ushort)words[6];
        }
    }

    /// <summary>Environments must be aligned to 4 bytes, or 2 with 16-bit operands, where alignment is checked (SDM Vol. 3A, "Alignment Requirements by Data Type").</summary>
    private static bool IsAligned(CpuState* s, Op* op, ulong linear) => Access.CheckAlignment(s, linear, op->OperandSize, Full.Kind(op));
}
