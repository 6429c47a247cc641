using Emu.Cpus;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>FXSAVE and FXRSTOR byte by byte, LDMXCSR and STMXCSR.</summary>
public sealed unsafe class StateSavingTests
{
    private const ulong At = TestCpu.DataAt;

    private static VectorCpu Filled(int bits = 64, CpuModel? model = null)
    {
        var cpu = new VectorCpu(bits, model);
        ref FloatingState f = ref cpu.Floating;
        f.Control = 0x27F;
        f.Status = 3 << X87Status.TopShift | X87Status.C1;
        f.Tags = 0xF8;
        f.Opcode = 0x5D9;
        f.InstructionPointer = 0x1122_3344_5566_7788;
        f.InstructionSelector = 0x33;
        f.DataPointer = 0x99AA_BBCC_DDEE_FF01;
        f.DataSelector = 0x2B;
        f.Mxcsr = 0x1FA0;
        for (int i = 0; i < 8; i++)
        {
            f.X87[2 * i] = 0x8000_0000_0000_0000 + (ulong)i;
            f.X87[2 * i + 1] = 0x4000 + (ulong)i;
        }
        for (int i = 0; i < 16; i++)
            cpu.Xmm(i, [.. Enumerable.Repeat((byte)(0xA0 + i), 16)]);
        cpu.Cpu[6] = At;
        cpu.Cpu.Write(At, [.. Enumerable.Repeat((byte)0xEE, 512)]);
        return cpu;
    }

    /// <summary>What the area holds after FXSAVE: 0xEE where it is not written.</summary>
    private static byte[] Expected(ulong fip, ulong fdp, int xmmRegisters, uint mask = 0xFFFF)
    {
        byte[] image = [.. Enumerable.Repeat((byte)0xEE, 512)];
        Put(0, (ushort)0x27F);
        Put(2, (ushort)0x1A00);
        image[4] = 0xF8;
        image[5] = 0;
        Put(6, (ushort)0x5D9);
        BitConverter.TryWriteBytes(image.AsSpan(8), fip);
        BitConverter.TryWriteBytes(image.AsSpan(16), fdp);
        BitConverter.TryWriteBytes(image.AsSpan(24), 0x1FA0);
        BitConverter.TryWriteBytes(image.AsSpan(28), mask);
        for (int i = 0; i < 8; i++)
        {
            int physical = (3 + i) % 8;
            BitConverter.TryWriteBytes(image.AsSpan(32 + 16 * i), 0x8000_0000_0000_0000 + (ulong)physical);
            BitConverter.TryWriteBytes(image.AsSpan(40 + 16 * i), 0x4000UL + (ulong)physical);
        }
        for (int i = 0; i < xmmRegisters; i++)
            image.AsSpan(160 + 16 * i, 16).Fill((byte)(0xA0 + i));
        return image;

        void Put(int at, ushort value) => BitConverter.TryWriteBytes(image.AsSpan(at), value);
    }

    [Fact]
    public void Fxsave_EachLayout_StoresTheManualsBytes()
    {
        using VectorCpu cpu = Filled();
        Assert.Null(cpu.Cpu.Run(a => a.fxsave64(__[rsi])));
        Assert.Equal(Expected(0x1122_3344_5566_7788, 0x99AA_BBCC_DDEE_FF01, 16), cpu.Cpu.Read(At, 512));

        using VectorCpu narrow = Filled();
        Assert.Null(narrow.Cpu.Run(a => a.fxsave(__[rsi])));
        // The selectors are deprecated there.
        Assert.Equal(Expected(0x5566_7788, 0xDDEE_FF01, 16), narrow.Cpu.Read(At, 512));

        using VectorCpu legacy = Filled(32);
        Assert.Null(legacy.Cpu.Run(a => a.fxsave(__[esi])));
        Assert.Equal(Expected(0x5566_7788, 0xDDEE_FF01, 8), legacy.Cpu.Read(At, 512));

        using VectorCpu old = Filled(32, CpuModels.Pentium3);
        Assert.Null(old.Cpu.Run(a => a.fxsave(__[esi])));
        Assert.Equal(Expected(0x33_5566_7788, 0x2B_DDEE_FF01, 8, 0xFFBF), old.Cpu.Read(At, 512));
    }

    [Fact]
    public void Fxsave_WithoutOsfxsr_LeavesSseAlone()
    {
        using VectorCpu cpu = Filled();
        cpu.S->Paging.Cr4 &= ~ControlBits.Cr4OsFxsr;
        CpuMode.Update(cpu.S);
        Assert.Null(cpu.Cpu.Run(a => a.fxsave64(__[rsi])));
        byte[] expected = Expected(0x1122_3344_5566_7788, 0x99AA_BBCC_DDEE_FF01, 0);
        expected.AsSpan(24, 8).Fill(0xEE);
        Assert.Equal(expected, cpu.Cpu.Read(At, 512));
    }

    /// <summary>APM, "FXSAVE": pointers only with an exception pending.</summary>
    [Fact]
    public void Fxsave_OnAmdWithoutException_StoresNoPointers()
    {
        using VectorCpu cpu = Filled(model: CpuModels.K8);
        Assert.Null(cpu.Cpu.Run(a => a.fxsave64(__[rsi])));
        byte[] expected = Expected(0, 0, 16);
        expected.AsSpan(6, 18).Clear();
        Assert.Equal(expected, cpu.Cpu.Read(At, 512));
        cpu.Floating.Status |= X87Status.Summary | X87Status.Invalid | X87Status.Busy;
        Assert.Null(cpu.Cpu.Again());
        Assert.Equal(0x1122_3344_5566_7788UL, cpu.Cpu.Read64(At + 8));
    }

    [Fact]
    public void Fxrstor_OfWhatFxsaveStored_RestoresAll()
    {
        using VectorCpu cpu = Filled();
        Assert.Null(cpu.Cpu.Run(a => a.fxsave64(__[rsi])));
        FloatingState before = cpu.Floating;
        cpu.Floating = default;
        Assert.Null(cpu.Cpu.Run(a => a.fxrstor64(__[rsi])));
        before.InstructionSelector = before.DataSelector = 0;
        before.Xcr0 = 0;
        Assert.Equal(Bytes(before), Bytes(cpu.Floating));

        static byte[] Bytes(FloatingState f) => new ReadOnlySpan<byte>(&f, sizeof(FloatingState)).ToArray();
    }

    /// <summary>As a CPU of Zen 4's family did: reserved bits of the control word read as 1F7Fh and 40h; ES and B follow from flags and masks.</summary>
    [Theory]
    [InlineData(0xFFFF, 0xFFFF, 0x1F7F, 0x7F7F)]
    [InlineData(0x0000, 0x0000, 0x0040, 0x0000)]
    [InlineData(0x037F, 0x0080, 0x037F, 0x0000)]
    [InlineData(0x037E, 0x0001, 0x037E, 0x8081)]
    [InlineData(0x037E, 0x8081, 0x037E, 0x8081)]
    [InlineData(0x0340, 0x0041, 0x0340, 0x80C1)]
    public void Fxrstor_AnyControlAndStatus_NormalisesThem(int control, int status, int controlAfter, int statusAfter)
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu.Write(At, new byte[512]);
        cpu.Cpu.Write(At, (byte)control, (byte)(control >> 8), (byte)status, (byte)(status >> 8));
        cpu.Cpu.Write(At + 6, 0xFF, 0xFF);
        Assert.Null(cpu.Cpu.Run(a => a.fxrstor64(__[rsi])));
        Assert.Equal((controlAfter, statusAfter, 0x7FF), (cpu.Floating.Control, cpu.Floating.Status, cpu.Floating.Opcode));
    }

    [Fact]
    public void Fxrstor_ReservedMxcsrBits_IsGeneralProtectionAndLoadsNothing()
    {
        foreach ((CpuModel model, int bits, uint reserved) in new[] { (CpuModels.AlderLake, 64, 0x1_0000U), (CpuModels.Pentium3, 32, 0x40U) })
        {
            using VectorCpu cpu = Filled(bits, model);
            cpu.Cpu.Write(At, new byte[512]);
            cpu.Cpu.Write(At + 24, BitConverter.GetBytes(0x1F80 | reserved));
            Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a =>
            {
                if (bits == 64)
                    a.fxrstor(__[rsi]);
                else
                    a.fxrstor(__[esi]);
            }));
            Assert.Equal((0x27F, 0x1FA0U, (byte)0xA1), (cpu.Floating.Control, cpu.Floating.Mxcsr, cpu.Xmm(1)[0]));
            Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.ldmxcsr(bits == 64 ? __dword_ptr[rsi + 24] : __dword_ptr[esi + 24])));
            Assert.Equal(0x1FA0U, cpu.Floating.Mxcsr);
        }
    }

    [Fact]
    public void Fxsave_BadOperandOrUnit_FaultsInTheManualsOrder()
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu[6] = At + 8;
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.fxsave(__[rsi])));
        Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(a => a.fxrstor(__[rsi])));
        cpu.Cpu[6] = TestCpu.NotPresent - 256;
        cpu.Cpu.Write(TestCpu.NotPresent - 256, [.. Enumerable.Repeat((byte)0xEE, 256)]);
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.fxsave(__[rsi])));
        Assert.Equal(TestCpu.NotPresent, cpu.Cpu.Fault.LinearAddress);
        Assert.All(cpu.Cpu.Read(TestCpu.NotPresent - 256, 256), b => Assert.Equal(0xEE, b));
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.fxrstor(__[rsi])));
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ts;
        CpuMode.Update(cpu.S);
        Assert.Equal(Vector.DeviceNotAvailable, cpu.Cpu.Run(a => a.fxsave(__[rsi])));
        cpu.Cpu.Load(0xF0, 0x0F, 0xAE, 0x06); // lock fxsave [rsi]
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Step());
    }

    [Fact]
    public void Mxcsr_LoadedAndStored_IsTheSame()
    {
        using VectorCpu cpu = Filled();
        cpu.Cpu.Write(At, BitConverter.GetBytes(0xFFFFU));
        Assert.Null(cpu.Cpu.Run(a => a.ldmxcsr(__dword_ptr[rsi])));
        Assert.Equal(0xFFFFU, cpu.Floating.Mxcsr);
        Assert.Null(cpu.Cpu.Run(a => a.stmxcsr(__dword_ptr[rsi + 4])));
        Assert.Equal(0xEEEE_EEEE_0000_FFFFUL, cpu.Cpu.Read64(At + 4));
    }
}
