using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Execution;
using Emu.Instructions;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>The dispatch: every handler must pass on without leaving a frame on the host's stack, or a long chain would overflow it.</summary>
public sealed unsafe class ChainTests
{
    private const int Copies = 1000;

    [ThreadStatic]
    private static nint _deepest;

    private static Op* Mark(CpuState* s, Op* op)
    {
        int here;
        _deepest = (nint)(&here);
        return null;
    }

    public static TheoryData<string> Instructions()
    {
        var data = new TheoryData<string>();
        foreach (string name in _programs.Keys)
            data.Add(name);
        return data;
    }

    private static readonly Dictionary<string, Action<Assembler>> _programs = new()
    {
        ["mov r,r"] = a => a.mov(rax, rcx),
        ["mov r,m"] = a => a.mov(rax, __[rsi]),
        ["mov m,r"] = a => a.mov(__[rsi], rax),
        ["mov r,m fs"] = a => a.mov(rax, __qword_ptr.fs[rsi]),
        ["mov r,m 32-bit address"] = a => a.mov(rax, __[esi]),
        ["movzx"] = a => a.movzx(eax, __byte_ptr[rsi]),
        ["lea"] = a => a.lea(rax, __[rsi + rcx * 4]),
        ["xchg m,r"] = a => a.xchg(__[rsi], rax),
        ["push"] = a => a.push(rax),
        ["pop"] = a => a.pop(rax),
        ["push m"] = a => a.push(__qword_ptr[rsi]),
        ["pop m"] = a => a.pop(__qword_ptr[rsi]),
        ["cmove"] = a => a.cmove(rax, __[rsi]),
        ["sete"] = a => a.sete(__byte_ptr[rsi]),
        ["add r,r"] = a => a.add(rax, rcx),
        ["add m,r"] = a => a.add(__[rsi], rax),
        ["lock add"] = a => a.@lock.add(__[rsi], rax),
        ["adc r,m"] = a => a.adc(rax, __[rsi]),
        ["inc"] = a => a.inc(eax),
        ["neg m"] = a => a.neg(__qword_ptr[rsi]),
        ["shl r,i"] = a => a.shl(rax, 3),
        ["shr m,cl"] = a => a.shr(__qword_ptr[rsi], cl),
        ["rol r,cl"] = a => a.rol(ax, cl),
        ["rcl"] = a => a.rcl(rax, 5),
        ["rcr m"] = a => a.rcr(__byte_ptr[rsi], 5),
        ["shld"] = a => a.shld(rax, rcx, 5),
        ["shrd m"] = a => a.shrd(__word_ptr[rsi], cx, 5),
        ["mul 8"] = a => a.mul(cl),
        ["mul 64"] = a => a.mul(rcx),
        ["mul m"] = a => a.mul(__qword_ptr[rsi]),
        ["imul 64"] = a => a.imul(rcx),
        ["imul r,r"] = a => a.imul(rax, rcx),
        ["imul r,m"] = a => a.imul(rax, __[rsi]),
        ["imul r,r,i"] = a => a.imul(rax, rcx, 7),
        ["imul r,m,i"] = a => a.imul(rax, __qword_ptr[rsi], 7),
        ["div 32"] = a => a.div(ebx),
        ["div 64"] = a => a.div(rbx),
        ["idiv 8"] = a => a.idiv(bl),
        ["idiv 64"] = a => a.idiv(rbx),
        ["cdqe"] = a => a.cdqe(),
        ["bsf"] = a => a.bsf(rax, rcx),
        ["tzcnt m"] = a => a.tzcnt(rax, __qword_ptr[rsi]),
        ["popcnt"] = a => a.popcnt(rax, rcx),
        ["bswap"] = a => a.bswap(rax),
        ["movbe"] = a => a.movbe(__[rsi], rax),
        ["bt r,r"] = a => a.bt(rax, rcx),
        ["bt m,r"] = a => a.bt(__qword_ptr[rsi], rcx),
        ["lock bts m,r"] = a => a.@lock.bts(__qword_ptr[rsi], rcx),
        ["btc m,i"] = a => a.btc(__qword_ptr[rsi], 5),
        ["andn"] = a => a.andn(rax, rcx, __[rsi]),
        ["mulx"] = a => a.mulx(rax, rbp, __[rsi]),
        ["adox"] = a => a.adox(rax, rcx),
        ["xadd"] = a => a.xadd(__[rsi], rax),
        ["cmpxchg"] = a => a.@lock.cmpxchg(__[rsi], rcx),
        ["cmpxchg8b"] = a => a.cmpxchg8b(__qword_ptr[rsi]),
        ["cmpxchg16b"] = a => a.cmpxchg16b(__[rsi]),
        ["movsb"] = a => a.movsb(),
        ["rep movsb"] = a => a.rep.movsb(),
        ["stosq"] = a => a.stosq(),
        ["lodsd"] = a => a.lodsd(),
        ["scasb"] = a => a.scasb(),
        ["repe cmpsb"] = a => a.repe.cmpsb(),
        ["pushfq"] = a => a.pushfq(),
        ["leave"] = a => a.leave(),
        ["enter"] = a => a.enter(0, 0),
        ["cmc"] = a => a.cmc(),
        ["std"] = a => a.std(),
        ["cli"] = a => a.cli(),
        ["stac"] = a => a.stac(),
        ["lahf"] = a => a.lahf(),
        ["sahf"] = a => a.sahf(),
        ["nop"] = a => a.nop(),
        ["xlatb"] = a => a.xlatb(),
        ["mfence"] = a => a.mfence(),
        ["serialize"] = a => a.serialize(),
        ["clflush"] = a => a.clflush(__byte_ptr[rsi]),
        ["cpuid"] = a => a.cpuid(),
        ["rdtsc"] = a => a.rdtsc(),
        ["rdmsr"] = a => a.rdmsr(),
        ["swapgs"] = a => a.swapgs(),
        ["mov r,cr0"] = a => a.mov(rax, cr0),
        ["mov r,dr7"] = a => a.mov(rax, dr7),
        ["mov r,ds"] = a => a.mov(eax, ds),
        ["mov m,ds"] = a => a.mov(__word_ptr[rsi], ds),
        ["push fs"] = a => a.push(fs),
        ["sgdt"] = a => a.sgdt(__[rsi]),
        ["sldt"] = a => a.sldt(eax),
        ["smsw m"] = a => a.smsw(__word_ptr[rsi]),
        ["lar"] = a => a.lar(eax, ecx),
        ["paddb x,x"] = a => a.paddb(xmm1, xmm2),
        ["pand x,m"] = a => a.pand(xmm1, __xmmword_ptr[rsi]),
        ["paddusw mm,m"] = a => a.paddusw(mm1, __qword_ptr[rsi]),
        ["pmaddwd"] = a => a.pmaddwd(xmm1, __xmmword_ptr[rsi]),
        ["pshufd"] = a => a.pshufd(xmm1, xmm2, 0x1B),
        ["shufps m"] = a => a.shufps(xmm1, __xmmword_ptr[rsi], 0x1B),
        ["packuswb"] = a => a.packuswb(xmm1, xmm2),
        ["punpckhbw mm"] = a => a.punpckhbw(mm1, mm2),
        ["psraw x,x"] = a => a.psraw(xmm1, xmm2),
        ["psrldq"] = a => a.psrldq(xmm1, 3),
        ["movups m,x"] = a => a.movups(__xmmword_ptr[rsi + rcx], xmm1),
        ["movss x,m"] = a => a.movss(xmm1, __dword_ptr[rsi]),
        ["movd r,x"] = a => a.movd(eax, xmm1),
        ["movq m,mm"] = a => a.movq(__qword_ptr[rsi], mm1),
        ["pmovmskb"] = a => a.pmovmskb(eax, xmm1),
        ["pinsrw m"] = a => a.pinsrw(xmm1, __word_ptr[rsi], 3),
        ["maskmovdqu"] = a => a.maskmovdqu(xmm1, xmm2),
        ["fxsave"] = a => a.fxsave(__[rsi]),
        ["pshufb m"] = a => a.pshufb(xmm1, __xmmword_ptr[rsi]),
        ["palignr mm"] = a => a.palignr(mm1, mm2, 3),
        ["phaddsw"] = a => a.phaddsw(xmm1, xmm2),
        ["pmovzxbq m"] = a => a.pmovzxbq(xmm1, __word_ptr[rsi]),
        ["ptest m"] = a => a.ptest(xmm1, __xmmword_ptr[rsi]),
        ["pblendvb"] = a => a.pblendvb(xmm1, xmm2),
        ["insertps m"] = a => a.insertps(xmm1, __dword_ptr[rsi], 0x1E),
        ["pcmpistri m"] = a => a.pcmpistri(xmm1, __xmmword_ptr[rsi], 0x0C),
        ["mpsadbw"] = a => a.mpsadbw(xmm1, xmm2, 1),
        ["aesenc m"] = a => a.aesenc(xmm1, __xmmword_ptr[rsi]),
        ["aeskeygenassist"] = a => a.aeskeygenassist(xmm1, xmm2, 1),
        ["pclmulqdq m"] = a => a.pclmulqdq(xmm1, __xmmword_ptr[rsi], 0x11),
        ["sha256rnds2 m"] = a => a.sha256rnds2(xmm1, __xmmword_ptr[rsi]),
        ["crc32 m"] = a => a.crc32(eax, __dword_ptr[rsi]),
        ["ldmxcsr"] = a => a.ldmxcsr(__dword_ptr[rsi]),
    };

    [Theory]
    [MemberData(nameof(Instructions))]
    public void Handlers_InALongChain_LeaveNoFrames(string name)
    {
        using var cpu = new TestCpu();
        CpuState* s = cpu.S;
        s->Paging.Cr4 |= ControlBits.Cr4OsFxsr;
        CpuMode.Update(s);
        cpu.Load(_programs[name]);
        byte[] bytes = cpu.Read(TestCpu.CodeAt, 16);
        Decoder decoder = Decoder.Create(64, bytes, TestCpu.CodeAt);
        Instruction instruction = decoder.Decode();
        var ops = (Op*)NativeMemory.AlignedAlloc((Copies + 2) * 64, 64);
        NativeMemory.Clear(ops, (Copies + 2) * 64);
        for (int i = 1; i <= Copies; i++)
            Assert.NotEqual(FlowKind.Ends, new InstructionDecoder(cpu.Model).Lower(instruction, ops + i, s->ModeKey));
        ops[Copies + 1].Handler = &Mark;
        // Twice: with cold translations and with warm ones.
        for (int run = 0; run < 2; run++)
        {
            // RAX to RSI: what no instruction above faults on; string instructions go on from DataAt.
            ulong[] registers = [0, 0x10, 0, 1, TestCpu.StackAt, TestCpu.DataAt, TestCpu.DataAt, TestCpu.DataAt + 0x40];
            for (int i = 0; i < registers.Length; i++)
                cpu[i] = registers[i];
            _deepest = 0;
            s->Exit = ExitReason.None;
            s->ExitRequested = 0;
            int start;
            for (Op* op = ops + 1; op != null;)
                op = op->Handler(s, op);
            Assert.Equal(ExitReason.None, s->Exit);
            Assert.NotEqual(0, _deepest);
            long grown = (nint)(&start) - _deepest;
            Assert.True(grown < 4096, $"{grown} bytes of stack after {Copies} times {instruction}");
        }
        NativeMemory.AlignedFree(ops);
    }
}
