using Emu.Cpus;
using Xunit;
using static Emu.Tests.Execution.CodeMode;

namespace Emu.Tests.Execution;

/// <summary>
/// Bad input: operands of which one page is absent or may not be written. CR2 is the first byte that cannot be reached; of memory and registers nothing has
/// changed, in the page that could be reached either. The SDM permits some partial stores (FXSAVE, XSAVE: "the state saved may be partial"); Emu makes none.
/// </summary>
public sealed unsafe class DataAcrossPagesTests
{
    private const int Cx = 1, Bx = 3, Sp = 4, Bp = 5, Si = 6, Di = 7;
    private const ulong Present = 1, Writable = 2, User = 4, All = 7;

    /// <summary>The end of a page of data.</summary>
    private const uint Boundary = FaultBench.Data + 0x1000;

    public static TheoryData<CodeMode, int> Paged => new()
    {
        { Virtual8086, 3 }, { Protected16, 0 }, { Protected32, 0 }, { Protected32, 3 }, { Compatibility, 3 }, { Long, 0 }, { Long, 3 },
    };

    private enum Use
    {
        Read,
        Write,
        Both,
    }

    /// <summary>An instruction, with the size of its operand in modes of 16, 32 and 64 bits, 0 where there is no such form, and what its address must be a multiple of.</summary>
    private sealed record Form(string What, Use Use, string Code, int Size16, int Size32, int Size64, int Alignment = 1)
    {
        public int SizeIn(FaultBench b) => b.IsSegmented ? Size16 : b.Is64 ? Size64 : Size32;
    }

    /// <summary>The operand is [BX], [EDI] or [RDI].</summary>
    private static readonly Form[] s_forms =
    [
        new("MOV from memory", Use.Read, "8B07", 2, 4, 4),
        new("CMP", Use.Read, "3B07", 2, 4, 4),
        new("MUL", Use.Read, "F727", 2, 4, 4),
        new("DIV", Use.Read, "F737", 2, 4, 4),
        new("PUSH of memory", Use.Read, "FF37", 2, 4, 8),
        new("CALL of memory", Use.Read, "FF17", 2, 4, 8),
        new("JMP far of memory", Use.Read, "FF2F", 4, 6, 6),
        new("LSS", Use.Read, "0FB207", 4, 6, 6),
        new("LES", Use.Read, "C407", 4, 6, 0),
        new("BOUND", Use.Read, "6207", 4, 8, 0),
        new("BT", Use.Read, "0FA307", 2, 4, 4),
        new("MOVUPS from memory", Use.Read, "0F1007", 16, 16, 16),
        new("MOVLPS from memory", Use.Read, "0F1207", 8, 8, 8),
        new("FLD m80", Use.Read, "DB2F", 10, 10, 10),
        new("FILD m64", Use.Read, "DF2F", 8, 8, 8),
        new("FLDENV", Use.Read, "D927", 14, 28, 28),
        new("FRSTOR", Use.Read, "DD27", 94, 108, 108),
        new("FXRSTOR", Use.Read, "0FAE0F", 512, 512, 512, 16),
        new("LDMXCSR", Use.Read, "0FAE17", 4, 4, 4),
        new("MOVBE from memory", Use.Read, "0F38F007", 2, 4, 4),
        new("MOV to memory", Use.Write, "8907", 2, 4, 4),
        new("MOV of an immediate", Use.Write, "66C707", 4, 2, 2),
        new("POP to memory", Use.Write, "8F07", 2, 4, 8),
        new("MOVUPS to memory", Use.Write, "0F1107", 16, 16, 16),
        new("MOVHPS to memory", Use.Write, "0F1707", 8, 8, 8),
        new("MOVNTI", Use.Write, "0FC307", 4, 4, 4),
        new("FNSTENV", Use.Write, "D937", 14, 28, 28),
        new("FNSAVE", Use.Write, "DD37", 94, 108, 108),
        new("FXSAVE", Use.Write, "0FAE07", 512, 512, 512, 16),
        new("XSAVE", Use.Write, "0FAE27", 576, 576, 576, 64),
        new("XSAVEC", Use.Write, "0FC727", 576, 576, 576, 64),
        new("STMXCSR", Use.Write, "0FAE1F", 4, 4, 4),
        new("SGDT", Use.Write, "0F0107", 6, 6, 10),
        new("MOVBE to memory", Use.Write, "0F38F107", 2, 4, 4),
        new("ADD", Use.Both, "0107", 2, 4, 4),
        new("LOCK ADC", Use.Both, "F01107", 2, 4, 4),
        new("NEG", Use.Both, "F71F", 2, 4, 4),
        new("LOCK NOT", Use.Both, "F0F717", 2, 4, 4),
        new("INC", Use.Both, "FF07", 2, 4, 4),
        new("ROL", Use.Both, "D107", 2, 4, 4),
        new("SHLD", Use.Both, "0FA41F05", 2, 4, 4),
        new("BTS", Use.Both, "0FAB07", 2, 4, 4),
        new("XCHG", Use.Both, "8707", 2, 4, 4),
        new("CMPXCHG", Use.Both, "0FB107", 2, 4, 4),
        new("XADD", Use.Both, "0FC107", 2, 4, 4),
        new("CMPXCHG8B", Use.Both, "0FC70F", 8, 8, 8),
        new("LOCK CMPXCHG8B", Use.Both, "F00FC70F", 8, 8, 8),
    ];

    [Theory]
    [MemberData(nameof(Paged))]
    public void Operand_OfWhichAPageIsAbsent_FaultsThere_AndNothingIsDone(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        Prepare(b);
        foreach (Form form in s_forms)
        {
            int size = form.SizeIn(b);
            if (size == 0)
                continue;
            foreach (int first in ((int[])[1, size / 2, size - 1]).Select(n => Math.Max(form.Alignment, n / form.Alignment * form.Alignment)).Distinct())
            {
                Check(b, form, first, secondIsBad: true, 0);
                Check(b, form, first, secondIsBad: false, 0);
            }
        }
    }, cpl);

    /// <summary>Pages that may be read only (CR0.WP is set), or are not for users.</summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void Operand_OfWhichAPageMayNotBeWritten_FaultsThere_AndNothingIsDone(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        Prepare(b);
        foreach (Form form in s_forms)
        {
            int size = form.SizeIn(b);
            if (size == 0)
                continue;
            int first = Math.Max(form.Alignment, size / 2 / form.Alignment * form.Alignment);
            if (form.Use != Use.Read)
            {
                Check(b, form, first, secondIsBad: true, Present | User);
                Check(b, form, first, secondIsBad: false, Present | User);
            }
            if (cpl == 3)
                Check(b, form, first, secondIsBad: true, Present | Writable);
        }
    }, cpl);

    private static void Prepare(FaultBench b)
    {
        // A pattern, so that what is written shows; the x87 stack has something to store.
        for (uint i = 0; i < 0x2000; i += 4)
            b.Store(FaultBench.Data + i, 4, 0xC0DE_0000 + i);
        b.S->Paging.Cr4 |= ControlBits.Cr4OsXsave | ControlBits.Cr4OsXmmExcpt;
        b.S->Floating.Xcr0 = 3;
        CpuMode.Update(b.S);
        b.Run([0xD9, 0xE8]).ExpectNext(b.Start + 2); // FLD1
    }

    private static void Check(FaultBench b, Form form, int first, bool secondIsBad, ulong flags)
    {
        uint at = Boundary - (uint)first;
        b.S->Registers[b.IsSegmented ? Bx : Di] = b.IsSegmented ? at - FaultBench.Data : at;
        b.S->Registers[0] = form.What is "XSAVE" or "XSAVEC" ? 3u : 0;
        byte[] before = b.Bytes(FaultBench.Data, 0x2000);
        FloatingState floating = b.S->Floating;
        b.Map(secondIsBad ? Boundary : FaultBench.Data, flags);
        string code = form.Code == "66C707" ? b.IsSegmented ? "66C70744332211" : "66C7072211" : form.Code;
        b.Run(Convert.FromHexString(code));
        uint error = ((flags & Present) != 0 ? 1u : 0) | (form.Use == Use.Read ? 0 : 2u) | (b.Cpl == 3 ? 4u : 0);
        string name = $"{b.Name} {form.What}, {first} bytes in the first page";
        Assert.Equal((name, (Vector?)Vector.PageFault), (name, b.Vector));
        Assert.Equal((name, error), (name, (uint)b.Error!.Value));
        b.ExpectPageFault(error, secondIsBad ? Boundary : at);
        b.Map(secondIsBad ? Boundary : FaultBench.Data, All);
        Assert.True(before.AsSpan().SequenceEqual(b.Bytes(FaultBench.Data, 0x2000)), $"{name}: memory has changed");
        // What an x87 instruction did last may be noted; the rest stays.
        FloatingState after = b.S->Floating;
        Assert.Equal((name, floating.Status, floating.Control, floating.Tags, floating.Mxcsr), (name, after.Status, after.Control, after.Tags, after.Mxcsr));
        for (int i = 0; i < 16; i++)
            Assert.Equal((name, floating.X87[i], floating.Xmm[2 * i], floating.Xmm[2 * i + 1]), (name, after.X87[i], after.Xmm[2 * i], after.Xmm[2 * i + 1]));
    }

    /// <summary>The stack of a program at CPL 3, from which the fault leads to another one: of several items none is left, though some could be pushed.</summary>
    [Theory]
    [InlineData(Virtual8086)]
    [InlineData(Protected32)]
    [InlineData(Compatibility)]
    [InlineData(Long)]
    public void PushesIntoAnAbsentPage_LeaveNothing(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        int word = b.Is64 ? 8 : b.IsSegmented ? 2 : 4;
        const uint boundary = FaultBench.StackBase + 0x4000;
        (string What, byte[] Code, int Items, bool In64)[] forms =
        [
            ("PUSH", [0x50], 1, true), ("PUSH of an immediate", [0x6A, 0x05], 1, true), ("CALL", [0xE8, .. new byte[b.IsSegmented ? 2 : 4]], 1, true), ("PUSH of a segment", [0x0F, 0xA0], 1, true),
            ("PUSHA", [0x60], 8, false), ("ENTER 16, 0", [0xC8, 16, 0, 0], 1, true), ("ENTER 16, 3", [0xC8, 16, 0, 3], 4, true), ("PUSHF", [0x9C], 1, true),
        ];
        for (uint i = 0; i < 0x100; i += 4)
            b.Store(boundary + i, 4, 0xC0DE_0000 + i);
        foreach ((string what, byte[] code, int items, bool in64) in forms)
        {
            if ((b.Is64 && !in64) || (mode == Virtual8086 && what == "PUSHF"))
                continue;
            for (int fit = 0; fit < items; fit++)
            {
                foreach (int odd in (int[])[0, 1])
                {
                    uint top = boundary + (uint)(fit * word + odd);
                    b.S->Registers[Sp] = b.IsSegmented ? top - FaultBench.StackBase : top;
                    b.S->Registers[Bp] = b.IsSegmented ? 0x5000u : FaultBench.StackBase + 0x5000;
                    byte[] before = b.Bytes(boundary, 0x100);
                    b.Map(boundary - 0x1000, 0);
                    b.Run(code);
                    string name = $"{b.Name} {what}, {fit} items fit, {odd} bytes more";
                    Assert.Equal((name, (Vector?)Vector.PageFault), (name, b.Vector));
                    b.ExpectFault(Vector.PageFault, 6);
                    // An item that straddles is written downwards to the lower page first.
                    Assert.Equal((name, boundary - 0x1000UL), (name, b.S->Paging.Cr2 & ~0xFFFUL));
                    Assert.True(before.AsSpan().SequenceEqual(b.Bytes(boundary, 0x100)), name);
                    b.Map(boundary - 0x1000, All);
                }
            }
        }
    }, cpl: 3);

    /// <summary>ENTER looks at the end of the frame that it reserves (SDM, "ENTER": a write to where the stack pointer ends must be possible).</summary>
    [Theory]
    [InlineData(Virtual8086)]
    [InlineData(Protected32)]
    [InlineData(Compatibility)]
    [InlineData(Long)]
    public void Enter_WhoseFrameEndsInAnAbsentPage_IsPf(CodeMode mode) => FaultBench.Each(mode, b =>
    {
        const uint boundary = FaultBench.StackBase + 0x4000;
        b.S->Registers[Sp] = b.IsSegmented ? 0x4100u : boundary + 0x100;
        b.Map(boundary - 0x1000, 0);
        b.Run([0xC8, 0x00, 0x02, 0]).ExpectFault(Vector.PageFault, 6);
        b.Run([0xC8, 0x80, 0x00, 0]).ExpectNext(b.Start + 4);
    }, cpl: 3);

    /// <summary>Strings: the element that straddles is not moved, those before it are; CX, SI and DI tell how far it came.</summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void StringAcrossAnAbsentPage_StopsBeforeTheElementThatStraddles(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        uint user = b.Cpl == 3 ? 4u : 0;
        ulong origin = b.IsSegmented ? 0u : FaultBench.Data, extra = b.IsSegmented ? 0u : FaultBench.Extra;
        for (uint i = 0; i < 0x40; i += 4)
            b.Store(Boundary - 0x20 + i, 4, 0xC0DE_0000 + i);
        int word = b.IsSegmented ? 2 : 4;
        foreach (byte[] rep in (byte[][])[[0xF3], []])
        {
            ulong elements = rep.Length != 0 ? 3UL : 0;
            // MOVSW, MOVSD: the source is bad.
            b.Map(Boundary, 0);
            uint start = 0x1000 - (uint)((int)elements * word) - 1;
            (b.S->Registers[Cx], b.S->Registers[Si], b.S->Registers[Di]) = (8, origin + start, extra + 0x100);
            b.Store(FaultBench.Extra + 0x100, 4, 0);
            b.Run([.. rep, 0xA5]).ExpectPageFault(user, Boundary, unchanged: false);
            Assert.Equal((b.Name, 8 - elements, origin + start + elements * (ulong)word), (b.Name, b.S->Registers[Cx], b.S->Registers[Si]));
            Assert.Equal(extra + 0x100 + elements * (ulong)word, b.S->Registers[Di]);
            Assert.Equal(0UL, b.Read(FaultBench.Extra + 0x100 + elements * (ulong)word, word));
            b.Map(Boundary, All);
            // The destination is bad.
            const uint end = FaultBench.Extra + 0x1000;
            b.Map(end, Present | User);
            b.Store(end - 1, 1, 0x5A);
            (b.S->Registers[Cx], b.S->Registers[Si], b.S->Registers[Di]) = (8, origin + 0x100, extra + start);
            b.Run([.. rep, 0xA5]).ExpectPageFault(3 | user, end, unchanged: false);
            Assert.Equal((b.Name, 8 - elements, extra + start + elements * (ulong)word), (b.Name, b.S->Registers[Cx], b.S->Registers[Di]));
            Assert.Equal(0x5AUL, b.Read(end - 1, 1));
            // STOS.
            (b.S->Registers[0], b.S->Registers[Cx], b.S->Registers[Di]) = (0x7777_7777, 8, extra + start);
            b.Run([.. rep, 0xAB]).ExpectPageFault(3 | user, end, unchanged: false);
            Assert.Equal((b.Name, 8 - elements, extra + start + elements * (ulong)word), (b.Name, b.S->Registers[Cx], b.S->Registers[Di]));
            Assert.Equal(0x5AUL, b.Read(end - 1, 1));
            b.Map(end, All);
        }
    }, cpl);

    /// <summary>CMPXCHG16B cannot straddle, for it must be aligned; into a page that may not be written it faults, equal or not.</summary>
    [Fact]
    public void Cmpxchg16b_IntoAReadOnlyPage_IsPf_Misaligned_IsGp() => FaultBench.Each(Long, b =>
    {
        b.Map(Boundary, Present | User);
        b.S->Registers[Di] = Boundary;
        b.Run([0x48, 0x0F, 0xC7, 0x0F]).ExpectPageFault(3, Boundary);
        b.S->Registers[Di] = Boundary - 8;
        b.Run([0x48, 0x0F, 0xC7, 0x0F]).ExpectFault(Vector.GeneralProtection);
    });
}
