using Emu.Differ.Cases;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Emu.Differ.Host.HostLayout;

namespace Emu.Differ.Host;

/// <summary>
/// The helper: a static x86-64 program for Linux that runs cases on the CPU. It takes batches out of the shared file. A case is entered by IRETQ,
/// which sets the flags, may lead into compatibility mode, and serialises, so that the code just written is what runs. It ends in a signal, for
/// behind its instructions, and everywhere else in the code region, stand int3; the handler writes the result and goes on with the next case.
/// </summary>
internal static class HostProgram
{
    // Linux, arch/x86/entry/syscalls/syscall_64.tbl.
    private const int SysRead = 0, SysWrite = 1, SysOpen = 2, SysMmap = 9, SysMunmap = 11, SysSigaction = 13, SysExit = 60, SysSigaltstack = 131, SysPrctl = 157;

    private const int ReadOnly = 1, ReadWrite = 3, ReadExecute = 5;
    private const int MapSharedFixed = 0x11, MapPrivateAnonymousFixed = 0x32;

    /// <summary>SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_NODEFER.</summary>
    private const int SignalFlags = 0x4C00_0004;

    private const int PrSetSeccomp = 22, SeccompModeFilter = 2, PrSetNoNewPrivileges = 38;

    /// <summary>
    /// A filter of system calls in BPF that permits read, write and exit of 64-bit programs, and kills the process for everything else. The strict mode of
    /// seccomp would do, but it takes RDTSC away.
    /// </summary>
    private static readonly ulong[] s_filter =
    [
        Bpf(0x20, 4), // Load the architecture.
        Bpf(0x15, 0xC000_003E, 0, 4), // x86-64, or else to the end.
        Bpf(0x20, 0), // Load the number.
        Bpf(0x15, SysExit, 3), Bpf(0x15, SysRead, 2), Bpf(0x15, SysWrite, 1),
        Bpf(0x06, 0x8000_0000), // Kill the process.
        Bpf(0x06, 0x7FFF_0000), // Permit.
    ];
    private const ulong UserEnd = 0x7FFF_FFFF_F000;

    /// <summary>SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.</summary>
    private static readonly int[] s_signals = [4, 5, 7, 8, 11];

    /// <summary>In the order of a case's registers, RSP left out.</summary>
    private static readonly AssemblerRegister64[] s_registers = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    /// <summary>Exit codes by which the helper says what it could not do at its start.</summary>
    public static string Explain(int exitCode) => exitCode switch
    {
        10 => "it cannot open the shared file",
        11 => "it cannot map its memory",
        12 => "it cannot install signal handlers",
        13 => "it cannot give up its system calls (seccomp)",
        _ => $"it ended with {exitCode}",
    };

    /// <summary>The program as an ELF file.</summary>
    public static byte[] Build()
    {
        var a = new Assembler(64);
        Label handler = a.CreateLabel(), batch = a.CreateLabel(), next = a.CreateLabel();
        Start(a, handler);
        Batches(a, batch, next);
        Enter(a, batch, next);
        Handle(a, handler, next);
        using var code = new MemoryStream();
        a.Assemble(new StreamCodeWriter(code), ProgramStart + ElfHeader.Bytes);
        return ElfHeader.Wrap(code.ToArray(), ProgramStart);
    }

    /// <summary>Maps the shared file, removes all that the system has put into the address space, and installs the handler.</summary>
    private static void Start(Assembler a, Label handler)
    {
        a.mov(rdi, __[rsp + 16]); // argv[1]
        a.mov(esi, 2); // O_RDWR
        Call(a, SysOpen, 10);
        a.mov(r12, rax);
        Map(a, Shared, FileBytes, ReadWrite, Control);
        MapAnonymous(a, SignalStack, SignalStackBytes);
        a.mov(rsp, SignalStack + SignalStackBytes);
        Unmap(a, 0x1000, ProgramStart - 0x1000);
        Unmap(a, End, UserEnd - End);
        Map(a, Arena.For(CodeMode.User64).CodeStart, CodeBytes, ReadExecute, CodeAt);
        Map(a, Arena.DataBase + 0x1000, 0x2000, ReadWrite, Data);
        Map(a, Arena.DataBase + 0x3000, 0x1000, ReadOnly, Data + 0x2000);

        // stack_t: pointer, flags, size. Signals begin at its top whenever RSP lies outside, as it does in cases.
        a.sub(rsp, 64);
        a.mov(rax, SignalStack);
        a.mov(__qword_ptr[rsp], rax);
        a.mov(__qword_ptr[rsp + 8], 0);
        a.mov(__qword_ptr[rsp + 16], SignalStackBytes);
        a.mov(rdi, rsp);
        a.xor(esi, esi);
        Call(a, SysSigaltstack, 12);
        // struct sigaction as the kernel has it: handler, flags, restorer, mask. Nobody returns from the handler.
        a.lea(rax, __[handler]);
        a.mov(__qword_ptr[rsp], rax);
        a.mov(__qword_ptr[rsp + 8], SignalFlags);
        a.mov(__qword_ptr[rsp + 16], rax);
        a.mov(__qword_ptr[rsp + 24], 0);
        foreach (int signal in s_signals)
        {
            a.mov(edi, signal);
            a.mov(rsi, rsp);
            a.xor(edx, edx);
            a.mov(r10d, 8);
            Call(a, SysSigaction, 12);
        }
        a.mov(edi, PrSetNoNewPrivileges);
        a.mov(esi, 1);
        a.xor(edx, edx);
        a.xor(r10d, r10d);
        a.xor(r8d, r8d);
        Call(a, SysPrctl, 13);
        // struct sock_fprog: how many, and where.
        a.sub(rsp, 256);
        a.lea(rax, __[rsp + 16]);
        a.mov(__qword_ptr[rsp], s_filter.Length);
        a.mov(__[rsp + 8], rax);
        for (int i = 0; i < s_filter.Length; i++)
        {
            a.mov(rax, s_filter[i]);
            a.mov(__[rsp + 16 + 8 * i], rax);
        }
        a.mov(edi, PrSetSeccomp);
        a.mov(esi, SeccompModeFilter);
        a.mov(rdx, rsp);
        Call(a, SysPrctl, 13);
    }

    /// <summary>struct sock_filter.</summary>
    private static ulong Bpf(ushort code, uint operand, byte ifTrue = 0, byte ifFalse = 0) => code | (ulong)ifTrue << 16 | (ulong)ifFalse << 24 | (ulong)operand << 32;

    /// <summary>Says that a batch is done, which is also how the helper says that it is ready, and waits for the next one.</summary>
    private static void Batches(Assembler a, Label batch, Label next)
    {
        a.Label(ref batch);
        a.mov(rsp, SignalStack + SignalStackBytes);
        a.mov(rbx, Shared);
        a.mov(edi, 1);
        a.lea(rsi, __[rbx + Scratch]);
        a.mov(edx, 1);
        a.mov(eax, SysWrite);
        a.syscall();
        a.xor(edi, edi);
        a.lea(rsi, __[rbx + Scratch]);
        a.mov(edx, 1);
        a.mov(eax, SysRead);
        a.syscall();
        a.cmp(rax, 1);
        a.je(next);
        a.xor(edi, edi);
        a.mov(eax, SysExit);
        a.syscall();
    }

    private static void Enter(Assembler a, Label batch, Label next)
    {
        Label patch = a.CreateLabel(), patched = a.CreateLabel();
        a.Label(ref next);
        a.mov(rbx, Shared);
        a.mov(rax, __[rbx + Current]);
        a.cmp(rax, __[rbx + Count]);
        a.jae(batch);
        a.mov(rbp, __[rbx + NextInput]);

        a.mov(rdi, __[rbp + CaseCode]);
        a.mov(rcx, __[rbp + CaseCodeBytes]);
        a.lea(rsi, __[rbp + CaseCodeAt]);
        a.rep.movsb();
        a.lea(rsi, __[rbp + CasePatchesAt]);
        a.mov(edx, __[rbp + CasePatches]);
        a.Label(ref patch);
        a.sub(edx, 1);
        a.jb(patched);
        a.mov(rdi, __[rsi]);
        a.mov(rcx, __[rsi + 8]);
        a.add(rsi, 16);
        a.rep.movsb();
        a.add(rsi, 7);
        a.and(rsi, -8);
        a.jmp(patch);
        a.Label(ref patched);

        a.mov(eax, Arena.UserDataSelector);
        a.mov(ds, eax);
        a.mov(es, eax);
        a.mov(fs, eax);
        a.mov(gs, eax);
        a.mov(rax, __[rbp + CaseFsBase]);
        a.wrfsbase(rax);
        a.mov(rax, __[rbp + CaseGsBase]);
        a.wrgsbase(rax);
        a.rdtsc();
        a.mov(__dword_ptr[rbx + Started], eax);
        a.mov(__dword_ptr[rbx + Started + 4], edx);
        a.fxrstor64(__[rbp + CaseFloating]);
        a.lea(rsp, __[rbp + CaseFrame]);
        for (int r = 0; r < 16; r++)
            if (r is not (4 or 5))
                a.mov(s_registers[r], __[rbp + CaseRegisters + 8 * r]);
        a.mov(rbp, __[rbp + CaseRegisters + 8 * 5]);
        a.iretq();
    }

    /// <summary>The signal handler: number in RDI, frame (struct ucontext) in RDX.</summary>
    private static void Handle(Assembler a, Label handler, Label next)
    {
        Label scan = a.CreateLabel(), same = a.CreateLabel();
        a.Label(ref handler);
        // AC, NT and ID are still the case's.
        a.push(2);
        a.popfq();
        a.mov(r15, rdx);
        a.mov(rbx, Shared);
        a.mov(rbp, __[rbx + NextInput]);
        a.mov(r14, __[rbx + NextOutput]);
        a.mov(__[r14 + ResultSignal], rdi);
        a.rdtsc();
        a.shl(rdx, 32);
        a.or(rax, rdx);
        a.sub(rax, __[rbx + Started]);
        a.mov(__[r14 + ResultCycles], rax);
        a.lea(rsi, __[r15 + 40]); // uc_mcontext
        a.lea(rdi, __[r14 + ResultContext]);
        a.mov(ecx, ContextBytes / 8);
        a.rep.movsq();
        a.rdfsbase(rax);
        a.mov(__[r14 + ResultFsBase], rax);
        a.rdgsbase(rax);
        a.mov(__[r14 + ResultGsBase], rax);
        a.mov(__word_ptr[r14 + ResultSelectors], es);
        a.mov(__word_ptr[r14 + ResultSelectors + 2], ds);
        a.mov(__word_ptr[r14 + ResultSelectors + 4], fs);
        a.mov(__word_ptr[r14 + ResultSelectors + 6], gs);
        a.mov(rsi, __[r14 + ResultContext + ContextFloating]);
        a.lea(rdi, __[r14 + ResultFloating]);
        a.mov(ecx, FloatingImage.Bytes / 8);
        a.rep.movsq();

        // The code region is int3 again.
        a.mov(rdi, __[rbp + CaseCode]);
        a.mov(rcx, __[rbp + CaseCodeBytes]);
        a.mov(al, 0xCC);
        a.rep.stosb();

        // Lines of the data that differ from the background go into the result, and become background again.
        a.mov(rsi, Shared + Data);
        a.lea(rdi, __[r14 + ResultLinesAt]);
        a.xor(r8d, r8d);
        a.Label(ref scan);
        a.movdqa(xmm0, __[rsi]);
        a.pcmpeqb(xmm0, __[rsi + DataBytes]);
        for (int i = 1; i < 4; i++)
        {
            a.movdqa(xmm1, __[rsi + 16 * i]);
            a.pcmpeqb(xmm1, __[rsi + DataBytes + 16 * i]);
            a.pand(xmm0, xmm1);
        }
        a.pmovmskb(eax, xmm0);
        a.cmp(eax, 0xFFFF);
        a.je(same);
        a.mov(__[rdi], r8);
        for (int i = 0; i < 4; i++)
        {
            a.movdqa(xmm0, __[rsi + 16 * i]);
            a.movdqu(__[rdi + 8 + 16 * i], xmm0);
            a.movdqa(xmm1, __[rsi + DataBytes + 16 * i]);
            a.movdqa(__[rsi + 16 * i], xmm1);
        }
        a.add(rdi, ResultLineBytes);
        a.Label(ref same);
        a.add(rsi, 64);
        a.add(r8d, 1);
        a.cmp(r8d, DataBytes / 64);
        a.jb(scan);

        a.mov(rax, rdi);
        a.sub(rax, r14);
        a.mov(__[r14 + ResultLines], rax);
        a.mov(__[rbx + NextOutput], rdi);
        a.mov(eax, __[rbp + CaseBytes]);
        a.add(__[rbx + NextInput], rax);
        a.inc(__qword_ptr[rbx + Current]);
        a.jmp(next);
    }

    /// <summary>A system call that ends the helper with a code when it fails.</summary>
    private static void Call(Assembler a, int number, int failure)
    {
        Label ok = a.CreateLabel();
        a.mov(eax, number);
        a.syscall();
        a.cmp(rax, -4096);
        a.jbe(ok);
        a.mov(edi, failure);
        a.mov(eax, SysExit);
        a.syscall();
        a.Label(ref ok);
        a.nop();
    }

    /// <summary>Maps a part of the shared file, whose descriptor is in R12.</summary>
    private static void Map(Assembler a, ulong address, int bytes, int protection, int offset)
    {
        a.mov(rdi, address);
        a.mov(esi, bytes);
        a.mov(edx, protection);
        a.mov(r10d, MapSharedFixed);
        a.mov(r8, r12);
        a.mov(r9d, offset);
        Call(a, SysMmap, 11);
    }

    private static void MapAnonymous(Assembler a, ulong address, int bytes)
    {
        a.mov(rdi, address);
        a.mov(esi, bytes);
        a.mov(edx, ReadWrite);
        a.mov(r10d, MapPrivateAnonymousFixed);
        a.mov(r8, -1);
        a.xor(r9d, r9d);
        Call(a, SysMmap, 11);
    }

    private static void Unmap(Assembler a, ulong address, ulong bytes)
    {
        a.mov(rdi, address);
        a.mov(rsi, bytes);
        Call(a, SysMunmap, 11);
    }
}
