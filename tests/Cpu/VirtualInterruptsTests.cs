using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>CR4.VME: the six ways of INT n in virtual-8086 mode, and VIF and VIP in IRET.</summary>
public sealed unsafe class VirtualInterruptsTests
{
    private const ulong NextRip = 0x102, Image = Rflags.Cf | Rflags.If | 2;

    /// <summary>SDM, "Software Interrupt Handling Methods While in Virtual-8086 Mode".</summary>
    [Theory]
    [InlineData(1, false, 3, true)]
    [InlineData(2, false, 0, true)]
    [InlineData(3, true, 0, true)]
    [InlineData(4, true, 3, true)]
    [InlineData(5, true, 3, false)]
    [InlineData(6, true, 0, false)]
    public void IntN_GoesByTheSixMethods(int method, bool vme, int iopl, bool bit)
    {
        using TestCpu t = Virtual8086();
        t.S->Paging.Cr4 = vme ? ControlBits.Cr4Vme : 0;
        t.SetVector(0x40, Code0, 0x8000, dpl: 3);
        t.S->Tr.Limit = 0x2FF;
        t.Write(Tss + 102, 2, 0xA0);
        t.Write(Tss + 0x80 + 8, 1, bit ? 1UL : 0);
        t.Write(4 * 0x40, 4, 0x1234_5678);
        Flags.Set(t.S, Rflags.Vm | Rflags.Cf | Rflags.Vif | Rflags.Tf | (iopl == 3 ? Rflags.If : 0) | (ulong)iopl << 12 | 2);
        CpuMode.Update(t.S);
        bool ok = EventDelivery.Deliver(t.S, (Vector)0x40, EventKind.SoftwareInterrupt, null, NextRip);
        Assert.True(ok || method is 2 or 3);
        switch (method)
        {
            case 1 or 4:
                Assert.Equal((0, 0x8000UL), (t.S->Cpl, t.S->Rip));
                break;
            case 2 or 3:
                Assert.False(ok, "#GP(0), for which there is no gate here");
                break;
            default:
                Assert.True(t.S->Virtual8086);
                Assert.Equal((0x12340UL, 0x5678UL, 0x7FAUL), (t.S->Cs.Base, t.S->Rip, t.Rsp));
                ulong[] frame = t.Words(0x9000 + 0x7FA, 2, 3);
                ulong flags = Image | Rflags.Tf | Rflags.IoplMask;
                Assert.Equal([NextRip, 0x0100, flags], frame);
                Assert.Equal(method == 6 ? 0 : Rflags.Vif, t.S->SystemFlags & (Rflags.Vif | Rflags.If | Rflags.Tf));
                break;
        }
    }

    [Theory]
    [InlineData(Rflags.If | 2UL, 0UL, true, Rflags.Vif)]
    [InlineData(2UL, 0UL, true, 0UL)]
    [InlineData(2UL, Rflags.Vip, true, Rflags.Vip)]
    [InlineData(Rflags.If | 2UL, Rflags.Vip, false, 0UL)]
    [InlineData(Rflags.Tf | 2UL, 0UL, false, 0UL)]
    public void Iret_WithIoplBelow3_TakesVif(ulong image, ulong flags, bool ok, ulong expected)
    {
        using TestCpu t = Virtual8086();
        Flags.Set(t.S, Rflags.Vm | flags | 2);
        t.Write(0x9800, 2, 0x55);
        t.Write(0x9802, 2, 0x0200);
        t.Write(0x9804, 2, image | Rflags.Cf);
        Assert.False(Iret.Execute(t.S, 2));
        t.S->Paging.Cr4 = ControlBits.Cr4Vme;
        Assert.False(Iret.Execute(t.S, 4));
        Assert.Equal(ok, Iret.Execute(t.S, 2));
        if (!ok)
        {
            Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
            return;
        }
        Assert.Equal((0x2000UL, 0x55UL), (t.S->Cs.Base, t.S->Rip));
        Assert.Equal(expected, t.S->SystemFlags & (Rflags.Vif | Rflags.Vip | Rflags.If | Rflags.IoplMask));
        Assert.True(Flags.Carry(t.S));
    }
}
