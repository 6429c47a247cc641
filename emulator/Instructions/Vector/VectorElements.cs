using System.Runtime.CompilerServices;
using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>One element out of a vector register or into it: PEXTRx, EXTRACTPS, PINSRx, INSERTPS, and the stores of MOVD, MOVSS, MOVHPS and the like.</summary>
public static unsafe class VectorElements
{
    /// <summary>PEXTRx and EXTRACTPS: <c>op r/m, v, imm8</c>; a register receives the element with zeros above it.</summary>
    public static void Extract<TElement>(ref Lowering l) where TElement : struct, IWidth
    {
        int offset = Offset<TElement>(l);
        if (VectorForms.IsMmx(l, 1))
            Extract<TElement, MmxUnit, W64>(ref l, offset);
        else
            Extract<TElement, SseUnit, W128>(ref l, offset);
    }

    /// <summary>Selects handlers that store the element at a byte offset of the register in operand 1 to a general register or memory.</summary>
    public static void Extract<TElement, TUnit, W>(ref Lowering l, int offset) where TElement : struct, IWidth where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        l.Op->Reg1 = l.VectorOf(1);
        l.Op->Immediate = (ulong)offset;
        if (l.IsMemory(0))
        {
            l.SelectVector<ToMemory<TElement>, TUnit, W>(l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectVector<ToGeneral<TElement>, TUnit, W>(AddressForm.None);
    }

    /// <summary>PINSRx: <c>op v, r/m, imm8</c>.</summary>
    public static void Insert<TElement>(ref Lowering l) where TElement : struct, IWidth
    {
        l.Op->Immediate = (ulong)Offset<TElement>(l);
        if (VectorForms.IsMmx(l, 0))
            Insert<TElement, MmxUnit, W64>(ref l);
        else
            Insert<TElement, SseUnit, W128>(ref l);
    }

    private static void Insert<TElement, TUnit, W>(ref Lowering l) where TElement : struct, IWidth where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        l.Op->Reg0 = l.VectorOf(0);
        if (l.IsMemory(1))
        {
            l.SelectVector<FromMemory<TElement>, TUnit, W>(l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectVector<FromGeneral<TElement>, TUnit, W>(AddressForm.None);
    }

    /// <summary>INSERTPS: of a register bits 7:6 of the immediate choose the doubleword.</summary>
    public static void InsertSingle(ref Lowering l)
    {
        byte immediate = (byte)l.Immediate(2, 1);
        l.Op->Immediate = immediate;
        // The place of the doubleword in the state takes the place of the register's.
        VectorForms.Select<SingleFromRegister, SingleFromMemory, SseUnit, W128>(ref l);
        if (!l.IsMemory(1))
            l.Op->Reg1 += (byte)(immediate >> 6 << 2);
    }

    /// <summary>Byte offset of the element that the immediate chooses; bits beyond the number of elements are ignored.</summary>
    private static int Offset<TElement>(in Lowering l) where TElement : struct, IWidth
    {
        int operand = l.IsRegister(0) && l.Instruction.GetOpRegister(0).IsVectorRegister() || VectorForms.IsMmx(l, 0) ? 0 : 1;
        int bytes = VectorForms.IsMmx(l, operand) ? 8 : 16;
        return (int)(l.Immediate(2, 1) * (ulong)(TElement.Bits / 8)) & (bytes - 1);
    }

    private readonly struct ToGeneral<TElement> : IStep where TElement : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            Width.Write<W64>(s, op->Reg0, Width.ReadAt<TElement>(VectorRegister.Place<W>(s, op->Reg1) + op->Immediate));
            VectorRegister.EnterMmx<W>(s);
            return true;
        }
    }

    private readonly struct ToMemory<TElement> : IStep where TElement : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !M.Store<TElement>(s, op, Width.ReadAt<TElement>(VectorRegister.Place<W>(s, op->Reg1) + op->Immediate)))
                return false;
            VectorRegister.EnterMmx<W>(s);
            return true;
        }
    }

    private readonly struct FromGeneral<TElement> : IStep where TElement : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            Put<TElement, W>(s, op, Width.Read<TElement>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct FromMemory<TElement> : IStep where TElement : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !M.Load<TElement>(s, op, out ulong value))
                return false;
            Put<TElement, W>(s, op, value);
            return true;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TElement, W>(CpuState* s, Op* op, ulong value) where TElement : struct, IWidth where W : struct, IWidth
    {
        byte* place = VectorRegister.Place<W>(s, op->Reg0);
        Width.WriteAt<TElement>(place + op->Immediate, value);
        if (W.Bits == 64)
            ((ulong*)place)[1] = 0xFFFF;
        VectorRegister.EnterMmx<W>(s);
    }

    private readonly struct SingleFromRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            PutSingle(s, op, *(uint*)FloatingRegisters.Xmm(s, op->Reg1));
            return true;
        }
    }

    private readonly struct SingleFromMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W32>(s, op, out ulong value))
                return false;
            PutSingle(s, op, (uint)value);
            return true;
        }
    }

    /// <summary>Bits 5:4 of the immediate: the place; bits 3:0: which doublewords become zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutSingle(CpuState* s, Op* op, uint value)
    {
        uint* r = (uint*)FloatingRegisters.Xmm(s, op->Reg0);
        r[op->Immediate >> 4 & 3] = value;
        for (int i = 0; i < 4; i++)
            if ((op->Immediate >> i & 1) != 0)
                r[i] = 0;
    }
}
