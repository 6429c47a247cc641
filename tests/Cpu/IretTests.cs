using Emu.Cpus;
using FsCheck;
using FsCheck.Fluent;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class IretTests
{
    private const ulong AllFlags = Rflags.Arithmetic | Rflags.Tf | Rflags.If | Rflags.Df | Rflags.IoplMask | Rflags.Nt | Rflags.Ac | Rflags.Id
        | Rflags.Vif | Rflags.Vip | Rflags.Rf;

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void RealMode_PopsIpCsFlags(int size)
    {
        using TestCpu t = new();
        Push(t, 0x8000, size, 0x1111, 0x2000, Rflags.If | Rflags.Cf | Rflags.IoplMask | Rflags.Ac);
        Assert.True(Iret.Execute(t.S, size));
        Assert.Equal((0x1111UL, 0x2_0000UL, 0x8000UL), (t.S->Rip, t.S->Cs.Base, t.Rsp));
        Assert.Equal(Rflags.If | Rflags.Cf | Rflags.IoplMask | 2 | (size == 4 ? Rflags.Ac : 0), Flags.Get(t.S));
        Assert.Equal(1, t.TakeSerialised());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void ProtectedMode_SamePrivilege_PopsThree(int size)
    {
        using TestCpu t = Protected();
        Push(t, Stack0, size, 0x1111, Code0, Rflags.If | Rflags.Zf);
        t.S->NmiBlocked = 1;
        Assert.True(Iret.Execute(t.S, size));
        Assert.Equal((0x1111UL, Code0, (ulong)Stack0), (t.S->Rip, t.S->Cs.Selector, t.Rsp));
        Assert.Equal(Rflags.If | Rflags.Zf | 2, Flags.Get(t.S));
        Assert.Equal((0, 1), (t.S->NmiBlocked, t.TakeSerialised()));
    }

    [Fact]
    public void ProtectedMode_ToUser_PopsFiveAndDropsKernelSegments()
    {
        using TestCpu t = Protected();
        Push(t, Stack0, 4, 0x1111, Code3, Rflags.If, 0x9FF0, Data3);
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Es, Data3));
        Assert.True(Iret.Execute(t.S, 4));
        Assert.Equal((3, 0x1111UL, 0x9FF0UL, Data3), (t.S->Cpl, t.S->Rip, t.Rsp, t.S->Ss.Selector));
        Assert.Equal((0, 1), (t.S->Ds.Usable, t.S->Es.Usable));
        Assert.Equal(ModeKey.User, t.S->ModeKey & ModeKey.User);
    }

    [Fact]
    public void ProtectedMode_ToVirtual8086_PopsNine()
    {
        using TestCpu t = Protected();
        Push(t, Stack0, 4, 0x1111, 0x0100, Rflags.Vm | Rflags.If | Rflags.IoplMask, 0x800, 0x900, 0xE00, 0xD00, 0xF00, 0xA00);
        Assert.True(Iret.Execute(t.S, 4));
        Assert.True(t.S->Virtual8086);
        Assert.Equal((3, 0x1111UL, 0x800UL), (t.S->Cpl, t.S->Rip, t.Rsp));
        Assert.Equal((0x1000UL, 0x9000UL, 0xE000UL, 0xD000UL, 0xF000UL, 0xA000UL),
            (t.S->Cs.Base, t.S->Ss.Base, t.S->Es.Base, t.S->Ds.Base, t.S->Fs.Base, t.S->Gs.Base));
        Assert.Equal(Rflags.Vm | Rflags.If | Rflags.IoplMask | 2, Flags.Get(t.S));
        Assert.Equal(ModeKey.Real, t.S->ModeKey & ModeKey.Real);
    }

    [Fact]
    public void ProtectedMode_VmInThePoppedFlags_CountsAtCpl0Only()
    {
        using TestCpu t = Protected(cpl: 3);
        Push(t, Stack3, 4, 0x1111, Code3, Rflags.Vm);
        Assert.True(Iret.Execute(t.S, 4));
        Assert.False(t.S->Virtual8086);
        Assert.Equal(0x1111UL, t.S->Rip);
    }

    [Fact]
    public void Virtual8086_WantsIopl3_AndKeepsIt()
    {
        using TestCpu t = Virtual8086();
        Push(t, 0x800, 2, 0x1111, 0x0200, Rflags.Cf, stackBase: 0x9000);
        Assert.False(Iret.Execute(t.S, 2));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Flags.Set(t.S, Rflags.Vm | Rflags.IoplMask | Rflags.If);
        Assert.True(Iret.Execute(t.S, 2));
        Assert.Equal((0x1111UL, 0x2000UL), (t.S->Rip, t.S->Cs.Base));
        Assert.Equal(Rflags.Vm | Rflags.IoplMask | Rflags.Cf | 2, Flags.Get(t.S));
    }

    [Theory]
    [InlineData(Code0, Data0, 0)]
    [InlineData(Code0, (ushort)0, 0)]
    [InlineData(Code3, Data3, 3)]
    public void LongMode_AlwaysPopsSsRsp(ushort cs, ushort ss, int cpl)
    {
        using TestCpu t = Long();
        Push(t, Stack0, 8, 0xFFFF_8000_0000_1111, cs, Rflags.If, 0x8123, ss);
        Assert.True(Iret.Execute(t.S, 8));
        Assert.Equal((cpl, 0xFFFF_8000_0000_1111UL, 0x8123UL, ss), (t.S->Cpl, t.S->Rip, t.Rsp, t.S->Ss.Selector));
        Assert.Equal(1, t.TakeSerialised());
    }

    [Fact]
    public void LongMode_ToCompatibilityMode_ChangesTheCodeSize()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, Segment(CodeType, 3));
        Push(t, Stack0, 8, 0x1111, Free | 3, Rflags.If, 0x9FF0, Data3);
        Assert.True(Iret.Execute(t.S, 8));
        Assert.False(t.S->Is64Bit);
        Assert.Equal(1U, t.S->ModeKey & ModeKey.CodeSizeMask);
    }

    [Fact]
    public void CompatibilityMode_SamePrivilege_PopsThree()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, Segment(CodeType, 0));
        Assert.True(FarTransfer.Jump(t.S, Free, 0x7000, 4));
        Push(t, Stack0, 4, 0x7111, Free, Rflags.If);
        Assert.True(Iret.Execute(t.S, 4));
        Assert.Equal((0x7111UL, (ulong)Stack0), (t.S->Rip, t.Rsp));
    }

    [Theory]
    [InlineData(0x8000_0000_0000UL, Code0, Data0, Vector.GeneralProtection, 0U)]
    [InlineData(0x1111UL, (ushort)0, Data0, Vector.GeneralProtection, 0U)]
    [InlineData(0x1111UL, Data0, Data0, Vector.GeneralProtection, (uint)Data0)]
    [InlineData(0x1111UL, Code3, (ushort)3, Vector.GeneralProtection, 0U)]
    [InlineData(0x1111UL, Code3, (ushort)(Data0 | 3), Vector.GeneralProtection, (uint)Data0)]
    [InlineData(0x1111UL, (ushort)(Code0 | 3), Data3, Vector.GeneralProtection, (uint)Code0)]
    [InlineData(0x1111UL, Free, Data0, Vector.SegmentNotPresent, (uint)Free)]
    [InlineData(0x1111UL, Code0, (ushort)(Free + 8), Vector.StackFault, Free + 8U)]
    public void LongMode_BadFrame_FaultsAndChangesNothing(ulong rip, ushort cs, ushort ss, Vector vector, uint code)
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, Segment(CodeType, 0, present: false, big: false, isLong: true));
        t.SetDescriptor(Free + 8, Segment(DataType, 0, present: false));
        Push(t, Stack0, 8, rip, cs, Rflags.If, 0x8123, ss);
        Assert.False(Iret.Execute(t.S, 8));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal((0, 0x6000UL, (ulong)Stack0 - 40, 2UL), (t.S->Cpl, t.S->Rip, t.Rsp, Flags.Get(t.S)));
        Assert.Equal(0, t.TakeSerialised());
    }

    [Fact]
    public void Iret_ThatFaults_StillEndsTheBlockingOfNmis()
    {
        using TestCpu t = Long();
        Push(t, Stack0, 8, 0x1111, 0, 2, 0x8123, Data0);
        t.S->NmiBlocked = 1;
        Assert.False(Iret.Execute(t.S, 8));
        Assert.Equal(0, t.S->NmiBlocked);
    }

    [Fact]
    public void Nt_InLongMode_IsGp()
    {
        using TestCpu l = Long();
        Flags.Set(l.S, Rflags.Nt);
        Assert.False(Iret.Execute(l.S, 8));
        Assert.Equal((Vector.GeneralProtection, 0U), (l.Fault.Vector, l.Fault.ErrorCode));
    }

    /// <summary>SDM, "IRET" and "POPF": which flags change, by CPL, IOPL and operand size.</summary>
    [Theory]
    [InlineData(0, 0, 4, AllFlags & ~Rflags.Rf)]
    [InlineData(0, 0, 2, AllFlags & 0xFFFF)]
    [InlineData(3, 0, 4, AllFlags & ~(Rflags.Rf | Rflags.If | Rflags.IoplMask | Rflags.Vif | Rflags.Vip))]
    [InlineData(3, 3, 4, AllFlags & ~(Rflags.Rf | Rflags.IoplMask | Rflags.Vif | Rflags.Vip))]
    public void PoppedFlags_AreThoseThatThePrivilegeAllows(int cpl, int iopl, int size, ulong changed)
    {
        foreach (ulong popped in new[] { 0UL, AllFlags })
        {
            using TestCpu t = Protected(cpl);
            ulong before = (~popped & AllFlags & ~(Rflags.Nt | Rflags.Rf | Rflags.IoplMask)) | (ulong)iopl << 12 | 2;
            Flags.Set(t.S, before);
            Push(t, cpl == 0 ? Stack0 : Stack3, size, 0x1111, cpl == 0 ? Code0 : Code3, popped);
            Assert.True(Iret.Execute(t.S, size));
            Assert.Equal(before & ~changed | popped & changed | 2, Flags.Get(t.S));
        }
    }

    /// <summary>An interrupt and the IRET of its handler are the identity, whatever the flags, the stack pointer and the level.</summary>
    [Fact]
    public void Iret_AfterDelivery_IsTheIdentity()
    {
        Prop.ForAll<uint, uint, bool>((rsp, flags, fromUser) =>
        {
            foreach (bool longMode in new[] { false, true })
            {
                using TestCpu t = longMode ? Long(fromUser ? 3 : 0) : Protected(fromUser ? 3 : 0);
                ulong before = flags * 0x9E37_79B9U & (Rflags.Arithmetic | Rflags.If | Rflags.Df | Rflags.Tf | Rflags.Ac | Rflags.Id);
                Flags.Set(t.S, before);
                t.S->Registers[4] = 0x8000 + rsp % 0x1000;
                CpuState saved = *t.S;
                t.SetVector(0x41, Code0, 0x1_2345);
                Assert.True(EventDelivery.Deliver(t.S, (Vector)0x41, EventKind.ExternalInterrupt));
                Assert.Equal(0, t.S->Cpl);
                Assert.True(Iret.Execute(t.S, longMode ? 8 : 4));
                Assert.Equal((saved.Rip, saved.Registers[4], saved.Cpl, saved.ModeKey, before | 2),
                    (t.S->Rip, t.Rsp, t.S->Cpl, t.S->ModeKey, Flags.Get(t.S)));
                Assert.Equal((saved.Cs, saved.Ss), (t.S->Cs, t.S->Ss));
            }
            return true;
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>Lays out a frame below <paramref name="top"/>, lowest address first, and points the stack at it.</summary>
    private static void Push(TestCpu t, ulong top, int size, ulong rip, ulong cs, ulong flags, params ulong[] rest) =>
        Lay(t, top, size, 0, [rip, cs, flags, .. rest]);

    private static void Push(TestCpu t, ulong top, int size, ulong rip, ulong cs, ulong flags, ulong stackBase) =>
        Lay(t, top, size, stackBase, [rip, cs, flags]);

    private static void Lay(TestCpu t, ulong top, int size, ulong stackBase, ulong[] values)
    {
        ulong at = top - (ulong)(values.Length * size);
        for (int i = 0; i < values.Length; i++)
            t.Write(stackBase + at + (ulong)(i * size), size, values[i]);
        t.S->Registers[4] = at;
        t.TakeSerialised();
    }
}
