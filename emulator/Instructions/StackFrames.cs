using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE.</summary>
public static unsafe class StackFrames
{
    private const int Sp = 4;
    private const int Bp = 5;

    /// <summary>PUSHA and PUSHAD; <paramref name="size"/> is that of each register.</summary>
    public static void Pusha(ref Lowering l, int size) => l.Select<PushAll>(size);

    /// <summary>POPA and POPAD.</summary>
    public static void Popa(ref Lowering l, int size) => l.Select<PopAll>(size);

    /// <summary>PUSHF, PUSHFD, PUSHFQ.</summary>
    public static void Pushf(ref Lowering l, int size) => l.Select<PushFlags>(size);

    /// <summary>POPF, POPFD, POPFQ: they may change IF, TF and AC.</summary>
    public static void Popf(ref Lowering l, int size)
    {
        l.Select<PopFlags>(size);
        l.Flow = FlowKind.EndsAfter;
    }

    /// <summary>ENTER.</summary>
    public static void Enter(ref Lowering l)
    {
        l.Op->Immediate = l.Instruction.Immediate16;
        l.Op->Scale = (byte)(l.Instruction.Immediate8_2nd & 31);
        l.Op->AddressSize = (byte)l.StackBytes;
        l.Select<EnterFrame>(l.Instruction.Code switch { Code.Enterw_imm16_imm8 => 2, Code.Enterd_imm16_imm8 => 4, _ => 8 });
    }

    /// <summary>LEAVE: the frame pointer points to the saved one.</summary>
    public static void Leave(ref Lowering l) =>
        l.Select<LeaveFrame>(l.Instruction.Code switch { Code.Leavew => 2, Code.Leaved => 4, _ => 8 }, l.StackMemory(0, Bp));

    private readonly struct PushAll : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int size = Width.Bytes<W>();
            ulong* linear = stackalloc ulong[8];
            for (int i = 0; i < 8; i++)
                if (!ProbeSlot(s, (Stack.Pointer(s) - (ulong)(size * (i + 1))) & Stack.Mask(s), size, out linear[i]))
                    return Full.Failed(s, op);
            for (int i = 0; i < 8; i++)
                _ = Access.Store(s, linear[i], size, AccessKind.Stack, Width.Truncate<W>(s->Registers[i]));
            Stack.Move(s, -8 * size);
            return Full.Next(s, op);
        }
    }

    private readonly struct PopAll : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int size = Width.Bytes<W>();
            ulong* values = stackalloc ulong[8];
            for (int i = 0; i < 8; i++)
                if (!Stack.Peek(s, i * size, size, out values[i]))
                    return Full.Failed(s, op);
            Stack.Move(s, 8 * size);
            for (int i = 0; i < 8; i++)
                if (7 - i != Sp)
                    Width.Write<W>(s, (byte)(8 * (7 - i)), values[i]);
            return Full.Next(s, op);
        }
    }

    private readonly struct PushFlags : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (s->Virtual8086 && !FlagsControl.IoPrivileged(s))
            {
                if (W.Bits != 16 || !VirtualInterrupts.InVirtual8086(s))
                    return Chain.Fault(s, op, Vector.GeneralProtection);
                return Stack.Push(s, 2, (ushort)VirtualInterrupts.Shown(s)) ? Full.Next(s, op) : Full.Failed(s, op);
            }
            return Stack.Push(s, Width.Bytes<W>(), Width.Truncate<W>(Flags.Get(s) & ~(Rflags.Vm | Rflags.Rf))) ? Full.Next(s, op) : Full.Failed(s, op);
        }
    }

    private readonly struct PopFlags : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            bool virtualFlag = s->Virtual8086 && !FlagsControl.IoPrivileged(s);
            if (virtualFlag && (W.Bits != 16 || !VirtualInterrupts.InVirtual8086(s)))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            if (!Stack.Peek(s, 0, Width.Bytes<W>(), out ulong image) || (virtualFlag && !VirtualInterrupts.CheckImage(s, image)))
                return Full.Failed(s, op);
            if (virtualFlag)
            {
                Stack.Move(s, 2);
                VirtualInterrupts.Take(s, image);
                return Chain.LeaveAfter(s, op);
            }
            Stack.Move(s, Width.Bytes<W>());
            ulong change = Rflags.Arithmetic | Rflags.Tf | Rflags.Df | Rflags.Nt;
            if (s->Cpl == 0)
                change |= Rflags.IoplMask;
            if (FlagsControl.IoPrivileged(s))
                change |= Rflags.If;
            // VIP, VIF and VM are unaffected; RF is cleared (SDM, POPF).
            if (W.Bits > 16)
                change |= Rflags.Ac | Rflags.Id | Rflags.Rf;
            Flags.Set(s, (Flags.Get(s) & ~change) | (image & change & ~Rflags.Rf));
            CpuMode.Update(s);
            return Chain.LeaveAfter(s, op);
        }
    }

    private readonly struct EnterFrame : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int size = Width.Bytes<W>();
            int level = op->Scale;
            ulong mask = Stack.Mask(s);
            ulong sp = Stack.Pointer(s);
            // Slot 0 is the old frame pointer; of a nested frame then come the outer ones' and the new one.
            ulong* values = stackalloc ulong[32];
            ulong* linear = stackalloc ulong[32];
            ulong* outers = stackalloc ulong[32];
            // FrameTemp is all of ESP, also where the stack pointer in force is SP.
            ulong frame = (s->Registers[Sp] & ~mask) | ((sp - (ulong)size) & mask);
            values[0] = s->Registers[Bp];
            for (int i = 1; i < level; i++)
            {
                ulong outer = (s->Registers[Bp] - (ulong)(size * i)) & mask;
                if (!Segmentation.TryLinear(s, SegmentIndex.Ss, outer, size, AccessKind.Read, out outers[i])
                    || !Access.Load(s, outers[i], size, AccessKind.Stack, out _))
                    return Full.Failed(s, op);
            }
            if (level > 0)
                values[level] = frame;
            for (int i = 0; i <= level; i++)
                if (!ProbeSlot(s, (sp - (ulong)(size * (i + 1))) & mask, size, out linear[i]))
                    return Full.Failed(s, op);
            ulong final = (sp - (ulong)(size * (level + 1)) - op->Immediate) & mask;
            // "causes a page fault whenever a write using the final value of the stack pointer would do so" (SDM, ENTER).
            if (!ProbeSlot(s, final, size, out _))
                return Full.Failed(s, op);
            // Nothing can fault any more. One by one, for the new frame may overlap the outer ones.
            for (int i = 0; i <= level; i++)
            {
                if (i > 0 && i < level)
                    _ = Access.Load(s, outers[i], size, AccessKind.Stack, out values[i]);
                _ = Access.Store(s, linear[i], size, AccessKind.Stack, Width.Truncate<W>(values[i]));
            }
            Stack.SetPointer(s, final);
            Width.Write<W>(s, 8 * Bp, frame);
            return Full.Next(s, op);
        }
    }

    private readonly struct LeaveFrame : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong frame))
                return M.Failed(s, op);
            if (typeof(M) == typeof(Full))
                Stack.SetPointer(s, s->Registers[Bp]); // Of a 16-bit stack pointer the upper half stays.
            else
                s->Registers[Sp] = s->Registers[Bp];
            M.MoveStackPointer(s, Width.Bytes<W>());
            Width.Write<W>(s, 8 * Bp, frame);
            return M.Next(s, op);
        }
    }

    private static bool ProbeSlot(CpuState* s, ulong offset, int size, out ulong linear) =>
        Segmentation.TryLinear(s, SegmentIndex.Ss, offset, size, AccessKind.Write, out linear)
        && Access.ProbeWrite(s, linear, size, AccessKind.Stack);
}
