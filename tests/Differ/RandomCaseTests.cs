using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Judging;
using Emu.Differ.Machines;
using Emu.Differ.Unicorn;
using Emu.Memory;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>Emu against Unicorn on random instructions; and that the comparison would notice. Without Unicorn these tests fail.</summary>
public class RandomCaseTests
{
    private const int CasesPerMode = 6000;

    /// <summary>On a slow machine fewer cases are run, but not fewer than this.</summary>
    private const int LeastCases = 1500;

    private static readonly TimeSpan s_timePerMode = TimeSpan.FromSeconds(15);

    [Fact]
    public void Unicorn_OnThisMachine_IsThere() => Assert.StartsWith("2.", UnicornLibrary.Require());

    public static TheoryData<CodeMode> Modes => [.. CodeModes.All.Where(m => !m.IsUser() || HostMachine.Unavailable == null)];

    [Theory]
    [MemberData(nameof(Modes))]
    public void Run_FixedSeed_HasNoUnexplainedDifference(CodeMode mode)
    {
        var session = new Session(new SessionOptions { Seed = 20091006, Modes = [mode], Count = CasesPerMode, Time = s_timePerMode });
        session.Run();
        Assert.True(session.Different + session.Unrepeated == 0, string.Join('\n', session.Failures.Select(f => $"{f.Path}: {string.Join("; ", f.Differences)}\n  {f.Line}")));
        Assert.True(session.Cases >= LeastCases, $"only {session.Cases} cases");
        // Nearly all must say something: agreement, not an excuse.
        Assert.InRange(session.Agreed, session.Cases * 9 / 10, session.Cases);
        Assert.InRange(session.Faults, session.Cases / 100, session.Cases / 4);
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Generator_SameSeed_MakesTheSameCasesInAnyOrder(CodeMode mode)
    {
        CaseGenerator a = Generator(mode), b = Generator(mode);
        var first = new Case();
        var second = new Case();
        string[] forwards = [.. Enumerable.Range(0, 50).Select(i => Text(a, first, i))];
        string[] backwards = [.. Enumerable.Range(0, 50).Reverse().Select(i => Text(b, second, i)).Reverse()];
        Assert.Equal(forwards, backwards);
        Assert.Equal(50, forwards.Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void CaseText_OfRandomCases_ParsesToTheSameCase(CodeMode mode)
    {
        CaseGenerator generator = Generator(mode);
        var c = new Case();
        for (int i = 0; i < 300; i++)
        {
            generator.Make(i, c);
            Case parsed = CaseText.Parse(CaseText.Format(c));
            Assert.Equal(CaseText.Format(c), CaseText.Format(parsed));
            Assert.Equal(c.Registers, parsed.Registers);
            Assert.Equal(c.LinearRip, parsed.LinearRip);
            Assert.Equal(c.Count, parsed.Count);
        }
    }

    [Theory]
    [InlineData("carry")]
    [InlineData("overflow")]
    [InlineData("register")]
    [InlineData("rip")]
    [InlineData("memory")]
    [InlineData("exception")]
    public void Run_WithOneResultBroken_ReportsIt(string what)
    {
        Session session = Sabotaged(what);
        Assert.True(session.Different > 0, $"{session.Cases} cases, and nobody noticed");
        Assert.NotEmpty(session.Failures);
    }

    [Fact]
    public void DifferenceThatDoesNotRepeat_IsAFailureOfItsOwn()
    {
        Action<Case, Outcome, PhysicalMemory> broken = Break("carry");
        bool done = false;
        var session = new Session(new SessionOptions
        {
            Seed = 3,
            Modes = [CodeMode.Long64],
            Count = 64,
            Codes = c => c == Code.Add_rm64_r64,
            Sabotage = (c, o, m) =>
            {
                if (done || o.Vector != Outcome.NoVector)
                    return;
                broken(c, o, m);
                done = true;
            },
        });
        session.Run();
        Assert.Equal((0, 1, 0), (session.Different, session.Unrepeated, session.Interrupted));
        Failure failure = Assert.Single(session.Failures);
        Assert.NotNull(failure.Cycles);
        Assert.Contains(failure.Differences, d => d.What == "flags CF");
    }

    [Fact]
    public void Failure_WhenShrunk_IsOneSmallLineThatReplays()
    {
        Failure failure = Sabotaged("carry").Failures[0];
        Case replayed = CaseText.Parse(failure.Line);
        Assert.Equal(failure.Line, CaseText.Format(replayed));
        Assert.Equal(1, replayed.Count);
        // The broken carry needs neither registers nor memory, but for what the shrinker cannot know.
        Assert.True(replayed.Registers.Count(r => r != 0) <= 1, failure.Line);
        Assert.Empty(replayed.Memory);

        using var judge = new Judge(replayed.Mode);
        Assert.Equal(Verdict.Agree, judge.Run(replayed));
        judge.Emulator.Sabotage = Break("carry");
        Assert.Equal(Verdict.Different, judge.Run(replayed));
        Assert.Contains(judge.Differences, d => d.What == "flags CF");
    }

    [Fact]
    public void Catalogue_OfEachMode_HasTheInstructionsOfCompiledCode()
    {
        foreach (CodeMode mode in CodeModes.All)
        {
            HashSet<Mnemonic> compared = [.. Catalogue.For(mode).Codes.Select(c => c.Mnemonic())];
            foreach (Mnemonic m in new[]
            {
                Mnemonic.Add, Mnemonic.Adc, Mnemonic.Sub, Mnemonic.Sbb, Mnemonic.Cmp, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Test,
                Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Not, Mnemonic.Mul, Mnemonic.Imul, Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Mov,
                Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Lea, Mnemonic.Xchg, Mnemonic.Push, Mnemonic.Pop, Mnemonic.Call, Mnemonic.Ret, Mnemonic.Jmp,
                Mnemonic.Je, Mnemonic.Jl, Mnemonic.Cmove, Mnemonic.Setb, Mnemonic.Shl, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Rcr,
                Mnemonic.Shld, Mnemonic.Bsf, Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Bswap, Mnemonic.Xadd, Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b,
                Mnemonic.Movsb, Mnemonic.Stosd, Mnemonic.Cmpsb, Mnemonic.Scasw, Mnemonic.Lodsb, Mnemonic.Loop, Mnemonic.Enter, Mnemonic.Leave,
                Mnemonic.Cwd, Mnemonic.Cld, Mnemonic.Std, Mnemonic.Lahf, Mnemonic.Ud2, Mnemonic.Mfence,
            })
                Assert.Contains(m, compared);
        }
    }

    private static CaseGenerator Generator(CodeMode mode) => new(mode, 7, Catalogue.For(mode).Codes, Judge.MayFollow);

    private static string Text(CaseGenerator generator, Case c, int number)
    {
        generator.Make(number, c);
        return CaseText.Format(c);
    }

    private static Session Sabotaged(string what)
    {
        var session = new Session(new SessionOptions
        {
            Seed = 3,
            Modes = [CodeMode.Long64],
            Count = 256,
            Codes = c => c.Mnemonic() is Mnemonic.Add or Mnemonic.Mov,
            MaximumReports = 1,
            Sabotage = Break(what),
        });
        session.Run();
        return session;
    }

    /// <summary>Breaks one thing of the result of ADD.</summary>
    private static unsafe Action<Case, Outcome, PhysicalMemory> Break(string what) => (c, o, memory) =>
    {
        if (c.First.Mnemonic != Mnemonic.Add || o.Vector != Outcome.NoVector)
            return;
        switch (what)
        {
            case "carry":
                o.Flags ^= 1;
                break;
            case "overflow":
                o.Flags ^= 0x800;
                break;
            case "register":
                o.Registers[11] ^= 1UL << 40;
                break;
            case "rip":
                o.Rip++;
                break;
            case "exception":
                o.Vector = 6;
                break;
            default:
                memory.Base[Arena.For(c.Mode).Windows[1].Start + 77] ^= 1;
                break;
        }
    };
}
