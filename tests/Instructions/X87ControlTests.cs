using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>x87 control instructions, environments and pending exceptions.</summary>
public sealed unsafe class X87ControlTests
{
    private const ulong D = TestCpu.DataAt;

    private static TestCpu New(int bits = 64, string model = "alderlake")
    {
        var cpu = new TestCpu(bits, CpuModels.All.Single(m => m.Name == model));
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ne;
        CpuMode.Update(cpu.S);
        cpu[3] = bits == 16 ? 0x4000 : D;
        return cpu;
    }

    private static uint Word(TestCpu cpu, int index) => BitConverter.ToUInt32(cpu.Read(D + 4 * (ulong)index, 4));

    [Fact]
    public void Fninit_AfterReset_SetsTheManualsValues()
    {
        using TestCpu cpu = New();
        ref FloatingState f = ref cpu.S->Floating;
        Assert.Equal((0x40, 0, 0xFF), (f.Control, f.Status, f.Tags));
        Assert.Null(cpu.Run(a => a.fninit()));
        Assert.Equal((0x37F, 0, 0), (f.Control, f.Status, f.Tags));
    }

    [Theory]
    [InlineData(0xFFFF, 0x1F7F)]
    [InlineData(0, 0x40)]
    public void Fldcw_ReservedBits_ReadAsTheyDoOnACpu(int written, int read)
    {
        using TestCpu cpu = New();
        cpu.Write(D, BitConverter.GetBytes((ushort)written));
        Assert.Null(cpu.Run(a => a.fldcw(__word_ptr[rbx])));
        Assert.Null(cpu.Run(a => a.fnstcw(__word_ptr[rbx + 8])));
        Assert.Equal(read, BitConverter.ToUInt16(cpu.Read(D + 8, 2)));
    }

    [Fact]
    public void Fldcw_UnmasksAFlagThatIsSet_NextWaitingInstructionFaultsAndOthersDoNot()
    {
        using TestCpu cpu = New();
        cpu.Run(a => a.fninit());
        cpu.S->Floating.Status = X87Status.Invalid | X87Status.C3;
        cpu.Write(D, 0x7E, 3);
        Assert.Null(cpu.Run(a => a.fldcw(__word_ptr[rbx])));
        Assert.Null(cpu.Run(a => a.fnstsw(ax)));
        Assert.Equal(X87Status.Invalid | X87Status.C3 | X87Status.Summary | X87Status.Busy, (int)cpu[0]);
        Assert.Equal(Vector.X87, cpu.Run(a => a.fldcw(__word_ptr[rbx])));
        Assert.Equal(Vector.X87, cpu.Run(a => a.fnop()));
        Assert.Equal(Vector.X87, cpu.Run(a => a.wait()));
        Assert.Equal(Vector.X87, cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Frstor_m108byte, __[rbx].ToMemoryOperand(64)))));
        Assert.Null(cpu.Run(a => a.fnclex()));
        Assert.Null(cpu.Run(a => a.wait()));
        Assert.Equal(X87Status.C3, cpu.S->Floating.Status);
    }

    [Theory]
    [InlineData(ControlBits.Cr0Ts, true, false)]
    [InlineData(ControlBits.Cr0Em, true, false)]
    [InlineData(ControlBits.Cr0Mp, false, false)]
    [InlineData(ControlBits.Cr0Ts | ControlBits.Cr0Mp, true, true)]
    [InlineData(ControlBits.Cr0Em | ControlBits.Cr0Mp, true, false)]
    public void DeviceNotAvailable_ByControlBits_IsRaisedForX87AndForWait(ulong bits, bool x87, bool wait)
    {
        using TestCpu cpu = New();
        cpu.S->Paging.Cr0 |= bits;
        CpuMode.Update(cpu.S);
        Assert.Equal(x87 ? Vector.DeviceNotAvailable : null, cpu.Run(a => a.fnstsw(ax)));
        Assert.Equal(x87 ? Vector.DeviceNotAvailable : null, cpu.Run(a => a.fninit()));
        Assert.Equal(x87 ? Vector.DeviceNotAvailable : null, cpu.Run(a => a.fnop()));
        Assert.Equal(wait ? Vector.DeviceNotAvailable : null, cpu.Run(a => a.wait()));
    }

    [Theory]
    [InlineData("k8", 0x33U, 0x2BU)]
    [InlineData("alderlake", 0U, 0U)] // CPUID.7.EBX[13]: selectors are saved as 0.
    public void Fnstenv_Protected32_StoresWhatACpuStoresAndMasksAll(string model, uint code, uint data)
    {
        using TestCpu cpu = New(64, model);
        Fill(cpu);
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Fnstenv_m28byte, __[rbx].ToMemoryOperand(64)))));
        uint[] words = [0xFFFF_0C40, 0xFFFF_B8A1, 0xFFFF_1DAF, 0x1234_5678, 0x05C1_0000 | code, 0x9ABC_DEF0, 0xFFFF_0000 | data];
        Assert.Equal(words, Enumerable.Range(0, 7).Select(i => Word(cpu, i)));
        Assert.Equal(0xC7F, cpu.S->Floating.Control);
        Assert.Equal(0x3821, cpu.S->Floating.Status);
    }

    [Fact]
    public void Fnstenv_Protected16_HasNoOpcode()
    {
        using TestCpu cpu = New(32, "pentium3");
        Fill(cpu);
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Fnstenv_m14byte, __[ebx].ToMemoryOperand(32)))));
        Assert.Equal("400CA1B8AF1D78563300F0DE2B000000", Convert.ToHexString(cpu.Read(D, 16)));
    }

    [Fact]
    public void Fnstenv_RealMode_StoresLinearAddresses()
    {
        using TestCpu cpu = New(16);
        Fill(cpu);
        (cpu.S->Floating.InstructionSelector, cpu.S->Floating.InstructionPointer) = (0xABCD, 0x1234);
        (cpu.S->Floating.DataSelector, cpu.S->Floating.DataPointer) = (0x1000, 0x2345);
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Fnstenv_m14byte, __[bx].ToMemoryOperand(16)))));
        Assert.Equal("400CA1B8AF1D04CFC1A545230010", Convert.ToHexString(cpu.Read(0x4000, 14)));
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Fnstenv_m28byte, __[bx].ToMemoryOperand(16)))));
        Assert.Equal("04CF0000C1A5000045230000001000", Convert.ToHexString(cpu.Read(0x400C, 15)));
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(32, true)]
    [InlineData(32, false)]
    [InlineData(16, true)]
    [InlineData(16, false)]
    public void FnsaveAndFrstor_EveryLayout_BringTheStateBack(int bits, bool wide)
    {
        using TestCpu cpu = New(bits);
        Fill(cpu);
        if (bits == 16)
            (cpu.S->Floating.InstructionSelector, cpu.S->Floating.InstructionPointer, cpu.S->Floating.DataSelector, cpu.S->Floating.DataPointer) = (0, 0xF_1234, 0, 0xE_4321);
        cpu.S->Floating.Control |= Emu.Instructions.X87.ExceptionMask;
        cpu.S->Floating.Status = 0x3821;
        FloatingState before = cpu.S->Floating;
        AssemblerMemoryOperand at = bits switch { 64 => __[rbx], 32 => __[ebx], _ => __[bx] };
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(wide ? Code.Fnsave_m108byte : Code.Fnsave_m94byte, at.ToMemoryOperand(bits)))));
        Assert.Equal((0x37F, 0, 0), (cpu.S->Floating.Control, cpu.S->Floating.Status, cpu.S->Floating.Tags));
        new Span<ulong>(cpu.S->Floating.X87, 16).Clear();
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(wide ? Code.Frstor_m108byte : Code.Frstor_m94byte, at.ToMemoryOperand(bits)))));
        FloatingState after = cpu.S->Floating;
        Assert.Equal((before.Control, before.Status, before.Tags), (after.Control, after.Status, after.Tags));
        for (int i = 0; i < 16; i++)
            Assert.Equal(before.X87[i], after.X87[i]);
        Assert.Equal(wide ? before.InstructionPointer : bits == 16 ? 0xF_1234UL : before.InstructionPointer & 0xFFFF, after.InstructionPointer);
        Assert.Equal(wide ? before.DataPointer : bits == 16 ? 0xE_4321UL : before.DataPointer & 0xFFFF, after.DataPointer);
        Assert.Equal(wide || bits == 16 ? before.Opcode : 0, after.Opcode);
    }

    [Fact]
    public void Fnsave_SecondPageNotPresent_ChangesNothing()
    {
        using TestCpu cpu = New();
        Fill(cpu);
        FloatingState before = cpu.S->Floating;
        cpu[3] = TestCpu.NotPresent - 20;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.AddInstruction(Instruction.Create(Code.Fnsave_m108byte, __[rbx].ToMemoryOperand(64)))));
        Assert.Equal(TestCpu.NotPresent, cpu.Fault.LinearAddress);
        Assert.Equal((before.Control, before.Status, before.Tags), (cpu.S->Floating.Control, cpu.S->Floating.Status, cpu.S->Floating.Tags));
        Assert.Equal(new byte[20], cpu.Read(TestCpu.NotPresent - 20, 20));
    }

    [Fact]
    public void PointersAndOpcode_NonControlInstruction_AreRemembered()
    {
        using TestCpu cpu = New();
        cpu.Run(a => a.fninit());
        cpu.Load(a => a.fincstp());
        Assert.Null(cpu.Step());
        Assert.Equal((TestCpu.CodeAt, (ushort)8, (ushort)0x1F7), (cpu.S->Floating.InstructionPointer, cpu.S->Floating.InstructionSelector, cpu.S->Floating.Opcode));
        cpu.Run(a => a.ffree(st5));
        Assert.Equal(0x5C5, cpu.S->Floating.Opcode);
        cpu.Run(a => a.fnstcw(__word_ptr[rbx]));
        Assert.Equal(0x5C5, cpu.S->Floating.Opcode);
    }

    /// <summary>SDM Vol. 1, "Last Instruction Opcode": the two bytes of the opcode as they stand in memory, whatever prefixes, SIB byte and displacement are about them.</summary>
    [Theory]
    [InlineData("D903", 0x103)]
    [InlineData("D90423", 0x104)]
    [InlineData("D9042500000000", 0x104)]
    [InlineData("D90500000000", 0x105)]
    [InlineData("D9442300", 0x144)]
    [InlineData("64674866D90423", 0x104)]
    [InlineData("DD5B00", 0x55B)]
    [InlineData("D9D0", 0x1D0)]
    [InlineData("DCD1", 0x4D1)]
    [InlineData("DFC1", 0x7C1)]
    public void Opcode_IsThatOfTheBytes(string code, int expected)
    {
        using TestCpu cpu = New();
        cpu.Run(a => a.fninit());
        cpu.Run(a => a.fldz());
        cpu.Run(a => a.db(Convert.FromHexString(code)));
        Assert.Equal(expected, cpu.S->Floating.Opcode);
    }

    /// <summary>A state with something in every field, an unmasked exception pending.</summary>
    private static void Fill(TestCpu cpu)
    {
        ref FloatingState f = ref cpu.S->Floating;
        // R7 to R0: valid, empty, denormal... tags 00 01 11 01 10 10 11 11 from R7 down.
        ulong[] low = [0, 1, 1, 0x8000_0000_0000_0000, 0, 1, 0, 0x8000_0000_0000_0000];
        ulong[] high = [0, 0, 0, 0x7FFF, 0, 0, 0x8000, 0x3FFF];
        for (int i = 0; i < 8; i++)
            (f.X87[2 * i], f.X87[2 * i + 1]) = (low[i], high[i]);
        f.Tags = 0b1101_1100;
        (f.Control, f.Status) = (0xC40, 0xB8A1);
        (f.InstructionPointer, f.InstructionSelector, f.Opcode) = (0x1234_5678, 0x33, 0x5C1);
        (f.DataPointer, f.DataSelector) = (0x9ABC_DEF0, 0x2B);
    }
}
