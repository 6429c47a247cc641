using Emu.Cpus;
using Xunit;
using static Emu.Tests.Execution.CodeMode;

namespace Emu.Tests.Execution;

/// <summary>Bad input: operands, stacks, strings and code at the end of each address size.</summary>
public sealed unsafe class AddressWrapTests
{
    private const int Ax = 0, Cx = 1, Bx = 3, Sp = 4, Bp = 5, Si = 6, Di = 7;
    private const ulong LowerEnd = 0x7FFF_FFFF_FFFF, Hole = 0x8000_0000_0000, HoleEnd = 0xFFFF_7FFF_FFFF_FFFF, UpperStart = 0xFFFF_8000_0000_0000;

    /// <summary>Where <see cref="FaultBench"/> has the page that ends each half of the 64-bit address space.</summary>
    private const ulong TopPage = 0x10_0000;

    public static TheoryData<CodeMode> Segmented => [Real, Virtual8086, Protected16];

    public static TheoryData<CodeMode> Flat32 => [Protected32, Compatibility];

    // ---- 16 bits

    /// <summary>SDM Vol. 3A, "Limit Checking": an operand must lie within the segment with all its bytes; #SS through SS, else #GP. It does not wrap.</summary>
    [Theory]
    [MemberData(nameof(Segmented))]
    public void Operand_AtTheEndOfA64KByteSegment_IsGpOrSs(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        (byte[] Code, int Size, bool Stack)[] forms =
        [
            ([0x8A, 0x07], 1, false), // MOV AL, [BX]
            ([0x8B, 0x07], 2, false),
            ([0x66, 0x8B, 0x07], 4, false),
            ([0x8B, 0x46, 0x00], 2, true), // MOV AX, [BP+0]
            ([0x89, 0x07], 2, false),
            ([0x01, 0x07], 2, false), // ADD [BX], AX
            ([0x89, 0x46, 0x00], 2, true),
            ([0x36, 0x01, 0x07], 2, true), // ADD SS:[BX], AX
            ([0x3E, 0x01, 0x46, 0x00], 2, false), // ADD DS:[BP], AX
            ([0x26, 0x87, 0x07], 2, false), // XCHG ES:[BX], AX
            ([0xDD, 0x07], 8, false), // FLD m64
            ([0xDB, 0x3F], 10, false), // FSTP m80
            ([0x0F, 0x10, 0x07], 16, false), // MOVUPS
            ([0x0F, 0xC7, 0x0F], 8, false), // CMPXCHG8B
            ([0xD9, 0x37], 14, false), // FNSTENV
        ];
        foreach ((byte[] code, int size, bool stack) in forms)
        {
            ulong last = 0x1_0000 - (ulong)size;
            foreach (ulong offset in (ulong[])[last - 1, last, last + 1, 0xFFFF])
            {
                b.S->Registers[Bx] = b.S->Registers[Bp] = 0xABCD_0000 | offset;
                b.Run(code);
                if (offset <= last || offset > 0xFFFF)
                    b.ExpectNext((ulong)code.Length);
                else
                    b.ExpectFault(stack ? Vector.StackFault : Vector.GeneralProtection);
            }
        }
    });

    [Theory]
    [MemberData(nameof(Segmented))]
    public void EffectiveAddressOf16Bits_Wraps_OneOf32BitsDoesNot(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Store(FaultBench.Data + 1, 2, 0xBEEF);
        (b.S->Registers[Bx], b.S->Registers[Si]) = (0x1234_FFFF, 2);
        b.Run([0x8B, 0x00]).ExpectNext(2); // MOV AX, [BX+SI]
        Assert.Equal(0xBEEFUL, b.S->Registers[Ax] & 0xFFFF);
        b.S->Registers[Ax] = 0;
        b.S->Registers[Bx] = 0x8001;
        b.Run([0x8B, 0x87, 0x00, 0x80]).ExpectNext(4); // MOV AX, [BX+8000]
        Assert.Equal(0xBEEFUL, b.S->Registers[Ax]);
        b.S->Registers[Bx] = 0x1_0001;
        b.Run([0x67, 0x8B, 0x03]).ExpectFault(Vector.GeneralProtection); // MOV AX, [EBX]
        b.S->Registers[Bx] = 0xFFFF_FFFF;
        b.Run([0x67, 0x8A, 0x03]).ExpectFault(Vector.GeneralProtection);
        b.Run([0x67, 0x8B, 0x43, 0x02]).ExpectNext(4); // MOV AX, [EBX+2]
    });

    /// <summary>A stack of 16 bits: an item goes from the top of the segment to below it, but is never split.</summary>
    [Theory]
    [MemberData(nameof(Segmented))]
    public void StackOf16Bits_WrapsBetweenItems_AndFaultsWithinOne(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        (byte[] Code, int Size)[] pushes = [([0x50], 2), ([0x66, 0x50], 4), ([0x6A, 0x01], 2), ([0x66, 0x6A, 0x01], 4), ([0x1E], 2), ([0xE8, 0, 0], 2)];
        foreach ((byte[] code, int size) in pushes)
        {
            for (ulong sp = 0; sp <= (ulong)size; sp++)
            {
                b.S->Registers[Sp] = 0xABCD_0000 | sp;
                bool fits = sp == 0 || sp == (ulong)size;
                // #SS is delivered on that stack, where its frame has to fit as well.
                if (!fits && mode != Virtual8086 && !Fits(sp, mode == Real ? 2 : 4, mode == Real ? 3 : 4))
                    continue;
                b.Run(code);
                if (fits)
                {
                    b.ExpectNext((ulong)code.Length);
                    Assert.Equal(0xABCD_0000 | ((sp - (ulong)size) & 0xFFFF), b.S->Registers[Sp]);
                }
                else
                {
                    b.ExpectFault(Vector.StackFault);
                }
            }
        }
    });

    /// <summary>The same where the frame of #SS does not fit either: nor does that of #DF.</summary>
    [Theory]
    [InlineData(Real, 1)]
    [InlineData(Protected16, 1)]
    [InlineData(Protected16, 3)]
    public void PushWithoutRoom_AndNoneForTheFault_ShutsDown(CodeMode mode, ulong sp) => FaultBench.Each(mode, b =>
    {
        b.S->Registers[Sp] = sp;
        b.Run([0x66, 0x50]);
        Assert.True(b.Shutdown != null, b.Name);
        Assert.Equal((0UL, sp), (b.S->Rip, b.S->Registers[Sp]));
    });

    /// <summary>Whether items of a size can be pushed from a stack pointer of 16 bits.</summary>
    private static bool Fits(ulong sp, int size, int items)
    {
        for (int i = 0; i < items; i++)
        {
            sp = (sp - (ulong)size) & 0xFFFF;
            if (sp + (ulong)size > 0x1_0000)
                return false;
        }
        return true;
    }

    [Theory]
    [MemberData(nameof(Segmented))]
    public void PopAcrossTheEndOfTheStack_IsSs(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        (byte[] Code, int Size)[] pops = [([0x58], 2), ([0x66, 0x58], 4), ([0x9D], 2), ([0xC3], 2), ([0x8F, 0x07], 2)];
        foreach ((byte[] code, int size) in pops)
        {
            if (mode == Virtual8086 && code[0] == 0x9D)
                continue;
            b.S->Registers[Sp] = 0x1_0000 - (ulong)size + 1;
            b.Run(code).ExpectFault(Vector.StackFault);
        }
        b.S->Registers[Sp] = 0xABCD_FFFE;
        b.Store(FaultBench.StackBase + 0xFFFE, 2, 0x7788);
        b.Run([0x58]).ExpectNext(1);
        Assert.Equal(0x7788UL, b.S->Registers[Ax] & 0xFFFF);
        Assert.Equal(0xABCD_0000UL, b.S->Registers[Sp]);
    });

    /// <summary>Real mode: INT wants 6 bytes. With SP of 1, 3 or 5 there is no room for the #SS either, nor for #DF: shutdown.</summary>
    [Fact]
    public void RealMode_EventWithoutRoom_ShutsDown()
    {
        foreach (ulong sp in (ulong[])[1, 3, 5])
            FaultBench.Each(Real, b =>
            {
                b.S->Registers[Sp] = sp;
                b.Run([0xCD, 0x10]);
                Assert.True(b.Shutdown != null, b.Name);
                Assert.Equal((0UL, sp), (b.S->Rip, b.S->Registers[Sp]));
            });
        foreach (ulong sp in (ulong[])[0, 2, 4, 6, 7])
            FaultBench.Each(Real, b =>
            {
                b.S->Registers[Sp] = sp;
                b.Run([0xCD, 0x10]);
                Assert.Equal((b.Name, (Vector?)16, (sp - 6) & 0xFFFF), (b.Name, b.Vector, b.HandlerSp & 0xFFFF));
            });
    }

    /// <summary>
    /// Intel, 80386 Programmer's Reference Manual, "Differences From 8086": sequential execution past offset 65,535 does not go on at 0 but raises exception 13.
    /// A jump of 16 bits wraps (SDM, "JMP": "tempEIP AND 0000FFFFH").
    /// </summary>
    [Theory]
    [MemberData(nameof(Segmented))]
    public void CodeOf16Bits_RunningOffItsSegment_IsGp_JumpsWrap(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Write(FaultBench.Code, 0xF4);
        b.Run([0xB0, 0x5A], 0xFFFE, halt: false);
        // EIP is 10000; a frame of 16 bits has room for 0.
        b.ExpectFault(Vector.GeneralProtection, ip: mode == Real ? 0UL : 0x1_0000, unchanged: false);
        Assert.Equal(0x5AUL, b.S->Registers[Ax] & 0xFF);
        b.Run([0xB8, 0x5A], 0xFFFE, halt: false).ExpectFault(Vector.GeneralProtection, ip: 0xFFFE);
        b.Write(FaultBench.Code + 0x10, 0xF4);
        b.Run([0xEB, 0x10], 0xFFFE, halt: false);
        Assert.Equal((b.Name, 0x10UL), (b.Name, mode == Virtual8086 ? b.PushedIp : b.S->Rip - 1));
        // With an operand size of 32 bits it leaves the segment, and faults itself.
        b.Run([0x66, 0xE9, 0x10, 0, 0, 0], 0xFFFA, halt: false).ExpectFault(Vector.GeneralProtection, ip: 0xFFFA);
        b.S->Registers[Ax] = 0x1_0000;
        b.Run([0x66, 0xFF, 0xE0]).ExpectFault(Vector.GeneralProtection); // JMP EAX
    });

    [Theory]
    [MemberData(nameof(Segmented))]
    public void StringsOf16Bits_WrapBetweenElements_AndFaultWithinOne(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        // REP STOSB over the end.
        (b.S->Registers[Ax], b.S->Registers[Cx], b.S->Registers[Di]) = (0xA5A5, 0x7777_0004, 0x5555_FFFE);
        b.Run([0xF3, 0xAA]).ExpectNext(2);
        Assert.Equal((0x7777_0000UL, 0x5555_0002UL), (b.S->Registers[Cx], b.S->Registers[Di]));
        Assert.Equal([0xA5, 0xA5], b.Bytes(FaultBench.Extra + 0xFFFE, 2));
        Assert.Equal([0xA5, 0xA5, 0], b.Bytes(FaultBench.Extra, 3));
        // REP STOSW at odd addresses: two elements, then #GP with what is left.
        (b.S->Registers[Cx], b.S->Registers[Di]) = (5, 0xFFFB);
        b.Run([0xF3, 0xAB]).ExpectFault(Vector.GeneralProtection, unchanged: false);
        Assert.Equal((3UL, 0xFFFFUL), (b.S->Registers[Cx], b.S->Registers[Di]));
        Assert.Equal((0xA5UL, 0UL), (b.Read(FaultBench.Extra + 0xFFFE, 1), b.Read(FaultBench.Extra + 0xFFFF, 1) & 0));
        // Source and destination of MOVSW: #GP for either, nothing moved.
        (b.S->Registers[Cx], b.S->Registers[Si], b.S->Registers[Di]) = (3, 0xFFFF, 0x10);
        b.Run([0xF3, 0xA5]).ExpectFault(Vector.GeneralProtection);
        (b.S->Registers[Si], b.S->Registers[Di]) = (0x10, 0xFFFF);
        b.Run([0xF3, 0xA5]).ExpectFault(Vector.GeneralProtection);
        // Through SS it is #SS.
        (b.S->Registers[Si], b.S->Registers[Di]) = (0xFFFF, 0x10);
        b.Run([0x36, 0xA5]).ExpectFault(Vector.StackFault);
        // Downwards through 0.
        Flags.Set(b.S, Flags.Get(b.S) | Rflags.Df);
        (b.S->Registers[Cx], b.S->Registers[Di]) = (3, 1);
        b.Run([0xF3, 0xAA]).ExpectNext(2);
        Assert.Equal((0UL, 0xFFFEUL), (b.S->Registers[Cx], b.S->Registers[Di]));
        // No element: nothing is looked at.
        (b.S->Registers[Cx], b.S->Registers[Di]) = (0xFFFF_0000, 0xFFFF);
        b.Run([0xF3, 0xAB]).ExpectNext(2);
    });

    /// <summary>LOOP and JCXZ count in the register of the address size.</summary>
    [Fact]
    public void Loop_OfACountOfZero_WrapsAtTheAddressSize()
    {
        foreach (CodeMode mode in Enum.GetValues<CodeMode>())
            FaultBench.Each(mode, b =>
            {
                ulong mask = b.IsSegmented ? 0xFFFFUL : b.Is64 ? ulong.MaxValue : uint.MaxValue;
                const ulong high = 0x7777_7777_0000_0000;
                b.S->Registers[Cx] = b.Is64 ? 0 : b.IsSegmented ? 0x7777_0000UL : 0;
                b.Run([0xE2, 0x00]).ExpectNext(b.Start + 2);
                Assert.Equal((b.IsSegmented ? 0x7777_0000UL : 0) | mask, b.S->Registers[Cx]);
                if (b.Is64)
                {
                    b.S->Registers[Cx] = high;
                    b.Run([0x67, 0xE2, 0x00]).ExpectNext(b.Start + 3);
                    Assert.Equal(0xFFFF_FFFFUL, b.S->Registers[Cx]);
                    b.S->Registers[Cx] = high;
                    // JECXZ over a HLT; RCX is not zero.
                    b.Run([0x67, 0xE3, 0x01, 0xF4], halt: true).ExpectNext(b.Start + 4);
                    b.Run([0xE3, 0x01]).ExpectNext(b.Start + 2);
                }
            });
    }

    // ---- 32 bits

    /// <summary>
    /// Offsets of 32 bits wrap as they are computed. An operand that goes beyond FFFFFFFF is #GP here; the SDM leaves it open ("Limit Checking": "When the effective limit
    /// is FFFFFFFFH, these accesses may or may not cause the indicated exceptions").
    /// </summary>
    [Theory]
    [MemberData(nameof(Flat32))]
    public void OffsetOf32Bits_Wraps_AnOperandDoesNot(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.Store(FaultBench.Data, 4, 0x1234_5678);
        (b.S->Registers[Bx], b.S->Registers[Si]) = (0xFFFF_FFFF, FaultBench.Data + 1);
        b.Run([0x8B, 0x04, 0x33]).ExpectNext(b.Start + 3); // MOV EAX, [EBX+ESI]
        Assert.Equal(0x1234_5678UL, b.S->Registers[Ax]);
        foreach (ulong offset in (ulong[])[0xFFFF_FFFD, 0xFFFF_FFFF])
        {
            b.S->Registers[Bx] = offset;
            b.Run([0x8B, 0x03]).ExpectFault(Vector.GeneralProtection);
            b.Run([0x01, 0x03]).ExpectFault(Vector.GeneralProtection);
            b.Run([0x36, 0x8B, 0x03]).ExpectFault(Vector.StackFault);
        }
        // The last four bytes are there, and no page.
        b.S->Registers[Bx] = 0xFFFF_FFFC;
        b.Run([0x8B, 0x03]).ExpectPageFault(0, 0xFFFF_FFFC);
        // With 67: 16 bits.
        b.S->Registers[Bx] = 0xFFFF_0000 | 0x4000;
        b.Store(0x4000, 4, 0x99);
        b.Run([0x67, 0x8B, 0x07]).ExpectNext(b.Start + 3); // MOV EAX, [BX]
        Assert.Equal(0x99UL, b.S->Registers[Ax]);
    });

    /// <summary>Base and offset make a linear address of 32 bits, for data, stack and code.</summary>
    [Theory]
    [MemberData(nameof(Flat32))]
    public void BaseAndOffset_WrapAt4GBytes(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.S->Ds.Base = 0xFFFF_0000;
        b.S->Ss.Base = 0xFFFF_0000;
        CpuMode.Update(b.S);
        b.Store(FaultBench.Data, 4, 0x1234_5678);
        b.S->Registers[Bx] = FaultBench.Data + 0x1_0000;
        b.Run([0x8B, 0x03]).ExpectNext(b.Start + 2);
        Assert.Equal(0x1234_5678UL, b.S->Registers[Ax]);
        b.S->Registers[Sp] = FaultBench.StackBase + 0x1_0000 + 0x100;
        b.Run([0x50]).ExpectNext(b.Start + 1);
        Assert.Equal(0x1234_5678UL, b.Read(FaultBench.StackBase + 0xFC, 4));
        b.S->Cs.Base = 0xFFFF_0000;
        CpuMode.Update(b.S);
        b.Write(FaultBench.Code, 0xB0, 0x33, 0xF4);
        b.RunAt(FaultBench.Code + 0x1_0000, 2).ExpectNext(FaultBench.Code + 0x1_0002);
        Assert.Equal(0x33UL, b.S->Registers[Ax] & 0xFF);
    });

    /// <summary>A stack of 32 bits: with ESP = 0 the next item is at FFFFFFFC.</summary>
    [Theory]
    [MemberData(nameof(Flat32))]
    public void StackOf32Bits_GoesBelowZero(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        b.S->Ss.Base = FaultBench.StackBase + 0x1000;
        CpuMode.Update(b.S);
        b.S->Registers[Sp] = 4;
        b.Run([0x53]).ExpectNext(b.Start + 1);
        b.Run([0x53]).ExpectNext(b.Start + 1);
        Assert.Equal(0xFFFF_FFFCUL, b.S->Registers[Sp]);
        Assert.Equal((uint)b.S->Registers[Bx], (uint)b.Read(FaultBench.StackBase + 0xFFC, 4));
        b.Run([0x5A]).ExpectNext(b.Start + 1);
        Assert.Equal(0UL, b.S->Registers[Sp]);
    });

    // ---- 64 bits

    /// <summary>SDM Vol. 1, "Canonical Addressing": #GP(0), or #SS(0) where the address is by RSP or RBP; an operand counts with all its bytes.</summary>
    [Fact]
    public void Operand_InTheCanonicalHole_IsGpOrSs() => FaultBench.Each(Long, b =>
    {
        (ulong Address, int Size, bool Ok)[] cases =
        [
            (LowerEnd, 1, true), (LowerEnd, 2, false), (LowerEnd - 1, 2, true), (LowerEnd - 2, 4, false), (LowerEnd - 7, 8, true), (LowerEnd - 6, 8, false),
            (Hole, 1, false), (Hole, 8, false), (HoleEnd, 1, false), (HoleEnd, 2, false), (HoleEnd - 6, 8, false), (UpperStart, 1, true), (UpperStart, 8, true),
            (0x4000_0000_0000_0000, 4, false), (0x0001_0000_0000_0000, 1, false),
        ];
        foreach ((ulong address, int size, bool ok) in cases)
        {
            byte[] load = size switch { 1 => [0x8A], 2 => [0x66, 0x8B], 4 => [0x8B], _ => [0x48, 0x8B] };
            byte[] add = size switch { 1 => [0x00], 2 => [0x66, 0x01], 4 => [0x01], _ => [0x48, 0x01] };
            (b.S->Registers[Bx], b.S->Registers[Bp]) = (address, address);
            foreach (byte[] opcode in (byte[][])[load, add])
            {
                b.Run([.. opcode, 0x03]); // [RBX]
                Expect(b, ok, Vector.GeneralProtection, opcode.Length + 1);
                b.Run([.. opcode, 0x45, 0x00]); // [RBP]
                Expect(b, ok, Vector.StackFault, opcode.Length + 2);
                // A segment override of SS is none in 64-bit mode.
                b.Run([0x36, .. opcode, 0x03]);
                Expect(b, ok, null, opcode.Length + 2);
            }
        }
    });

    private static void Expect(FaultBench b, bool ok, Vector? vector, int length)
    {
        if (ok)
            b.ExpectNext(b.Start + (ulong)length);
        else if (vector == null)
            Assert.True(b.Vector is Vector.GeneralProtection or Vector.StackFault, b.Name);
        else
            b.ExpectFault(vector.Value);
    }

    [Fact]
    public void StackOf64Bits_AtTheHole_IsSs_AndThroughZeroItWraps() => FaultBench.Each(Long, b =>
    {
        // The exception has a stack of its own: that of the test is not canonical.
        b.Store(FaultBench.Tss + 36, 8, FaultBench.Stack0);
        for (int v = 0; v < 32; v++)
            b.SetGate(v, FaultBench.Handlers + 16 * (uint)v, ist: 1);
        foreach ((byte[] code, ulong sp) in ((byte[], ulong)[])
            [([0x50], UpperStart), ([0x50], UpperStart + 4), ([0x50], Hole + 8), ([0x66, 0x50], UpperStart + 1), ([0xE8, 0, 0, 0, 0], UpperStart), ([0x58], LowerEnd), ([0x58], LowerEnd - 6), ([0xC3], Hole), ([0xC9], 0)])
        {
            b.S->Registers[Sp] = sp;
            b.S->Registers[Bp] = LowerEnd - 3; // LEAVE
            b.Run(code).ExpectFault(Vector.StackFault);
        }
        b.S->Registers[Sp] = Hole;
        b.Run([0x50]).ExpectNext(b.Start + 1);
        Assert.Equal(Hole - 8, b.S->Registers[Sp]);
        b.S->Registers[Sp] = 0;
        b.S->Registers[Bx] = 0x1122_3344_5566_7788;
        b.Run([0x53]).ExpectNext(b.Start + 1);
        Assert.Equal((ulong.MaxValue - 7, 0x1122_3344_5566_7788UL), (b.S->Registers[Sp], b.Read(TopPage + 0xFF8, 8)));
        // Half above, half below.
        b.S->Registers[Sp] = 4;
        b.Run([0x53]).ExpectNext(b.Start + 1);
        Assert.Equal((0x5566_7788UL, 0x1122_3344UL), (b.Read(TopPage + 0xFFC, 4), b.Read(0, 4)));
    });

    [Fact]
    public void Operand_ThroughZero_WrapsIn64BitMode() => FaultBench.Each(Long, b =>
    {
        b.Store(TopPage + 0xFFC, 4, 0x5566_7788);
        b.Store(0, 4, 0x1122_3344);
        b.S->Registers[Bx] = ulong.MaxValue - 3;
        b.Run([0x48, 0x8B, 0x03]).ExpectNext(b.Start + 3);
        Assert.Equal(0x1122_3344_5566_7788UL, b.S->Registers[Ax]);
        b.Run([0x48, 0xFF, 0x03]).ExpectNext(b.Start + 3); // INC
        Assert.Equal(0x5566_7789UL, b.Read(TopPage + 0xFFC, 4));
        b.S->Registers[Si] = 4;
        b.Run([0x8B, 0x04, 0x33]).ExpectNext(b.Start + 3); // [RBX+RSI] is 0
        Assert.Equal(0x1122_3344UL, b.S->Registers[Ax]);
        b.Map(0, 0);
        b.Run([0x48, 0xFF, 0x03]).ExpectPageFault(2, 0);
        Assert.Equal(0x5566_7789UL, b.Read(TopPage + 0xFFC, 4));
    });

    /// <summary>67: the effective address has 32 bits, relative to RIP as well; the base of FS or GS is added behind that.</summary>
    [Fact]
    public void Prefix67_TruncatesTheEffectiveAddress() => FaultBench.Each(Long, b =>
    {
        b.Store(FaultBench.Data, 4, 0x1234_5678);
        (b.S->Registers[Bx], b.S->Registers[Si]) = (0xFFFF_FFFF_FFFF_FFF0, 0xABCD_0000_0000_0010 + FaultBench.Data);
        b.Run([0x67, 0x8B, 0x04, 0x33]).ExpectNext(b.Start + 4);
        Assert.Equal(0x1234_5678UL, b.S->Registers[Ax]);
        b.S->Registers[Bx] = 0x8000_0000_0000_0000 | FaultBench.Data;
        b.Run([0x67, 0x8B, 0x03]).ExpectNext(b.Start + 3);
        // FS: base beyond 4 GiB.
        b.S->Fs.Base = UpperStart;
        b.S->Registers[Ax] = 0;
        b.Run([0x64, 0x67, 0x8B, 0x03]).ExpectNext(b.Start + 4);
        Assert.Equal(0x1234_5678UL, b.S->Registers[Ax]);
        b.S->Fs.Base = Hole - FaultBench.Data;
        b.Run([0x64, 0x67, 0x8B, 0x03]).ExpectFault(Vector.GeneralProtection);
        // [RIP + displacement] from the upper half, where the code is seen a second time.
        b.Write(FaultBench.Code, [0x67, 0x8B, 0x05, .. BitConverter.GetBytes((int)(FaultBench.Data - FaultBench.Code - 7)), 0xF4]);
        b.S->Registers[Ax] = 0;
        b.RunAt(UpperStart + FaultBench.Code, 7).ExpectNext(UpperStart + FaultBench.Code + 7);
        Assert.Equal(0x1234_5678UL, b.S->Registers[Ax]);
        // Strings: EDI wraps, ECX counts, and both lose their upper halves.
        (b.S->Registers[Cx], b.S->Registers[Di]) = (0x1_0000_0000, 0x5_0000_0000);
        b.Run([0x67, 0xF3, 0xAA]).ExpectNext(b.Start + 3);
        Assert.Equal(0x5_0000_0000UL, b.S->Registers[Di]);
        (b.S->Registers[Cx], b.S->Registers[Di]) = (0xABCD_0000_0002, 0x5_0000_0000 + FaultBench.Extra);
        b.Run([0x67, 0xF3, 0xAA]).ExpectNext(b.Start + 3);
        Assert.Equal((0UL, FaultBench.Extra + 2UL), (b.S->Registers[Cx], b.S->Registers[Di]));
        (b.S->Registers[Cx], b.S->Registers[Di]) = (3, 0xFFFF_FFFF);
        b.Run([0x67, 0xF3, 0xAA]).ExpectPageFault(2, 0xFFFF_FFFF);
    });

    [Fact]
    public void StringsOf64Bits_StopAtTheHole_AndWrapThroughZero() => FaultBench.Each(Long, b =>
    {
        (b.S->Registers[Ax], b.S->Registers[Cx], b.S->Registers[Di]) = (0xA5, 4, LowerEnd - 1);
        b.Run([0xF3, 0xAA]).ExpectFault(Vector.GeneralProtection, unchanged: false);
        Assert.Equal((2UL, Hole), (b.S->Registers[Cx], b.S->Registers[Di]));
        Assert.Equal([0xA5, 0xA5], b.Bytes(TopPage + 0xFFE, 2));
        (b.S->Registers[Cx], b.S->Registers[Di]) = (4, LowerEnd - 8); // STOSD: one fits
        b.Run([0xF3, 0xAB]).ExpectFault(Vector.GeneralProtection, unchanged: false);
        Assert.Equal((2UL, LowerEnd), (b.S->Registers[Cx], b.S->Registers[Di]));
        (b.S->Registers[Cx], b.S->Registers[Di]) = (4, ulong.MaxValue - 1);
        b.Run([0xF3, 0xAA]).ExpectNext(b.Start + 2);
        Assert.Equal((0UL, 2UL), (b.S->Registers[Cx], b.S->Registers[Di]));
        Assert.Equal([0xA5, 0xA5], b.Bytes(0, 2));
        Flags.Set(b.S, Flags.Get(b.S) | Rflags.Df);
        (b.S->Registers[Cx], b.S->Registers[Di]) = (4, UpperStart + 1);
        b.Run([0xF3, 0xAA]).ExpectFault(Vector.GeneralProtection, unchanged: false);
        Assert.Equal((2UL, HoleEnd), (b.S->Registers[Cx], b.S->Registers[Di]));
    });

    /// <summary>Code: running into the hole is #GP(0) with the address there; an instruction that would end in it is #GP(0) itself; through zero it goes on.</summary>
    [Fact]
    public void CodeOf64Bits_AtTheHole_IsGp_ThroughZeroItGoesOn() => FaultBench.Each(Long, b =>
    {
        b.Write(TopPage + 0xFFE, 0xB0, 0x5A);
        b.RunAt(LowerEnd - 1, 2).ExpectFault(Vector.GeneralProtection, ip: Hole, unchanged: false);
        Assert.Equal(0x5AUL, b.S->Registers[Ax] & 0xFF);
        b.Write(TopPage + 0xFFF, 0xB0);
        b.RunAt(LowerEnd, 2).ExpectFault(Vector.GeneralProtection, ip: LowerEnd);
        b.Write(0, 0x77, 0xF4);
        b.RunAt(ulong.MaxValue, 2).ExpectNext(1);
        Assert.Equal(0x77UL, b.S->Registers[Ax] & 0xFF);
        // Branches: the fault is theirs.
        b.S->Registers[Ax] = Hole;
        b.Run([0xFF, 0xE0]).ExpectFault(Vector.GeneralProtection);
        b.Run([0xFF, 0xD0]).ExpectFault(Vector.GeneralProtection);
        b.Write(TopPage + 0xFF0, 0xEB, 0x7F);
        b.RunAt(LowerEnd - 15, 2).ExpectFault(Vector.GeneralProtection, ip: LowerEnd - 15);
        b.Write(TopPage + 0xFF0, 0xE8, 0, 1, 0, 0);
        b.RunAt(LowerEnd - 15, 5).ExpectFault(Vector.GeneralProtection, ip: LowerEnd - 15);
        b.S->Registers[Sp] = FaultBench.StackBase + FaultBench.StackTop - 8;
        b.Store(FaultBench.StackBase + FaultBench.StackTop - 8, 8, HoleEnd);
        b.Run([0xC3]).ExpectFault(Vector.GeneralProtection);
    });
}
