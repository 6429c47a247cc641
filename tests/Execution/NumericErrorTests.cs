using Emu.Cpus;
using Emu.Devices;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Emu.Tests.Machine;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>x87 exceptions with CR0.NE = 0: FERR#, IRQ 13, port 0xF0 and IGNNE# (SDM Vol. 1, "MS-DOS* Compatibility Sub-mode").</summary>
public sealed unsafe class NumericErrorTests
{
    private const ulong Code = SmallMachine.CodeAt, Handler = SmallMachine.CodeAt + 0x1000, ControlWord = SmallMachine.DataAt, Count = SmallMachine.DataAt + 8;
    private const byte Vector13 = 0x75;
    private const ulong IoApic = 0xFEC0_0000;

    /// <summary>A machine with IRQ 13 at a vector of CPU 0; its CPUs begin with ZE unmasked.</summary>
    private static SmallMachine Build(FetchProfile profile, int cpus, Action<Assembler> handler)
    {
        var m = new SmallMachine(profile, cpus);
        Write(m, 0x10 + 2 * NumericErrorPort.Irq, Vector13);
        m.SetVector(Vector13, Handler);
        m.Write(ControlWord, 0x7B, 0x03);
        m.Assemble(Handler, a =>
        {
            a.inc(__dword_ptr[Count]);
            handler(a);
            a.mov(eax, unchecked((int)0xFEE0_00B0));
            a.mov(__dword_ptr[rax], 0);
            a.iretq();
        });
        return m;
    }

    private static void Write(SmallMachine m, uint register, uint value)
    {
        m.Machine.Bus.WriteMmio(new CpuIndex(0), IoApic, 4, register);
        m.Machine.Bus.WriteMmio(new CpuIndex(0), IoApic + 0x10, 4, value);
    }

    private static void DivideByZero(Assembler a)
    {
        a.fninit();
        a.fldcw(__word_ptr[ControlWord]);
        a.fldz();
        a.fld1();
        a.fdiv(st0, st1);
    }

    private static void WritePort(Assembler a) => a.db(0xE6, (byte)NumericErrorPort.Port); // OUT imm8, AL

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void WaitingInstruction_WithAPendingException_TakesIrq13AndGoesOn(string profile)
    {
        using SmallMachine m = Build(FetchProfiles.All.Single(p => p.Name == profile), 1, a =>
        {
            WritePort(a);
            a.fnclex();
        });
        m.Assemble(Code, a =>
        {
            a.sti();
            DivideByZero(a);
            a.fnstsw(ax); // does not wait
            a.mov(ebx, eax);
            a.fld1();
            a.fnstsw(ax);
            a.cli();
            a.hlt();
        });
        Assert.Equal(StopReason.AllHalted, m.Machine.Run(1000).Reason);
        Assert.Equal(1UL, m.Read64(Count));
        Assert.Equal(X87Status.Summary | X87Status.Busy | X87Status.ZeroDivide, (int)m[0]->Registers[3] & 0x80FF);
        Assert.Equal(0, (int)m[0]->Registers[0] & 0x80FF);
        Assert.Equal(Activity.Halted, m[0]->Activity);
    }

    [Fact]
    public void FrozenCpu_WithInterruptsOff_StaysSo()
    {
        using SmallMachine m = Build(FetchProfiles.Coherent, 1, WritePort);
        ulong wait = 0;
        m.Assemble(Code, a =>
        {
            DivideByZero(a);
            a.wait();
            a.hlt();
        });
        RunResult result = m.Machine.Run(1000);
        Assert.Equal(StopReason.AllHalted, result.Reason);
        Assert.Contains("frozen by an x87 exception", result.Message, StringComparison.Ordinal);
        m.Machine.Memory.TryRead(m[0]->Rip, new Span<byte>(&wait, 1));
        Assert.Equal(0x9BUL, wait);
        Assert.Equal(5UL, m[0]->Retired);
    }

    [Fact]
    public void HandlerThatOnlyWritesThePort_LetsInstructionsPassUntilTheExceptionIsCleared()
    {
        using SmallMachine m = Build(FetchProfiles.Coherent, 1, WritePort);
        m.Assemble(Code, a =>
        {
            a.sti();
            DivideByZero(a);
            a.wait();
            a.fld1(); // IGNNE#
            a.mov(ebx, __dword_ptr[Count]);
            a.fnclex();
            DivideByZero(a);
            a.wait();
            a.cli();
            a.hlt();
        });
        Assert.Equal(StopReason.AllHalted, m.Machine.Run(1000).Reason);
        Assert.Equal(Activity.Halted, m[0]->Activity);
        Assert.Equal((1UL, 2UL), (m[0]->Registers[3], m.Read64(Count)));
    }

    [Fact]
    public void Port_WithoutFerr_DoesNotAssertIgnne()
    {
        using SmallMachine m = Build(FetchProfiles.Coherent, 1, a => a.fnclex());
        m.Assemble(Code, a =>
        {
            WritePort(a);
            DivideByZero(a);
            WritePort(a); // not reported yet
            a.wait();
            a.hlt();
        });
        m.Machine.Run(1000);
        Assert.Equal(Activity.Frozen, m[0]->Activity);
        Assert.Equal(NumericError.Reported, m[0]->Floating.Error);
    }

    [Fact]
    public void PortWrittenByAnotherCpu_WakesTheFrozenOne()
    {
        using SmallMachine m = Build(FetchProfiles.Coherent, 2, WritePort);
        m.Assemble(Code, a =>
        {
            DivideByZero(a);
            a.wait();
            a.hlt();
        });
        m.Assemble(Code + 0x800, a =>
        {
            WritePort(a);
            a.hlt();
        });
        m[1]->Activity = Activity.WaitForSipi;
        m.Machine.Run(1000);
        Assert.Equal(Activity.Frozen, m[0]->Activity);
        m[1]->Activity = Activity.Active;
        m[1]->Rip = Code + 0x800;
        m.Machine.Run(1000);
        Assert.Equal((Activity.Halted, Activity.Halted), (m[0]->Activity, m[1]->Activity));
        Assert.Equal(NumericError.Reported | NumericError.Ignored, m[0]->Floating.Error);
    }

    [Fact]
    public void EveryWayToClearTheException_TakesIgnneBack()
    {
        (string Name, Action<Assembler> Clear)[] ways =
        [
            ("fninit", a => a.fninit()),
            ("fnclex", a => a.fnclex()),
            ("fnsave", a => a.fnsave(__dword_ptr[SmallMachine.DataAt + 0x100])),
            ("fnstenv", a => a.fnstenv(__dword_ptr[SmallMachine.DataAt + 0x100])),
            ("fxrstor", a => a.fxrstor(__dword_ptr[SmallMachine.DataAt + 0x1000])),
        ];
        foreach ((string name, Action<Assembler> clear) in ways)
        {
            using SmallMachine m = Build(FetchProfiles.Coherent, 1, WritePort);
            m[0]->Paging.Cr4 |= ControlBits.Cr4OsFxsr;
            m.Assemble(Code, a =>
            {
                a.sti();
                DivideByZero(a);
                a.wait();
                clear(a);
                a.cli();
                a.hlt();
            });
            m.Machine.Run(1000);
            Assert.True((Activity.Halted, NumericError.None, 1UL) == (m[0]->Activity, m[0]->Floating.Error, m.Read64(Count)), name);
        }
    }
}
