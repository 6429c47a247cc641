using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>XSAVE and its kin: what each writes and reads, bit by bit of the header, and every check.</summary>
public sealed unsafe class ExtendedStateTests
{
    private const ulong At = TestCpu.DataAt;
    private const ulong HeaderAt = At + 512;
    private const int Rax = 0, Rcx = 1, Rdx = 2;

    /// <summary>x87 and SSE in use; the area full of EEh but for a clear header.</summary>
    private static VectorCpu Filled(int bits = 64, ulong xcr0 = 3)
    {
        var cpu = new VectorCpu(bits);
        cpu.S->Paging.Cr4 |= ControlBits.Cr4OsXsave;
        CpuMode.Update(cpu.S);
        cpu.Floating.Xcr0 = xcr0;
        cpu.Floating.Control = 0x27F;
        cpu.Floating.Status = 0;
        cpu.Floating.Tags = 1;
        cpu.Floating.X87[0] = 0x1234;
        cpu.Floating.Mxcsr = 0x1FA0;
        for (int i = 0; i < 16; i++)
            cpu.Xmm(i, [.. Enumerable.Repeat((byte)(0xA0 + i), 16)]);
        cpu.Cpu.Write(At, [.. Enumerable.Repeat((byte)0xEE, 1024)]);
        cpu.Cpu.Write(HeaderAt, new byte[64]);
        cpu.Cpu[6] = At;
        Request(cpu, ulong.MaxValue);
        return cpu;
    }

    private static void Request(VectorCpu cpu, ulong mask)
    {
        cpu.Cpu[Rax] = (uint)mask;
        cpu.Cpu[Rdx] = mask >> 32;
    }

    private static void Clear(VectorCpu cpu, bool x87, bool xmm)
    {
        if (x87)
        {
            cpu.Floating.Control = FloatingState.ControlAfterInit;
            cpu.Floating.Tags = 0;
            cpu.Floating.X87[0] = 0;
        }
        for (int i = 0; i < 16 && xmm; i++)
            cpu.Xmm(i, new byte[16]);
    }

    /// <summary>What was written: x87, MXCSR and its mask, XMM0 to XMM7, XMM8 to XMM15; then XSTATE_BV and XCOMP_BV.</summary>
    private static (string Parts, ulong State, ulong Compact) Written(VectorCpu cpu)
    {
        byte[] area = cpu.Cpu.Read(At, 512);
        bool Touched(int from, int to)
        {
            bool any = area[from..to].Any(b => b != 0xEE);
            Assert.Equal(any, area[from..to].Take(2).Any(b => b != 0xEE));
            return any;
        }
        Assert.Equal(Touched(0, 24), Touched(32, 160));
        Assert.False(Touched(416, 512));
        string parts = (Touched(0, 24) ? "x" : "-") + (Touched(24, 32) ? "m" : "-") + (Touched(160, 288) ? "l" : "-") + (Touched(288, 416) ? "h" : "-");
        Assert.All(cpu.Cpu.Read(At + 576, 448), b => Assert.Equal(0xEE, b));
        return (parts, cpu.Cpu.Read64(HeaderAt), cpu.Cpu.Read64(HeaderAt + 8));
    }

    private static Action<Assembler> Code(string name) => name switch
    {
        "xsave" => a => a.xsave64(__[rsi]),
        "xsaveopt" => a => a.xsaveopt64(__[rsi]),
        "xsavec" => a => a.xsavec64(__[rsi]),
        "xsaves" => a => a.xsaves64(__[rsi]),
        "xrstor" => a => a.xrstor64(__[rsi]),
        _ => a => a.xrstors64(__[rsi]),
    };

    private const ulong C = 1UL << 63;

    /// <summary>Requested components; whether x87 and XMM are in use; XSTATE_BV before. Of XSAVE the rest of the header stays.</summary>
    [Theory]
    [InlineData("xsave", 3, true, true, 0UL, "xmlh", 3UL, 0UL)]
    [InlineData("xsave", 3, false, false, 7UL, "xmlh", 4UL, 0UL)]
    [InlineData("xsave", 1, true, true, 6UL, "x---", 7UL, 0UL)]
    [InlineData("xsave", 2, true, false, 1UL, "-mlh", 1UL, 0UL)]
    [InlineData("xsave", 4, true, true, 2UL, "----", 2UL, 0UL)]
    [InlineData("xsaveopt", 3, true, true, 0UL, "xmlh", 3UL, 0UL)]
    [InlineData("xsaveopt", 3, false, false, 3UL, "-m--", 0UL, 0UL)]
    [InlineData("xsaveopt", 2, true, false, 7UL, "-m--", 5UL, 0UL)]
    [InlineData("xsavec", 3, true, true, 0xFFUL, "xmlh", 3UL, C | 3)]
    [InlineData("xsavec", 3, false, true, 0xFFUL, "-mlh", 2UL, C | 3)]
    [InlineData("xsavec", 1, true, true, 0UL, "x---", 1UL, C | 1)]
    [InlineData("xsavec", 3, true, false, 0UL, "xmlh", 3UL, C | 3)] // MXCSR is not 1F80h.
    [InlineData("xsaves", 3, false, true, 0UL, "-mlh", 2UL, C | 3)]
    [InlineData("xsaves", 7, true, true, 0UL, "xmlh", 3UL, C | 3)]
    public void Save_ComponentsInUseOrNot_WritesWhatTheManualSays(string name, ulong requested, bool x87, bool xmm, ulong before, string parts, ulong state, ulong compact)
    {
        using VectorCpu cpu = Filled();
        Clear(cpu, !x87, !xmm);
        cpu.Cpu.Write64(HeaderAt, before);
        Request(cpu, requested);
        Assert.Null(cpu.Cpu.Run(Code(name)));
        Assert.Equal((parts, state, compact), Written(cpu));
    }

    [Fact]
    public void Xsavec_AllInitial_WritesTheHeaderAlone()
    {
        using VectorCpu cpu = Filled();
        Clear(cpu, x87: true, xmm: true);
        cpu.Floating.Mxcsr = FloatingState.MxcsrAfterPowerUp;
        cpu.Cpu.Write(HeaderAt, [.. Enumerable.Repeat((byte)0xCC, 64)]);
        Assert.Null(cpu.Cpu.Run(Code("xsavec")));
        Assert.Equal(("----", 0UL, C | 3), Written(cpu));
        Assert.All(cpu.Cpu.Read(HeaderAt + 16, 48), b => Assert.Equal(0xCC, b));
    }

    /// <summary>The legacy region is FXSAVE's.</summary>
    [Fact]
    public void Xsave_LegacyRegion_IsWhatFxsaveStores()
    {
        using VectorCpu cpu = Filled();
        Assert.Null(cpu.Cpu.Run(Code("xsave")));
        byte[] area = cpu.Cpu.Read(At, 512);
        cpu.Cpu.Write(At, [.. Enumerable.Repeat((byte)0xEE, 512)]);
        Assert.Null(cpu.Cpu.Run(a => a.fxsave64(__[rsi])));
        Assert.Equal(cpu.Cpu.Read(At, 512), area);
    }

    [Fact]
    public void Outside64BitMode_HighXmmRegisters_AreLeftAlone()
    {
        using VectorCpu cpu = Filled(32);
        Assert.Null(cpu.Cpu.Run(a => a.xsave(__[esi])));
        Assert.Equal(("xml-", 3UL, 0UL), Written(cpu));
        cpu.Cpu.Write64(HeaderAt, 0);
        Assert.Null(cpu.Cpu.Run(a => a.xrstor(__[esi])));
        Assert.Equal(new byte[16], cpu.Xmm(7));
        Assert.Equal(0xA8, cpu.Xmm(8)[0]);
        // XMM8 to XMM15 do not count as in use either.
        Assert.Equal(0UL, ExtendedState.InUse(cpu.S));
    }

    /// <summary>"#GP(0) if CPL > 0" comes before anything about the operand, which lies beyond the limit of SS here.</summary>
    [Theory]
    [InlineData(false, false, Vector.StackFault)]
    [InlineData(false, true, Vector.GeneralProtection)]
    [InlineData(true, false, Vector.StackFault)]
    [InlineData(true, true, Vector.GeneralProtection)]
    public void Supervisor_AtCpl3_IsGeneralProtectionWhateverTheOperand(bool restore, bool user, Vector expected)
    {
        using VectorCpu cpu = Filled(32);
        cpu.S->Ss.Limit = 0xFFF;
        if (user)
            cpu.Cpu.EnterUserMode();
        Assert.Equal(expected, cpu.Cpu.Run(a =>
        {
            if (restore)
                a.xrstors(__.ss[esi]);
            else
                a.xsaves(__.ss[esi]);
        }));
    }

    [Theory]
    [InlineData("xrstor", false)]
    [InlineData("xrstor", true)]
    [InlineData("xrstors", true)]
    public void Restore_OfWhatWasSaved_RestoresOrInitialises(string name, bool compact)
    {
        using VectorCpu cpu = Filled();
        Assert.Null(cpu.Cpu.Run(Code(compact ? "xsavec" : "xsave")));
        for (ulong present = 0; present < 4; present++)
        {
            cpu.Cpu.Write64(HeaderAt, present);
            Clear(cpu, x87: true, xmm: true);
            cpu.Floating.Control = 0x300;
            cpu.Floating.Mxcsr = 0x1F;
            Assert.Null(cpu.Cpu.Run(Code(name)));
            Assert.Equal((present & 1) != 0 ? (0x27F, 0x1234UL, 1) : (0x37F, 0UL, 0), (cpu.Floating.Control, cpu.Floating.X87[0], cpu.Floating.Tags));
            Assert.Equal((present & 2) != 0 ? 0xAF : 0, cpu.Xmm(15)[3]);
            // The standard form takes MXCSR from memory whatever XSTATE_BV says.
            Assert.Equal((present & 2) != 0 || !compact ? 0x1FA0U : 0x1F80U, cpu.Floating.Mxcsr);
        }
    }

    [Fact]
    public void Restore_NotRequested_LeavesTheComponentAlone()
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu.Write(At, new byte[512]);
        cpu.Cpu.Write64(HeaderAt, 3);
        Request(cpu, 1);
        Assert.Null(cpu.Cpu.Run(Code("xrstor")));
        Assert.Equal((0x40, 0x1FA0U, 0xA1), (cpu.Floating.Control, cpu.Floating.Mxcsr, cpu.Xmm(1)[0]));
        using VectorCpu narrow = Filled(xcr0: 1);
        narrow.Cpu.Write(At, new byte[512]);
        Assert.Null(narrow.Cpu.Run(Code("xrstor")));
        Assert.Equal((0x37F, 0x1FA0U, 0xA1), (narrow.Floating.Control, narrow.Floating.Mxcsr, narrow.Xmm(1)[0]));
    }

    /// <summary>XSTATE_BV, XCOMP_BV, and one more word of the header by its offset.</summary>
    [Theory]
    [InlineData("xrstor", 3UL, 0UL, 24, 1UL, null)] // Bytes beyond 23 do not matter in the standard form.
    [InlineData("xrstor", 4UL, 0UL, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", 3UL, 1UL, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", 3UL, 0UL, 16, 1UL, Vector.GeneralProtection)]
    [InlineData("xrstor", C | 3, 0UL, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", 1UL, C | 1, 24, 0UL, null)]
    [InlineData("xrstor", 3UL, C | 1, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", 3UL, C | 7, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", C | 3, C | 3, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstor", 3UL, C | 3, 56, 1UL, Vector.GeneralProtection)]
    [InlineData("xrstors", 3UL, C | 3, 24, 0UL, null)]
    [InlineData("xrstors", 3UL, 0UL, 24, 0UL, Vector.GeneralProtection)]
    [InlineData("xrstors", 3UL, C | 3, 40, 1UL, Vector.GeneralProtection)]
    public void Restore_HeaderWithOneFieldWrong_IsGeneralProtectionAndLoadsNothing(string name, ulong state, ulong compact, int at, ulong word, Vector? expected)
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu.Write(At, new byte[512]);
        cpu.Cpu.Write64(HeaderAt + (ulong)at, word);
        cpu.Cpu.Write64(HeaderAt, state);
        cpu.Cpu.Write64(HeaderAt + 8, compact);
        Assert.Equal(expected, cpu.Cpu.Run(Code(name)));
        if (expected != null)
            Assert.Equal((0x27F, 0x1FA0U, 0xA1), (cpu.Floating.Control, cpu.Floating.Mxcsr, cpu.Xmm(1)[0]));
    }

    [Fact]
    public void Restore_ReservedMxcsrBits_FaultWhereMxcsrIsLoaded()
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu.Write(At, new byte[512]);
        cpu.Cpu.Write(At + 24, 0, 0, 1, 0);
        cpu.Cpu.Write64(HeaderAt, 1);
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(Code("xrstor")));
        cpu.Cpu.Write64(HeaderAt + 8, C | 3);
        Assert.Null(cpu.Cpu.Run(Code("xrstor")));
        Assert.Equal(0x1F80U, cpu.Floating.Mxcsr);
    }

    [Theory]
    [InlineData("xsave")]
    [InlineData("xsaveopt")]
    [InlineData("xsavec")]
    [InlineData("xsaves")]
    [InlineData("xrstor")]
    [InlineData("xrstors")]
    public void Checks_EachInTurn_FaultInTheManualsOrder(string name)
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu[6] = At + 32;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(Code(name)));
        // Alignment before presence; then a page fault with nothing written.
        cpu.Cpu[6] = TestCpu.NotPresent + 16;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Again());
        cpu.Cpu[6] = TestCpu.NotPresent - 512;
        Assert.Equal(Vector.PageFault, cpu.Cpu.Again());
        Assert.Equal(TestCpu.NotPresent, cpu.Cpu.Fault.LinearAddress);
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Em;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(Code(name)));
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ts;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.DeviceNotAvailable, cpu.Cpu.Run(Code(name)));
        cpu.S->Paging.Cr4 &= ~ControlBits.Cr4OsXsave;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(Code(name)));

        using VectorCpu user = Filled();
        user.Cpu.Write64(HeaderAt + 8, C | 3);
        user.Cpu.EnterUserMode();
        Assert.Equal(name is "xsaves" or "xrstors" ? Vector.GeneralProtection : null, user.Cpu.Run(Code(name)));
    }

    [Fact]
    public void Xcr0_ReadAndWritten_ChecksEveryBit()
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu[Rcx] = 0;
        Request(cpu, 1);
        Assert.Null(cpu.Cpu.Run(a => a.xsetbv()));
        Assert.Equal(1UL, cpu.Floating.Xcr0);
        foreach (ulong bad in new ulong[] { 0, 2, 7, 0x1_0000_0001, 0x8000_0000_0000_0001 })
        {
            Request(cpu, bad);
            Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.xsetbv()));
        }
        Request(cpu, 3);
        cpu.Cpu[Rcx] = 1;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.xsetbv()));
        Assert.Equal(1UL, cpu.Floating.Xcr0);
        cpu.Floating.Xcr0 = 3;

        (cpu.Cpu[Rcx], cpu.Cpu[Rax], cpu.Cpu[Rdx]) = (0, ulong.MaxValue, ulong.MaxValue);
        Assert.Null(cpu.Cpu.Run(a => a.xgetbv()));
        Assert.Equal((3UL, 0UL), (cpu.Cpu[Rax], cpu.Cpu[Rdx]));
        Clear(cpu, x87: true, xmm: false);
        cpu.Cpu[Rcx] = 1;
        Assert.Null(cpu.Cpu.Run(a => a.xgetbv()));
        Assert.Equal(2UL, cpu.Cpu[Rax]);
        cpu.Cpu[Rcx] = 2;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.xgetbv()));

        cpu.Cpu[Rcx] = 0;
        Request(cpu, 3);
        cpu.Cpu.EnterUserMode();
        Assert.Null(cpu.Cpu.Run(a => a.xgetbv()));
        Request(cpu, 3);
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.xsetbv()));
        cpu.S->Paging.Cr4 &= ~ControlBits.Cr4OsXsave;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.xsetbv()));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.xgetbv()));
    }

    [Fact]
    public void Cpuid_FollowsOsxsave_AndDescribesTheArea()
    {
        using VectorCpu cpu = Filled();
        Assert.Equal((3UL, 576UL, 576UL, 0UL), Query(0xD, 0));
        Assert.Equal((0xFUL, 576UL, 0UL, 0UL), Query(0xD, 1));
        Assert.Equal((0UL, 0UL, 0UL, 0UL), Query(0xD, 2));
        Assert.Equal(3UL, Query(1, 0).Ecx >> 26 & 3);
        cpu.S->Paging.Cr4 &= ~ControlBits.Cr4OsXsave;
        Assert.Equal(1UL, Query(1, 0).Ecx >> 26 & 3);
        // AVX, FMA, F16C and AVX2 stay hidden.
        Assert.Equal(0UL, Query(1, 0).Ecx & (1UL << 28 | 1UL << 12 | 1UL << 29));
        Assert.Equal(0UL, Query(7, 0).Ebx & 1UL << 5);

        (ulong Eax, ulong Ebx, ulong Ecx, ulong Edx) Query(ulong leaf, ulong subleaf)
        {
            (cpu.Cpu[Rax], cpu.Cpu[Rcx]) = (leaf, subleaf);
            Assert.Null(cpu.Cpu.Run(a => a.cpuid()));
            return (cpu.Cpu[Rax], cpu.Cpu[3], cpu.Cpu[Rcx], cpu.Cpu[Rdx]);
        }
    }

    [Fact]
    public void OldModel_HasNoXsave()
    {
        using var cpu = new VectorCpu(model: CpuModels.K8);
        cpu.Cpu[6] = At;
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(Code("xsave")));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.xgetbv()));
        cpu.Cpu[Rax] = cpu.S->Paging.Cr4 | ControlBits.Cr4OsXsave;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.mov(cr4, rax)));
    }
}
