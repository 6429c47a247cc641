using Emu.Cpus;
using Xunit;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>String instructions against loops over bytes, with overlap, page ends, faults and interruption.</summary>
public sealed unsafe class StringTests
{
    private const int Rax = 0, Rcx = 1, Rsi = 6, Rdi = 7;
    private const ulong Base = TestCpu.DataAt;
    private const int Window = 0x2000;

    private static byte[] Noise(int seed)
    {
        byte[] bytes = new byte[Window];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static void Movs(TestCpu cpu, int size) => cpu.Load(a =>
    {
        _ = size switch { 1 => Do(a.rep.movsb), 2 => Do(a.rep.movsw), 4 => Do(a.rep.movsd), _ => Do(a.rep.movsq) };
    });

    private static bool Do(Action action)
    {
        action();
        return true;
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(4, 0)]
    [InlineData(8, 0)]
    [InlineData(1, 4)]
    [InlineData(8, 4)]
    public void RepMovs_EveryDistanceAndDirection_CopiesElementByElement(int size, int storeBuffer)
    {
        using var cpu = new TestCpu(storeBuffer: storeBuffer);
        Movs(cpu, size);
        int[] distances = [0, 1, 2, 3, 5, 8, 13, 100, 1000, 4096, -1, -3, -8, -100, -4096];
        foreach (int distance in distances)
        {
            foreach (int count in (int[])[0, 1, 2, 7, 65, 400])
            {
                foreach (bool down in (bool[])[false, true])
                {
                    byte[] expected = Noise(distance * 31 + count);
                    cpu.Write(Base, expected);
                    int bytes = count * size;
                    // Both ranges inside the two pages, across the boundary between them.
                    int from = Math.Max(0, -distance) + (distance is 4096 or -4096 ? 100 : (Window - bytes - Math.Abs(distance)) / 2);
                    if (from + bytes + Math.Max(0, distance) > Window)
                        continue;
                    int to = from + distance;
                    int start = down ? Math.Max(0, count - 1) * size : 0;
                    for (int i = 0; i < count; i++)
                    {
                        int at = start + (down ? -i : i) * size;
                        byte[] element = expected.AsSpan(from + at, size).ToArray();
                        element.CopyTo(expected, to + at);
                    }
                    cpu[Rsi] = Base + (ulong)(from + start);
                    cpu[Rdi] = Base + (ulong)(to + start);
                    cpu[Rcx] = (ulong)count;
                    cpu.Rflags = down ? Rflags.Df : 0;
                    Assert.Null(cpu.Again());
                    Assert.True(cpu.Retired);
                    cpu.Cpu.StoreBuffer.DrainAll();
                    Assert.Equal(expected, cpu.Read(Base, Window));
                    long moved = (down ? -1L : 1) * bytes;
                    Assert.Equal(Base + (ulong)(from + start + moved), cpu[Rsi]);
                    Assert.Equal(Base + (ulong)(to + start + moved), cpu[Rdi]);
                    Assert.Equal(0UL, cpu[Rcx]);
                }
            }
        }
    }

    [Fact]
    public void RepMovsb_ThroughTwoMappingsOfOnePage_SeesItsOwnStores()
    {
        using var cpu = new TestCpu();
        byte[] expected = Noise(1);
        cpu.Write(Base, expected);
        for (int i = 0; i < 500; i++)
            expected[103 + i] = expected[100 + i];
        (cpu[Rsi], cpu[Rdi], cpu[Rcx]) = (Base + 100, TestCpu.Alias + 103, 500);
        Assert.Null(cpu.Run(a => a.rep.movsb()));
        Assert.Equal(expected, cpu.Read(Base, Window));
    }

    [Fact]
    public void RepMovsb_IntoAbsentPage_StopsThereAndRestarts()
    {
        using var cpu = new TestCpu();
        cpu.Write(Base, Noise(2));
        (cpu[Rsi], cpu[Rdi], cpu[Rcx]) = (Base, TestCpu.NotPresent - 100, 300);
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.rep.movsb()));
        Assert.Equal((Base + 100, TestCpu.NotPresent, 200UL), (cpu[Rsi], cpu[Rdi], cpu[Rcx]));
        Assert.Equal(TestCpu.NotPresent, cpu.Fault.LinearAddress);
        Assert.Equal(2u, cpu.Fault.ErrorCode);
        Assert.Equal(TestCpu.CodeAt, cpu.S->Rip);
        Assert.Equal(cpu.Read(Base, 100), cpu.Read(TestCpu.NotPresent - 100, 100));
        cpu[Rdi] = Base + 0x1000;
        Assert.Null(cpu.Again());
        Assert.Equal(cpu.Read(Base + 100, 200), cpu.Read(Base + 0x1000, 200));
    }

    [Fact]
    public void RepInsb_WhenTheChainMustReturn_StopsBetweenRunsAndGoesOn()
    {
        using var cpu = new TestCpu();
        var port = new RequestingPort(cpu);
        cpu.Bus.AttachPorts(0x80, 1, port);
        (cpu[2], cpu[Rdi], cpu[Rcx]) = (0x80, Base, 5);
        cpu.Load(a => a.rep.insb());
        Assert.Null(cpu.Step());
        Assert.False(cpu.Retired);
        Assert.Equal((Base + 1, 4UL, TestCpu.CodeAt), (cpu[Rdi], cpu[Rcx], cpu.S->Rip));
        int steps = 1;
        while (!cpu.Retired)
        {
            Assert.Null(cpu.Step());
            steps++;
        }
        Assert.Equal(5, steps);
        Assert.Equal([1, 2, 3, 4, 5], cpu.Read(Base, 5));
        Assert.Equal(TestCpu.CodeAt + 2, cpu.S->Rip);
    }

    private sealed class RequestingPort(TestCpu cpu) : Memory.IPortDevice
    {
        private byte _next;

        public uint Read(ushort port, int size)
        {
            cpu.Cpu.RequestExit();
            return ++_next;
        }

        public void Write(ushort port, int size, uint value)
        {
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void RepStos_AcrossAPageEnd_FillsExactly(int size)
    {
        foreach (int storeBuffer in (int[])[0, 4])
        {
            foreach (int offset in (int[])[0, 1, 0xFF1, 0xFFD])
            {
                using var cpu = new TestCpu(storeBuffer: storeBuffer);
                byte[] expected = Noise(size);
                cpu.Write(Base, expected);
                cpu[Rax] = 0x8877_6655_4433_2211;
                for (int i = 0; i < 33; i++)
                    BitConverter.GetBytes(cpu[Rax]).AsSpan(0, size).CopyTo(expected.AsSpan(offset + i * size));
                (cpu[Rdi], cpu[Rcx]) = (Base + (ulong)offset, 33);
                Assert.Null(cpu.Run(a => _ = size switch { 1 => Do(a.rep.stosb), 2 => Do(a.rep.stosw), 4 => Do(a.rep.stosd), _ => Do(a.rep.stosq) }));
                cpu.Cpu.StoreBuffer.DrainAll();
                Assert.Equal(expected, cpu.Read(Base, Window));
                Assert.Equal((Base + (ulong)(offset + 33 * size), 0UL), (cpu[Rdi], cpu[Rcx]));
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scasb_ToMatchOrMismatch_StopsBehindItWithItsFlags(bool buffered)
    {
        using var cpu = new TestCpu(storeBuffer: buffered ? 4 : 0);
        byte[] text = new byte[Window];
        Array.Fill(text, (byte)'a');
        text[0x1010] = (byte)'z';
        cpu.Write(Base, text);
        cpu[Rax] = 'z';
        (cpu[Rdi], cpu[Rcx]) = (Base + 5, 0x2000);
        Assert.Null(cpu.Run(a => a.repne.scasb()));
        Assert.Equal((Base + 0x1011, 0x2000UL - 0x100C), (cpu[Rdi], cpu[Rcx]));
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.Zf);
        cpu[Rax] = 'a';
        (cpu[Rdi], cpu[Rcx]) = (Base, 0x2000);
        Assert.Null(cpu.Run(a => a.repe.scasb()));
        Assert.Equal(Base + 0x1011, cpu[Rdi]);
        Assert.Equal(Rflags.Cf, cpu.Rflags & (Rflags.Cf | Rflags.Zf)); // 'a' - 'z' borrows
        (cpu[Rdi], cpu[Rcx]) = (Base, 16);
        cpu[Rax] = 'q';
        Assert.Null(cpu.Run(a => a.repne.scasb()));
        Assert.Equal((Base + 16, 0UL), (cpu[Rdi], cpu[Rcx]));
        Assert.Equal(0UL, cpu.Rflags & Rflags.Zf);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(4, false)]
    [InlineData(8, false)]
    [InlineData(4, true)]
    public void Cmps_EqualAndDifferentStrings_StopAtTheFirstDifference(int size, bool buffered)
    {
        using var cpu = new TestCpu(storeBuffer: buffered ? 4 : 0);
        byte[] bytes = Noise(3);
        bytes.AsSpan(0x100, 0x800).CopyTo(bytes.AsSpan(0x1200));
        int differs = 0x100 / size * size + size - 1;
        bytes[0x1200 + differs]--;
        cpu.Write(Base, bytes);
        (cpu[Rsi], cpu[Rdi], cpu[Rcx]) = (Base + 0x100, Base + 0x1200, 0x100);
        cpu.Load(a => _ = size switch { 1 => Do(a.repe.cmpsb), 4 => Do(a.repe.cmpsd), _ => Do(a.repe.cmpsq) });
        Assert.Null(cpu.Step());
        ulong done = (ulong)(differs / size + 1);
        if (done > 0x100)
            done = 0x100;
        Assert.Equal((Base + 0x100 + done * (ulong)size, 0x100 - done), (cpu[Rsi], cpu[Rcx]));
        cpu.Load(a => _ = size switch { 1 => Do(a.repne.cmpsb), 4 => Do(a.repne.cmpsd), _ => Do(a.repne.cmpsq) });
        (cpu[Rsi], cpu[Rdi], cpu[Rcx]) = (Base + 0x100, Base + 0x1200, 0x100);
        Assert.Null(cpu.Step());
        Assert.Equal((Base + 0x100 + (ulong)size, 0xFFUL), (cpu[Rsi], cpu[Rcx]));
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.Zf);
    }

    [Fact]
    public void RepCmps_WithCountZero_LeavesFlags()
    {
        using var cpu = new TestCpu();
        cpu.Rflags = Rflags.Cf | Rflags.Of;
        cpu[Rcx] = 0;
        Assert.Null(cpu.Run(a => a.repe.cmpsb()));
        Assert.Equal(Rflags.Cf | Rflags.Of, cpu.Arithmetic);
    }

    [Fact]
    public void Lods_EveryWidth_LoadsTheAccumulator()
    {
        using var cpu = new TestCpu();
        cpu.Write64(Base, 0x8877_6655_4433_2211);
        cpu[Rax] = ulong.MaxValue;
        cpu[Rsi] = Base;
        Assert.Null(cpu.Run(a => a.lodsb()));
        Assert.Equal((0xFFFF_FFFF_FFFF_FF11UL, Base + 1), (cpu[Rax], cpu[Rsi]));
        cpu[Rsi] = Base;
        Assert.Null(cpu.Run(a => a.lodsd()));
        Assert.Equal(0x4433_2211UL, cpu[Rax]);
        (cpu[Rsi], cpu[Rcx]) = (Base, 4);
        Assert.Null(cpu.Run(a => a.rep.lodsb()));
        Assert.Equal((0x4433_2244UL, Base + 4), (cpu[Rax], cpu[Rsi]));
    }

    [Fact]
    public void RepStosb_InRealMode_WrapsAtSixtyFourKilobytes()
    {
        using var cpu = new TestCpu(16);
        cpu.S->Es = SegmentLoad.RealMode(cpu.S->Es, 0x2000);
        cpu[Rax] = 0x5A;
        cpu[Rdi] = 0xABCD_FFFE;
        cpu[Rcx] = 0x1234_0004;
        Assert.Null(cpu.Run(a => a.rep.stosb()));
        Assert.Equal([0x5A, 0x5A], cpu.Read(0x2FFFE, 2));
        Assert.Equal([0x5A, 0x5A, 0], cpu.Read(0x20000, 3));
        Assert.Equal((0xABCD_0002UL, 0x1234_0000UL), (cpu[Rdi], cpu[Rcx]));
    }

    [Fact]
    public void Movs_With32BitAddresses_ZeroExtendsTheIndexes()
    {
        using var cpu = new TestCpu();
        (cpu[Rsi], cpu[Rdi], cpu[Rcx]) = (Base | 0xFF_0000_0000, (Base + 64) | 0xFF_0000_0000, 0xFF_0000_0003);
        cpu.Write(Base, 1, 2, 3, 4);
        cpu.Load(0x67, 0xF3, 0xA4);
        Assert.Null(cpu.Step());
        Assert.Equal((Base + 3, Base + 67, 0UL), (cpu[Rsi], cpu[Rdi], cpu[Rcx]));
        Assert.Equal([1, 2, 3, 0], cpu.Read(Base + 64, 4));
    }
}
