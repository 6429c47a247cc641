using System.Globalization;
using System.Text.RegularExpressions;
using Emu.Scenarios;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>herd's language as far as it goes, with herd's meaning, and its output, so that scripts which read that read ours.</summary>
public sealed partial class HerdTests
{
    [Theory]
    // Undeclared locations are int and 0, where the block declares nothing.
    [InlineData("{ }\nP0;\nmovl (y),%eax;\nmovl $1,(x);\nforall ([x]=1 /\\ 0:rax=0)")]
    [InlineData("{}\nP0;\nmovl $1,[x];\nforall [x]=1")]
    // Every way to declare.
    [InlineData("{ [x]=3; int y; uint64_t [z]=0x202020202020202; _Atomic int a=1; int8_t b=-1; P0:rax=7; 0:rbx; int 0:rcx=x; int* p=&x; *q=y; int t[2]={1,-1}; 0:rdx=&x }\nP0;\nnop;\n"
        + "forall ([x]=3 /\\ y=0 /\\ [z]=0x202020202020202 /\\ a=1 /\\ b=-1 /\\ 0:rax=7 /\\ 0:rbx=0 /\\ 0:rcx=x /\\ p=x /\\ q=y /\\ t={1,-1} /\\ t[1]=-1 /\\ 0:rdx=x)")]
    // Operands: registers with and without the percent sign and in capitals, brackets.
    [InlineData("{ x=5; 0:rsi=x; }\nP0;\nmovl [rsi],%eax;\nmovl (RSI),%ebx;\nMOVL 0(%rsi),%ECX;\nmov [x],edx;\nforall (0:RAX=5 /\\ 0:rbx=5 /\\ 0:rcx=5 /\\ 0:rdx=5)")]
    // Mnemonics of its own, and its order of CMPXCHG's operands.
    [InlineData("{ x=5; 0:rax=5; 0:rbx=6; }\nP0;\nlock cmpxchgl (x),%ebx;\nsetnb %cl;\ncmpl $7,(x);\njlt less;\nmovl $1,(x);\nless: nop;\nforall ([x]=6 /\\ 0:cl=1)")]
    [InlineData("{ x=5; 0:rax=5; 0:rbx=6; }\nP0;\nlock cmpxchgl %ebx,(x);\ncmpl $5,(x);\njgt more;\nmovl $1,(x);\nmore: nop;\nforall ([x]=6)")]
    // The header's lines, the name for TeX, and a condition in parts.
    [InlineData("(HerdT)\nCom=Rf Fr\nSafe-2/x=Rfe Fre PodWR\nPrefetch=0:x=F,0:y=T\n{ x=1; }\nP0;\nmovl (x),%eax;\nlocations [x int; 0:rax; 0:rbx*;]\nfilter 0:rax=1\nforall (P0:rax==1 /\\ [x]=P0:rax);")]
    [InlineData("{ x=1; y=1; }\nP0;\nmovl (x),%eax;\nfinal ([x]=[y] /\\ 0:rax<>2)")]
    public void Text_OfHerd_HasHerdsMeaning(string text)
    {
        ScenarioResult result = Litmus.Run($"X86_64 t {text}\n".Replace("t {", "t\nruns: 20\n{", StringComparison.Ordinal));
        Assert.Null(result.Problem);
        Assert.True(result.AsExpected, string.Join(' ', result.States.Select(s => s.Text)));
    }

    // As in herd's grammar: => binds closer than /\, which binds closer than \/.
    [Theory]
    [InlineData("false /\\ true \\/ true", true)]
    [InlineData("true \\/ true /\\ false", true)]
    [InlineData("false => false /\\ false", false)]
    [InlineData("true \\/ true => false", true)]
    [InlineData("false => true => false", true)]
    [InlineData("~false => false", false)]
    [InlineData("not false /\\ false", false)]
    public void Condition_Precedence_IsHerds(string condition, bool holds) =>
        Assert.Equal(holds, Litmus.Run($"X86_64 t\nruns: 1\n{{}}\nP0;\nnop;\nexists {condition}\n").Ok);

    [Theory]
    [InlineData("{ x=1; }\nP0;\nmovl 1,%eax;\nexists (true)", 4, 6, "to herd '1' is the number, to an assembler the address; write $1 or (1)")]
    [InlineData("{ x=1; }\nP0;\nmovl (y),%eax;\nexists (true)", 4, 7, "there is no label, variable or symbol 'y'")]
    [InlineData("{ quad x=1; }\nP0;\nexists (true)", 2, 3, "there is no type 'quad'; expected char, int")]
    [InlineData("{ 0:rax 1; }\nP0;\nexists (true)", 2, 9, "'=', ';' or '}'")]
    [InlineData("{ x=1; }\nP0;\nexists (x={1})", 4, 9, "'x' is no array")]
    [InlineData("{ int t[2]={1,2}; }\nP0;\nexists (t={1})", 4, 12, "'t' has 2 elements, and here are 1 values")]
    [InlineData("{}\nP0;\nexists (true)\nwith tso: exists", 5, 1, "herd's 'with' gives a test several verdicts")]
    [InlineData("{}\nP0;\nmovl [%rax),%eax;\nexists (true)", 4, 11, "',' or ']'")]
    public void Text_ThatHerdReadsOtherwiseOrWeDoNot_IsToldWithItsPlace(string text, int line, int column, string message)
    {
        ScenarioError error = Litmus.Error($"X86_64 t\n{text}\n");
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(new SourcePosition(line, column), error.At);
    }

    /// <summary>Reads a log line by line as herd's own tools do: mcompare7 and msum7 know no others between "Test" and the hash.</summary>
    [Theory]
    [InlineData("exists (0:rax=0 /\\ 1:rax=0)", "Allowed", "Ok", "Sometimes")]
    [InlineData("~exists (0:rax=0 /\\ 1:rax=0)", "Forbidden", "No", "Sometimes")]
    [InlineData("forall (0:rax=0 \\/ 0:rax=1)", "Required", "Ok", "Always")]
    [InlineData("exists (0:rax=2)", "Allowed", "No", "Never")]
    public void Summary_ReadAsHerdsLog_GivesStatesAndVerdict(string condition, string kind, string validation, string observation)
    {
        string text = $"X86_64 SB+po-2.x\nHash=0123456789abcdef\n{{ x; y; int t[2]={{1,2}}; int* p=x; }}\nP0|P1;\nmovl $1,(x)|movl $1,(y);\nmovl (y),%eax|movl (x),%eax;\nlocations [x; t[1]; p; 0:rax; 1:rax;]\n{condition}\n";
        ScenarioResult result = Litmus.Run(text);
        var output = new StringWriter();
        ScenarioTable.WriteSummary(result, output);
        using var lines = new StringReader(output.ToString());
        Assert.Equal($"Test SB+po-2.x {kind}", lines.ReadLine());
        // Up to "States" anything may stand.
        string? line;
        do
            line = lines.ReadLine();
        while (line != null && !line.StartsWith("States", StringComparison.Ordinal));
        int states = int.Parse(States().Match(line!).Groups[1].Value, CultureInfo.InvariantCulture);
        int counted = 0;
        int witnesses = 0;
        for (int i = 0; i < states; i++)
        {
            Match state = State().Match(lines.ReadLine()!);
            Assert.True(state.Success);
            Assert.Equal(["[x]", "t[1]", "[p]", "0:rax", "1:rax"], state.Groups[3].Captures.Select(c => c.Value));
            int n = int.Parse(state.Groups[1].Value, CultureInfo.InvariantCulture);
            counted += n;
            witnesses += state.Groups[2].Value == "*" ? n : 0;
        }
        Assert.Equal(1000, counted);
        Assert.Equal(validation, lines.ReadLine());
        Assert.Equal("Witnesses", lines.ReadLine());
        Match positive = Positive().Match(lines.ReadLine()!);
        Assert.Equal((witnesses, counted - witnesses), (int.Parse(positive.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(positive.Groups[2].Value, CultureInfo.InvariantCulture)));
        Assert.Equal($"Condition {condition}", lines.ReadLine());
        Assert.Equal($"Observation SB+po-2.x {observation} {witnesses} {counted - witnesses}", lines.ReadLine());
        Assert.Equal("Hash=0123456789abcdef", lines.ReadLine());
    }

    [GeneratedRegex("^States ([0-9]+)$")]
    private static partial Regex States();

    [GeneratedRegex(@"^([0-9]+) *([:*])>(?:\s*([0-9]+:[a-z][a-z0-9]*|\[[A-Za-z][\w.]*\]|[A-Za-z][\w.]*\[[0-9]+\])\s*=\s*(?:-?(?:0x[0-9a-f]+|[0-9]+)|[A-Za-z]\w*)\s*;)+$")]
    private static partial Regex State();

    [GeneratedRegex("^Positive: *([0-9]+),? *Negative: *([0-9]+)$")]
    private static partial Regex Positive();
}
