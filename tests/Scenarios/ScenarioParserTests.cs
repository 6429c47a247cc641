using Emu.Fetch;
using Emu.Scenarios;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>Files as they should be, and each thing that may be wrong with one: told with line and column.</summary>
public sealed class ScenarioParserTests
{
    [Fact]
    public void Header_AllLines_AreRead()
    {
        Scenario s = Litmus.Parse("""
            X86_64 name+of-it
            "What it
             shows"
            (* a comment *)
            Cycle=Fre PodWR
            profile: intel
            set: depth=16, int3-exempt=no
            model: skylake
            apic: x2apic
            cpus: 4
            runs: 5
            seed: 0x10
            limit: 77
            watch: site[2]
            expect: Sometimes
            {}
            P0;
            site: nop;
            exists (0:rax=0)
            """);
        Assert.Equal("name+of-it", s.Name);
        Assert.Equal("What it shows", s.Description);
        Assert.Equal([new("Cycle", "Fre PodWR")], s.Info);
        Assert.Equal((16, false), (s.Profile.Depth, s.Profile.Int3Exempt));
        Assert.Equal(FetchProfiles.Intel.Granule, s.Profile.Granule);
        Assert.Equal("skylake", s.Model.Name);
        Assert.True(s.X2Apic);
        Assert.Equal((4, 5, 16UL, 77), (s.CpuCount, s.Runs, s.Seed, s.Limit));
        Assert.Equal(Observation.Sometimes, s.Expected);
        Assert.Equal(new WatchedBytes("site", s.Code[0].Labels["site"], 2), Assert.Single(s.Watches));
        Assert.Equal("exists (0:rax=0)", s.ConditionText);
    }

    [Fact]
    public void Schedule_AllForms_AreRead()
    {
        Scenario s = Litmus.Parse("""
            X86_64 t
            {}
            P0 | P1;
            nop | site: nop;
            schedule:
              P0: fetch; P0: fetch 3
              P1: fetch all
              P1: fetch site+1 version 2
              P1: fetch version 1
              P1: execute (* one *)
              P1: execute 4
              P1: execute until site
              P0: drain all
              P1: deliver
              P0: run until P0
              run
            exists (true)
            """);
        ulong site = s.Code[1].Labels["site"];
        Assert.Equal(
        [
            (0, ScheduleVerb.Fetch, 1, false, null, 0),
            (0, ScheduleVerb.Fetch, 3, false, null, 0),
            (1, ScheduleVerb.Fetch, 1, true, null, 0),
            (1, ScheduleVerb.Fetch, 1, false, site + 1, 2),
            (1, ScheduleVerb.Fetch, 1, false, null, 1),
            (1, ScheduleVerb.Execute, 1, false, null, 0),
            (1, ScheduleVerb.Execute, 4, false, null, 0),
            (1, ScheduleVerb.Execute, 1_000_000, true, site, 0),
            (0, ScheduleVerb.Drain, 1, true, null, 0),
            (1, ScheduleVerb.Deliver, 1, false, null, 0),
            (0, ScheduleVerb.Run, 1_000_000, true, s.Code[0].Start, 0),
            ((int?)null, ScheduleVerb.Run, 1, false, (ulong?)null, 0),
        ], s.Schedule!.Select(l => (l.Cpu, l.Verb, l.Count, l.All, l.Until, l.Version)));
        Assert.Equal(new SourcePosition(6, 14), s.Schedule![1].At);
    }

    [Theory]
    [InlineData("", 1, 1, "'X86_64' and the scenario's name")]
    [InlineData("AArch64 t\n", 1, 1, "expected the architecture 'X86_64', found 'AArch64'")]
    [InlineData("X86_64\n", 1, 7, "the scenario's name")]
    [InlineData("X86_64 t\n", 2, 1, "'{'")]
    [InlineData("X86_64 t\n(* never closed", 2, 1, "expected '*)'")]
    [InlineData("X86_64 t\n\"never closed", 2, 1, "not closed; expected '\"'")]
    [InlineData("X86_64 t\nfrob: 1\n{", 2, 1, "there is no directive 'frob'; expected profile, set")]
    [InlineData("X86_64 t\nprofile p6\n{", 2, 9, "':' or '=' after 'profile'")]
    [InlineData("X86_64 t\nprofile: p7\n{", 2, 10, "there is no profile 'p7'; the profiles are coherent, p6")]
    [InlineData("X86_64 t\nset: width=3\n{", 2, 6, "no field \"width\"")]
    [InlineData("X86_64 t\nset: depth=many\n{", 2, 12, "depth cannot be \"many\"")]
    [InlineData("X86_64 t\nmodel: pentium3\n{", 2, 8, "no 64-bit CPU model 'pentium3'")]
    [InlineData("X86_64 t\napic: pic\n{", 2, 7, "expected xapic or x2apic")]
    [InlineData("X86_64 t\ncpus: 9\n{", 2, 7, "9 is out of range")]
    [InlineData("X86_64 t\nruns: 0\n{", 2, 7, "0 is out of range")]
    [InlineData("X86_64 t\nruns: 5 6\n{", 2, 9, "the end of the line")]
    [InlineData("X86_64 t\nexpect: maybe\n{", 2, 9, "expected Always, Sometimes or Never")]
    [InlineData("X86_64 t\nimage: images/none.elf\n{", 2, 8, "there is no image 'images/none.elf'")]
    [InlineData("X86_64 t\n{ x = ; }", 2, 7, "expected a value")]
    [InlineData("X86_64 t\n{ x = 99999999999999999999; }", 2, 7, "not a number of at most 64 bits")]
    [InlineData("X86_64 t\n{ x = 1 y = 2 }", 2, 9, "';' or '}'")]
    [InlineData("X86_64 t\n{ x; x; }", 2, 6, "'x' is declared twice")]
    [InlineData("X86_64 t\n{ 0:xax = 1; }", 2, 5, "'xax' is no register")]
    [InlineData("X86_64 t\n{ 9:rax = 1; }", 2, 3, "9 is out of range")]
    [InlineData("X86_64 t\n{ idt[#QQ] = a; }", 2, 3, "there is no exception '#QQ'")]
    [InlineData("X86_64 t\n{ idt[256] = a; }", 2, 7, "256 is out of range")]
    [InlineData("X86_64 t\n{ idt[3] = a; }\nP0;\nexists (true)", 2, 12, "no label, variable or symbol 'a'")]
    [InlineData("X86_64 t\n{ uint8_t x = 256; }\nP0;\nexists (true)", 2, 11, "does not fit into the 1 bytes")]
    [InlineData("X86_64 t\n{ alias w = nothing; }\nP0;\nmovb $1,(w);\nexists (true)", 2, 13, "'nothing'")]
    [InlineData("X86_64 t\n{}\nP0 | P0;\n", 3, 6, "the column 'P0' stands twice")]
    [InlineData("X86_64 t\n{}\nP9;\n", 3, 1, "there is no CPU 9")]
    [InlineData("X86_64 t\n{}\nP0\n", 4, 1, "'|' or ';'")]
    [InlineData("X86_64 t\n{}\nP0;\nnop | nop;\n", 4, 6, "more cells than the table has columns")]
    [InlineData("X86_64 t\n{}\nP0;\nnop\n", 4, 1, "this row is not closed")]
    [InlineData("X86_64 t\n{}\nP0;\na: nop;\na: nop;\nexists (true)", 5, 1, "the label 'a' stands twice")]
    [InlineData("X86_64 t\n{x;}\nP0;\nx: nop;\nexists (true)", 4, 1, "has the name of a variable")]
    [InlineData("X86_64 t\n{}\nP0;\n.org 8;\n.org 4;\nexists (true)", 5, 1, "lies 4 bytes back")]
    [InlineData("X86_64 t\n{}\nP0 | P1 | h;\na: nop | a: nop | jmp a;\nexists (true)", 4, 23, "write P0:a or P1:a")]
    [InlineData("X86_64 t\n{}\nP0;\nnop;\n", 5, 1, "a condition: 'exists'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (0:rax=)", 4, 15, "a value")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (0:rax 1)", 4, 15, "'=' or '!='")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (1:rax=1)", 4, 9, "there is no CPU 1; this scenario has P0 to P0")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (y=1)", 4, 9, "no label, variable or symbol 'y'")]
    [InlineData("X86_64 t\n{ int t[2]; }\nP0;\nexists (t[2]=1)", 4, 9, "'t' has no element 2")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (frob(P0))", 4, 9, "there is no event 'frob'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (fault(#QQ))", 4, 15, "there is no exception '#QQ'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (stale(#GP))", 4, 15, "only 'fault' names an exception")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (true", 4, 13, "')'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (true)\nexists (true)", 5, 1, "the end of the file")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: some\nexists (true)", 4, 10, "there is no exploration 'some'; expected exhaustive, preempt<=K or pct D")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore:\nexists (true)", 4, 9, "expected exhaustive, preempt<=K or pct D, found the end of the line")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: preempt 2\nexists (true)", 4, 18, "'<=' after 'preempt'")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: pct 0\nexists (true)", 4, 14, "0 is out of range; expected the depth from 1 to 100")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive, time<=1\nexists (true)", 4, 22, "there is no bound 'time'; expected events<=N or states<=N")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive, states<=0\nexists (true)", 4, 30, "0 is out of range; expected a number of states of at least 1")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive, states<=5, states<=6\nexists (true)", 4, 33, "the bound 'states' stands twice")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive pct 3\nexists (true)", 4, 21, "the end of the line")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive\nexplore: pct 3\nexists (true)", 5, 1, "there is an 'explore:' already")]
    [InlineData("X86_64 t\n{}\nP0;\nexplore: exhaustive\nschedule:\nrun\nexists (true)", 5, 1, "'schedule:' pins one order of events, and 'explore:' above")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\nrun\nexplore: exhaustive\nexists (true)", 6, 1, "'explore:' goes through many orders of events, and 'schedule:' above")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (interrupted(P0,nowhere))", 4, 24, "'nowhere'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (stale(P0,site))", 4, 18, "expected a CPU (P0 to P0), found 'site'")]
    [InlineData("X86_64 t\n{}\nP0;\nexists (stale(P0 P0))", 4, 18, "',' or ')'")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\n P0: jump\nexists (true)", 5, 6, "there is no event 'jump'")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\n P1: execute\nexists (true)", 5, 2, "there is no CPU 1")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\n P0 execute\nexists (true)", 5, 5, "':' after the CPU")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\n P0: execute quickly\nexists (true)", 5, 14, "the end of the line or ';'")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\n P0: execute until nowhere\nexists (true)", 5, 20, "'nowhere'")]
    [InlineData("X86_64 t\n{}\nP0;\nschedule:\nexists (true)", 5, 1, "an event")]
    [InlineData("X86_64 t\nwatch: nowhere\n{}\nP0;\nexists (true)", 2, 8, "'nowhere'")]
    public void Text_Wrong_IsToldWithItsPlace(string text, int line, int column, string message)
    {
        ScenarioError error = Litmus.Error(text);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(new SourcePosition(line, column), error.At);
        Assert.StartsWith($"test.litmus:{line}:{column}: ", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exhaustive", ExploreKind.Exhaustive, 0, null, null)]
    [InlineData("preempt<=2", ExploreKind.Preemptions, 2, null, null)]
    [InlineData("preempt <= 0, events <= 500", ExploreKind.Preemptions, 0, 500L, null)]
    [InlineData("pct 3, states<=1000000, events<=0x100", ExploreKind.Pct, 3, 256L, 1_000_000L)]
    public void Explore_AllForms_AreRead(string text, ExploreKind kind, int parameter, long? events, long? states)
    {
        Scenario s = Litmus.Parse($"X86_64 t\n{{}}\nP0;\nnop;\nexplore: {text} (* so far *)\nexists (true)\n");
        Assert.Equal(new ExploreDirective(kind, parameter, events, states), s.Explore);
        Assert.Null(s.Schedule);
        Assert.Equal(s.Explore, Litmus.Parse($"X86_64 t\n{{}}\nP0;\nexists (true)\nexplore: {s.Explore}").Explore);
    }

    /// <summary>Whatever is cut off or swapped, the answer is a scenario or a line that says where it stops being one.</summary>
    [Fact]
    public void Text_CutOffOrDamagedAnywhere_NeverFailsOtherwise()
    {
        string text = House.Repository.Read("tests/litmus/mail-breakpoint-ipi.litmus");
        for (int i = 0; i < text.Length; i++)
        {
            Try(text[..i]);
            foreach (char c in "{}();|:$%,'\"0x-")
                Try(text[..i] + c + text[(i + 1)..]);
        }

        static void Try(string damaged)
        {
            try
            {
                Litmus.Parse(damaged);
            }
            catch (ScenarioException e)
            {
                Assert.All(e.Errors, x => Assert.True(x.At.Line >= 1 && x.At.Column >= 1 && x.Message.Length != 0 && !x.Message.Contains('\n', StringComparison.Ordinal)));
            }
        }
    }
}
