using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>Moves of vectors and their parts; alignment, page crossing and faults of 16-byte operands; what MMX does to the x87 registers.</summary>
public sealed unsafe class VectorMoveTests
{
    private const ulong At = TestCpu.DataAt;
    private static readonly byte[] _a = [.. Enumerable.Range(0x10, 16).Select(i => (byte)i)];
    private static readonly byte[] _b = [.. Enumerable.Range(0xE0, 16).Select(i => (byte)i)];

    private static byte[] Join(params byte[][] parts) => [.. parts.SelectMany(p => p)];

    /// <summary>Destination XMM1 = a, source XMM2 or memory = b: the bytes of both that the result is made of.</summary>
    public static TheoryData<string, byte[], byte[]?> Loads() => new()
    {
        { "movaps", _b, _b },
        { "movups", _b, _b },
        { "movdqa", _b, _b },
        { "movdqu", _b, _b },
        { "movss", Join(_b[..4], _a[4..]), Join(_b[..4], new byte[12]) },
        { "movsd", Join(_b[..8], _a[8..]), Join(_b[..8], new byte[8]) },
        { "movq", Join(_b[..8], new byte[8]), Join(_b[..8], new byte[8]) },
        { "movhlps", Join(_b[8..], _a[8..]), null },
        { "movlhps", Join(_a[..8], _b[..8]), null },
    };

    [Theory]
    [MemberData(nameof(Loads))]
    public void Load_FromRegisterAndMemory_KeepsOrClearsTheRest(string name, byte[] fromRegister, byte[]? fromMemory)
    {
        using var cpu = new VectorCpu();
        Run(a => Emit(a, name, memory: false));
        Assert.Equal(fromRegister, cpu.Xmm(1));
        if (fromMemory == null)
            return;
        cpu.Cpu.Write(At, _b);
        Run(a => Emit(a, name, memory: true));
        Assert.Equal(fromMemory, cpu.Xmm(1));

        void Run(Action<Assembler> code)
        {
            cpu.Xmm(1, _a);
            cpu.Xmm(2, _b);
            cpu.Cpu[6] = At;
            Assert.Null(cpu.Cpu.Run(code));
        }

        static void Emit(Assembler a, string name, bool memory)
        {
            switch (name)
            {
                case "movaps" when memory: a.movaps(xmm1, __xmmword_ptr[rsi]); break;
                case "movaps": a.movaps(xmm1, xmm2); break;
                case "movups" when memory: a.movups(xmm1, __xmmword_ptr[rsi]); break;
                case "movups": a.movups(xmm1, xmm2); break;
                case "movdqa" when memory: a.movdqa(xmm1, __xmmword_ptr[rsi]); break;
                case "movdqa": a.movdqa(xmm1, xmm2); break;
                case "movdqu" when memory: a.movdqu(xmm1, __xmmword_ptr[rsi]); break;
                case "movdqu": a.movdqu(xmm1, xmm2); break;
                case "movss" when memory: a.movss(xmm1, __dword_ptr[rsi]); break;
                case "movss": a.movss(xmm1, xmm2); break;
                case "movsd" when memory: a.movsd(xmm1, __qword_ptr[rsi]); break;
                case "movsd": a.movsd(xmm1, xmm2); break;
                case "movq" when memory: a.movq(xmm1, __qword_ptr[rsi]); break;
                case "movq": a.movq(xmm1, xmm2); break;
                case "movhlps": a.movhlps(xmm1, xmm2); break;
                default: a.movlhps(xmm1, xmm2); break;
            }
        }
    }

    [Fact]
    public void HalvesAndStores_OfAnyKind_MoveTheirBytesOnly()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[6] = At;
        Load(a => a.movlps(xmm1, __qword_ptr[rsi]), Join(_b[..8], _a[8..]));
        Load(a => a.movhps(xmm1, __qword_ptr[rsi]), Join(_a[..8], _b[..8]));
        Load(a => a.movlpd(xmm1, __qword_ptr[rsi]), Join(_b[..8], _a[8..]));
        Load(a => a.movhpd(xmm1, __qword_ptr[rsi]), Join(_a[..8], _b[..8]));
        Store(a => a.movaps(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movups(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movdqa(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movdqu(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movntps(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movntdq(__xmmword_ptr[rsi], xmm1), _a);
        Store(a => a.movss(__dword_ptr[rsi], xmm1), _a[..4]);
        Store(a => a.movsd(__qword_ptr[rsi], xmm1), _a[..8]);
        Store(a => a.movq(__qword_ptr[rsi], xmm1), _a[..8]);
        Store(a => a.movd(__dword_ptr[rsi], xmm1), _a[..4]);
        Store(a => a.movlps(__qword_ptr[rsi], xmm1), _a[..8]);
        Store(a => a.movhps(__qword_ptr[rsi], xmm1), _a[8..]);
        Store(a => a.movhpd(__qword_ptr[rsi], xmm1), _a[8..]);
        cpu.Cpu[0] = 0x1122_3344_5566_7788;
        Store(a => a.movnti(__qword_ptr[rsi], rax), BitConverter.GetBytes(0x1122_3344_5566_7788));

        void Load(Action<Assembler> code, byte[] expected)
        {
            cpu.Cpu.Write(At, _b);
            cpu.Xmm(1, _a);
            Assert.Null(cpu.Cpu.Run(code));
            Assert.Equal(expected, cpu.Xmm(1));
        }

        void Store(Action<Assembler> code, byte[] expected)
        {
            cpu.Cpu.Write(At, _b);
            cpu.Xmm(1, _a);
            Assert.Null(cpu.Cpu.Run(code));
            Assert.Equal(Join(expected, _b[expected.Length..]), cpu.Cpu.Read(At, 16));
        }
    }

    [Fact]
    public void MovdAndMovq_GeneralRegisters_ZeroExtend()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[0] = 0xFEDC_BA98_7654_3210;
        cpu.Xmm(1, _a);
        Assert.Null(cpu.Cpu.Run(a => a.movd(xmm1, eax)));
        Assert.Equal(Join(BitConverter.GetBytes(0x7654_3210UL), new byte[8]), cpu.Xmm(1));
        Assert.Null(cpu.Cpu.Run(a => a.movq(xmm1, rax)));
        Assert.Equal(Join(BitConverter.GetBytes(0xFEDC_BA98_7654_3210), new byte[8]), cpu.Xmm(1));
        cpu.Cpu[1] = ulong.MaxValue;
        Assert.Null(cpu.Cpu.Run(a => a.movd(ecx, xmm1)));
        Assert.Equal(0x7654_3210UL, cpu.Cpu[1]);
        Assert.Null(cpu.Cpu.Run(a => a.movq(rcx, xmm1)));
        Assert.Equal(cpu.Cpu[0], cpu.Cpu[1]);
    }

    [Fact]
    public void SignBits_OfEveryElementSize_AreCollected()
    {
        using var cpu = new VectorCpu();
        cpu.Xmm(1, [0x80, 0, 0, 0x7F, 0, 0, 0, 0x80, 1, 0xFF, 0, 0, 0, 0, 0, 0xFF]);
        cpu.Mmx(1, [0x80, 0, 0, 0, 0, 0, 0, 0x80]);
        cpu.Cpu[0] = ulong.MaxValue;
        Assert.Null(cpu.Cpu.Run(a => a.pmovmskb(eax, xmm1)));
        Assert.Equal(0b1000_0010_1000_0001UL, cpu.Cpu[0]);
        Assert.Null(cpu.Cpu.Run(a => a.movmskps(eax, xmm1)));
        Assert.Equal(0b1010UL, cpu.Cpu[0]);
        Assert.Null(cpu.Cpu.Run(a => a.movmskpd(eax, xmm1)));
        Assert.Equal(0b11UL, cpu.Cpu[0]);
        Assert.Null(cpu.Cpu.Run(a => a.pmovmskb(eax, mm1)));
        Assert.Equal(0x81UL, cpu.Cpu[0]);
    }

    [Fact]
    public void WordElements_InsertedAndExtracted_UseTheLowBitsOfTheImmediate()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[6] = At;
        cpu.Cpu.Write(At, 0xCD, 0xAB);
        for (int i = 0; i < 16; i++)
        {
            cpu.Xmm(1, _a);
            cpu.Mmx(1, _a.AsSpan(0, 8));
            Assert.Null(cpu.Cpu.Run(a => a.pextrw(eax, xmm1, (byte)i)));
            Assert.Equal(BitConverter.ToUInt16(_a, 2 * (i % 8)), cpu.Cpu[0]);
            Assert.Null(cpu.Cpu.Run(a => a.pextrw(eax, mm1, (byte)i)));
            Assert.Equal(BitConverter.ToUInt16(_a, 2 * (i % 4)), cpu.Cpu[0]);
            cpu.Cpu[0] = 0xFFFF_1234;
            Assert.Null(cpu.Cpu.Run(a => a.pinsrw(xmm1, eax, (byte)i)));
            byte[] expected = (byte[])_a.Clone();
            BitConverter.TryWriteBytes(expected.AsSpan(2 * (i % 8)), (ushort)0x1234);
            Assert.Equal(expected, cpu.Xmm(1));
            Assert.Null(cpu.Cpu.Run(a => a.pinsrw(mm1, __word_ptr[rsi], (byte)i)));
            expected = _a[..8];
            BitConverter.TryWriteBytes(expected.AsSpan(2 * (i % 4)), (ushort)0xABCD);
            Assert.Equal(expected, cpu.Mmx(1));
        }
    }

    [Fact]
    public void MaskedStore_SomeBytes_TouchesThoseAlone()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[7] = At + 3;
        cpu.Cpu.Write(At, new byte[32]);
        cpu.Xmm(1, _a);
        byte[] mask = new byte[16];
        (mask[1], mask[2], mask[11]) = (0x80, 0x7F, 0xFF);
        cpu.Xmm(2, mask);
        cpu.Cpu.Load(0x66, 0x0F, 0xF7, 0xCA); // maskmovdqu xmm1, xmm2
        Assert.Null(cpu.Cpu.Step());
        byte[] expected = new byte[32];
        (expected[4], expected[14]) = (0x11, 0x1B);
        Assert.Equal(expected, cpu.Cpu.Read(At, 32));
        // The last bytes lie in a page that is not there, though none of them is chosen.
        cpu.Cpu[7] = TestCpu.NotPresent - 12;
        cpu.Cpu.Write(TestCpu.NotPresent - 12, new byte[12]);
        Assert.Equal(Vector.PageFault, cpu.Cpu.Again());
        Assert.Equal(TestCpu.NotPresent + 3, cpu.Cpu.Fault.LinearAddress);
        Assert.Equal(new byte[12], cpu.Cpu.Read(TestCpu.NotPresent - 12, 12));

        cpu.Mmx(1, _a.AsSpan(0, 8));
        cpu.Mmx(2, mask.AsSpan(0, 8));
        cpu.Cpu[7] = At + 20;
        cpu.Cpu.Load(0x0F, 0xF7, 0xCA); // maskmovq mm1, mm2
        Assert.Null(cpu.Cpu.Step());
        expected[21] = 0x11;
        Assert.Equal(expected, cpu.Cpu.Read(At, 32));
    }

    [Fact]
    public void AlignedOperand_NotAligned_IsGeneralProtectionAndNothingChanges()
    {
        using var cpu = new VectorCpu();
        cpu.Xmm(1, _a);
        cpu.Cpu[6] = At + 8;
        foreach (Action<Assembler> code in new Action<Assembler>[]
        {
            a => a.movaps(xmm1, __xmmword_ptr[rsi]), a => a.movdqa(__xmmword_ptr[rsi], xmm1), a => a.paddb(xmm1, __xmmword_ptr[rsi]),
            a => a.pshufd(xmm1, __xmmword_ptr[rsi], 1), a => a.punpcklbw(xmm1, __xmmword_ptr[rsi]), a => a.movntps(__xmmword_ptr[rsi], xmm1),
        })
        {
            Assert.Equal(Vector.GeneralProtection, cpu.Cpu.Run(code));
            Assert.Equal(0U, cpu.Cpu.Fault.ErrorCode);
            Assert.Equal(_a, cpu.Xmm(1));
        }
        // MMX operands and these need not be aligned.
        cpu.Cpu[6] = At + 3;
        Assert.Null(cpu.Cpu.Run(a => a.movdqu(xmm2, __xmmword_ptr[rsi])));
        Assert.Null(cpu.Cpu.Run(a => a.paddb(mm1, __qword_ptr[rsi])));
        Assert.Null(cpu.Cpu.Run(a => a.movlps(xmm2, __qword_ptr[rsi])));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void UnalignedOperand_AcrossPages_IsReadAndWrittenWhole(int storeBuffer)
    {
        using var cpu = new VectorCpu(storeBuffer: storeBuffer);
        ulong at = At + 0x1000 - 5;
        cpu.Cpu[6] = at;
        cpu.Xmm(1, _a);
        Assert.Null(cpu.Cpu.Run(a => a.movups(__xmmword_ptr[rsi], xmm1)));
        // With a store buffer memory has not seen it; the CPU itself has.
        Assert.Null(cpu.Cpu.Run(a => a.movdqu(xmm2, __xmmword_ptr[rsi])));
        Assert.Equal(_a, cpu.Xmm(2));
        cpu.Cpu.Cpu.StoreBuffer.DrainAll();
        Assert.Equal(_a, cpu.Cpu.Read(at, 16));
        // Partly in a page that is not there: nothing is stored.
        cpu.Cpu[6] = TestCpu.NotPresent - 5;
        byte[] before = cpu.Cpu.Read(TestCpu.NotPresent - 5, 5);
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.movups(__xmmword_ptr[rsi], xmm1)));
        Assert.Equal(TestCpu.NotPresent, cpu.Cpu.Fault.LinearAddress);
        cpu.Cpu.Cpu.StoreBuffer.DrainAll();
        Assert.Equal(before, cpu.Cpu.Read(TestCpu.NotPresent - 5, 5));
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.movups(xmm1, __xmmword_ptr[rsi])));
        Assert.Equal(_a, cpu.Xmm(1));
    }

    [Fact]
    public void StoreBuffer_WaitingStoresOfAnySize_AreForwardedToA16ByteLoad()
    {
        using var cpu = new VectorCpu(storeBuffer: 8);
        cpu.Cpu.Write(At, _b);
        cpu.Cpu[6] = At;
        cpu.Cpu[0] = 0xAA;
        Assert.Null(cpu.Cpu.Run(a => a.mov(__byte_ptr[rsi + 7], al)));
        Assert.Null(cpu.Cpu.Run(a => a.mov(__word_ptr[rsi + 8], ax)));
        Assert.Null(cpu.Cpu.Run(a => a.movdqa(xmm1, __xmmword_ptr[rsi])));
        byte[] expected = (byte[])_b.Clone();
        (expected[7], expected[8], expected[9]) = (0xAA, 0xAA, 0);
        Assert.Equal(expected, cpu.Xmm(1));
        Assert.Equal(_b, cpu.Cpu.Read(At, 16));
        // A 16-byte store is two entries, low half first.
        cpu.Cpu.Cpu.StoreBuffer.DrainAll();
        Assert.Null(cpu.Cpu.Run(a => a.movdqa(__xmmword_ptr[rsi + 16], xmm1)));
        Assert.Equal(2, cpu.Cpu.Cpu.StoreBuffer.Count);
        Assert.Equal(At + 16, cpu.Cpu.Cpu.StoreBuffer[0].Address);
    }

    [Fact]
    public void Mmx_AnyInstruction_MarksTheX87RegistersValidAndTopZero()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[6] = At;
        foreach (Action<Assembler> code in new Action<Assembler>[]
        {
            a => a.movd(eax, mm3), a => a.paddb(mm1, mm2), a => a.movq(__qword_ptr[rsi], mm1), a => a.pmovmskb(eax, mm1), a => a.movq2dq(xmm1, mm1),
            a => a.pextrw(eax, mm1, 0), a => a.movntq(__qword_ptr[rsi], mm1), a => a.movdq2q(mm4, xmm1), a => a.psllw(mm1, 1),
        })
        {
            cpu.Floating.Status = 5 << X87Status.TopShift | X87Status.C0;
            cpu.Floating.Tags = 0x20;
            Assert.Null(cpu.Cpu.Run(code));
            Assert.Equal((X87Status.C0, 0xFF), (cpu.Floating.Status, cpu.Floating.Tags));
        }
        Assert.Equal(0xFFFFUL, cpu.MmxExponent(1));
        Assert.Equal(0xFFFFUL, cpu.MmxExponent(4));
        Assert.Equal(0UL, cpu.MmxExponent(3)); // Only read.
        cpu.Floating.Status = 5 << X87Status.TopShift;
        Assert.Null(cpu.Cpu.Run(a => a.emms()));
        Assert.Equal((0, 0), (cpu.Floating.Status, cpu.Floating.Tags));
    }

    [Fact]
    public void Mmx_FaultingOperandOrPendingException_ChangesNothing()
    {
        using var cpu = new VectorCpu();
        cpu.Floating.Status = 5 << X87Status.TopShift;
        cpu.Floating.Tags = 0x20;
        cpu.Cpu[6] = TestCpu.NotPresent;
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.paddb(mm1, __qword_ptr[rsi])));
        Assert.Equal(Vector.PageFault, cpu.Cpu.Run(a => a.movq(__qword_ptr[rsi], mm1)));
        Assert.Equal((5 << X87Status.TopShift, 0x20), (cpu.Floating.Status, cpu.Floating.Tags));

        cpu.Floating.Status |= X87Status.Summary | X87Status.Invalid;
        Assert.Equal(Vector.X87, cpu.Cpu.Run(a => a.paddb(mm1, __qword_ptr[rsi])));
        Assert.Equal(Vector.X87, cpu.Cpu.Run(a => a.paddb(mm1, mm2)));
        Assert.Equal(Vector.X87, cpu.Cpu.Run(a => a.movq2dq(xmm1, mm2)));
        Assert.Equal(Vector.X87, cpu.Cpu.Run(a => a.emms()));
        Assert.Null(cpu.Cpu.Run(a => a.paddb(xmm1, xmm2)));
    }

    /// <summary>In the manual's order: #UD, #NM, #MF, then the operand.</summary>
    [Theory]
    [InlineData(0, 0, Vector.GeneralProtection, Vector.PageFault)]
    [InlineData(ControlBits.Cr0Ts, 0, Vector.DeviceNotAvailable, Vector.DeviceNotAvailable)]
    [InlineData(ControlBits.Cr0Em, 0, Vector.InvalidOpcode, Vector.InvalidOpcode)]
    [InlineData(ControlBits.Cr0Em | ControlBits.Cr0Ts, 0, Vector.InvalidOpcode, Vector.InvalidOpcode)]
    [InlineData(0, ControlBits.Cr4OsFxsr, Vector.InvalidOpcode, Vector.PageFault)]
    [InlineData(ControlBits.Cr0Ts, ControlBits.Cr4OsFxsr, Vector.InvalidOpcode, Vector.DeviceNotAvailable)]
    public void Unit_NotAvailable_FaultsBeforeTheOperand(ulong setInCr0, ulong clearInCr4, Vector xmm, Vector mmx)
    {
        using var cpu = new VectorCpu();
        cpu.S->Paging.Cr0 |= setInCr0;
        cpu.S->Paging.Cr4 &= ~clearInCr4;
        CpuMode.Update(cpu.S);
        cpu.Cpu[6] = TestCpu.NotPresent + 1;
        Assert.Equal(xmm, cpu.Cpu.Run(a => a.paddb(xmm1, __xmmword_ptr[rsi])));
        Assert.Equal(mmx, cpu.Cpu.Run(a => a.paddb(mm1, __qword_ptr[rsi])));
        Assert.Equal(setInCr0 + clearInCr4 == 0 ? null : xmm, cpu.Cpu.Run(a => a.movdqa(xmm1, xmm2)));
    }

    [Fact]
    public void LockPrefix_OnAVectorInstruction_IsInvalidOpcode()
    {
        using var cpu = new VectorCpu();
        cpu.Cpu[6] = At;
        cpu.Cpu.Load(0xF0, 0x66, 0x0F, 0xFC, 0x0E); // lock paddb xmm1, [rsi]
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Step());
        cpu.Cpu.Load(0xF3, 0x0F, 0xFC, 0xCA); // F3 is no prefix of PADDB.
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Step());
    }

    [Fact]
    public void OldModel_WhatItLacks_IsInvalidOpcode()
    {
        using var cpu = new VectorCpu(32, CpuModels.Pentium3);
        Assert.Null(cpu.Cpu.Run(a => a.movaps(xmm1, xmm2)));
        Assert.Null(cpu.Cpu.Run(a => a.pavgb(mm1, mm2)));
        Assert.Null(cpu.Cpu.Run(a => a.paddd(mm1, mm2)));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.movdqa(xmm1, xmm2)));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.paddd(xmm1, xmm2)));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.paddq(mm1, mm2)));
        Assert.Equal(Vector.InvalidOpcode, cpu.Cpu.Run(a => a.pmuludq(mm1, mm2)));
    }
}
