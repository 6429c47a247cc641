using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>That system instructions reach the CPU's slow paths with the right operands, and leave RIP and privilege as they should.</summary>
public sealed unsafe class SystemTests
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rsi = 6, R11 = 11;
    private const ulong Gdt = 0x8000, Idt = 0x9000, Tss = 0xA000, Handler = 0x2_0000;

    /// <summary>08 code, 10 data, 18 32-bit user code, 20 user data, 28 user code, 30 TSS; each vector's handler is at Handler + 16 × vector.</summary>
    private static TestCpu WithTables(CpuModel? model = null, int storeBuffer = 0, FetchProfile? profile = null)
    {
        var cpu = new TestCpu(64, model, storeBuffer, profile);
        ulong[] gdt = [0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
            0x0000_8900_0000_0067 | Tss << 16, 0];
        for (int i = 0; i < gdt.Length; i++)
            cpu.Write64(Gdt + 8 * (ulong)i, gdt[i]);
        for (ulong v = 0; v < 256; v++)
        {
            ulong at = Handler + 16 * v, dpl = v == 0x80 || v == 3 ? 3UL : 0;
            cpu.Write64(Idt + 16 * v, (at & 0xFFFF) | 8UL << 16 | (0x8E00 | dpl << 13) << 32 | at >> 16 << 48);
            cpu.Write64(Idt + 16 * v + 8, 0);
        }
        cpu.Write(Tss, new byte[0x68]);
        cpu.Write64(Tss + 4, TestCpu.StackAt);
        cpu.Write(Tss + 0x66, 0x68, 0);
        cpu.S->Gdtr = new TableRegister { Base = Gdt, Limit = 63 };
        cpu.S->Idtr = new TableRegister { Base = Idt, Limit = 4095 };
        cpu.S->Paging.Efer |= ControlBits.EferSce;
        return cpu;
    }

    private static void EnterUser(TestCpu cpu)
    {
        cpu.S->Cs.Selector = 0x2B;
        cpu.S->Ss.Selector = 0x23;
        cpu.S->Cs.Attributes |= 3 << SegmentAttributes.DplShift;
        cpu.EnterUserMode();
    }

    [Fact]
    public void LgdtAndSgdt_RoundTrip_TakeTenBytes()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write(TestCpu.DataAt, 0x34, 0x12, 1, 2, 3, 4, 5, 0, 0, 0);
        Assert.Null(cpu.Run(a => a.lgdt(__[rsi])));
        Assert.Equal((0x05_0403_0201UL, 0x1234u), (cpu.S->Gdtr.Base, cpu.S->Gdtr.Limit));
        Assert.Null(cpu.Run(a => a.lidt(__[rsi])));
        Assert.Null(cpu.Run(a => a.sidt(__[rsi + 16])));
        Assert.Equal(cpu.Read(TestCpu.DataAt, 10), cpu.Read(TestCpu.DataAt + 16, 10));
        EnterUser(cpu);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.lgdt(__[rsi])));
    }

    [Fact]
    public void Lgdt_With16BitOperand_Loads24BitsOfBase()
    {
        using var cpu = new TestCpu(32);
        cpu.Write(TestCpu.DataAt, 0xFF, 0, 0x11, 0x22, 0x33, 0x44);
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Load(0x66, 0x0F, 0x01, 0x16); // data16 lgdt [esi]
        Assert.Null(cpu.Step());
        Assert.Equal(0x33_2211UL, cpu.S->Gdtr.Base);
    }

    [Fact]
    public void MovControlRegister_ToAndFrom_KeepsWidthAndPrivilege()
    {
        using var cpu = new TestCpu();
        cpu[Rbx] = 0x1234_5678_9ABC_DEF0;
        Assert.Null(cpu.Run(a => a.mov(cr2, rbx)));
        Assert.Null(cpu.Run(a => a.mov(rax, cr2)));
        Assert.Equal(cpu[Rbx], cpu[Rax]);
        cpu[Rbx] = 9;
        Assert.Null(cpu.Run(a => a.mov(cr8, rbx)));
        Assert.Null(cpu.Run(a => a.mov(rax, cr8)));
        Assert.Equal(9UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.mov(dr0, rbx)));
        Assert.Null(cpu.Run(a => a.mov(rcx, dr0)));
        Assert.Equal(9UL, cpu[Rcx]);
        cpu.Load(0x0F, 0x20, 0xC8); // mov rax, cr1
        Assert.Equal(Vector.InvalidOpcode, cpu.Step());
        EnterUser(cpu);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.mov(rax, cr0)));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.mov(cr3, rax)));
    }

    [Fact]
    public void Int_ThroughAGate_PushesTheNextRip()
    {
        using var cpu = WithTables();
        Assert.Null(cpu.Run(a => a.@int(0x80)));
        Assert.True(cpu.Retired);
        Assert.Equal(Handler + 0x800, cpu.S->Rip);
        Assert.Equal(TestCpu.CodeAt + 2, cpu.Read64(cpu[Rsp]));
        Assert.Null(cpu.Run(a => a.int3()));
        Assert.Equal(Handler + 0x30, cpu.S->Rip);
        Assert.Equal(TestCpu.CodeAt + 1, cpu.Read64(cpu[Rsp]));
        cpu.Load(0xF1);
        Assert.Null(cpu.Step());
        Assert.Equal(Handler + 0x10, cpu.S->Rip);
    }

    [Fact]
    public void Int_ToAGateOfHigherPrivilege_IsGeneralProtectionAtTheInstruction()
    {
        using var cpu = WithTables();
        cpu.S->Tr = new SegmentRegister { Selector = 0x30, Base = Tss, Limit = 0x67, Attributes = SegmentAttributes.Present | SystemType.BusyTss32, Usable = 1 };
        EnterUser(cpu);
        Assert.Null(cpu.Run(a => a.@int(0x40)));
        Assert.Equal(Handler + 0xD0, cpu.S->Rip);
        Assert.Equal((0x40UL * 8 + 2, TestCpu.CodeAt), (cpu.Read64(cpu[Rsp]), cpu.Read64(cpu[Rsp] + 8)));
    }

    [Fact]
    public void Iretq_FromAHandler_RestoresTheFrame()
    {
        using var cpu = WithTables();
        cpu.Rflags = Rflags.Cf | Rflags.If;
        ulong sp = cpu[Rsp];
        Assert.Null(cpu.Run(a => a.@int(0x80)));
        Assert.Equal(0UL, cpu.Rflags & Rflags.If);
        cpu.Write(cpu.S->Rip, 0x48, 0xCF);
        Assert.Null(cpu.Step());
        Assert.Equal((TestCpu.CodeAt + 2, sp, Rflags.Cf | Rflags.If | Rflags.Reserved1), (cpu.S->Rip, cpu[Rsp], cpu.Rflags));
    }

    [Fact]
    public void FarReturnAndFarJump_InLongMode_LoadCsAndRip()
    {
        using var cpu = WithTables();
        cpu.Write64(cpu[Rsp], Handler);
        cpu.Write64(cpu[Rsp] + 8, 8);
        cpu.Load(0x48, 0xCA, 0x10, 0x00); // retfq 0x10
        Assert.Null(cpu.Step());
        Assert.Equal((Handler, TestCpu.StackAt + 0x20), (cpu.S->Rip, cpu[Rsp]));
        cpu.Write(TestCpu.DataAt, BitConverter.GetBytes(Handler + 4));
        cpu.Write(TestCpu.DataAt + 8, 8, 0);
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Load(0x48, 0xFF, 0x2E); // jmp far m16:64
        Assert.Null(cpu.Step());
        Assert.Equal((Handler + 4, (ushort)8), (cpu.S->Rip, cpu.S->Cs.Selector));
        cpu.Load(0x48, 0xFF, 0x1E); // call far m16:64
        Assert.Null(cpu.Step());
        Assert.Equal((TestCpu.CodeAt + 3, 8UL), (cpu.Read64(cpu[Rsp]), cpu.Read64(cpu[Rsp] + 8)));
        cpu.Write(TestCpu.DataAt + 8, 0x30, 0);
        string before = cpu.Image();
        cpu.Load(0x48, 0xFF, 0x2E);
        before = cpu.Image();
        Assert.Equal(Vector.GeneralProtection, cpu.Step()); // a TSS is no target in long mode
        Assert.Equal(before, cpu.Image());
    }

    [Fact]
    public void FarJump_InRealMode_LoadsBase()
    {
        using var cpu = new TestCpu(16);
        cpu.Load(0xEA, 0x34, 0x12, 0x00, 0x20);
        Assert.Null(cpu.Step());
        Assert.Equal((0x1234UL, 0x2_0000UL), (cpu.S->Rip, cpu.S->Cs.Base));
    }

    [Fact]
    public void SyscallAndSysret_RoundTrip()
    {
        using var cpu = WithTables();
        cpu.S->Star = 8UL << 32 | 0x18UL << 48;
        cpu.S->Lstar = Handler;
        cpu.S->Sfmask = Rflags.If;
        EnterUser(cpu);
        cpu.Rflags = Rflags.If | Rflags.Zf;
        Assert.Null(cpu.Run(a => a.syscall()));
        Assert.Equal((Handler, 0, TestCpu.CodeAt + 2), (cpu.S->Rip, cpu.S->Cpl, cpu[Rcx]));
        Assert.Equal(Rflags.Zf | Rflags.Reserved1, cpu.Rflags);
        cpu.Write(Handler, 0x48, 0x0F, 0x07);
        Assert.Null(cpu.Step());
        Assert.Equal((TestCpu.CodeAt + 2, 3, Rflags.If | Rflags.Zf | Rflags.Reserved1), (cpu.S->Rip, cpu.S->Cpl, cpu.Rflags));
    }

    [Fact]
    public void MovAndPopSegment_LoadAndShadow()
    {
        using var cpu = WithTables();
        cpu[Rax] = 0x10;
        Assert.Null(cpu.Run(a => a.mov(ds, eax)));
        Assert.Equal(0, cpu.S->InterruptShadow);
        Assert.Null(cpu.Run(a => a.mov(ss, eax)));
        Assert.Equal(2, cpu.S->InterruptShadow);
        Assert.Null(cpu.Run(a => a.mov(rbx, ss)));
        Assert.Equal(0x10UL, cpu[Rbx]);
        cpu[Rax] = 0x7FF8;
        cpu.Load(a => a.mov(fs, eax));
        Assert.Equal(Vector.GeneralProtection, cpu.Step());
        Assert.Equal(0x7FF8u, cpu.Fault.ErrorCode);
        cpu[Rax] = 0x23;
        Assert.Null(cpu.Run(a => a.push(rax)));
        Assert.Null(cpu.Run(a => a.pop(gs)));
        Assert.Equal((0x23, TestCpu.StackAt), (cpu.S->Gs.Selector, cpu[Rsp]));
        cpu.Write(TestCpu.DataAt, 0x78, 0x56, 0x34, 0x12, 0x10, 0);
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.lfs(ecx, __[rsi])));
        Assert.Equal((0x1234_5678UL, (ushort)0x10), (cpu[Rcx], cpu.S->Fs.Selector));
    }

    [Fact]
    public void LarLslVerrVerw_OnTheTable_Answer()
    {
        using var cpu = WithTables();
        cpu[Rbx] = 0x10;
        Assert.Null(cpu.Run(a => a.lar(eax, ebx)));
        Assert.Equal((0x00C0_9300UL, Rflags.Zf), (cpu[Rax], cpu.Rflags & Rflags.Zf));
        cpu.Load(0x48, 0x0F, 0x03, 0xC3); // lsl rax, ebx
        Assert.Null(cpu.Step());
        Assert.Equal(0xFFFF_FFFFUL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.verw(bx)));
        Assert.Equal(Rflags.Zf, cpu.Rflags & Rflags.Zf);
        cpu[Rbx] = 8;
        Assert.Null(cpu.Run(a => a.verw(bx)));
        Assert.Equal(0UL, cpu.Rflags & Rflags.Zf);
        cpu[Rbx] = 0x30;
        Assert.Null(cpu.Run(a => a.ltr(bx)));
        Assert.Null(cpu.Run(a => a.str(ecx)));
        Assert.Equal(0x30UL, cpu[Rcx]);
        Assert.Null(cpu.Run(a => a.sldt(ecx)));
        Assert.Equal(0UL, cpu[Rcx]);
    }

    [Fact]
    public void Hlt_InKernelAndUser_HaltsOrFaults()
    {
        using var cpu = new TestCpu();
        Assert.Null(cpu.Run(a => a.hlt()));
        Assert.Equal((ExitReason.Halt, TestCpu.CodeAt + 1), (cpu.S->Exit, cpu.S->Rip));
        Assert.True(cpu.Retired);
        EnterUser(cpu);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.hlt()));
    }

    [Fact]
    public void Rdtsc_InUserMode_FollowsTsd()
    {
        using var cpu = new TestCpu();
        cpu.S->Retired = 0x1_0000_0005;
        Assert.Null(cpu.Run(a => a.rdtscp()));
        Assert.Equal(1UL, cpu[Rdx]);
        EnterUser(cpu);
        Assert.Null(cpu.Run(a => a.rdtsc()));
        cpu.S->Paging.Cr4 |= ControlBits.Cr4Tsd;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.rdtsc()));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.rdpmc()));
    }

    [Fact]
    public void Msr_WriteAndRead_RoundTripOrFault()
    {
        using var cpu = new TestCpu();
        (cpu[Rcx], cpu[Rax], cpu[Rdx]) = (0xC000_0102, 0x5555_6666, 0x1111);
        Assert.Null(cpu.Run(a => a.wrmsr()));
        Assert.Null(cpu.Run(a => a.swapgs()));
        Assert.Equal(0x1111_5555_6666UL, cpu.S->Gs.Base);
        (cpu[Rcx], cpu[Rax]) = (0xC000_0101, 0);
        Assert.Null(cpu.Run(a => a.rdmsr()));
        Assert.Equal((0x5555_6666UL, 0x1111UL), (cpu[Rax], cpu[Rdx]));
        cpu[Rcx] = 0x1234_5678;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.rdmsr()));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.wrmsr()));
    }

    [Fact]
    public void FsGsBase_WithAndWithoutCr4_WorkOrAreInvalid()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = 0x7FFF_1234_5678;
        Assert.Equal(Vector.InvalidOpcode, cpu.Run(a => a.wrfsbase(rax)));
        cpu.S->Paging.Cr4 |= ControlBits.Cr4FsGsBase;
        Assert.Null(cpu.Run(a => a.wrfsbase(rax)));
        Assert.Null(cpu.Run(a => a.rdfsbase(ecx)));
        Assert.Equal(0x1234_5678UL, cpu[Rcx]);
        cpu[Rax] = 0x8000_0000_0000;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.wrgsbase(rax)));
    }

    [Fact]
    public void Ports_InAndOut_ReachTheBusAfterEarlierStores()
    {
        using var cpu = new TestCpu(storeBuffer: 4);
        var port = new RecordingPort(cpu);
        cpu.Bus.AttachPorts(0x40, 4, port);
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.mov(__byte_ptr[rsi], 1)));
        cpu[Rax] = 0xFFFF_FFFF_1122_3344;
        Assert.Null(cpu.Run(a => a.@out(0x40, eax)));
        Assert.Equal((0x40, 4, 0x1122_3344u, 0), (port.Port, port.Size, port.Value, port.WaitingStores));
        cpu[Rdx] = 0x42;
        Assert.Null(cpu.Run(a => a.@in(al, dx)));
        Assert.Equal(0xFFFF_FFFF_1122_33A5UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.@in(eax, dx)));
        Assert.Equal(0xA5UL, cpu[Rax]);
        cpu.Write(TestCpu.DataAt, 7, 0);
        Assert.Null(cpu.Run(a => a.outsw()));
        Assert.Equal((0x42, 2, 7u), (port.Port, port.Size, port.Value));
        EnterUser(cpu);
        // The bitmap begins behind the TSS proper: port 0x41 is allowed, 0x40 is not, and what lies beyond the limit is not.
        cpu.S->Tr = new SegmentRegister { Base = Tss, Limit = 0x71, Attributes = SegmentAttributes.Present | SystemType.BusyTss32, Usable = 1 };
        cpu.Write(Tss + 0x66, 0x68, 0);
        cpu.Write(Tss + 0x70, 0x01, 0xFF);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.@out(0x40, al)));
        Assert.Null(cpu.Run(a => a.@out(0x41, al)));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.@out(0x60, al)));
        cpu.Rflags = Rflags.IoplMask;
        Assert.Null(cpu.Run(a => a.@out(0x40, al)));
    }

    private sealed class RecordingPort(TestCpu cpu) : IPortDevice
    {
        public int Port, Size, WaitingStores;
        public uint Value;

        public uint Read(ushort port, int size) => 0xA5;

        public void Write(ushort port, int size, uint value) =>
            (Port, Size, Value, WaitingStores) = (port, size, value, cpu.Cpu.StoreBuffer.Count);
    }

    [Fact]
    public void Insb_IntoReadOnlyMemory_DoesNotTouchThePort()
    {
        using var cpu = new TestCpu();
        var port = new RecordingPort(cpu);
        cpu[7] = TestCpu.ReadOnly;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.insb()));
        Assert.Equal(TestCpu.ReadOnly, cpu[7]);
        Assert.Equal(0, port.Size);
    }

    [Theory]
    [InlineData("intel", false)]
    [InlineData("p6", true)]
    public void Mfence_ByProfile_SerialisesOrOnlyDrains(string profile, bool serialises)
    {
        using var cpu = new TestCpu(storeBuffer: 4, profile: FetchProfiles.Find(profile));
        int serialised = 0;
        cpu.Cpu.OnSerialise = () => serialised++;
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.mov(__byte_ptr[rsi], 1)));
        Assert.Null(cpu.Run(a => a.lfence()));
        Assert.Null(cpu.Run(a => a.sfence()));
        Assert.Equal(1, cpu.Cpu.StoreBuffer.Count);
        Assert.Null(cpu.Run(a => a.mfence()));
        Assert.Equal(0, cpu.Cpu.StoreBuffer.Count);
        Assert.Equal(FetchProfiles.Find(profile)!.MfenceSerialises, serialises);
        Assert.Equal(serialises ? 1 : 0, serialised);
        Assert.Null(cpu.Run(a => a.serialize()));
        Assert.Null(cpu.Run(a => a.cpuid()));
        Assert.Equal(serialises ? 3 : 2, serialised);
    }

    [Fact]
    public void MonitorMwait_UntilTheLineChanges_Waits()
    {
        using var cpu = new TestCpu();
        (cpu[Rax], cpu[Rcx]) = (TestCpu.DataAt + 10, 0);
        Assert.Null(cpu.Run(a => a.monitor()));
        Assert.Null(cpu.Run(a => a.mwait()));
        Assert.Equal(Activity.Waiting, cpu.S->Activity);
        Assert.False(MonitoredLine.Triggered(cpu.S));
        cpu.Write(TestCpu.DataAt + 63, 1);
        Assert.True(MonitoredLine.Triggered(cpu.S));
        cpu.S->Activity = Activity.Active;
        Assert.Null(cpu.Again());
        Assert.Equal(Activity.Active, cpu.S->Activity); // nothing is armed
        cpu[Rcx] = 1;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.mwait()));
    }

    [Fact]
    public void Ud_AllThree_AreInvalidOpcode()
    {
        using var cpu = new TestCpu();
        foreach (byte[] code in (byte[][])[[0x0F, 0x0B], [0x0F, 0xB9, 0xC0], [0x0F, 0xFF, 0xC0]])
        {
            cpu.Load(code);
            Assert.Equal(Vector.InvalidOpcode, cpu.Step());
            Assert.Equal(TestCpu.CodeAt, cpu.S->Rip);
        }
    }

    [Fact]
    public void InstructionsThatAModelLacks_AreInvalidOpcode()
    {
        using var pentium3 = new TestCpu(32, CpuModels.Pentium3);
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.mfence()));
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.lfence()));
        Assert.Null(pentium3.Run(a => a.sfence()));
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.popcnt(eax, ecx)));
        Assert.Null(pentium3.Run(a => a.cmove(eax, ecx)));
        using var k8 = new TestCpu(64, CpuModels.K8);
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.cmpxchg16b(__[rsi])));
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.monitor()));
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.rdtscp()));
        using var skylake = new TestCpu(64, CpuModels.Skylake);
        Assert.Equal(Vector.InvalidOpcode, skylake.Run(a => a.serialize()));
        Assert.Null(skylake.Run(a => a.mfence()));
        Assert.Equal(Vector.InvalidOpcode, skylake.Run(a => a.vmcall()));
    }

    [Fact]
    public void InstructionsNotYetOurs_StopTheMachineWithAMessage()
    {
        using var cpu = new TestCpu();
        cpu.Run(a => a.movaps(xmm0, xmm1));
        Assert.Equal(ExitReason.Unsupported, cpu.S->Exit);
        Assert.Contains("movaps xmm0,xmm1", cpu.Cpu.StopMessage);
        Assert.Contains("0x10000", cpu.Cpu.StopMessage);
    }

    [Fact]
    public void PauseAndHints_Always_Retire()
    {
        using var cpu = new TestCpu();
        Assert.Null(cpu.Run(a => a.pause()));
        Assert.Equal(1, cpu.S->YieldRequested);
        foreach (byte[] code in (byte[][])[[0x90], [0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0], [0xF3, 0x0F, 0x1E, 0xFA], [0x0F, 0x18, 0x0E], [0x0F, 0x0D, 0x0E]])
        {
            cpu.Load(code);
            cpu[Rsi] = TestCpu.NotPresent; // not accessed
            Assert.Null(cpu.Step());
            Assert.Equal(TestCpu.CodeAt + (ulong)code.Length, cpu.S->Rip);
        }
    }

    [Fact]
    public void Clflush_OfAnAbsentPage_Faults()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.NotPresent;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.clflush(__byte_ptr[rsi])));
        cpu[Rsi] = TestCpu.ReadOnly;
        Assert.Null(cpu.Again());
    }

    [Fact]
    public void XlatAndBound_ReadTheirTables()
    {
        using var cpu = new TestCpu(32);
        cpu.Write(TestCpu.DataAt + 0x80, 0x5A);
        (cpu[Rbx], cpu[Rax]) = (TestCpu.DataAt, 0x1180);
        Assert.Null(cpu.Run(a => a.xlatb()));
        Assert.Equal(0x115AUL, cpu[Rax]);
        cpu.Write(TestCpu.DataAt, 0xFE, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0);
        foreach (int index in (int[])[-3, -2, 3, 4])
        {
            cpu[Rax] = (uint)index;
            Assert.Equal(index is -3 or 4 ? Vector.BoundRange : null, cpu.Run(a => a.bound(eax, __[ebx])));
        }
    }

    [Fact]
    public void Smsw_RegisterAndMemory_TakesItsWidth()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = ulong.MaxValue;
        Assert.Null(cpu.Run(a => a.smsw(eax)));
        Assert.Equal(cpu.S->Paging.Cr0, cpu[Rax]);
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write64(TestCpu.DataAt, ulong.MaxValue);
        Assert.Null(cpu.Run(a => a.smsw(__word_ptr[rsi])));
        Assert.Equal(0xFFFF_FFFF_FFFF_0000 | (cpu.S->Paging.Cr0 & 0xFFFF), cpu.Read64(TestCpu.DataAt));
        Assert.Equal(0UL, cpu[R11]);
    }

    [Fact]
    public void Invlpg_OfAStaleTranslation_MakesTheNewOneSeen()
    {
        using var cpu = new TestCpu();
        const ulong entry = 0x4000 + 8 * (TestCpu.DataAt >> 12);
        cpu.Write(TestCpu.DataAt, 1);
        cpu.Write(TestCpu.DataAt + 0x1000, 2);
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.movzx(eax, __byte_ptr[rsi])));
        cpu.Write64(entry, (TestCpu.DataAt + 0x1000) | 7);
        Assert.Null(cpu.Run(a => a.movzx(ecx, __byte_ptr[rsi])));
        Assert.Null(cpu.Run(a => a.invlpg(__byte_ptr[rsi])));
        Assert.Null(cpu.Run(a => a.movzx(edx, __byte_ptr[rsi])));
        Assert.Equal((1UL, 1UL, 2UL), (cpu[Rax], cpu[Rcx], cpu[Rdx]));
    }
}
