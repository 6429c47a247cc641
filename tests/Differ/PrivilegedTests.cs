using Emu.Cpus;
using Emu.Differ.Ledgers;
using Emu.Differ.Privileged;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The guests that provoke privileged behaviour: on Emu as expected. QEMU and Bochs run them in tests/run, which obtains both.</summary>
public sealed class PrivilegedTests
{
    private static readonly Lazy<(byte[] Image, IReadOnlyList<GuestResult> Ours)> _run = new(() =>
    {
        byte[] image = PrivilegedSuite.BuildImage();
        return (image, PrivilegedSuite.RunEmu(image));
    });

    [Fact]
    public void Emu_GivesWhatIsExpected()
    {
        string[] expected = PrivilegedSuite.Expected();
        string[] found = [.. _run.Value.Ours.Select(r => $"{r.Name}: {r.Found}")];
        Assert.Equal(expected.Length, found.Length);
        Assert.Equal([], expected.Zip(found).Where(p => p.First != p.Second).Take(5).Select(p => $"expected {p.First}, found {p.Second}"));
    }

    [Fact]
    public void CaseNames_AreUnique() => Assert.Equal(GuestCases.All.Count, GuestCases.All.Select(c => c.Name).Distinct().Count());

    /// <summary>A case that is left out where it is not expected is missed, and not passed over: nothing comes of it in a comparison.</summary>
    [Fact]
    public void LeftOutCases_OfBochs_AreNone_AndOfQemuAreNamed()
    {
        IReadOnlyList<GuestResult> ours = _run.Value.Ours;
        Assert.Equal(ours.Count, PrivilegedSuite.AskedOf("bochs", ours).Count);
        IReadOnlyList<GuestResult> asked = PrivilegedSuite.AskedOf("qemu", ours);
        Assert.InRange(ours.Count - asked.Count, 1, 100);
        Assert.Equal(["long cr0 pg clear"], PrivilegedSuite.Compare([.. ours.Where(r => r.Name == "long cr0 pg clear")], asked).Select(d => d.Name));
    }

    /// <summary>Triple faults reset the machine, which goes on with the next case: each such case is told as a shutdown, and no other.</summary>
    [Fact]
    public void TripleFaults_AreToldAsShutdowns()
    {
        string[] shutdowns = [.. _run.Value.Ours.Where(r => r.Found == PrivilegedSuite.Shutdown).Select(r => r.Name)];
        Assert.Contains("int with an idt of limit 46", shutdowns);
        Assert.Contains("long #DF with its gate np cpl3", shutdowns);
        Assert.Contains("real mode ud2 with an idt of limit 0", shutdowns);
        Assert.DoesNotContain("int with an idt of limit 47", shutdowns);
        Assert.DoesNotContain("long #DF with its gate good cpl3", shutdowns);
        Assert.All(shutdowns, name => Assert.Contains(GuestCases.All, c => c.Name == name));
    }

    /// <summary>A row whose fields nothing differs in is named, field by field.</summary>
    [Fact]
    public void Idle_NamesWhatTheTableExcusesForNothing()
    {
        string[] Of(params GuestDifference[] differences) => [.. PrivilegedSuite.Idle("qemu", differences).Where(i => i.StartsWith("^ltr null$", StringComparison.Ordinal))];
        Assert.Equal(["^ltr null$: v ip tr"], Of());
        Assert.Equal(["^ltr null$: tr"], Of(new GuestDifference("ltr null", "v=d ip=10 tr=28", "v=41 ip=13 tr=28")));
        Assert.Equal([], Of(new GuestDifference("ltr null", "v=d ip=10 tr=28", "v=41 ip=13 tr=0")));
    }

    /// <summary>Of a machine that shuts down where ours does not, the vector is what differs; and a shutdown is excused no more than anything else.</summary>
    [Theory]
    [InlineData("cr0 pg without pe", true)]
    [InlineData("lldt null", false)]
    public void Shutdown_OfAnotherMachine_WantsARow(string name, bool explained) =>
        Assert.Equal(explained ? 0 : 1, PrivilegedSuite.Unexplained("qemu", [new GuestDifference(name, "v=d e=0 ip=10 cs=8", PrivilegedSuite.Shutdown)]).Count);

    /// <summary>A machine, ours too, that stops half-way is different, whatever it got right.</summary>
    [Fact]
    public void Run_ThatDoesNotComeToItsEnd_IsUnexplained()
    {
        const string line = "lldt null v=d e=0\n";
        IReadOnlyList<GuestResult> whole = PrivilegedSuite.Parse(line + "END\n", "ended"), half = PrivilegedSuite.Parse(line, "hung");
        Assert.Equal([], PrivilegedSuite.Compare(whole, whole));
        Assert.Single(PrivilegedSuite.Unexplained("qemu", PrivilegedSuite.Compare(whole, half)));
        Assert.Single(PrivilegedSuite.Unexplained("qemu", PrivilegedSuite.Compare(half, whole)));
        Assert.Contains("after 1 cases, the last of which is 'lldt null'; hung", half[^1].Found);
    }

    /// <summary>For the ledger: each code once for a case, setup and all, in the size of the code that it stands in; what was known of that machine goes.</summary>
    [Fact]
    public void Record_CountsTheCodesThatAgreeingCasesExecute()
    {
        string[] names = ["lldt data", "long lldt good", "v86 iret iopl3", "#DF with its gate np cpl0", "ltr data"];
        byte[] image = GuestImage.Build(GuestCases.All, names.Contains);
        var checks = new MachineChecks();
        checks.Replace("bochs", [(Code.Hlt, 32)]);
        PrivilegedSuite.Record(checks, "bochs", image, names[..4]);
        long Of(Code code, int bits) => checks[code, new MachineColumn("bochs", bits)];
        Assert.Equal((1, 1, 0), (Of(Code.Lldt_rm16, 32), Of(Code.Lldt_rm16, 64), Of(Code.Ltr_rm16, 32)));
        Assert.Equal((1, 1, 0), (Of(Code.Iretw, 16), Of(Code.Iretd, 32), Of(Code.Hlt, 32)));
        // MOV DS, after which nothing is executed any more.
        Assert.Equal(1, Of(Code.Mov_Sreg_rm16, 32));
        Assert.Equal(0, checks.Of(Code.Lldt_rm16, "qemu"));
    }

    /// <summary>That a CPU which answers otherwise is noticed: the k8 has no SMEP and no SMAP.</summary>
    [Fact]
    public void AnotherModel_IsNoticed() =>
        Assert.NotEmpty(PrivilegedSuite.Compare(PrivilegedSuite.RunEmu(_run.Value.Image, CpuModels.K8), _run.Value.Ours));
}
