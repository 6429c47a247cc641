namespace Emu.Tests.Exploration;

/// <summary>Programs on which reduction and naive enumeration once differed; each is named for what the reduction, or the machine, got wrong.</summary>
internal static class ReductionCorpus
{
    private const string Events =
        "exists (fault(P0) /\\ stale(P0) /\\ torn(P0) /\\ fault(P1) /\\ stale(P1) /\\ torn(P1))\n";

    public static IReadOnlyDictionary<string, string> Programs { get; } = new Dictionary<string, string>
    {
        ["own store waits over bytes that are in the queue"] = """
            profile: intel
            set: depth=16
            { }
             P0                  | P1                  ;
             movb $2,(P1:site+1) | movb $3,(P1:site+1) ;
                                 | nop                 ;
                                 | site: movb $1,%al   ;
            locations [1:rax;]
            """,
        ["own store of the value that is there already"] = """
            profile: intel
            set: depth=3, granule=1
            { x = 0; idt[#BP] = bp; }
             P0                    | P1                    | bp       ;
             movb $255,(P1:site+0) | movb $255,(P1:site+0) | incl (x) ;
                                   | site: nop             | iretq    ;
                                   | nop                   |          ;
            locations [x;]
            """,
        ["torn depends on the order of changes that all have seen"] = """
            profile: intel
            set: depth=16
            { }
             P0                    | P1                  ;
             movb $144,(P1:site+0) | movb $5,(P1:site+1) ;
                                   | nop                 ;
                                   | nop                 ;
                                   | movl $2,%ecx        ;
                                   | site: addb $1,%al   ;
                                   | decl %ecx           ;
                                   | jnz site            ;
            locations [1:rax;]
            """,
        ["own store empties the queue when it drains"] = """
            profile: amd
            set: depth=8, mfence-serialises=no
            { alias w = P1:site; }
             P0                  | P1                  ;
             movb $3,(P1:site+1) | cpuid               ;
                                 | movb $2,(w+1)       ;
                                 | site: movb $1,%al   ;
            locations [1:rax;]
            """,
        ["old version of a byte beyond the depth"] = """
            profile: intel
            set: depth=2, granule=1, atomic-unit=1
            { alias w = P1:site; }
             P0     | P1                  ;
             mfence | movb $2,(w+2)       ;
                    | site: addl $1,%eax  ;
                    | addl $4,%eax        ;
            locations [1:rax;]
            """,
        ["handler that changes registers"] = """
            { x = 1; idt[0xf2] = ipi; 1:if = 0; }
             P0                            | P1            | ipi                 ;
             movl $1,(x)                   | sti           | xchgl %ebx,(x)      ;
             movl $0x01000000,(apic+0x310) | addl $1,%eax  | lock incl (x)       ;
             movl $0xf2,(apic+0x300)       | addl %ebx,%eax | movl $0,(apic+0xb0) ;
                                           | addl %ebx,%eax | iretq              ;
            locations [x; 1:rax; 1:rbx;]
            """,
        ["handler that uses a register of what it interrupted"] = """
            { x = 0; idt[0xf2] = ipi; }
             P0                            | P1            | ipi           ;
             movl $0x01000000,(apic+0x310) | movl $1,%ebx  | movl %ebx,(x) ;
             movl $0xf2,(apic+0x300)       | movl $2,%ebx  | iretq         ;
                                           | movl $3,%ebx  |               ;
            locations [x; 1:rbx;]
            """,
        ["handler that looks at the saved instruction pointer"] = """
            { x = 0; idt[0xf2] = ipi; }
             P0                            | P1            | ipi            ;
             movl $0x01000000,(apic+0x310) | nop           | pushq %rax     ;
             movl $0xf2,(apic+0x300)       | nop           | movl 8(%rsp),%eax ;
                                           | nop           | movl %eax,(x)  ;
                                           |               | popq %rax      ;
                                           |               | iretq          ;
            locations [x; 1:rax;]
            """,
        ["messages that merge before they are taken"] = """
            { x = 0; idt[0xf2] = ipi; }
             P0                            | P1           | ipi                 ;
             movl $0x01000000,(apic+0x310) | movl $1,%ebx | lock incl (x)       ;
             movl $0xf2,(apic+0x300)       |              | movl $0,(apic+0xb0) ;
             movl $0xf2,(apic+0x300)       |              | iretq               ;
            locations [x; 1:rbx;]
            """,
        ["message that overtakes one of lower priority"] = """
            { x = 0; idt[0xf2] = high; idt[0x61] = low; }
             P0                            | P1  | high                | low                 ;
             movl $0x01000000,(apic+0x310) | nop | addl (x),%ebx       | incl (x)            ;
             movl $0x61,(apic+0x300)       |     | movl $0,(apic+0xb0) | movl $0,(apic+0xb0) ;
             movl $0xf2,(apic+0x300)       |     | iretq               | iretq               ;
            locations [x; 1:rbx;]
            """,
        ["interrupt before a store that only waits in the buffer"] = """
            { x = 0; idt[0xf2] = ipi; }
             P0                            | P1            | ipi                 ;
             movl $0x01000000,(apic+0x310) | movb $1,(x+0) | movb $2,(x+1)       ;
             movl $0xf2,(apic+0x300)       | movl (x),%ebx | movl $0,(apic+0xb0) ;
             movl (x),%ebx                 | cli           | iretq               ;
            locations [x; 0:rbx; 1:rbx;]
            """,
        ["store shared with a handler and with another CPU"] = """
            { x = 1; idt[0xf2] = ipi; }
             P0                            | P1          | ipi                 ;
             incl (x)                      | movl $2,(x) | mfence              ;
             movl $0x01000000,(apic+0x310) |             | movb $3,(x+1)       ;
             movl $0xf2,(apic+0x300)       |             | movl $0,(apic+0xb0) ;
             movl $1,(x)                   |             | iretq               ;
            locations [x;]
            """,
        ["halt behind sti with an interrupt that came before"] = """
            { x = 1; y = 1; idt[0xf2] = ipi; }
             P0                            | P1            | ipi                 ;
             movl $0x01000000,(apic+0x310) | cli           | movl %eax,(x)       ;
             movl $0xf2,(apic+0x300)       | movl (x),%ebx | movl $0,(apic+0xb0) ;
             movl $0xf2,(apic+0x300)       | sti           | iretq               ;
            locations [x; y; 1:rbx;]
            """,
        ["breakpoint behind a prefix"] = """
            profile: amd
            set: depth=8
            { }
             P0                       | P1        ;
             movw $0xcc40,(P1:site+0) | site: nop ;
                                      | nop       ;
            locations [1:rax;]
            """,
        ["CPU that goes round on its own memory for ever"] = """
            { x = 0; z = 0; }
             P0            | P1                     ;
             movl (x),%eax | movb $1,(z+0)          ;
                           | wait: cmpl $0,(z)      ;
                           | jne wait               ;
            locations [x; z; 0:rax;]
            """,
        ["own store elsewhere in the page of what is fetched"] = """
            profile: p6
            set: depth=2
            { x = 0; }
             P0                  | P1               ;
             movl $1,(x)         | movb $3,(P1:far) ;
             movb (P1:far),%al   | movl (x),%ebx    ;
                                 | hlt              ;
                                 | far: nop         ;
            locations [x; 0:rax; 1:rbx;]
            """,
    };

    public static string Text(string name) => $"X86_64 corpus\n{Programs[name]}\n{Events}";
}
