using System.Text;
using Emu.Cpus;
using Emu.Fetch;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class CpuidTests
{
    public static TheoryData<string> Models => [.. CpuModels.All.Select(m => m.Name)];

    [Theory]
    [MemberData(nameof(Models))]
    public void Model_CanBeFound_AndNamesAProfile(string name)
    {
        Assert.True(CpuModels.TryFind(name.ToUpperInvariant(), out CpuModel? model));
        Assert.Equal(name, model.Name);
        Assert.NotNull(FetchProfiles.Find(model.DefaultProfile));
        Assert.True(model.Brand.Length <= 47);
        Assert.False(CpuModels.TryFind(name + "x", out _));
    }

    /// <summary>Each bit of the table is set exactly where the model has the feature, and nothing else is told as a feature.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void FeatureBits_FollowTheModelsTable(string name)
    {
        CpuModel model = Find(name);
        foreach (CpuidFeatureBit bit in Cpuid.FeatureBits)
        {
            bool reachable = bit.Leaf <= model.MaxBasicLeaf || (bit.Leaf >= 0x8000_0000 && bit.Leaf <= model.MaxExtendedLeaf);
            if (!reachable)
            {
                Assert.False(model.Has(bit.Feature), $"{bit.Feature} cannot be told");
                continue;
            }
            CpuidResult r = Query(model, bit.Leaf, bit.Subleaf);
            uint value = bit.Register switch
            {
                CpuidRegister.Eax => r.Eax,
                CpuidRegister.Ebx => r.Ebx,
                CpuidRegister.Ecx => r.Ecx,
                _ => r.Edx,
            };
            Assert.True(model.Has(bit.Feature) == ((value >> bit.Bit & 1) != 0), $"{bit.Feature}");
        }
        CpuFeatureSet told = [.. Cpuid.FeatureBits.Select(b => b.Feature)];
        Assert.Equal([CpuFeature.MultibyteNop], model.Features.Except(told));
    }

    [Fact]
    public void Models_DifferInWhatTheGuestFallsBackOn()
    {
        Assert.False(CpuModels.Pentium3.Has(CpuFeature.Sse2));
        Assert.False(CpuModels.Pentium3.Has(CpuFeature.LongMode));
        Assert.False(CpuModels.K8.Has(CpuFeature.X2Apic));
        Assert.False(CpuModels.Skylake.Has(CpuFeature.Serialize));
        Assert.True(CpuModels.AlderLake.Has(CpuFeature.Serialize));
        foreach (CpuModel model in CpuModels.All.Skip(1))
        {
            CpuFeatureSet needed = [CpuFeature.LongMode, CpuFeature.Sse2, CpuFeature.Syscall, CpuFeature.Nx];
            Assert.Empty(needed.Except(model.Features));
        }
    }

    [Theory]
    [InlineData("pentium3", "GenuineIntel", 2U, 0x686U)]
    [InlineData("k8", "AuthenticAMD", 1U, 0xF58U)]
    [InlineData("skylake", "GenuineIntel", 0x16U, 0x506E3U)]
    [InlineData("alderlake", "GenuineIntel", 0x20U, 0x90672U)]
    public void Leaves0And1_GiveVendorAndSignature(string name, string vendor, uint max, uint signature)
    {
        CpuidResult r = Query(Find(name), 0);
        Assert.Equal(max, r.Eax);
        Assert.Equal(vendor, Text(r.Ebx, r.Edx, r.Ecx));
        Assert.Equal(signature, Query(Find(name), 1).Eax);
    }

    [Fact]
    public void Brand_StandsInThreeLeaves()
    {
        string brand = string.Concat(Enumerable.Range(2, 3).Select(i =>
        {
            CpuidResult r = Query(CpuModels.Skylake, 0x8000_0000 + (uint)i);
            return Text(r.Eax, r.Ebx, r.Ecx, r.Edx);
        }));
        Assert.Equal(CpuModels.Skylake.Brand, brand.TrimEnd('\0'));
    }

    [Fact]
    public void LeafOutOfRange_IsTheHighestBasicOneOnIntel_AndZeroOnAmd()
    {
        Assert.Equal(Query(CpuModels.Pentium3, 2), Query(CpuModels.Pentium3, 0x8000_0000));
        Assert.Equal(Query(CpuModels.Skylake, 0x16), Query(CpuModels.Skylake, 0x4000_0000));
        Assert.Equal(default, Query(CpuModels.K8, 2));
        Assert.Equal(0x8000_0008U, Query(CpuModels.K8, 0x8000_0000).Eax);
    }

    [Theory]
    [InlineData(1, 0U, 0U)]
    [InlineData(4, 2U, 4U)]
    [InlineData(5, 3U, 8U)]
    [InlineData(64, 6U, 64U)]
    public void Topology_IsToldTheSameByEveryLeaf(int cpus, uint shift, uint ids)
    {
        CpuTopology topology = new(cpus);
        ApicId last = new((uint)cpus - 1);
        CpuidResult one = Cpuid.Query(CpuModels.Skylake, 1, 0, topology, last);
        Assert.Equal(last.Value, one.Ebx >> 24);
        Assert.Equal(cpus > 1, (one.Edx & 1U << 28) != 0);
        Assert.Equal(ids, one.Ebx >> 16 & 0xFF);

        CpuidResult thread = Cpuid.Query(CpuModels.Skylake, 0xB, 0, topology, last);
        Assert.Equal(new CpuidResult(0, 1, 0x100, last.Value), thread);
        CpuidResult core = Cpuid.Query(CpuModels.Skylake, 0xB, 1, topology, last);
        Assert.Equal(new CpuidResult(shift, (uint)cpus, 0x201, last.Value), core);
        Assert.Equal(new CpuidResult(0, 0, 2, last.Value), Cpuid.Query(CpuModels.Skylake, 0xB, 2, topology, last));

        CpuidResult amd = Cpuid.Query(CpuModels.K8, 0x8000_0008, 0, topology, last);
        Assert.Equal(((uint)cpus - 1, shift), (amd.Ecx & 0xFF, amd.Ecx >> 12));
    }

    [Fact]
    public void Leaf4_DescribesEveryCache_AndEnds()
    {
        foreach (CpuModel model in new[] { CpuModels.Skylake, CpuModels.AlderLake })
        {
            for (int i = 0; i < model.Caches.Count; i++)
            {
                CpuidResult r = Query(model, 4, (uint)i);
                uint bytes = ((r.Ebx >> 22) + 1) * ((r.Ebx >> 12 & 0x3FF) + 1) * ((r.Ebx & 0xFFF) + 1) * (r.Ecx + 1);
                Assert.Equal((uint)model.Caches[i].Kilobytes * 1024, bytes);
                Assert.Equal((uint)model.Caches[i].Level, r.Eax >> 5 & 7);
            }
            Assert.Equal(0U, Query(model, 4, (uint)model.Caches.Count).Eax & 0x1F);
        }
    }

    [Fact]
    public void Leaf15_SaysOneGigahertz()
    {
        CpuidResult r = Query(CpuModels.Skylake, 0x15);
        Assert.Equal(1_000_000_000UL, (ulong)r.Ecx * r.Ebx / r.Eax);
    }

    [Fact]
    public void Leaf7_OtherSubleaves_AreEmpty()
    {
        Assert.NotEqual(default, Query(CpuModels.AlderLake, 7));
        Assert.Equal(default, Query(CpuModels.AlderLake, 7, 1));
    }

    [Fact]
    public void AddressSizes_AreTheModels()
    {
        Assert.Equal(39U | 48 << 8, Query(CpuModels.Skylake, 0x8000_0008).Eax);
        Assert.Equal(40U | 48 << 8, Query(CpuModels.K8, 0x8000_0008).Eax);
    }

    [Fact]
    public void Execute_FillsFourRegistersAndSerialises()
    {
        using TestCpu t = Long(cpl: 3);
        t.Cpu.Topology = new CpuTopology(4);
        for (int i = 0; i < 4; i++)
            t.S->Registers[i] = 0xFFFF_FFFF_0000_0000;
        t.S->Registers[0] |= 1;
        t.TakeSerialised();
        Cpuid.Execute(t.S);
        CpuidResult expected = Cpuid.Query(CpuModels.Skylake, 1, 0, new CpuTopology(4), new ApicId(0));
        Assert.Equal(expected, new CpuidResult((uint)t.S->Registers[0], (uint)t.S->Registers[3], (uint)t.S->Registers[1], (uint)t.S->Registers[2]));
        for (int i = 0; i < 4; i++)
            Assert.Equal(0UL, t.S->Registers[i] >> 32);
        Assert.Equal(1, t.TakeSerialised());
        // XSAVE is there, and nobody has set CR4.OSXSAVE.
        Assert.Equal(1UL << 26, t.S->Registers[1] & 3UL << 26);
    }

    [Fact]
    public void Execute_HidesTheApicThatIsDisabled()
    {
        using TestCpu t = Protected();
        t.S->ApicBase &= ~Msrs.ApicBaseEnable;
        t.S->Registers[0] = 1;
        Cpuid.Execute(t.S);
        Assert.Equal(0UL, t.S->Registers[2] & 1 << 9);
    }

    [Fact]
    public void Execute_OnIntel_TellsOfSyscallIn64BitModeOnly()
    {
        Assert.True(Syscall(Long()));
        Assert.False(Syscall(Protected()));
        Assert.True(Syscall(Protected(model: CpuModels.K8)));

        static bool Syscall(TestCpu t)
        {
            using (t)
            {
                t.S->Registers[0] = 0x8000_0001;
                Cpuid.Execute(t.S);
                return (t.S->Registers[2] & 1 << 11) != 0;
            }
        }
    }

    private static CpuModel Find(string name)
    {
        Assert.True(CpuModels.TryFind(name, out CpuModel? model));
        return model;
    }

    private static CpuidResult Query(CpuModel model, uint leaf, uint subleaf = 0) =>
        Cpuid.Query(model, leaf, subleaf, new CpuTopology(1), new ApicId(0));

    private static string Text(params uint[] words) =>
        Encoding.ASCII.GetString([.. words.SelectMany(BitConverter.GetBytes)]);
}
