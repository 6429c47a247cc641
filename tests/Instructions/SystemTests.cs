using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>That system instructions reach the CPU's slow paths with the right operands, and leave RIP and privilege as they should.</summary>
public sealed unsafe class SystemTests
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rsi = 6;
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
        cpu.Bus.AttachPorts(0x40, 4, port, width: 4);
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
}
