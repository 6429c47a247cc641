using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class MsrTests
{
    private const uint Efer = 0xC000_0080;
    private const uint ApicBase = 0x1B;
    private const uint Tsc = 0x10;

    public static TheoryData<string> Registers => [.. Msrs.Table.Select(m => m.Name)];

    [Fact]
    public void Table_HasEachRegisterOnce()
    {
        Assert.Equal(Msrs.Table.Count, Msrs.Table.Select(m => m.Name).Distinct().Count());
        foreach (CpuModel model in CpuModels.All)
            Assert.Equal(model.Msrs.Count, Msrs.Table.Count(m => m.ExistsOn(model)));
    }

    [Theory]
    [MemberData(nameof(Registers))]
    public void Register_TakesBackWhatItShows_OrIsReadOnly(string name)
    {
        Msr msr = Msrs.Table.Single(m => m.Name == name);
        uint address = msr.Address;
        using TestCpu t = Long(model: CpuModels.All.Last(msr.ExistsOn));
        Assert.Equal(msr.Readable, Msrs.TryRead(t.S, address, out ulong value));
        // A write of the value that is there must do, but for those that cannot be written at all.
        bool readOnly = msr.Write?.Method.Name == "Refuse";
        Assert.Equal(!readOnly, Msrs.TryWrite(t.S, address, value));
        if (!msr.Readable)
            return;
        Assert.True(Msrs.TryRead(t.S, address, out ulong again));
        Assert.Equal(value, again);
    }

    [Theory]
    [InlineData(0xC000_0081U, 0x0023_0010_0000_0000UL)]
    [InlineData(0xC000_0082U, 0xFFFF_FFFF_8000_0000UL)]
    [InlineData(0xC000_0084U, 0x0004_7700UL)]
    [InlineData(0xC000_0100U, 0x7FFF_FFFF_F000UL)]
    [InlineData(0xC000_0101U, 0xFFFF_8000_0000_0000UL)]
    [InlineData(0xC000_0102U, 0x1234UL)]
    [InlineData(0xC000_0103U, 3UL)]
    [InlineData(0x174U, 0x10UL)]
    [InlineData(0x176U, 0xFFFF_FFFF_8123_4567UL)]
    [InlineData(0x277U, 0x0007_0106_0005_0406UL)]
    [InlineData(0x200U, 0x1000_0006UL)]
    [InlineData(0x201U, 0x7F_F000_0800UL)]
    [InlineData(0x250U, 0x0606_0606_0606_0606UL)]
    [InlineData(0x26FU, 0x0505_0505_0505_0505UL)]
    [InlineData(0x2FFU, 0xC06UL)]
    public void Register_KeepsWhatIsWritten(uint address, ulong value)
    {
        using TestCpu t = Long();
        Write(t, address, value);
        Assert.True(Msrs.Wrmsr(t.S));
        t.S->Registers[0] = t.S->Registers[2] = ulong.MaxValue;
        Assert.True(Msrs.Rdmsr(t.S));
        Assert.Equal((value & uint.MaxValue, value >> 32), (t.S->Registers[0], t.S->Registers[2]));
    }

    [Theory]
    [InlineData(0xC000_0082U, 0x8000_0000_0000UL, "not canonical")]
    [InlineData(0xC000_0100U, 0x8000_0000_0000UL, "not canonical")]
    [InlineData(0xC000_0103U, 1UL << 32, "reserved")]
    [InlineData(Efer, 1UL << 1, "reserved")]
    [InlineData(0x277U, 2UL, "no such memory type")]
    [InlineData(0x277U, 8UL, "no such memory type")]
    [InlineData(0x250U, 7UL, "no such memory type")]
    [InlineData(0x200U, 2UL, "no such memory type")]
    [InlineData(0x201U, 1UL << 39, "beyond MAXPHYADDR")]
    [InlineData(0x2FFU, 1UL << 12, "reserved")]
    [InlineData(0x0FEU, 0x508UL, "read-only")]
    [InlineData(0x179U, 0UL, "read-only")]
    [InlineData(ApicBase, 1UL << 9, "reserved")]
    [InlineData(ApicBase, 1UL << 39, "beyond MAXPHYADDR")]
    [InlineData(0x1A0U, 0UL, "says what is there")]
    [InlineData(0x1A0U, 0x4_1801UL | 1UL << 16, "no SpeedStep")]
    [InlineData(0x3AU, 1UL, "locked")]
    [InlineData(0xCEU, 0UL, "read-only")]
    [InlineData(0x140U, 2UL, "reserved")]
    [InlineData(0x1D9U, 1UL, "no branch records")]
    [InlineData(0x17AU, 8UL, "reserved")]
    [InlineData(0x401U, 1UL, "only 0 may be written")]
    [InlineData(0x402U, 1UL, "only 0 may be written")]
    public void Register_RefusesWhatTheManualForbids(uint address, ulong value, string why)
    {
        using TestCpu t = Long();
        Assert.True(Msrs.TryRead(t.S, address, out ulong before));
        Write(t, address, value);
        Assert.False(Msrs.Wrmsr(t.S), why);
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.True(Msrs.TryRead(t.S, address, out ulong after));
        Assert.Equal(before, after);
    }

    /// <summary>SDM Vol. 4, "Architectural MSRs", IA32_SYSENTER_CS: bits 63:16 are "not used", which is not "reserved"; those above 31 have no place.</summary>
    [Fact]
    public void SysenterCs_UpperHalf_IsDropped()
    {
        using TestCpu t = Long();
        Write(t, 0x174, 0xDEAD_BEEF_5A5A_0010);
        Assert.True(Msrs.Wrmsr(t.S));
        Assert.True(Msrs.TryRead(t.S, 0x174, out ulong value));
        Assert.Equal(0x5A5A_0010UL, value);
    }

    [Fact]
    public void UnknownRegister_IsGp()
    {
        using TestCpu t = Long();
        t.S->Registers[1] = 0x1234_5678;
        Assert.False(Msrs.Rdmsr(t.S));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.False(Msrs.Wrmsr(t.S));
    }

    [Theory]
    [InlineData("pentium3", Efer)]
    [InlineData("pentium3", 0xC000_0100U)]
    [InlineData("pentium3", 0x6E0U)]
    [InlineData("pentium3", 0x1A0U)]
    [InlineData("k8", 0xC000_0103U)]
    [InlineData("k8", 0x802U)]
    [InlineData("k8", 0x017U)]
    [InlineData("k8", 0x079U)]
    [InlineData("k8", 0x0CEU)]
    [InlineData("pentium3", 0x03AU)]
    [InlineData("pentium3", 0x03BU)]
    [InlineData("pentium3", 0x414U)]
    [InlineData("pentium3", 0xC001_0015U)]
    [InlineData("skylake", 0xC001_0010U)]
    [InlineData("skylake", 0x17BU)]
    [InlineData("skylake", 0x420U)]
    public void Register_ThatTheModelLacks_IsGp(string model, uint address)
    {
        Assert.True(CpuModels.TryFind(model, out CpuModel? m));
        using TestCpu t = Protected(model: m);
        Assert.False(Msrs.TryRead(t.S, address, out _));
        Assert.False(Msrs.TryWrite(t.S, address, 0));
    }

    [Fact]
    public void RdmsrAndWrmsr_AboveCpl0_AreGp()
    {
        using TestCpu t = Long(cpl: 3);
        t.S->Registers[1] = Efer;
        Assert.False(Msrs.Rdmsr(t.S));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.False(Msrs.Wrmsr(t.S));
    }

    [Fact]
    public void Efer_LmaIsReadOnly_AndLmeFixedUnderPaging()
    {
        using TestCpu t = Long();
        ulong value = t.S->Paging.Efer;
        Assert.True(Msrs.TryWrite(t.S, Efer, value & ~ControlBits.EferLma));
        Assert.Equal(value, t.S->Paging.Efer);
        Assert.False(Msrs.TryWrite(t.S, Efer, value & ~ControlBits.EferLme));

        using TestCpu p = Protected();
        Assert.True(Msrs.TryWrite(p.S, Efer, ControlBits.EferLma));
        Assert.Equal(0UL, p.S->Paging.Efer);
    }

    [Fact]
    public void Tsc_CountsFromWhatWasWritten()
    {
        using TestCpu t = Protected();
        FixedClock clock = new() { Time = 1000 };
        t.Cpu.Clock = clock;
        Assert.True(Msrs.TryWrite(t.S, Tsc, 50));
        clock.Time = 1234;
        Assert.True(Msrs.Rdtsc(t.S, out ulong tsc));
        Assert.Equal(284UL, tsc);
        Assert.True(Msrs.TryRead(t.S, Tsc, out tsc));
        Assert.Equal(284UL, tsc);
    }

    [Fact]
    public void Rdtsc_UnderTsd_IsForCpl0()
    {
        using TestCpu user = Protected(cpl: 3);
        Assert.True(Msrs.Rdtsc(user.S, out _));
        user.S->Paging.Cr4 |= ControlBits.Cr4Tsd;
        Assert.False(Msrs.Rdtsc(user.S, out _));
        Assert.Equal((Vector.GeneralProtection, 0U), (user.Fault.Vector, user.Fault.ErrorCode));
        using TestCpu kernel = Protected();
        kernel.S->Paging.Cr4 |= ControlBits.Cr4Tsd;
        Assert.True(Msrs.Rdtsc(kernel.S, out _));
    }

    [Theory]
    [InlineData(0xC000_0082U, 1)]
    [InlineData(0x6E0U, 0)]
    [InlineData(0x808U, 0)]
    public void Wrmsr_Serialises_ButForTheApicAndTheDeadline(uint address, int times)
    {
        using TestCpu t = Long();
        t.Cpu.Apic = new FakeApic();
        Write(t, address, 0);
        Assert.True(Msrs.Wrmsr(t.S));
        Assert.Equal(times, t.TakeSerialised());
    }

    /// <summary>That is why an x2APIC IPI needs MFENCE; LFENCE before it (field "X2apicIcrWaits").</summary>
    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 0)]
    public void WrmsrToTheX2Apic_DrainsTheStoreBuffer_AsTheProfileSays(bool waits, int left)
    {
        using TestCpu t = Long(profile: FetchProfiles.Intel with { X2apicIcrWaits = waits }, storeBuffer: 8);
        t.Cpu.Apic = new FakeApic();
        Assert.True(Access.Store(t.S, 0x7000, 8, AccessKind.Read, 1));
        Assert.Equal(1, t.Cpu.StoreBuffer.Count);
        Write(t, 0x830, 0x41);
        Assert.True(Msrs.Wrmsr(t.S));
        Assert.Equal(left, t.Cpu.StoreBuffer.Count);
    }

    [Fact]
    public void X2ApicRegisters_AreTheApics()
    {
        using TestCpu t = Long();
        FakeApic apic = new();
        t.Cpu.Apic = apic;
        Assert.True(Msrs.TryWrite(t.S, 0x808, 0x20));
        Assert.Equal((0x808U, 0x20UL), apic.Written);
        Assert.True(Msrs.TryRead(t.S, 0x802, out ulong id));
        Assert.Equal(0x802UL, id);
        apic.Refuses = true;
        Assert.False(Msrs.TryWrite(t.S, 0x808, 0x20));
        Assert.False(Msrs.TryWrite(t.S, ApicBase, 0xFEE0_0900));
    }

    private static void Write(TestCpu t, uint address, ulong value)
    {
        t.S->Registers[1] = 0xFFFF_FFFF_0000_0000 | address;
        t.S->Registers[0] = 0xFFFF_FFFF_0000_0000 | (uint)value;
        t.S->Registers[2] = 0xFFFF_FFFF_0000_0000 | value >> 32;
        t.TakeSerialised();
    }

    private sealed class FixedClock : IClock
    {
        public ulong Time { get; set; }

        public ulong Now(CpuIndex cpu) => Time;
    }

    private sealed class FakeApic : ILocalApic
    {
        public (uint, ulong) Written { get; private set; }
        public bool Refuses { get; set; }
        public bool HasInterrupt => false;
        public ulong TaskPriority { get; set; }
        public ulong TscDeadline { get; set; }

        public byte AcknowledgeInterrupt() => 0xFF;

        public bool TryReadPage(ulong physical, int size, out ulong value)
        {
            value = 0;
            return false;
        }

        public bool TryWritePage(ulong physical, int size, ulong value) => false;

        public bool TryReadMsr(uint msr, out ulong value)
        {
            value = msr;
            return !Refuses;
        }

        public bool TryWriteMsr(uint msr, ulong value)
        {
            Written = (msr, value);
            return !Refuses;
        }

        public bool TryWriteApicBase(ulong value) => !Refuses;

        public void Reset(bool init)
        {
        }
    }

    [Fact]
    public void EveryRegister_HasItsResetValue_AfterPowerUp()
    {
        foreach (CpuModel model in CpuModels.All)
        {
            using TestCpu t = new(model);
            foreach (Msr msr in model.Msrs.Values.Where(m => m.Field != null && m.Name != "IA32_APIC_BASE"))
            {
                Assert.True(Msrs.TryRead(t.S, msr.Address, out ulong value));
                Assert.True((msr.ResetFor?.Invoke(model) ?? msr.Reset) == value, $"{model.Name} {msr.Name} {value:x}");
            }
        }
    }

    [Fact]
    public void Words_OfKeptRegisters_AreTheirOwn()
    {
        foreach (CpuModel model in CpuModels.All)
        {
            using TestCpu t = new(model);
            Msr[] kept = [.. model.Msrs.Values.Where(m => m.Field != null)];
            Assert.Equal(kept.Length, kept.Select(m => (nint)m.Field!(t.S)).Distinct().Count());
            Assert.All(kept, m => Assert.InRange((nint)m.Field!(t.S), (nint)t.S, (nint)(t.S + 1) - 8));
        }
    }

    [Fact]
    public void TscAdjust_AndCounter_MoveTogether()
    {
        using TestCpu t = Long();
        Assert.True(Msrs.TryWrite(t.S, 0x3B, 1000));
        ulong now = Msrs.TimeStamp(t.S);
        Assert.True(Msrs.TryWrite(t.S, Tsc, now + 500));
        Assert.True(Msrs.TryRead(t.S, 0x3B, out ulong adjust));
        Assert.Equal(1500UL, adjust);
        Assert.True(Msrs.TryWrite(t.S, 0x3B, 0));
        Assert.Equal(now - 1000, Msrs.TimeStamp(t.S));
    }

    [Fact]
    public void Microcode_IsToldAfterCpuid()
    {
        using TestCpu t = Long();
        Assert.True(Msrs.TryWrite(t.S, 0x8B, 0));
        t.S->Registers[0] = 1;
        Assert.True(Cpuid.Execute(t.S));
        Assert.True(Msrs.TryRead(t.S, 0x8B, out ulong revision));
        Assert.Equal((ulong)CpuModels.Skylake.Microcode << 32, revision);
    }

    [Fact]
    public void CpuidFaulting_RefusesUsers()
    {
        using TestCpu t = Long(cpl: 3);
        Assert.True(Cpuid.Execute(t.S));
        Assert.True(Msrs.TryWrite(t.S, 0x140, 1));
        Assert.False(Cpuid.Execute(t.S));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        t.S->Cpl = 0;
        Assert.True(Cpuid.Execute(t.S));
    }

    [Fact]
    public void MiscEnable_ChangesWhatCpuidTells()
    {
        using TestCpu t = Long();
        Assert.True(Msrs.TryWrite(t.S, 0x1A0, Msrs.MiscEnableAfterReset & ~Msrs.MiscEnableMonitor | Msrs.MiscEnableLimitCpuid | Msrs.MiscEnableXdDisable));
        t.S->Registers[0] = 0;
        Cpuid.Execute(t.S);
        Assert.Equal(2UL, t.S->Registers[0]);
        t.S->Registers[0] = 1;
        Cpuid.Execute(t.S);
        Assert.Equal(0UL, t.S->Registers[1] & 8);
        t.S->Registers[0] = 0x8000_0001;
        Cpuid.Execute(t.S);
        Assert.Equal(0UL, t.S->Registers[2] & 1 << 20);
        t.S->Paging.Efer &= ~ControlBits.EferNxe;
        Assert.False(Msrs.TryWrite(t.S, Efer, t.S->Paging.Efer | ControlBits.EferNxe));
    }

    [Fact]
    public void AmdFixedRanges_TakeDramBits_WhenSyscfgLetsThem()
    {
        using TestCpu t = Long(model: CpuModels.K8);
        Assert.False(Msrs.TryWrite(t.S, 0x250, 0x1E1E_1E1E_1E1E_1E1E));
        Assert.True(Msrs.TryRead(t.S, 0xC001_0010, out ulong syscfg));
        Assert.True(Msrs.TryWrite(t.S, 0xC001_0010, syscfg | 1 << 19));
        Assert.True(Msrs.TryWrite(t.S, 0x250, 0x1E1E_1E1E_1E1E_1E1E));
        Assert.False(Msrs.TryWrite(t.S, 0xC001_0010, 1UL << 22));
    }
}
