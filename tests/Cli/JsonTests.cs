using System.Text.Json;
using Emu.Cli;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary>The shapes that tools/emu/README.md promises: programs read them.</summary>
public sealed class JsonTests
{
    [Fact]
    public void Cpus_Json_IsAnArrayOfModels()
    {
        JsonElement array = Parse(Invocation.Of("cpus", "--json"));
        Assert.Equal(["pentium3", "k8", "skylake", "alderlake"], array.EnumerateArray().Select(m => m.GetProperty("name").GetString()));
        foreach (JsonElement model in array.EnumerateArray())
            AssertShape(model, "name:String description:String vendor:String signature:Number physicalAddressBits:Number defaultProfile:String features:Array");
    }

    [Fact]
    public void Profiles_Json_IsAnArrayOfProfilesWithAllFields()
    {
        JsonElement array = Parse(Invocation.Of("profiles", "--json"));
        foreach (JsonElement profile in array.EnumerateArray())
        {
            AssertShape(profile, "name:String source:String fields:Object");
            Assert.Equal(16, profile.GetProperty("fields").EnumerateObject().Count());
        }
        Assert.Equal("gp", array.EnumerateArray().First(p => p.GetProperty("name").GetString() == "p6").GetProperty("fields").GetProperty("on-mismatch").GetString());
    }

    [Fact]
    public void Boot_JsonOfASurvivor_IsOneValueWithTheSerialOutput()
    {
        Invocation run = Invocation.Of("boot", "--json", "--cpus", "2", "--append", "rounds=4");
        JsonElement boot = Parse(run);
        AssertShape(boot, "image:String cpu:String cpus:Number memory:Number profile:String seed:Number exit:Number reason:String message:String guestValue:Number "
            + "instructions:Number seconds:Number mips:Number runHash:String staleExecutions:Number stale:Null findings:Null notes:Array serial:String");
        Assert.Equal((ExitCode.Success, 0), (run.Code, boot.GetProperty("exit").GetInt32()));
        Assert.Contains("result: PASS", boot.GetProperty("serial").GetString());
    }

    [Fact]
    public void Boot_JsonOfAVictim_NamesTheStaleBytes()
    {
        Invocation run = Invocation.Of("boot", "--json", "--append", "protocol=direct");
        Assert.Equal(ExitCode.Failure, run.Code);
        JsonElement stale = Parse(run).GetProperty("stale");
        AssertShape(stale, "cpu:Number rip:Number symbol:String fetched:String memory:String writer:Number writtenAt:Number outcome:String explanation:String");
        Assert.StartsWith("jump_site_short", stale.GetProperty("symbol").GetString());
        Assert.Equal(0, stale.GetProperty("writer").GetInt32());
        Assert.Equal("general-protection", stale.GetProperty("outcome").GetString());
    }

    [Fact]
    public void Matrix_Json_IsAnArrayOfCells()
    {
        JsonElement array = Parse(Invocation.Of("matrix", "--json", "--protocol", "direct,stop-machine", "--profile", "p6", "--seeds", "12", "--rounds", "4"));
        Assert.Equal(2, array.GetArrayLength());
        AssertShape(array[0], "protocol:String sync:String fence:String ipi:String ack:String poke:String int3:String site:String profile:String runs:Number verdict:String seed:Number");
        AssertShape(array[1], "protocol:String sync:String fence:String ipi:String ack:String poke:String int3:String site:String profile:String runs:Number verdict:String seed:Null");
        Assert.Equal("fails", array[0].GetProperty("verdict").GetString());
        Assert.Equal("no failure", array[1].GetProperty("verdict").GetString());
        Assert.Equal(12, array[1].GetProperty("runs").GetInt32());
    }

    private static JsonElement Parse(Invocation run)
    {
        Assert.Equal("", run.Error);
        return JsonDocument.Parse(run.Out).RootElement;
    }

    /// <summary>Exactly these properties, in this order, of these kinds.</summary>
    private static void AssertShape(JsonElement value, string shape) =>
        Assert.Equal(shape, string.Join(' ', value.EnumerateObject().Select(p => $"{p.Name}:{p.Value.ValueKind}")));
}
