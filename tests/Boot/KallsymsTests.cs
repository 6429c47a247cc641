using Emu.Boot;
using Xunit;

namespace Emu.Tests.Boot;

public sealed class KallsymsTests
{
    private static List<(string, int)> Names => [("Tstartup_64", 0), ("Ttext_poke_bp_batch", 0x10), ("tdo_sync_core", 0x30), ("Dpoke_data", 0x38)];

    [Theory]
    [InlineData(false, false, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, false, false)]
    public void TryRead_EachLayout_GivesAllSymbols(bool sequence, bool offsetsLast, bool percpu)
    {
        byte[] kernel = new KallsymsImage { Symbols = Names, HasSequence = sequence, OffsetsLast = offsetsLast, Percpu = percpu }.Build();
        Assert.True(Kallsyms.TryRead(kernel, out SymbolTable? symbols));
        Assert.Equal(Names.Count + 602, symbols.Symbols.Count);
        Assert.True(symbols.TryFind("text_poke_bp_batch", out Symbol batch));
        Assert.Equal((KallsymsImage.Base + 0x10, 0x20UL, SymbolKind.Function), (batch.Address, batch.Size, batch.Kind));
        Assert.Equal("do_sync_core+0x7", symbols.Describe(KallsymsImage.Base + 0x37));
        Assert.True(symbols.TryFind("poke_data", out Symbol data));
        Assert.Equal(SymbolKind.Data, data.Kind);
        Assert.True(symbols.TryFind(new string('x', 300), out Symbol longest));
        Assert.Equal(KallsymsImage.Base + 0x9_0000, longest.Address);
    }

    /// <summary>A byte of any of the tables that is not what the others say of it: nothing is taken.</summary>
    [Theory]
    [InlineData("markers")]
    [InlineData("index")]
    [InlineData("number")]
    public void TryRead_TablesThatDoNotFit_AreNone(string what)
    {
        byte[] kernel = new KallsymsImage { Symbols = Names }.Build();
        int zero = kernel.AsSpan().IndexOf("0\01\02\03\0"u8);
        int at = what switch
        {
            "index" => zero + 1200,
            "number" => kernel.AsSpan().IndexOf(BitConverter.GetBytes(KallsymsImage.Base)) + 8,
            _ => kernel.AsSpan()[..zero].LastIndexOf("d_end"u8),
        };
        // The markers are the last thing before the tokens; the name of the last symbol is right before them.
        if (what == "markers")
            at = (at + "d_end".Length + 7 & -8) + 4;
        kernel[at]++;
        Assert.False(Kallsyms.TryRead(kernel, out _));
    }

    [Fact]
    public void TryRead_WhatIsNoKernel_HasNone()
    {
        Assert.False(Kallsyms.TryRead([], out _));
        Assert.False(Kallsyms.TryRead("0\01\02\03\04\05\06\07\08\09\0"u8, out _));
        byte[] kernel = new KallsymsImage { Symbols = Names, OffsetsLast = true }.Build();
        // Cut off wherever: never more than "none".
        for (int length = 0; length < kernel.Length - 16; length += 37)
            Assert.False(Kallsyms.TryRead(kernel.AsSpan(0, length), out _));
    }
}
