using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>MOV to and from control and debug registers, LMSW, SMSW, CLTS, INVLPG, INVPCID. Writes leave to the loop: mode and translation may have changed.</summary>
public static unsafe class ControlMoves
{
    /// <summary>MOV r, CRn.</summary>
    public static void LoadControl(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Immediate = (ulong)(l.Instruction.Op1Register - Register.CR0);
        l.Select<ReadControl>(l.SizeOf(0));
    }

    /// <summary>MOV CRn, r.</summary>
    public static void StoreControl(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        l.Op->Reg0 = l.RegisterOf(1);
        l.Op->Immediate = (ulong)(l.Instruction.Op0Register - Register.CR0);
        l.Select<WriteControl>(l.SizeOf(1));
    }

    /// <summary>MOV r, DRn.</summary>
    public static void LoadDebug(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Immediate = (ulong)(l.Instruction.Op1Register - Register.DR0);
        l.Select<ReadDebug>(l.SizeOf(0));
    }

    /// <summary>MOV DRn, r.</summary>
    public static void StoreDebug(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        l.Op->Reg0 = l.RegisterOf(1);
        l.Op->Immediate = (ulong)(l.Instruction.Op0Register - Register.DR0);
        l.Select<WriteDebug>(l.SizeOf(1));
    }

    /// <summary>SMSW: 16 bits to memory; a register takes as much of CR0 as it is wide.</summary>
    public static void Smsw(ref Lowering l)
    {
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<StoreWord>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<StoreWordRegister>(l.SizeOf(0));
    }

    /// <summary>LMSW.</summary>
    public static void Lmsw(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<LoadWord>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<LoadWordRegister>(2);
    }

    public static void Clts(ref Lowering l) => l.Use(&ClearTaskSwitched, FlowKind.EndsAfter);

    /// <summary>INVLPG: the operand is an address, and nothing is accessed there.</summary>
    public static void Invlpg(ref Lowering l)
    {
        l.Memory();
        l.Use(&InvalidatePage, FlowKind.EndsAfter);
    }

    /// <summary>INVPCID: the type in a register, the descriptor in 16 bytes of memory.</summary>
    public static void Invpcid(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Memory();
        l.Use(&InvalidatePcid, FlowKind.EndsAfter);
    }

    private readonly struct ReadControl : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            if (!ControlRegisters.Read(s, (int)op->Immediate, out ulong v))
                return Chain.Fault(s, op);
            Width.Write<W>(s, op->Reg0, v);
            return Full.Next(s, op);
        }
    }

    private readonly struct WriteControl : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, ControlRegisters.Write(s, (int)op->Immediate, Width.Read<W>(s, op->Reg0)));
        }
    }

    private readonly struct ReadDebug : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            if (!DebugRegisters.Read(s, (int)op->Immediate, out ulong v))
                return Chain.Fault(s, op);
            Width.Write<W>(s, op->Reg0, v);
            return Full.Next(s, op);
        }
    }

    private readonly struct WriteDebug : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, DebugRegisters.Write(s, (int)op->Immediate, Width.Read<W>(s, op->Reg0)));
        }
    }

    private readonly struct StoreWord : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            SystemOperation.Next(s, op, ControlRegisters.Smsw(s, out ulong v) && Full.Store<W>(s, op, v));
    }

    private readonly struct StoreWordRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!ControlRegisters.Smsw(s, out ulong v))
                return Chain.Fault(s, op);
            Width.Write<W>(s, op->Reg0, v);
            return Full.Next(s, op);
        }
    }

    private readonly struct LoadWord : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, Full.Load<W>(s, op, out ulong v) && ControlRegisters.Lmsw(s, (ushort)v));
        }
    }

    private readonly struct LoadWordRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, ControlRegisters.Lmsw(s, (ushort)Width.Read<W>(s, op->Reg0)));
        }
    }

    private static Op* ClearTaskSwitched(CpuState* s, Op* op) => SystemOperation.LeaveAfter(s, op, ControlRegisters.Clts(s));

    private static Op* InvalidatePcid(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        if (!Privilege.CheckCpl0(s) || !Full.Linear(s, op, 16, AccessKind.Read, out ulong linear)
            || !Access.LoadVector(s, linear, Full.Kind(op), out Vector128<byte> descriptor))
            return Chain.Fault(s, op);
        ulong type = s->Is64Bit ? Width.Read<W64>(s, op->Reg0) : Width.Read<W32>(s, op->Reg0);
        return SystemOperation.LeaveAfter(s, op, ControlRegisters.Invpcid(s, type, descriptor.AsUInt64()[0], descriptor.AsUInt64()[1]));
    }

    private static Op* InvalidatePage(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        ulong linear = Full.Offset(s, op);
        if (!s->Is64Bit)
            linear = (linear + (&s->Es)[op->Segment].Base) & uint.MaxValue;
        else if (op->Segment >= (byte)SegmentIndex.Fs)
            linear += (&s->Es)[op->Segment].Base;
        return SystemOperation.LeaveAfter(s, op, ControlRegisters.Invlpg(s, linear));
    }
}
