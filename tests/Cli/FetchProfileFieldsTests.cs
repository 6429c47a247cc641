using System.Reflection;
using Emu.Fetch;
using Xunit;

namespace Emu.Tests.Cli;

public sealed class FetchProfileFieldsTests
{
    public static TheoryData<string> Names => [.. FetchProfileFields.All.Select(f => f.Name)];

    [Fact]
    public void Fields_AndPropertiesOfAProfile_AreTheSame()
    {
        // atomic-unit is AtomicUnit. Nothing of a profile is out of reach of --set but its name and source.
        IEnumerable<string> properties = typeof(FetchProfile).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => p.CanWrite && p.Name is not (nameof(FetchProfile.Name) or nameof(FetchProfile.Source))).Select(p => p.Name);
        IEnumerable<string> fields = FetchProfileFields.All.Select(f => string.Concat(f.Name.Split('-').Select(w => char.ToUpperInvariant(w[0]) + w[1..])));
        Assert.Equal(properties.Order(), fields.Order());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Set_ValueThatAnotherProfileHas_GivesThatValueAndChangesNothingElse(string name)
    {
        FetchProfileField field = FetchProfileFields.Find(name)!;
        foreach (FetchProfile from in FetchProfiles.All)
        {
            foreach (FetchProfile to in FetchProfiles.All)
            {
                Assert.True(FetchProfileFields.TrySet(from, $"{name}={field.Get(to)}", out FetchProfile? changed, out _));
                Assert.Equal(field.Get(to), field.Get(changed));
                foreach (FetchProfileField other in FetchProfileFields.All.Where(f => f != field))
                    Assert.Equal(other.Get(from), other.Get(changed));
            }
        }
    }

    [Theory]
    [InlineData("depth", "is not field=value")]
    [InlineData("deep=3", "no field \"deep\"")]
    [InlineData("depth=-1", "a number from 0 to 128")]
    [InlineData("depth=129", "a number from 0 to 128")]
    [InlineData("depth=", "a number from 0 to 128")]
    [InlineData("depth=99999999999", "a number from 0 to 128")]
    [InlineData("granule=2", "one of 1, 8, 16, 32, 64")]
    [InlineData("order=random", "one of in-order, any")]
    [InlineData("int3-exempt=maybe", "yes or no")]
    [InlineData("on-mismatch=crash", "one of stale, refetch, gp")]
    [InlineData("store-buffer=65", "a number from 0 to 64")]
    public void Set_WhatCannotBe_SaysInOneLineWhatCan(string assignment, string expected)
    {
        Assert.False(FetchProfileFields.TrySet(FetchProfiles.P6, assignment, out _, out string? error));
        Assert.Contains(expected, error);
        Assert.DoesNotContain('\n', error);
    }

    [Fact]
    public void Set_OneField_ShowsInTheName()
    {
        Assert.True(FetchProfileFields.TrySet(FetchProfiles.P6, "depth=16", out FetchProfile? once, out _));
        Assert.True(FetchProfileFields.TrySet(once, "int3-exempt=no", out FetchProfile? twice, out _));
        Assert.Equal("p6+depth=16+int3-exempt=no", twice.Name);
    }
}
