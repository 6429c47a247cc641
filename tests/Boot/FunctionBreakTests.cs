using Emu.Boot;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class FunctionBreakTests
{
    private const ulong At = 0xFFFF_FFFF_8100_0000;
    private const ulong Callee = At + 0x100;
    private const ulong Fentry = At + 0x200;

    private static SymbolTable Symbols(int size, params Symbol[] more) => new(
        [new("patch", At, (ulong)size, SymbolKind.Function, 0), new("sync", Callee, 16, SymbolKind.Function, 0), new("__fentry__", Fentry, 16, SymbolKind.Function, 0),
        new("data", At + 0x300, 8, SymbolKind.Data, 0), .. more]);

    private static IReadOnlyList<CodeEdit> Find(string text, byte[] code, out string? problem, params Symbol[] more) =>
        FunctionBreak.Parse(text)!.Find(Symbols(code.Length, more), (address, data) => address == At && code.AsSpan(0, data.Length).TryCopyTo(data), out problem);

    private static byte[] Call(int at, ulong target) => [0xE8, .. BitConverter.GetBytes((int)(target - (At + (ulong)at + 5)))];

    [Fact]
    public void Find_Function_ReturnsBehindWhatMustStay()
    {
        byte[] body = [0x53, 0x5B, 0xC3];
        byte[] endbr = [0xF3, 0x0F, 0x1E, 0xFA];
        byte[] nop = [0x0F, 0x1F, 0x44, 0x00, 0x00];
        Assert.Equal(At, Assert.Single(Find("patch", body, out _)).Address);
        Assert.Equal(At + 4, Assert.Single(Find("patch", [.. endbr, .. body], out _)).Address);
        Assert.Equal(At + 5, Assert.Single(Find("patch", [.. nop, .. body], out _)).Address);
        Assert.Equal(At + 9, Assert.Single(Find("patch", [.. endbr, .. nop, .. body], out _)).Address);
        Assert.Equal(At + 5, Assert.Single(Find("patch", [.. Call(0, Fentry), .. body], out _)).Address);
        Assert.Equal(At + 9, Assert.Single(Find("patch", [.. endbr, .. Call(4, Fentry), .. body], out _)).Address);
        // A call of anything else is the function's own.
        Assert.Equal(At, Assert.Single(Find("patch", [.. Call(0, Callee), .. body], out _)).Address);
        Assert.Equal([0xC3], Find("patch", body, out _)[0].Bytes);
    }

    [Fact]
    public void Find_Callee_ChangesEachCallAndTheJumpAtTheEnd()
    {
        byte[] jump = [0xE9, .. BitConverter.GetBytes((int)(Callee - (At + 17 + 5)))];
        byte[] code = [.. Call(0, Callee), .. Call(5, Fentry), 0xEB, 0x00, .. Call(12, Callee), .. jump];
        IReadOnlyList<CodeEdit> edits = Find("patch:sync", code, out string? problem);
        Assert.Null(problem);
        Assert.Equal([At, At + 12, At + 17], edits.Select(e => e.Address));
        Assert.Equal([0x0F, 0x1F, 0x44, 0x00, 0x00], edits[0].Bytes);
        Assert.Equal([0xC3, 0x0F, 0x1F, 0x40, 0x00], edits[2].Bytes);
        Assert.All(edits, e => Assert.Equal(5, e.Bytes.Length));
    }

    [Theory]
    [InlineData("patsch", "has no function patsch")]
    [InlineData("pat", "it has patch")]
    [InlineData("patch:synk", "has no function synk")]
    [InlineData("patch:sync", "patch does not call sync; it calls __fentry__")]
    [InlineData("data", "data is no function")]
    [InlineData("twice", "has 2 functions twice")]
    [InlineData("sync", "the code of sync is not in memory")]
    public void Find_WhatCannotBe_SaysWhat(string text, string expected)
    {
        Symbol twice = new("twice", At + 0x400, 8, SymbolKind.Function, 0);
        Assert.Empty(Find(text, [.. Call(0, Fentry), 0xC3], out string? problem, twice, twice with { Address = At + 0x410 }));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a:b:c")]
    [InlineData("")]
    [InlineData(":b")]
    [InlineData("a:")]
    [InlineData("a b")]
    public void Parse_WhatNamesNoFunction_IsNull(string text) => Assert.Null(FunctionBreak.Parse(text));
}
