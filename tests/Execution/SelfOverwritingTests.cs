using Emu.Cpus;
using Emu.Fetch;
using Iced.Intel;
using Xunit;
using static Emu.Tests.Execution.CodeMode;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>
/// Bad input: instructions that overwrite themselves or what follows them. The instruction that writes executes as it was fetched; what follows is what was written
/// (SDM Vol. 3A, "Self-Modifying Code"), under every profile, for a CPU's own stores by the linear address of the code empty its queue.
/// </summary>
public sealed unsafe class SelfOverwritingTests
{
    private const int Ax = 0, Cx = 1, Sp = 4, Si = 6, Di = 7;
    private const uint Page = 0x1000;
    private const byte Nop = 0x90, Hlt = 0xF4;

    public static TheoryData<CodeMode> All => [.. Enum.GetValues<CodeMode>()];

    /// <summary>Every engine, and every profile that has a queue. DS and ES are the code's segment.</summary>
    private static void Each(CodeMode mode, Action<FaultBench> test)
    {
        if (mode != Virtual8086)
            FaultBench.Each(mode, Prepared);
        else
            FaultBench.Each(mode, Prepared, 3);
        foreach (FetchProfile profile in FetchProfiles.All)
        {
            if (profile.Name == FetchProfiles.Coherent.Name)
                continue;
            using var bench = new FaultBench(mode, Engine.Modelled, mode == Virtual8086 ? 3 : 0, profile);
            Prepared(bench);
        }

        void Prepared(FaultBench b)
        {
            if (b.IsSegmented)
                (b.S->Ds.Base, b.S->Es.Base) = (FaultBench.Code, FaultBench.Code);
            CpuMode.Update(b.S);
            test(b);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void StoreOverItself_ExecutesAsItWasFetched(CodeMode mode) => Each(mode, b =>
    {
        // Each byte of it in turn becomes UD2's first.
        int length = b.Assemble(0, a => a.mov(__byte_ptr[b.Start], 0x0F));
        for (int i = 0; i < length; i++)
        {
            b.Assemble(0, a => a.mov(__byte_ptr[b.Start + (ulong)i], 0x0F));
            b.Write(FaultBench.Code + (uint)length, Hlt);
            b.RunAt(b.Start, length).ExpectNext(b.Start + (ulong)length);
            Assert.Equal((b.Name, 0x0FUL), (b.Name, b.Read(FaultBench.Code + (uint)i, 1)));
        }
        // And again, from what it has made of itself.
        b.Assemble(0, a => a.mov(__byte_ptr[b.Start + 1], 0x0B));
        b.RunAt(b.Start, length).ExpectNext(b.Start + (ulong)length);
        b.Write(FaultBench.Code, 0x0F);
        b.RunAt(b.Start, 2).ExpectFault(Vector.InvalidOpcode);
    });

    [Theory]
    [MemberData(nameof(All))]
    public void StoreOverItsSuccessor_TakesEffectAtOnce(CodeMode mode) => Each(mode, b =>
    {
        // The immediate of the next one; its opcode; what was an instruction becomes none, and the other way round.
        int length = b.Assemble(0, a => a.mov(__byte_ptr[b.Start], 0x77));
        uint next = (uint)length;
        Put(next + 1, 0x77, 0xB0, 0x11, Hlt);
        b.RunAt(b.Start, length + 2).ExpectNext(b.Start + next + 2);
        Assert.Equal((b.Name, 0x77UL), (b.Name, b.S->Registers[Ax] & 0xFF));
        Put(next, 0xB4, 0xB0, 0x12, Hlt); // MOV AL becomes MOV AH
        b.RunAt(b.Start, length + 2).ExpectNext(b.Start + next + 2);
        Assert.Equal((b.Name, 0x1277UL), (b.Name, b.S->Registers[Ax] & 0xFFFF));
        Put(next + 1, 0x0B, 0x0F, 0x1F, 0xC0, Hlt); // NOP becomes UD2
        b.RunAt(b.Start, length).ExpectFault(Vector.InvalidOpcode, ip: b.Start + next);
        Put(next + 1, 0x1F, 0x0F, 0x0B, 0xC0, Hlt);
        b.RunAt(b.Start, length + 3).ExpectNext(b.Start + next + 3);
        // Its prefix goes, and with it the length of the immediate.
        Put(next, Nop, 0x66, 0xB8, 1, 2, Hlt, Hlt, Hlt);
        int word = b.IsSegmented ? 2 : 4;
        b.RunAt(b.Start, length + 2 + word).ExpectNext(b.Start + next + 2 + (ulong)word);

        void Put(uint at, byte value, params byte[] behind)
        {
            b.Assemble(0, a => a.mov(__byte_ptr[b.Start + at], value));
            b.Write(FaultBench.Code + next, behind);
        }
    });

    [Theory]
    [MemberData(nameof(All))]
    public void LoopThatPatchesItself_SeesEachVersion(CodeMode mode) => Each(mode, b =>
    {
        // Adds 1, 2, 3 ... 40: the immediate of ADD is incremented by the instruction before it.
        b.S->Registers[Cx] = 40;
        b.S->Registers[2] = 0;
        int length = Patch(b);
        Assert.Equal((b.Name, 40UL * 41 / 2), (b.Name, b.RunAt(b.Start, length).S->Registers[2] & 0xFFFF));
        b.ExpectNext(b.Start + (ulong)length);
    });

    /// <summary>INC of a byte, ADD DX with that immediate, LOOP; the place of the immediate is known the second time.</summary>
    private static int Patch(FaultBench b)
    {
        int inc = b.Assemble(0, a => a.inc(__byte_ptr[b.Start]));
        int all = b.Assemble(0, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(__byte_ptr[b.Start + (ulong)inc + 2]);
            a.db(0x83, 0xC2, 0x00); // ADD (E)DX, imm8
            a.loop(again);
        });
        b.Write(FaultBench.Code + (uint)all, Hlt);
        return all;
    }

    /// <summary>The instruction that writes lies across two pages, or what it writes does.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void StoreOverCodeAcrossPages_IsSeen(CodeMode mode) => Each(mode, b =>
    {
        int length = b.Assemble(0, a => a.mov(__byte_ptr[b.Start], 0));
        // Its own second half, for each place of the boundary.
        for (int first = 1; first < length; first++)
        {
            uint at = Page - (uint)first;
            b.Assemble(at, a => a.mov(__byte_ptr[b.Start + Page], 0x0F));
            b.Write(FaultBench.Code + at + (uint)length, Hlt);
            b.RunAt(b.Start + at, length).ExpectNext(b.Start + at + (ulong)length);
            Assert.Equal(0x0FUL, b.Read(FaultBench.Code + Page, 1));
        }
        // A word over the last byte of one page and the first of the next: MOV AL, imm8 lies there.
        uint store = Page - 1 - (uint)b.Assemble(0x800, a => a.mov(__word_ptr[b.Start], 0x1234));
        for (int i = 0; i < 3; i++)
        {
            ushort code = (ushort)(0x50B0 + 0x100 * i);
            b.Assemble(store, a => a.mov(__word_ptr[b.Start + Page - 1], code));
            b.Write(FaultBench.Code + Page - 1, 0x0F, 0x0B, Hlt);
            b.RunAt(b.Start + store, (int)(Page + 1 - store)).ExpectNext(b.Start + Page + 1);
            Assert.Equal((b.Name, 0x50UL + (ulong)i), (b.Name, b.S->Registers[Ax] & 0xFF));
        }
    });

    /// <summary>REP STOS over itself completes: it is one instruction, which is not fetched again between its rounds; what follows is what it wrote.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void RepStosAndMovs_OverThemselves_Complete(CodeMode mode) => Each(mode, b =>
    {
        b.Write(FaultBench.Code, 0xF3, 0xAA, 0x0F, 0x0B, 0x0F, 0x0B, Hlt);
        (b.S->Registers[Ax], b.S->Registers[Cx], b.S->Registers[Di]) = (Nop, 6, b.Start);
        b.RunAt(b.Start, 6).ExpectNext(b.Start + 6);
        Assert.Equal((b.Name, 0UL, b.Start + 6), (b.Name, b.S->Registers[Cx], b.S->Registers[Di]));
        Assert.Equal([Nop, Nop, Nop, Nop, Nop, Nop], b.Bytes(FaultBench.Code, 6));
        // From the page before, over itself at its beginning, with a copy of other code.
        const uint copy = 0x800;
        b.Write(FaultBench.Code + copy, [.. Enumerable.Repeat(Nop, 16), 0xB0, 0x66, Hlt]);
        b.Write(FaultBench.Code + Page - 1, 0xF3, 0xA4, 0x0F, 0x0B);
        (b.S->Registers[Cx], b.S->Registers[Si], b.S->Registers[Di]) = (19, b.Start + copy, b.Start + Page - 4);
        b.RunAt(b.Start + Page - 1, 15).ExpectNext(b.Start + Page + 14);
        Assert.Equal((b.Name, 0x66UL, 0UL), (b.Name, b.S->Registers[Ax] & 0xFF, b.S->Registers[Cx]));
    });

    /// <summary>A push is a store as well: CALL to where it has pushed the return address, which is code then.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void CallOntoItsOwnReturnAddress_ExecutesIt(CodeMode mode) => Each(mode, b =>
    {
        if (b.IsSegmented)
            b.S->Ss.Base = FaultBench.Code;
        CpuMode.Update(b.S);
        // The return address is code: NOP (90), and above that ADD [BX+SI], AL, ADD [EAX], AL.
        const uint target = 0x400, at = 0x90;
        int word = b.IsSegmented ? 2 : b.Is64 ? 8 : 4;
        int length = b.IsSegmented ? 3 : 5;
        uint call = at - (uint)length;
        b.Write(FaultBench.Code + call, [0xE8, .. BitConverter.GetBytes(target - at)[..(length - 1)]]);
        b.Write(FaultBench.Code + target, [.. Enumerable.Repeat(Hlt, 16)]);
        b.S->Registers[Sp] = b.Start + target + (ulong)word;
        b.S->Registers[Ax] = FaultBench.Data;
        ulong returnAddress = b.Start + at;
        // 90 00 | F4: NOP; ADD AH, DH. 90 00 02 00 | F4: ADD [EDX], AL; ADD AH, DH.
        b.S->Registers[2] = FaultBench.Data;
        b.Write(FaultBench.Code + target + (uint)word, Hlt, Hlt, Hlt);
        // 90 00 02 00 00 00 00 00 | F4: three stores, ADD AH, DH.
        b.RunAt(b.Start + call, 0).ExpectStop(b.Start + target + (ulong)word + 1);
        Assert.Equal(returnAddress, b.Read(FaultBench.Code + target, word));
    });

    /// <summary>Through another linear address of the same page: the coherent machine sees it; a queue that compares linear addresses keeps what it has (tests/Fetch).</summary>
    [Theory]
    [InlineData(Virtual8086)]
    [InlineData(Protected16)]
    [InlineData(Protected32)]
    [InlineData(Compatibility)]
    [InlineData(Long)]
    public void StoreThroughAnAlias_IsSeenByTheCoherentMachine(CodeMode mode)
    {
        foreach (Engine engine in (Engine[])[Engine.Blocks, Engine.Steps])
        {
            using var b = new FaultBench(mode, engine, mode == Virtual8086 ? 3 : 0);
            const uint alias = FaultBench.Code + 0x4000;
            b.Map(alias, 7, FaultBench.Code);
            if (b.IsSegmented)
                b.S->Ds.Base = FaultBench.Code;
            CpuMode.Update(b.S);
            for (byte value = 0x30; value < 0x34; value++)
            {
                int length = b.Assemble(0, a => a.mov(__byte_ptr[b.Start], 0));
                b.Assemble(0, a => a.mov(__byte_ptr[alias - b.Base + (ulong)length + 1], value));
                b.Write(FaultBench.Code + (uint)length, 0xB0, 0x11, Hlt);
                b.RunAt(b.Start, length + 2).ExpectNext(b.Start + (ulong)length + 2);
                Assert.Equal((b.Name, (ulong)value), (b.Name, b.S->Registers[Ax] & 0xFF));
            }
            // What the alias itself executes is written through the first address.
            b.Write(FaultBench.Code, 0xB0, 0x44, Hlt);
            b.RunAt(alias - b.Base, 2);
            Assert.Equal(0x44UL, b.S->Registers[Ax] & 0xFF);
        }
    }

    /// <summary>A fault of the instruction that has overwritten itself is at its address, and of what stands there now when it is tried again.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void RepStos_ThatFaultsBehindItself_IsTriedAgainAsWhatItWrote(CodeMode mode)
    {
        if (mode == Real)
            return;
        Each(mode, b =>
        {
            const uint at = Page - 8;
            b.Map(FaultBench.Code + Page, 0);
            b.Write(FaultBench.Code + at, 0xF3, 0xAA);
            (b.S->Registers[Ax], b.S->Registers[Cx], b.S->Registers[Di]) = (Nop, 16, b.Start + at);
            b.RunAt(b.Start + at, 2).ExpectFault(Vector.PageFault, b.Cpl == 3 ? 6u : 2, b.Start + at, unchanged: false);
            Assert.Equal((b.Name, 8UL, b.Start + Page), (b.Name, b.S->Registers[Cx], b.S->Registers[Di]));
            // Eight NOPs now, up to the absent page.
            b.RunAt(b.Start + at, 8).ExpectFault(Vector.PageFault, b.Cpl == 3 ? 0x14u : 0x10, b.Start + Page, unchanged: false);
        });
    }
}
