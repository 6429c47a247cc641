using Emu.Exploration;
using Emu.Scenarios;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>What conditions can ask for beyond registers and memory.</summary>
public sealed class OutcomeTests
{
    private static string Interrupt(string executed, string condition) => $$"""
        X86_64 t
        { idt[0xf2] = ipi; }
        P0 | P1 | ipi;
        movl $0x01000000,(apic+0x310) | nop | iretq;
        movl $0xf2,(apic+0x300) | site: nop | ;
         | nop | ;
        schedule:
          P0: execute 2
          P1: execute {{executed}}
          P1: deliver
          run
        exists ({{condition}})
        """;

    [Theory]
    [InlineData("1", "interrupted(P1,site)", true)]
    [InlineData("1", "interrupted(site)", true)]
    [InlineData("1", "interrupted(P1)", true)]
    [InlineData("1", "interrupted()", true)]
    [InlineData("1", "interrupted(P0)", false)]
    [InlineData("1", "interrupted(P1,site+1)", false)]
    [InlineData("2", "interrupted(P1,site+1)", true)]
    [InlineData("2", "interrupted(P1,site)", false)]
    public void Interrupted_BeforeAnInstruction_IsKnownByItsAddress(string executed, string condition, bool holds) =>
        Assert.Equal(holds, Litmus.Run(Interrupt(executed, condition)).Ok);

    [Fact]
    public void Interrupted_InTheOutcome_IsPrintedAsWritten() =>
        Assert.Equal("~interrupted(P1,site + 1);", Litmus.Run(Interrupt("1", "interrupted(P1, site + 1)")).States[0].Text);

    // P0 waits in HLT for an interrupt that P1 never sends.
    private static string Sleeper(string condition) => $"X86_64 t\nruns: 5\ncpus: 2\n{{}}\nP0;\nmovl $1,%eax;\nhlt;\nmovl $2,%eax;\n{condition}\n";

    [Theory]
    [InlineData("deadlock", true)]
    [InlineData("deadlock()", true)]
    [InlineData("deadlock(P0)", true)]
    [InlineData("deadlock(P1)", false)]
    [InlineData("livelock", false)]
    public void Deadlock_HltBeforeTheEnd_IsOne(string condition, bool holds)
    {
        ScenarioResult result = Litmus.Run(Sleeper($"forall ({condition})"));
        Assert.Equal(holds, result.Ok);
        Assert.Equal(5, result.Deadlocks);
        var output = new StringWriter();
        ScenarioTable.WriteSummary(result, output);
        Assert.Contains("Deadlocks 5: ", output.ToString());
    }

    [Theory]
    [InlineData("nop")]
    [InlineData("ud2")]
    [InlineData("ret")]
    [InlineData("call there; jmp over; there: ret; over: nop")]
    public void Deadlock_EndOrFault_IsNone(string rows)
    {
        ScenarioResult result = Litmus.Run($"X86_64 t\nruns: 5\n{{}}\nP0;\n{rows};\n~exists deadlock\n");
        Assert.True(result.AsExpected);
        Assert.Equal(0, result.Deadlocks);
    }

    [Fact]
    public void Deadlock_AHandlerWithoutIret_IsAnEnd() =>
        Assert.True(Litmus.Run("X86_64 t\nruns: 5\n{ idt[#UD] = h; }\nP0 | h;\nud2 | nop;\n~exists deadlock\n").AsExpected);

    [Fact]
    public void Deadlock_WokenByAnIpi_IsNone()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\nruns: 50\n{ idt[0xf2] = h; }\nP0 | P1 | h;\nhlt | movl $0,(apic+0x310) | iretq;\nmovl $2,%eax | movl $0xf2,(apic+0x300) | ;\nexists (~deadlock /\\ 0:rax=2)\n");
        Assert.True(result.AsExpected);
        // Taken before the HLT, the IPI wakes nobody.
        Assert.NotEqual(0, result.Deadlocks);
        Assert.NotEqual(50, result.Deadlocks);
    }

    [Fact]
    public void Deadlock_AVariableOfThisName_IsTheVariable() =>
        Assert.True(Litmus.Run("X86_64 t\n{ deadlock = 7; }\nP0;\nnop;\nforall (deadlock=7)\n").AsExpected);

    [Fact]
    public void Breakpoint_Int3_IsToldFromAJumpToTheHandler()
    {
        const string Text = "X86_64 t\nruns: 3\n{{ idt[#BP] = h; idt[#UD] = h; }}\nP0 | h;\n{0} | nop;\nforall ({1})\n";
        Assert.True(Litmus.Run(string.Format(Text, "int3", "breakpoint(P0) /\\ fault(#BP,P0) /\\ ~fault(#UD)")).AsExpected);
        Assert.True(Litmus.Run(string.Format(Text, "jmp h", "~breakpoint() /\\ ~fault()")).AsExpected);
        Assert.True(Litmus.Run(string.Format(Text, "call h", "~breakpoint() /\\ ~fault()")).AsExpected);
        Assert.True(Litmus.Run(string.Format(Text, "ud2", "~breakpoint() /\\ fault(#UD)")).AsExpected);
    }

    [Fact]
    public void Unsynchronised_OutsideAnExploration_CannotBeJudged()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\n{}\nP0;\nnop;\n~exists unsynchronised()\n");
        Assert.False(result.AsExpected);
        Assert.Contains("only an exploration judges 'unsynchronised'", result.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Unsynchronised_StoreWithoutSerialisation_IsFoundByExploration()
    {
        Scenario broken = Litmus.Parse("X86_64 t\nprofile: intel\nexplore: exhaustive\n{}\nP0|P1;\nmovb $7,(site+1)|site: movb $5,%dl;\nexists unsynchronised(P1)\n");
        Assert.True(ScenarioExplorer.Run(broken, broken.Explore!, new ExplorationOptions { Threads = 1 }).AsExpected);
    }

    [Fact]
    public void Locations_Event_IsPrinted() =>
        Assert.Equal("fault(#UD,P0); ~stale(); 0:rax=0;", Litmus.Run("X86_64 t\nruns: 1\n{}\nP0;\nud2;\nlocations [fault(#UD,P0); stale();]\nforall (0:rax=0)\n").States[0].Text);

    [Fact]
    public void Filter_OutcomesThatDoNotPass_DoNotCount()
    {
        const string Text = "X86_64 t\nruns: 200\n{{ x; }}\nP0 | P1;\nmovl $1,(x) | movl (x),%eax;\n{0}\nforall (1:rax=1)\n";
        ScenarioResult all = Litmus.Run(string.Format(Text, ""));
        ScenarioResult some = Litmus.Run(string.Format(Text, "filter (1:rax=1)"));
        Assert.Equal((false, Observation.Sometimes), (all.Ok, all.Observation));
        Assert.Equal((true, Observation.Always), (some.Ok, some.Observation));
        Assert.Equal((all.Positive, all.Negative), (some.Positive, some.Filtered));
    }
}
