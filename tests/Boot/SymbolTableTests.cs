using Emu.Boot;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class SymbolTableTests
{
    private readonly SymbolTable _table = new(
    [
        new Symbol("text_poke", 0x1010, 0x20, SymbolKind.Function, 0x2000),
        new Symbol(".Lretry", 0x1018, 0, SymbolKind.Label, 0x2000),
        new Symbol("_text", 0x1000, 0, SymbolKind.Label, 0x2000),
        new Symbol("alias", 0x1010, 0x20, SymbolKind.Function, 0x2000),
        new Symbol("trap_entry", 0x1040, 0, SymbolKind.Label, 0x2000),
        new Symbol("count", 0x3000, 8, SymbolKind.Data, 0x4000),
        new Symbol("PAGE_SIZE", 0x1000, 0, SymbolKind.Absolute, 0),
    ]);

    [Theory]
    [InlineData(0x0FFF, "0xfff")]
    [InlineData(0x1000, "_text")]
    [InlineData(0x1008, "_text+0x8")]
    [InlineData(0x1010, "text_poke")]
    [InlineData(0x1018, "text_poke+0x8")]
    [InlineData(0x102F, "text_poke+0x1f")]
    [InlineData(0x1041, "trap_entry+0x1")]
    [InlineData(0x1FFF, "trap_entry+0xfbf")]
    [InlineData(0x2000, "0x2000")]
    [InlineData(0x3007, "count+0x7")]
    [InlineData(0x3008, "0x3008")]
    public void Describe_Address_NamesWhatItLiesIn(ulong address, string expected) => Assert.Equal(expected, _table.Describe(address));

    [Fact]
    public void Find_ByName_GivesTheAddress()
    {
        Assert.True(_table.TryFind("alias", out Symbol alias));
        Assert.Equal(0x1010UL, alias.Address);
        Assert.True(_table.TryFind("PAGE_SIZE", out Symbol absolute));
        Assert.Equal(SymbolKind.Absolute, absolute.Kind);
        Assert.False(_table.TryFind("nothing", out _));
        Assert.Equal("0x5", SymbolTable.Empty.Describe(5));
    }

    [Fact]
    public void FindFunction_InsideAndOutside()
    {
        Assert.True(_table.TryFindFunction(0x101A, out ulong start, out ulong end));
        Assert.Equal((0x1010UL, 0x1030UL), (start, end));
        Assert.False(_table.TryFindFunction(0x1030, out _, out _));
        Assert.False(_table.TryFindFunction(0x3000, out _, out _));
    }

    [Fact]
    public void Find_AnySymbols_EqualsALinearSearch() =>
        Prop.ForAll(Gen.ArrayOf(Gen.Choose(0, 100).Zip(Gen.Choose(0, 20))).ToArbitrary(), symbols =>
        {
            Symbol[] all = [.. symbols.Select((s, i) => new Symbol($"s{i}", (ulong)s.Item1, (ulong)s.Item2 + 1, SymbolKind.Function, 200))];
            var table = new SymbolTable(all);
            for (ulong address = 0; address < 130; address++)
            {
                // The innermost: of those that contain the address, the one that starts last.
                Symbol[] containing = [.. all.Where(s => address - s.Address < s.Size && address >= s.Address)];
                bool found = table.TryFind(address, out Symbol symbol, out ulong offset);
                if (found != containing.Length > 0)
                    return false;
                if (found && (symbol.Address != containing.Max(s => s.Address) || offset != address - symbol.Address))
                    return false;
            }
            return true;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Symbols_OfAnElf_AreReadAndForeignOnesLeftOut(bool is64)
    {
        SymbolTable symbols = BootImage.Open(ElfBuilder.Kernel(is64).Build(), "k").Symbols;
        Assert.Equal(["_start", "message", "_end"], symbols.Symbols.Select(s => s.Name));
        Assert.Equal("_start+0x1", symbols.Describe(0x10_0011));
        Assert.True(symbols.TryFind("SIZE", out Symbol size));
        Assert.Equal(0x1234UL, size.Address);
        Assert.False(symbols.TryFind("undefined", out _));
        Assert.False(symbols.TryFind("file.c", out _));
    }
}
