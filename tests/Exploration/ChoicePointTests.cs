using Emu.Exploration;
using Emu.Scenarios;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>
/// Orders that an exploration must not take for one: an interrupt handler may come between any two instructions, also between stores that only other CPUs,
/// or only the handler, look at; and what is no instruction is code that may be patched like any other.
/// </summary>
public sealed class ChoicePointTests
{
    [Fact]
    public void Stores_HandlerStoresInBetween_AnotherCpuSeesIt() => Assert.True(Finds("""
        X86_64 between
        explore: exhaustive
        {
          x = 0; y = 0; z = 0;
          idt[0xf2] = irq;
        }
         P0           | P1                       | P2            | irq                 ;
         movl $1,(x)  | movl $0xf2,(apic+0x300)  | movl (y),%eax | movl $1,(y)         ;
         movl $1,(z)  |                          | movl (z),%ebx | movl $0,(apic+0xb0) ;
                      |                          | movl (x),%ecx | iretq               ;
        exists (2:rax=1 /\ 2:rbx=0 /\ 2:rcx=1)
        """));

    [Fact]
    public void StoresOfCode_HandlerRunsItInBetween_MeetsTheFirstAlone() => Assert.True(Finds("""
        X86_64 half
        explore: exhaustive
        {
          idt[0xf2] = irq;
        }
         P0                       | irq                 ;
         movl $0x400f2,(apic+0x300) | site: movl $0x1010,%ebx ;
         movb $2,(site+1)         | movl $0,(apic+0xb0) ;
         movb $2,(site+2)         | iretq               ;
        exists (0:rbx=0x1002)
        """));

    [Fact]
    public void Serialisation_HandlerRunsBeforeIt_MayMeetWhatWasFetchedEarlier() => Assert.True(Finds("""
        X86_64 before
        explore: exhaustive
        profile: intel
        {
          done = 0;
          idt[0xf2] = irq;
        }
         P0                       | P1                     | irq                   ;
         movb $2,(site+1)         | spin: cmpl $0,(done)   | site: movl $1,%ebx    ;
         movl $0xc00f2,(apic+0x300) | je spin              | movl %ecx,%esi        ;
         movl $1,(done)           | movl $7,%ecx           | movl $0,(apic+0xb0)   ;
                                  | serialize              | iretq                 ;
        exists (1:rbx=1 /\ 1:rsi=7)
        """));

    /// <summary>f0 is no instruction by itself: whether f0 cc is one depends on the second byte, which is code as well.</summary>
    [Theory]
    [InlineData("fault(#UD,P1)")]
    [InlineData("~fault(#UD,P1)")]
    public void PatchedByteOfNoInstruction_Explored_IsMetBeforeAndAfter(string outcome) => Assert.True(Finds($$"""
        X86_64 prefix
        explore: exhaustive
        {
          count = 0;
        }
         P0                     | P1                      ;
         movb $0xcc,(site+1)    | site: lock incl (count) ;
        exists ({{outcome}})
        """));

    [Fact]
    public void Registers_HandlerChangesThem_MayDoSoBetweenAnyTwoInstructions() => Assert.True(Finds("""
        X86_64 clobber
        explore: exhaustive
        {
          idt[0xf2] = irq;
        }
         P0                         | P1           | irq                 ;
         movl $0xc00f2,(apic+0x300) | movl $1,%ebx | movl $7,%ebx        ;
                                    | movl %ebx,%ecx | movl $0,(apic+0xb0) ;
                                    | movl $2,%ebx | iretq               ;
        exists (1:rcx=7 /\ 1:rbx=2)
        """));

    [Fact]
    public void Interrupted_ConditionNamesAPlace_IsSeenThere() => Assert.True(Finds("""
        X86_64 place
        explore: exhaustive
        {
          idt[0xf2] = irq;
        }
         P0                         | P1          | irq                 ;
         movl $0xc00f2,(apic+0x300) | nop         | movl $0,(apic+0xb0) ;
                                    | place: nop  | iretq               ;
                                    | nop         |                     ;
        exists (interrupted(P1,place))
        """));

    /// <summary>The local APIC has one bit for a vector: what arrives before the first is taken is one interrupt with it.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void TwoEqualMessages_Explored_MergeOrDoNot(int taken) => Assert.True(Finds($$"""
        X86_64 merge
        explore: exhaustive
        {
          idt[0xf2] = irq;
        }
         P0                         | P1  | P2                         | irq                 ;
         movl $0x01000000,(apic+0x310) | nop | movl $0x01000000,(apic+0x310) | addl $1,%ebx  ;
         movl $0xf2,(apic+0x300)    |     | movl $0xf2,(apic+0x300)    | movl $0,(apic+0xb0) ;
                                    |     |                            | iretq               ;
        exists (1:rbx={{taken}})
        """));

    private static bool Finds(string text)
    {
        ExplorationResult result = Explorer.Run(new ScenarioSubject(Scenario.Parse(text, "test.litmus")), new ExplorationOptions { Threads = 1 });
        Assert.Equal(Verdict.Safe, result.Verdict);
        return result.Outcomes.Any(o => o.Holds) && result.Deciding != null;
    }
}
