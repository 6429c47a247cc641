using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Execution;
using Emu.Instructions;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Instructions;

/// <summary>The whole of the encoding: what is decoded is executed or refused with a message, and nothing that a guest may write upsets the host.</summary>
public sealed unsafe class DecodeSpaceTests
{
    /// <summary>What general-purpose code may use; the rest (x87, MMX, SSE and on) is not yet ours.</summary>
    private static readonly HashSet<CpuidFeature> _ours =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64,
        CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B, CpuidFeature.POPCNT, CpuidFeature.LZCNT, CpuidFeature.BMI1, CpuidFeature.BMI2,
        CpuidFeature.ADX, CpuidFeature.MOVBE, CpuidFeature.MSR, CpuidFeature.TSC, CpuidFeature.RDTSCP, CpuidFeature.RDPID, CpuidFeature.SEP,
        CpuidFeature.SYSCALL, CpuidFeature.FSGSBASE, CpuidFeature.MONITOR, CpuidFeature.SERIALIZE, CpuidFeature.SMAP, CpuidFeature.CLFSH,
        CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE, CpuidFeature.CPUID, CpuidFeature.RDPMC, CpuidFeature.PREFETCHW, CpuidFeature.CET_IBT,
    ];

    private static IEnumerable<byte[]> Encodings(int bits)
    {
        byte[][] prefixes = bits == 64 ? [[], [0x66], [0xF2], [0xF3], [0xF0], [0x67], [0x48], [0x66, 0x48], [0xF3, 0x48]] : [[], [0x66], [0xF2], [0xF3], [0xF0], [0x67]];
        byte[][] maps = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]];
        foreach (byte[] prefix in prefixes)
            foreach (byte[] map in maps)
                for (int opcode = 0; opcode < 256; opcode++)
                    for (int modrm = 0; modrm < 16; modrm++)
                        yield return [.. prefix, .. map, (byte)opcode, (byte)((modrm & 7) << 3 | (modrm < 8 ? 0 : 0xC1)), 1, 2, 3, 4, 5, 6];
    }

    [Theory]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void EveryGeneralPurposeEncoding_IsImplemented(int bits)
    {
        using var cpu = new TestCpu(bits);
        var decoder = new InstructionDecoder(cpu.Model);
        var op = (Op*)NativeMemory.AlignedAlloc(64, 64);
        byte* bytes = stackalloc byte[16];
        var missing = new SortedSet<string>();
        int implemented = 0;
        *op = default;
        nint stop = HandlerOf([0x0F, 0x28, 0xC1]); // movaps
        var seen = new HashSet<Code>();
        foreach (byte[] encoding in Encodings(bits))
        {
            encoding.CopyTo(new Span<byte>(bytes, 16));
            if (!decoder.TryDecode(bytes, encoding.Length, 0x1000, cpu.S->ModeKey, out Instruction instruction) || instruction.IsInvalid)
                continue;
            if (!seen.Add(instruction.Code) || !instruction.CpuidFeatures.All(_ours.Contains))
                continue;
            if (HandlerOf(encoding) == stop)
                missing.Add(instruction.Code.ToString());
            else
                implemented++;
        }
        NativeMemory.AlignedFree(op);
        Assert.Equal([], missing);
        Assert.True(implemented > 400, $"only {implemented} codes");

        nint HandlerOf(byte[] code)
        {
            fixed (byte* p = code)
                Assert.True(decoder.TryDecode(p, code.Length, 0x1000, cpu.S->ModeKey, out Instruction i) && !i.IsInvalid);
            fixed (byte* p = code)
            {
                decoder.TryDecode(p, code.Length, 0x1000, cpu.S->ModeKey, out Instruction i);
                *op = default;
                decoder.Lower(i, op, cpu.S->ModeKey);
                return (nint)op->Handler;
            }
        }
    }

    [Theory]
    [InlineData(16, 0)]
    [InlineData(32, 0)]
    [InlineData(64, 0)]
    [InlineData(64, 4)]
    public void RandomBytes_WithRandomRegisters_NeverUpsetTheHost(int bits, int storeBuffer)
    {
        using var cpu = new TestCpu(bits, storeBuffer: storeBuffer);
        CpuState saved = *cpu.S;
        byte[] tables = cpu.Read(0x1000, 0x4000);
        var random = new Random(bits + storeBuffer);
        byte[] code = new byte[16];
        int retired = 0, faulted = 0, unsupported = 0;
        for (int n = 0; n < 6000; n++)
        {
            *cpu.S = saved;
            cpu.Write(0x1000, tables);
            cpu.Cpu.StoreBuffer.Restore([]);
            random.NextBytes(code);
            if (n % 2 == 0)
                code[0] = 0x0F;
            for (int i = 0; i < 16; i++)
                cpu[i] = random.Next(3) switch { 0 => TestCpu.DataAt + (ulong)random.Next(0x4000), 1 => (ulong)random.Next(70), _ => (ulong)random.NextInt64() };
            cpu.Rflags = (ulong)random.Next(0x1000) & (Rflags.Arithmetic | Rflags.Df);
            cpu[1] &= 0xFFFF; // a repeated instruction may take its time
            if (random.Next(4) == 0)
                cpu.EnterUserMode();
            CpuMode.FlushTlb(cpu.S, keepGlobal: false);
            cpu.Load(code);
            Vector? fault = cpu.Step();
            if (cpu.S->Exit == ExitReason.Unsupported)
            {
                Assert.False(string.IsNullOrEmpty(cpu.Cpu.StopMessage));
                unsupported++;
            }
            else if (fault != null)
                faulted++;
            else
                retired++;
        }
        Assert.True(retired > 500 && faulted > 500, $"{retired} retired, {faulted} faulted, {unsupported} stopped");
    }
}
