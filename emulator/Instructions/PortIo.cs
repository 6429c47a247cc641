using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>
/// IN, OUT, INS, OUTS. "I/O instructions ... ensure that all previous stores are completed": the store buffer drains first. They end their block,
/// because a device may have raised an interrupt.
/// </summary>
public static unsafe class PortIo
{
    private const byte Dx = 2 * 8;

    public readonly struct Ins : IStringOperation
    {
        public static bool Compares => false;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            // The port is not read before it is certain that the value can be stored.
            ushort port = (ushort)s->Registers[2];
            if (!Privilege.CheckPort(s, port, Width.Bytes<W>())
                || !Segmentation.TryLinear(s, SegmentIndex.Es, Strings.Index(s, op, Strings.Destination), Width.Bytes<W>(), AccessKind.Write, out ulong linear)
                || !Access.ProbeWrite(s, linear, Width.Bytes<W>(), AccessKind.Write))
                return false;
            _ = Access.Store(s, linear, Width.Bytes<W>(), AccessKind.Write, Read(s, port, Width.Bytes<W>()));
            Strings.Advance<W>(s, op, Strings.Destination);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth => 0;
    }

    public readonly struct Outs : IStringOperation
    {
        public static bool Compares => false;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            ushort port = (ushort)s->Registers[2];
            if (!Privilege.CheckPort(s, port, Width.Bytes<W>()) || !Strings.LoadSource<W>(s, op, out ulong v))
                return false;
            Write(s, port, Width.Bytes<W>(), (uint)v);
            Strings.Advance<W>(s, op, Strings.Source);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth => 0;
    }

    /// <summary>IN AL/AX/EAX from an immediate port or DX.</summary>
    public static void In(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        if (l.IsRegister(1))
        {
            l.Select<InDx>(l.SizeOf(0));
            return;
        }
        l.Op->Immediate = l.Instruction.Immediate8;
        l.Select<InImmediate>(l.SizeOf(0));
    }

    /// <summary>OUT of AL/AX/EAX.</summary>
    public static void Out(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        if (l.IsRegister(0))
        {
            l.Select<OutDx>(l.SizeOf(1));
            return;
        }
        l.Op->Immediate = l.Instruction.Immediate8;
        l.Select<OutImmediate>(l.SizeOf(1));
    }

    /// <summary>INS and OUTS.</summary>
    public static void String<T>(ref Lowering l) where T : struct, IStringOperation
    {
        Strings.Lower<T>(ref l);
        l.Flow = FlowKind.EndsAfter;
    }

    private static uint Read(CpuState* s, ushort port, int size)
    {
        Cpu cpu = Cpu.Of(s);
        if (cpu.Observer?.ReachesDevice() == false)
            return 0;
        DebugRegisters.NotePort(s, port, size);
        cpu.StoreBuffer.DrainAll();
        return cpu.Bus.ReadPort(port, size);
    }

    private static void Write(CpuState* s, ushort port, int size, uint value)
    {
        Cpu cpu = Cpu.Of(s);
        if (cpu.Observer?.ReachesDevice() == false)
            return;
        DebugRegisters.NotePort(s, port, size);
        cpu.StoreBuffer.DrainAll();
        cpu.Bus.WritePort(port, size, value);
    }

    private static Op* In<W>(CpuState* s, Op* op, ushort port) where W : struct, IWidth
    {
        SystemOperation.Begin(s, op);
        if (!Privilege.CheckPort(s, port, Width.Bytes<W>()))
            return Chain.Fault(s, op);
        Width.Write<W>(s, 0, Read(s, port, Width.Bytes<W>()));
        return Chain.LeaveAfter(s, op);
    }

    private static Op* Out<W>(CpuState* s, Op* op, ushort port) where W : struct, IWidth
    {
        SystemOperation.Begin(s, op);
        if (!Privilege.CheckPort(s, port, Width.Bytes<W>()))
            return Chain.Fault(s, op);
        Write(s, port, Width.Bytes<W>(), (uint)Width.Read<W>(s, 0));
        return Chain.LeaveAfter(s, op);
    }

    private readonly struct InImmediate : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => In<W>(s, op, (ushort)op->Immediate);
    }

    private readonly struct InDx : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => In<W>(s, op, (ushort)Width.Read<W16>(s, Dx));
    }

    private readonly struct OutImmediate : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => Out<W>(s, op, (ushort)op->Immediate);
    }

    private readonly struct OutDx : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => Out<W>(s, op, (ushort)Width.Read<W16>(s, Dx));
    }
}
