using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>Floating point of SSE to SSE4.1: exceptions, modes of MXCSR, special values. Expected values were read off a CPU, but for the approximations.</summary>
public sealed unsafe class SseFloatTests
{
    private const uint Plain = 0x1FA0, Masked = 0x1F80;
    private const ulong One = 0x3FF0_0000_0000_0000, Two = 0x4000_0000_0000_0000, Three = 0x4008_0000_0000_0000, Least = 0x0010_0000_0000_0000, Denormal = 1;
    private const ulong Quiet = 0x7FF8_0000_0000_0000, Signaling = 0x7FF0_0000_0000_0001, Infinity = 0x7FF0_0000_0000_0000, Indefinite = 0xFFF8_0000_0000_0000;

    /// <summary>A CPU with every feature.</summary>
    private static CpuModel Model { get; } = new()
    {
        Name = "everything",
        Description = "",
        Vendor = CpuVendor.Intel,
        Brand = "",
        Signature = CpuModels.AlderLake.Signature,
        Features = CpuFeatureSet.Of(Enum.GetValues<CpuFeature>()),
        PhysicalAddressBits = CpuModels.AlderLake.PhysicalAddressBits,
        DefaultProfile = CpuModels.AlderLake.DefaultProfile,
        MaxBasicLeaf = CpuModels.AlderLake.MaxBasicLeaf,
        MaxExtendedLeaf = CpuModels.AlderLake.MaxExtendedLeaf,
        Caches = CpuModels.AlderLake.Caches,
        MachineCheckBanks = CpuModels.AlderLake.MachineCheckBanks,
        Microcode = CpuModels.AlderLake.Microcode,
    };

    private static TestCpu New(uint mxcsr, ulong a, ulong b, ulong aHigh = 0, ulong bHigh = 0, ulong cr4 = ControlBits.Cr4OsFxsr | ControlBits.Cr4OsXmmExcpt)
    {
        var cpu = new TestCpu(64, Model);
        cpu.S->Paging.Cr4 |= cr4;
        CpuMode.Update(cpu.S);
        ref FloatingState f = ref cpu.S->Floating;
        f.Mxcsr = mxcsr;
        (f.Xmm[0], f.Xmm[1], f.Xmm[2], f.Xmm[3]) = (a, aHigh, b, bHigh);
        cpu[3] = TestCpu.DataAt;
        return cpu;
    }

    [Theory]
    [InlineData("Addsd", Plain, One, Two, Plain, Three)]
    [InlineData("Subsd", Masked, Least + 1, Least, Masked, Denormal)]
    [InlineData("Subsd", 0x9F80, Least + 1, Least, 0x9FB0, 0UL)]
    [InlineData("Addsd", 0x1FC0, Denormal, One, 0x1FC0, One)]
    [InlineData("Addsd", Masked, Denormal, One, 0x1FA2, One)]
    [InlineData("Divsd", Masked, Denormal, 0UL, 0x1F84, Infinity)]
    [InlineData("Divsd", Masked, 0UL, 0UL, 0x1F81, Indefinite)]
    [InlineData("Divsd", Plain, One, Three, Plain, 0x3FD5_5555_5555_5555)]
    [InlineData("Divsd", 0x5FA0, One, Three, 0x5FA0, 0x3FD5_5555_5555_5556)]
    [InlineData("Addsd", Masked, Signaling, Quiet, 0x1F81, Quiet + 1)]
    [InlineData("Addsd", Masked, Quiet, Signaling + 5, 0x1F81, Quiet)]
    [InlineData("Addsd", Masked, Quiet, Denormal, Masked, Quiet)]
    [InlineData("Sqrtsd", Masked, 0UL, 0x8000_0000_0000_0001, 0x1F81, Indefinite)]
    [InlineData("Minsd", Masked, Quiet, One, 0x1F81, One)]
    [InlineData("Minsd", Masked, One, Signaling, 0x1F81, Signaling)]
    [InlineData("Minsd", Masked, 0UL, 1UL << 63, Masked, 1UL << 63)]
    [InlineData("Maxsd", Plain, One, Two, Plain, Two)]
    [InlineData("Mulsd", Masked, 0x7FE0_0000_0000_0001, 0x7FE0_0000_0000_0001, 0x1FA8, Infinity)]
    [InlineData("Mulsd", 0x7F80, 0x7FE0_0000_0000_0001, 0x7FE0_0000_0000_0001, 0x7FA8, Infinity - 1)]
    public void Scalar_SpecialOperands_GiveResultAndFlags(string name, uint mxcsr, ulong a, ulong b, uint mxcsrAfter, ulong expected)
    {
        using TestCpu cpu = New(mxcsr, a, b, aHigh: 77);
        Code code = Enum.Parse<Code>(name + "_xmm_xmmm64");
        Assert.Null(cpu.Run(x => x.AddInstruction(Instruction.Create(code, Register.XMM0, Register.XMM1))));
        Assert.Equal(expected.ToString("x"), cpu.S->Floating.Xmm[0].ToString("x"));
        Assert.Equal(77UL, cpu.S->Floating.Xmm[1]);
        Assert.Equal(mxcsrAfter.ToString("x"), cpu.S->Floating.Mxcsr.ToString("x"));
    }

    [Theory]
    [InlineData(0x1F00, 0UL, 0UL, One, Three, 0x1F01)] // IE, and the other element inexact: not reported.
    [InlineData(0x1E80, Denormal, One, One, 0UL, 0x1E86)] // DE unmasked, and the other element divides by zero: both.
    [InlineData(0x1780, Least + 1, Three, One, Three, 0x17B0)] // UE unmasked, and the other element inexact: both.
    [InlineData(0x0F80, One, Three, Denormal, One, 0x0FA2)]
    public void PackedDivide_UnmaskedException_ChangesOnlyTheFlags(uint mxcsr, ulong a, ulong b, ulong aHigh, ulong bHigh, uint mxcsrAfter)
    {
        using TestCpu cpu = New(mxcsr, a, b, aHigh, bHigh);
        Assert.Equal(Vector.SimdFloatingPoint, cpu.Run(x => x.divpd(xmm0, xmm1)));
        Assert.Equal((a, aHigh), (cpu.S->Floating.Xmm[0], cpu.S->Floating.Xmm[1]));
        Assert.Equal(mxcsrAfter.ToString("x"), cpu.S->Floating.Mxcsr.ToString("x"));
        using TestCpu old = New(mxcsr, a, b, aHigh, bHigh, cr4: ControlBits.Cr4OsFxsr);
        Assert.Equal(Vector.InvalidOpcode, old.Run(x => x.divpd(xmm0, xmm1)));
    }

    [Fact]
    public void Units_SwitchedOff_AreInvalidOrNotAvailable()
    {
        using TestCpu cpu = New(Plain, One, One, cr4: 0);
        Assert.Equal(Vector.InvalidOpcode, cpu.Run(x => x.addsd(xmm0, xmm1)));
        cpu.S->Paging.Cr4 |= ControlBits.Cr4OsFxsr;
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ts;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.DeviceNotAvailable, cpu.Run(x => x.addsd(xmm0, xmm1)));
    }

    [Fact]
    public void Packed_MemoryOperandNotAligned_IsGeneralProtectionButScalarIsNot()
    {
        using TestCpu cpu = New(Plain, One, One);
        cpu.Write64(TestCpu.DataAt + 8, Two);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(x => x.addpd(xmm0, __xmmword_ptr[rbx + 8])));
        Assert.Null(cpu.Run(x => x.addsd(xmm0, __qword_ptr[rbx + 8])));
        Assert.Equal(Three, cpu.S->Floating.Xmm[0]);
    }

    [Theory]
    [InlineData(One, Two, false, Rflags.Cf, Masked)]
    [InlineData(Two, One, false, 0, Masked)]
    [InlineData(One | 1UL << 63, Two | 1UL << 63, true, 0, Masked)]
    [InlineData(0UL, 1UL << 63, true, Rflags.Zf, Masked)]
    [InlineData(Quiet, One, false, Rflags.Zf | Rflags.Pf | Rflags.Cf, Masked)]
    [InlineData(Quiet, One, true, Rflags.Zf | Rflags.Pf | Rflags.Cf, Masked | 1)]
    [InlineData(Denormal, One, true, Rflags.Cf, Masked | 2)]
    public void Compare_IntoFlags_ClearsTheOthers(ulong a, ulong b, bool ordered, ulong flags, uint mxcsrAfter)
    {
        using TestCpu cpu = New(Masked, a, b);
        cpu.Rflags = Rflags.Of | Rflags.Sf | Rflags.Af;
        cpu.Run(x =>
        {
            if (ordered)
                x.comisd(xmm0, xmm1);
            else
                x.ucomisd(xmm0, xmm1);
        });
        Assert.Equal(flags, cpu.Arithmetic);
        Assert.Equal(mxcsrAfter, cpu.S->Floating.Mxcsr);
    }

    [Fact]
    public void Predicates_EightOfThem_FollowTheTable()
    {
        (ulong, ulong)[] pairs = [(One, One), (One, Two), (Two, One), (Quiet, One)];
        string[] expected = ["1000", "0100", "1100", "0001", "0111", "1011", "0011", "1110"];
        for (byte predicate = 0; predicate < 8; predicate++)
        {
            string row = "";
            foreach ((ulong a, ulong b) in pairs)
            {
                using TestCpu cpu = New(Masked, a, b);
                Assert.Null(cpu.Run(x => x.cmpsd(xmm0, xmm1, predicate)));
                row += cpu.S->Floating.Xmm[0] == ulong.MaxValue ? '1' : '0';
                Assert.Equal(a == Quiet && (predicate & 3) is 1 or 2 ? Masked | 1 : Masked, cpu.S->Floating.Mxcsr);
            }
            Assert.Equal(expected[predicate], row);
        }
    }

    [Theory]
    [InlineData(0, 0x4000_0000_0000_0000UL, 0x20U)]
    [InlineData(1, 0x4000_0000_0000_0000UL, 0x20U)]
    [InlineData(2, 0x4008_0000_0000_0000UL, 0x20U)]
    [InlineData(3, 0x4000_0000_0000_0000UL, 0x20U)]
    [InlineData(4, 0x4008_0000_0000_0000UL, 0x20U)]
    [InlineData(12, 0x4008_0000_0000_0000UL, 0U)]
    public void Roundsd_OfTwoAndAHalf_ByItsImmediate(byte control, ulong expected, uint flags)
    {
        using TestCpu cpu = New(0x5F80, 0, 0x4004_0000_0000_0000);
        Assert.Null(cpu.Run(x => x.roundsd(xmm0, xmm1, control)));
        Assert.Equal(expected, cpu.S->Floating.Xmm[0]);
        Assert.Equal(0x5F80 | flags, cpu.S->Floating.Mxcsr);
    }

    [Fact]
    public void Conversions_OutOfRange_GiveTheIntegerIndefinite()
    {
        using TestCpu cpu = New(Masked, 0, 0x41E0_0000_0000_0000, bHigh: Quiet); // 2^31
        Assert.Null(cpu.Run(x => x.cvttsd2si(eax, xmm1)));
        Assert.Equal(0x8000_0000UL, cpu[0]);
        Assert.Equal(Masked | 1, cpu.S->Floating.Mxcsr);
        cpu.S->Floating.Mxcsr = Masked;
        Assert.Null(cpu.Run(x => x.cvttsd2si(rax, xmm1)));
        Assert.Equal((0x8000_0000UL, Masked), (cpu[0], cpu.S->Floating.Mxcsr));
        Assert.Null(cpu.Run(x => x.cvtpd2dq(xmm0, xmm1)));
        Assert.Equal((0x8000_0000_8000_0000UL, 0UL), (cpu.S->Floating.Xmm[0], cpu.S->Floating.Xmm[1]));
    }

    [Fact]
    public void ConversionsWithMmx_PendingX87Exception_ComesFirst()
    {
        using TestCpu cpu = New(Masked, One, Two, bHigh: Three);
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ne;
        cpu.S->Floating.Status = X87Status.Invalid | X87Status.Summary | X87Status.Busy | 3 << 11;
        Assert.Equal(Vector.X87, cpu.Run(x => x.cvtpd2pi(mm1, xmm1)));
        cpu.S->Floating.Status = 3 << 11;
        cpu.S->Floating.Tags = 0;
        Assert.Null(cpu.Run(x => x.cvtpd2pi(mm1, xmm1)));
        Assert.Equal((0x3_0000_0002UL, 0xFFFFUL), (cpu.S->Floating.X87[2], cpu.S->Floating.X87[3]));
        Assert.Equal((0, 0xFF), (cpu.S->Floating.Status, cpu.S->Floating.Tags));
    }

    [Fact]
    public void Dpps_MaskOfProductsAndPlaces_SumsInPairs()
    {
        static ulong Two32(float low, float high) => BitConverter.SingleToUInt32Bits(low) | (ulong)BitConverter.SingleToUInt32Bits(high) << 32;
        using TestCpu cpu = New(Masked, Two32(1, 2), Two32(5, 6), Two32(3, 4), Two32(7, 8));
        Assert.Null(cpu.Run(x => x.dpps(xmm0, xmm1, 0xB5)));
        Assert.Equal((Two32(49, 0), Two32(49, 0)), (cpu.S->Floating.Xmm[0], cpu.S->Floating.Xmm[1]));
    }

    [Fact]
    public void Reciprocals_AnyNormalNumber_AreWithinTheManualsBound()
    {
        const double bound = 1.5 / 4096;
        using TestCpu cpu = New(Masked, 0, 0);
        Law.Holds((x, y) =>
        {
            float v = BitConverter.UInt32BitsToSingle(((uint)x & 0x807F_FFFF) | (1 + (uint)(y % 252)) << 23);
            cpu.S->Floating.Xmm[2] = BitConverter.SingleToUInt32Bits(v);
            Assert.Null(cpu.Run(a => a.rcpss(xmm0, xmm1)));
            double r = BitConverter.UInt32BitsToSingle((uint)cpu.S->Floating.Xmm[0]);
            Assert.InRange(Math.Abs(r * v - 1), 0, bound);
            cpu.S->Floating.Xmm[2] = BitConverter.SingleToUInt32Bits(Math.Abs(v));
            Assert.Null(cpu.Run(a => a.rsqrtss(xmm0, xmm1)));
            r = BitConverter.UInt32BitsToSingle((uint)cpu.S->Floating.Xmm[0]);
            Assert.InRange(Math.Abs(r * Math.Sqrt(Math.Abs(v)) - 1), 0, bound);
            Assert.Equal(Masked, cpu.S->Floating.Mxcsr);
        });
    }

    [Fact]
    public void FastAndSlowPath_AnyNormalNumbers_GiveTheSameBits()
    {
        using TestCpu cpu = New(Plain, 0, 0);
        foreach (Code code in new[] { Code.Addpd_xmm_xmmm128, Code.Subpd_xmm_xmmm128, Code.Mulpd_xmm_xmmm128, Code.Divpd_xmm_xmmm128, Code.Sqrtpd_xmm_xmmm128,
            Code.Minpd_xmm_xmmm128, Code.Maxpd_xmm_xmmm128, Code.Addps_xmm_xmmm128, Code.Mulps_xmm_xmmm128, Code.Divss_xmm_xmmm32, Code.Sqrtss_xmm_xmmm32, Code.Subsd_xmm_xmmm64 })
        {
            cpu.Load(x => x.AddInstruction(Instruction.Create(code, Register.XMM0, Register.XMM1)));
            Law.Holds((x, y, z) =>
            {
                ref FloatingState f = ref cpu.S->Floating;
                (f.Xmm[0], f.Xmm[1], f.Xmm[2], f.Xmm[3], f.Mxcsr) = (x, y, z, x ^ z, Plain);
                Assert.Null(cpu.Again());
                (ulong, ulong) fast = (f.Xmm[0], f.Xmm[1]);
                // All flags set, but a mode of no effect that only the slow path knows: PE clear.
                (f.Xmm[0], f.Xmm[1], f.Xmm[2], f.Xmm[3], f.Mxcsr) = (x, y, z, x ^ z, Masked);
                Assert.Null(cpu.Again());
                Assert.Equal(fast, (f.Xmm[0], f.Xmm[1]));
            });
        }
    }
}
