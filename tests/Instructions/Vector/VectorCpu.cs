using Emu.Cpus;
using Iced.Intel;
using Xunit;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>A <see cref="TestCpu"/> on which SSE is switched on, with its vector registers as bytes.</summary>
internal sealed unsafe class VectorCpu : IDisposable
{
    public VectorCpu(int bits = 64, CpuModel? model = null, int storeBuffer = 0)
    {
        Cpu = new TestCpu(bits, model, storeBuffer);
        S->Paging.Cr0 |= ControlBits.Cr0Ne;
        S->Paging.Cr4 |= ControlBits.Cr4OsFxsr | ControlBits.Cr4OsXmmExcpt;
        CpuMode.Update(S);
    }

    public TestCpu Cpu { get; }
    public CpuState* S => Cpu.S;
    public ref FloatingState Floating => ref S->Floating;

    public byte[] Xmm(int i) => new ReadOnlySpan<byte>((byte*)S->Floating.Xmm + 16 * i, 16).ToArray();

    public void Xmm(int i, ReadOnlySpan<byte> value) => value.CopyTo(new Span<byte>((byte*)S->Floating.Xmm + 16 * i, 16));

    /// <summary>The MMX register; the rest of the x87 register is in <see cref="MmxExponent"/>.</summary>
    public byte[] Mmx(int i) => new ReadOnlySpan<byte>((byte*)S->Floating.X87 + 16 * i, 8).ToArray();

    public void Mmx(int i, ReadOnlySpan<byte> value) => value.CopyTo(new Span<byte>((byte*)S->Floating.X87 + 16 * i, 8));

    public ulong MmxExponent(int i) => S->Floating.X87[2 * i + 1];

    /// <summary>Puts an instruction in place; execute it with <see cref="TestCpu.Again"/>.</summary>
    public void Load(Instruction instruction) => Cpu.Load(a => a.AddInstruction(instruction));

    public Vector? Run(Instruction instruction)
    {
        Load(instruction);
        return Cpu.Step();
    }

    /// <summary>Executes <c>op destination, source</c>, with an immediate where there is one, once on registers and once on memory; both must give the same.</summary>
    /// <param name="code">A code whose operands are two vector registers, the second of which may be memory.</param>
    public byte[] Binary(Code code, byte[] a, byte[] b, byte? immediate = null)
    {
        bool mmx = code.ToOpCode().GetOpKind(0) == OpCodeOperandKind.mm_reg;
        Instruction onRegisters = Create(code, mmx ? Register.MM1 : Register.XMM1, mmx ? Register.MM2 : Register.XMM2, immediate);
        byte[] result = Execute(onRegisters);
        if (code.ToOpCode().GetOpKind(1) is not (OpCodeOperandKind.xmm_or_mem or OpCodeOperandKind.mm_or_mem))
            return result;
        Instruction onMemory = Create(code, mmx ? Register.MM1 : Register.XMM1, null, immediate);
        Cpu.Write(TestCpu.DataAt, b);
        if (mmx)
            Mmx(2, new byte[8]);
        else
            Xmm(2, new byte[16]);
        Assert.Equal(result, Execute(onMemory));
        return result;

        byte[] Execute(Instruction instruction)
        {
            Set(1, a);
            if (instruction.Op1Kind == OpKind.Register)
                Set(2, b);
            Assert.Null(Run(instruction));
            return mmx ? Mmx(1) : Xmm(1);
        }

        void Set(int i, byte[] value)
        {
            if (mmx)
                Mmx(i, value);
            else
                Xmm(i, value);
        }
    }

    private static Instruction Create(Code code, Register first, Register? second, byte? immediate)
    {
        var memory = new MemoryOperand(Register.None, Register.None, 1, (long)TestCpu.DataAt, 8);
        return (second, immediate) switch
        {
            ({ } r, { } i) => Instruction.Create(code, first, r, (int)i),
            ({ } r, null) => Instruction.Create(code, first, r),
            (null, { } i) => Instruction.Create(code, first, memory, (int)i),
            _ => Instruction.Create(code, first, memory),
        };
    }

    public void Dispose() => Cpu.Dispose();
}
