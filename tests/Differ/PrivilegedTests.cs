using Emu.Cpus;
using Emu.Differ.Privileged;
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

    /// <summary>That a CPU which answers otherwise is noticed: the k8 has no SMEP and no SMAP.</summary>
    [Fact]
    public void AnotherModel_IsNoticed() =>
        Assert.NotEmpty(PrivilegedSuite.Compare(PrivilegedSuite.RunEmu(_run.Value.Image, CpuModels.K8), _run.Value.Ours));
}
