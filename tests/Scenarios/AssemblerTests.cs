using Emu.Scenarios;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>The AT&amp;T front end: bytes as the GNU assembler chooses them, and every encoding read back by Iced's decoder.</summary>
public sealed class AssemblerTests
{
    // What "as --64" (GNU Binutils) makes of each line.
    [Theory]
    [InlineData("movl $1,(%rax)", "c70001000000")]
    [InlineData("movl $1,%eax", "b801000000")]
    [InlineData("movq $-1,%rax", "48c7c0ffffffff")]
    [InlineData("movq $0x123456789a,%rax", "48b89a78563412000000")]
    [InlineData("mov %rax,%rbx", "4889c3")]
    [InlineData("movb %ah,%bl", "88e3")]
    [InlineData("movb $5,%r9b", "41b105")]
    [InlineData("movl %eax,0x12345(%rbx,%rcx,4)", "89848b45230100")]
    [InlineData("movl %eax,(,%rcx,8)", "8904cd00000000")]
    [InlineData("movl (%r13),%r8d", "458b4500")]
    [InlineData("movl 4(%esp),%eax", "678b442404")]
    [InlineData("addl $1,%eax", "83c001")]
    [InlineData("addl $0x1234,%eax", "0534120000")]
    [InlineData("cmpl $0xffffffff,%eax", "83f8ff")]
    [InlineData("test (%rbx),%eax", "8503")]
    [InlineData("xchg (%rbx),%rax", "488703")]
    [InlineData("lock cmpxchgq %rcx,(%rdx)", "f0480fb10a")]
    [InlineData("movzbl (%rax),%eax", "0fb600")]
    [InlineData("movslq %eax,%rax", "4863c0")]
    [InlineData("xchg %eax,%eax", "87c0")]
    [InlineData("push (%rax)", "ff30")]
    [InlineData("pushq $5", "6a05")]
    [InlineData("call *8(%rax,%rbx,8)", "ff54d808")]
    [InlineData("jmp *%r11", "41ffe3")]
    [InlineData("nopl 0(%rax,%rax,1)", "0f1f0400")]
    [InlineData("shll %eax", "d1e0")]
    [InlineData("shldl $3,%eax,%ebx", "0fa4c303")]
    [InlineData("imull $300,%eax,%ebx", "69d82c010000")]
    [InlineData("rep movsq", "f348a5")]
    [InlineData("repne scasb", "f2ae")]
    [InlineData("outb %al,$0xf4", "e6f4")]
    [InlineData("inb %dx,%al", "ec")]
    [InlineData("movq %gs:0,%rax", "65488b042500000000")]
    [InlineData("movl %ebx,%gs:(%rdx)", "65891a")]
    [InlineData("mov %rax,%cr2", "0f22d0")]
    [InlineData("mov %rax,%db7", "0f23f8")]
    [InlineData("movabsq $5,%rax", "48b80500000000000000")]
    [InlineData("serialize", "0f01e8")]
    [InlineData("iretq", "48cf")]
    [InlineData("cltq", "4898")]
    [InlineData("int3", "cc")]
    public void Instruction_AttSyntax_IsEncodedAsTheGnuAssemblerDoes(string text, string bytes) =>
        Assert.Equal(bytes, Convert.ToHexString(Assemble(text)).ToLowerInvariant());

    [Theory]
    [InlineData("movl $1,(x)", "movl $1,0x50000")]
    [InlineData("addq %rcx,-8(%rsp,%rdx,2)", "addq %rcx,-8(%rsp,%rdx,2)")]
    [InlineData("lock xaddl %eax,(%rdi)", "lock xadd %eax,(%rdi)")]
    [InlineData("movl x(%rip),%eax", "movl 0x50000,%eax")]
    [InlineData("cmovneq (%rax),%rbx", "cmovne (%rax),%rbx")]
    [InlineData("leal 8(%rax),%ecx", "leal 8(%rax),%ecx")]
    [InlineData("cmpxchg16b (%rdi)", "cmpxchg16b (%rdi)")]
    [InlineData("invlpg (x)", "invlpg 0x50000")]
    [InlineData("movq $x,%rdi", "movq $0x50000,%rdi")]
    public void Instruction_Decoded_IsWhatWasWritten(string text, string decoded)
    {
        byte[] bytes = Assemble(text);
        Decoder decoder = Decoder.Create(64, bytes, 0x10000, DecoderOptions.None);
        decoder.Decode(out Instruction instruction);
        var formatter = new GasFormatter();
        formatter.Options.HexPrefix = "0x";
        formatter.Options.UppercaseHex = false;
        formatter.Options.SpaceAfterOperandSeparator = false;
        formatter.Options.GasShowMnemonicSizeSuffix = false;
        formatter.Options.DigitSeparator = "";
        var output = new StringOutput();
        formatter.Format(instruction, output);
        Assert.Equal(bytes.Length, instruction.Length);
        Assert.Equal(Plain(decoded), Plain(output.ToStringAndReset()));
    }

    /// <summary>Every encoding that the front end can choose, from Iced's list: written in AT&amp;T syntax and read back it is the same instruction.</summary>
    [Fact]
    public void RegisterForms_EveryBinaryOperation_DecodeToThemselves()
    {
        string[] mnemonics = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "mov", "test", "xchg", "xadd", "cmpxchg", "bt", "bts", "imul", "bsf", "cmove"];
        (char Suffix, string[] Registers)[] widths =
        [
            ('b', ["al", "cl", "sil", "r8b", "r15b"]), ('w', ["ax", "dx", "r9w"]), ('l', ["eax", "esi", "r10d"]), ('q', ["rax", "rsp", "rbp", "r12", "r13"]),
        ];
        int tried = 0;
        foreach (string mnemonic in mnemonics)
        {
            foreach ((char suffix, string[] registers) in widths)
            {
                if (suffix == 'b' && mnemonic is "bt" or "bts" or "imul" or "bsf" or "cmove" && suffix == 'b')
                    continue;
                foreach (string source in registers)
                {
                    foreach (string destination in registers)
                    {
                        // Between AX and AX, or RAX and RAX, it is NOP's own encoding.
                        if (mnemonic == "xchg" && source == destination)
                            continue;
                        Instruction i = Decode(Assemble($"{mnemonic}{suffix} %{source},%{destination}"));
                        Assert.Equal(mnemonic, i.Mnemonic.ToString().ToLowerInvariant());
                        // These two are symmetric.
                        if (mnemonic is not ("xchg" or "test"))
                            Assert.Equal((Name(destination), Name(source)), (i.Op0Register, i.Op1Register));
                        tried++;
                    }
                }
            }
        }
        Assert.True(tried > 1000);
    }

    [Fact]
    public void Branch_TargetInReach_IsShort() => Assert.Equal("eb00", Hex("jmp here; here: nop", 2));

    [Fact]
    public void Branch_TargetOutOfReach_IsLengthened() => Assert.Equal("e9c8000000", Hex("jmp here; .skip 200; here: nop", 5));

    [Fact]
    public void Branch_TwoThatPushEachOther_AreBothLengthened()
    {
        // The first reaches its target only as long as the second is short.
        ScenarioCode code = Code("jmp a; jmp b; .skip 123; a: nop; .skip 10; b: nop");
        Assert.Equal(0xE9, code.Bytes[5]);
        Assert.Equal(0xE9, code.Bytes[0]);
        Assert.Equal(code.Start + 5 + 5 + 123, code.Labels["a"]);
    }

    [Fact]
    public void Branch_D32_KeepsItsLongForm() => Assert.Equal("e900000000", Hex("jmp.d32 here; here: nop", 5));

    [Fact]
    public void Straddle_BeforeALine_LeavesTheBytesAskedFor() => Assert.Equal(62UL, Code(".straddle 64, 2; site: jmp site").Labels["site"] % 64);

    [Fact]
    public void Org_SkipsWithNops() => Assert.Equal("90909090", Hex(".org 4; site: hlt", 4));

    [Fact]
    public void Symbol_DifferenceOfLabels_IsAConstant() => Assert.Equal("c6000a", Hex("movb $b-a,(%rax); a: .skip 10; b: nop", 3));

    [Fact]
    public void Data_LabelsAndNumbers_AreLittleEndian() => Assert.Equal("ebe500000100ff", Hex(".byte 0xeb, 0xe5; .long P0; .byte -1", 7));

    [Theory]
    [InlineData("frobl $1,%eax", 1, "'frobl' is no instruction")]
    [InlineData("movl $1,%rax", 1, "contradicts its operands")]
    [InlineData("movl %al,%ebx", 1, "does not take these operands")]
    [InlineData("mov $1,(x)", 1, "suffix b, w, l or q")]
    [InlineData("movb $256,%al", 1, "does not take these operands")]
    [InlineData("movl $1,%foo", 10, "'%foo' is no register")]
    [InlineData("movl $,%eax", 7, "a number or a symbol after '$'")]
    [InlineData("movl 8(%rax,%rcx,3),%eax", 18, "the scale 3 is not 1, 2, 4 or 8")]
    [InlineData("movl (%rax,%eax", 16, "',' or ')'")]
    [InlineData("movl 0xfee00300,%eax", 6, "does not fit into a sign-extended 32-bit displacement")]
    [InlineData("movl (nowhere),%eax", 7, "no label, variable or symbol 'nowhere'")]
    [InlineData("movl (P7:site),%eax", 7, "there is no column 'P7'")]
    [InlineData("jmp.d8 far", 1, "cannot be encoded")]
    [InlineData("nop.d8", 1, "direct branch")]
    [InlineData(".byte 256", 1, "256 (0x100) does not fit into 1 byte")]
    [InlineData(".align 3", 8, "3 is no power of two")]
    [InlineData(".frob 3", 1, "there is no directive '.frob'")]
    [InlineData("hlt hlt", 1, "does not take these operands")]
    [InlineData("movl %eax,%ebx %ecx", 16, "expected ',', '|' or ';', found '%'")]
    public void Instruction_Wrong_IsToldWithItsPlace(string text, int column, string message)
    {
        ScenarioError error = Litmus.Error($"X86_64 t\n{{ x; }}\nP0;\n{text};\n.skip 300; far:;\nexists (true)\n");
        Assert.Equal(new SourcePosition(4, column), error.At);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Symbols_SeveralUnknown_AreAllTold()
    {
        ScenarioException e = Assert.Throws<ScenarioException>(() => Litmus.Parse("X86_64 t\n{}\nP0 | P1;\njmp a | jmp b;\nexists (true)\n"));
        Assert.Equal([new SourcePosition(4, 5), new SourcePosition(4, 13)], e.Errors.Select(x => x.At));
    }

    private static ScenarioCode Code(string rows) => Litmus.Parse($"X86_64 t\n{{ x; }}\nP0;\n{rows.Replace(";", ";\n", StringComparison.Ordinal)};\nexists (true)\n").Code[0];

    private static string Hex(string rows, int length) => Convert.ToHexString(Code(rows).Bytes.AsSpan(0, length)).ToLowerInvariant();

    /// <summary>The bytes of one instruction, without the loop at the column's end.</summary>
    private static byte[] Assemble(string text) => Code(text).Bytes[..^3];

    private static Instruction Decode(byte[] bytes)
    {
        Instruction i = Decoder.Create(64, bytes, 0x10000, DecoderOptions.None).Decode();
        Assert.Equal(bytes.Length, i.Length);
        return i;
    }

    private static Register Name(string register) => Enum.Parse<Register>(register.EndsWith('b') ? register[..^1] + 'l' : register, ignoreCase: true);

    /// <summary>Suffixes and blanks are a matter of taste.</summary>
    private static string Plain(string text)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int mnemonic = parts[0] == "lock" ? 1 : 0;
        if (parts[mnemonic] is not ("cmpxchg16b" or "cmovne" or "xadd" or "invlpg" or "nop"))
            parts[mnemonic] = parts[mnemonic].TrimEnd('l', 'q');
        return string.Join(' ', parts).Replace("(%rip)", "", StringComparison.Ordinal);
    }
}
