using Emu.Cpus;
using Xunit;
using static Emu.Tests.Execution.CodeMode;

namespace Emu.Tests.Execution;

/// <summary>Bad input: more than 15 bytes (SDM Vol. 2A, "Instruction Prefixes"; Vol. 3A, "General Protection Exception (#GP)": "the instruction length exceeds 15 bytes").</summary>
public sealed unsafe class OverlongInstructionTests
{
    /// <summary>Offset of the last byte of a page of code.</summary>
    private const uint PageEnd = 0x1000;

    public static TheoryData<CodeMode> All => [.. Enum.GetValues<CodeMode>()];

    public static TheoryData<CodeMode> Paged => [Virtual8086, Protected16, Protected32, Compatibility, Long];

    private static byte[] Prefixes(int n, params byte[] then) => [.. Enumerable.Repeat((byte)0x3E, n), .. then];

    [Theory]
    [MemberData(nameof(All))]
    public void FifteenBytes_Retire_SixteenAreGp(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Run(Prefixes(14, 0x90)).ExpectNext(b.Start + 15);
        b.Run(Prefixes(15, 0x90)).ExpectFault(Vector.GeneralProtection);
        b.Run(Prefixes(13, 0x89, 0xC0)).ExpectNext(b.Start + 15);
        b.Run(Prefixes(14, 0x89, 0xC0)).ExpectFault(Vector.GeneralProtection);
    });

    /// <summary>What comes last is too much: displacement, immediate, the bytes of a SIB form.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void OneByteTooMany_InDisplacementOrImmediate_IsGp(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        int word = b.IsSegmented ? 2 : 4;
        byte[] mov = [0xC7, 0x87, .. new byte[word], .. new byte[word]]; // MOV [BX/EDI/RDI + displacement], immediate
        if (!b.IsSegmented)
            b.S->Registers[7] = FaultBench.Data;
        b.Run(Prefixes(15 - mov.Length, mov)).ExpectNext(b.Start + 15);
        b.Run(Prefixes(16 - mov.Length, mov)).ExpectFault(Vector.GeneralProtection);
        b.Run(Prefixes(16 - mov.Length + word, mov)).ExpectFault(Vector.GeneralProtection);
    });

    /// <summary>Prefixes without end: the page behind is not looked at, and that an instruction of 15 bytes is undefined counts as such.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void PrefixesWithoutEnd_AreGp_AndUndefinedOf15BytesIsUd(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Run(Prefixes(200)).ExpectFault(Vector.GeneralProtection);
        b.Run(Prefixes(13, 0x0F, 0x0B)).ExpectFault(Vector.InvalidOpcode);
        b.Run(Prefixes(14, 0x0F, 0x0B)).ExpectFault(Vector.GeneralProtection);
        // LOCK does not make a long one undefined.
        b.Run([0xF0, .. Prefixes(14, 0x90)]).ExpectFault(Vector.GeneralProtection);
    });

    /// <summary>A REX prefix counts, and one that is not last counts as well.</summary>
    [Fact]
    public void Rex_Counts() => FaultBench.Each(Long, b =>
    {
        b.Run([.. Enumerable.Repeat((byte)0x48, 14), 0x90]).ExpectNext(b.Start + 15);
        b.Run([.. Enumerable.Repeat((byte)0x48, 15), 0x90]).ExpectFault(Vector.GeneralProtection);
        // The longest that compilers know: MOV r64, imm64 is 10 bytes.
        b.Run(Prefixes(5, 0x48, 0xB8, 1, 2, 3, 4, 5, 6, 7, 8)).ExpectNext(b.Start + 15);
        b.Run(Prefixes(6, 0x48, 0xB8, 1, 2, 3, 4, 5, 6, 7, 8)).ExpectFault(Vector.GeneralProtection);
    });

    /// <summary>
    /// Fifteen prefixes up to the end of a page, and the next one is not present: #GP(0), for no further byte can make it an instruction. Fourteen: #PF, for the fifteenth
    /// might. An EPYC does so, and Bochs 2.7; QEMU 7.2 fetches the sixteenth byte, and raises #PF for it.
    /// </summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void PrefixesUpToAnAbsentPage_FifteenAreGp_FourteenArePf(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Map(FaultBench.Code + PageEnd, 0);
        uint user = b.Cpl == 3 ? 4u : 0;
        foreach (uint n in (uint[])[15, 16, 17, 30])
            b.Run(Prefixes((int)n), PageEnd - n, halt: false).ExpectFault(Vector.GeneralProtection, ip: b.Start + PageEnd - n);
        foreach (uint n in (uint[])[1, 13, 14])
            b.Run(Prefixes((int)n), PageEnd - n, halt: false).ExpectPageFault(0x10 | user, FaultBench.Code + PageEnd, b.Start + PageEnd - n);
        // Too long only by what is in the second page.
        b.Run(Prefixes(12, 0xC7), PageEnd - 13, halt: false).ExpectPageFault(0x10 | user, FaultBench.Code + PageEnd, b.Start + PageEnd - 13);
        b.Run(Prefixes(13, 0xC7, 0x07), PageEnd - 15, halt: false).ExpectFault(Vector.GeneralProtection, ip: b.Start + PageEnd - 15);
        // Undefined by what is in the first page.
        b.Run(Prefixes(12, 0x0F, 0x0B), PageEnd - 14, halt: false).ExpectFault(Vector.InvalidOpcode, ip: b.Start + PageEnd - 14);
    });

    /// <summary>The end of a segment: #GP(0) either way, and not for what ends with the last byte.</summary>
    [Theory]
    [InlineData(Real)]
    [InlineData(Virtual8086)]
    [InlineData(Protected16)]
    [InlineData(Protected32)]
    [InlineData(Compatibility)]
    public void InstructionAtTheEndOfItsSegment_MustEndWithIt(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        const uint limit = 0x5FF;
        b.S->Cs.Limit = (uint)b.Start + limit;
        CpuMode.Update(b.S);
        // MOV r8, imm8 that ends at the limit; what is behind it does not begin within it.
        b.Run([0xB0, 0x11, 0x90], limit - 1, halt: false);
        b.ExpectFault(Vector.GeneralProtection, ip: b.Start + limit + 1, unchanged: false);
        Assert.Equal(0x11UL, b.S->Registers[0] & 0xFF);
        b.Run([0xB0, 0x22], limit).ExpectFault(Vector.GeneralProtection, ip: b.Start + limit);
        // Undefined, but it is not all there.
        b.Run([0x0F, 0x0B], limit).ExpectFault(Vector.GeneralProtection, ip: b.Start + limit);
        b.Run([0x0F, 0x0B], limit - 1).ExpectFault(Vector.InvalidOpcode, ip: b.Start + limit - 1);
        b.Run(Prefixes(16), limit - 14, halt: false).ExpectFault(Vector.GeneralProtection, ip: b.Start + limit - 14);
    });
}
