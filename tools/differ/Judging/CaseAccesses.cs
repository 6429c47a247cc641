using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>A memory access of a case's first instruction: its first one, where there are more (REP).</summary>
public readonly record struct CaseAccess(ulong Offset, ulong Linear, int Size, bool Writes, bool Stack)
{
    /// <summary>In 64-bit mode: every byte has a canonical address.</summary>
    public bool IsCanonical => Canonical(Linear) && Canonical(Linear + (ulong)Size - 1);

    public static bool Canonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;

    /// <summary>False where alignment checking may object: environments and states have parts of 2 to 16 bytes.</summary>
    public bool IsAligned => (Linear & (ulong)(int.IsPow2(Size) ? Math.Min(Size, 16) - 1 : Size == 10 ? 7 : 3)) == 0;

    /// <summary>Whether it may fault at an address: in each page that does not permit it at the first byte, and where it is made in several parts (an environment, a state) anywhere.</summary>
    public bool MayFaultAt(CodeMode mode, ulong address) =>
        FaultAddresses(mode).Contains(address)
        || (Size is > 8 and not 16 && (mode.Is64() ? address - Linear : (uint)(address - Linear)) < (ulong)Size && FaultAddresses(mode).Any(a => (a & ~0xFFFUL) == (address & ~0xFFFUL)));

    private IEnumerable<ulong> FaultAddresses(CodeMode mode)
    {
        Arena arena = Arena.For(mode);
        ulong mask = mode.Is64() ? ulong.MaxValue : uint.MaxValue;
        for (int i = 0; i < Size; i++)
        {
            ulong at = (Linear + (ulong)i) & mask;
            if (i != 0 && (at & 0xFFF) != 0)
                continue;
            if (!arena.Holds(at, 1) && !arena.HoldsCode(at, -16) || Writes && !arena.IsWritable(at))
                yield return at;
        }
    }
}

/// <summary>What the first instruction of a case reads and writes, by Iced's tables and not by Emu's address arithmetic.</summary>
public static class CaseAccesses
{
    public static List<CaseAccess> Of(Case c)
    {
        var list = new List<CaseAccess>();
        var factory = new InstructionInfoFactory();
        foreach (UsedMemory m in factory.GetInfo(c.First).GetUsedMemory())
        {
            ulong offset = m.Displacement;
            if (m.Base is not (Register.None or Register.RIP or Register.EIP))
                offset += EffectiveAddress.ValueOf(c, m.Base);
            if (m.Index != Register.None)
                offset += EffectiveAddress.ValueOf(c, m.Index) * (ulong)m.Scale;
            if (c.First.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && c.First.Op1Kind == OpKind.Register)
                offset += BitOffset(c, c.First);
            offset &= m.AddressSize switch { CodeSize.Code16 => 0xFFFF, CodeSize.Code32 => uint.MaxValue, _ => ulong.MaxValue };
            bool writes = m.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            int size = Math.Max(1, c.First.IsStringInstruction ? c.First.MemorySize.GetSize()
                : m.MemorySize is MemorySize.Xsave or MemorySize.Xsave64 ? CaseGenerator.XsaveBytes : m.MemorySize.GetSize());
            list.Add(new CaseAccess(offset, EffectiveAddress.Linear(c, m.Segment, offset), size, writes, m.Segment == Register.SS));
        }
        AddFrames(c, list);
        return list;
    }

    /// <summary>What Iced sums up, one by one: the registers of PUSHA and POPA, the frames of ENTER, the two parts that SGDT and SIDT store.</summary>
    private static void AddFrames(Case c, List<CaseAccess> list)
    {
        ref readonly Instruction i = ref c.First;
        int size = i.Code switch
        {
            Code.Pushaw or Code.Popaw or Code.Enterw_imm16_imm8 => 2,
            Code.Pushad or Code.Popad or Code.Enterd_imm16_imm8 => 4,
            _ => 8,
        };
        ulong sp = c.Registers[4];
        switch (i.Mnemonic)
        {
            case Mnemonic.Popa or Mnemonic.Popad:
                for (int n = 0; n < 8; n++)
                    Add(sp + (ulong)(n * size), false);
                break;
            case Mnemonic.Pusha or Mnemonic.Pushad:
                for (int n = 1; n <= 8; n++)
                    Add(sp - (ulong)(n * size), true);
                break;
            case Mnemonic.Enter:
                int level = i.Immediate8_2nd & 31;
                for (int n = 1; n <= level + 1; n++)
                    Add(sp - (ulong)(n * size), true);
                for (int n = 1; n < level; n++)
                    Add(c.Registers[5] - (ulong)(n * size), false);
                break;
            case Mnemonic.Sgdt or Mnemonic.Sidt:
                CaseAccess whole = list[0];
                list.Add(whole with { Size = 2 });
                list.Add(whole with { Offset = whole.Offset + 2, Linear = whole.Linear + 2, Size = c.Mode.Is64() ? 8 : 4 });
                break;
        }

        void Add(ulong offset, bool writes)
        {
            offset &= c.Mode switch { CodeMode.Real16 => 0xFFFF, CodeMode.Protected32 => uint.MaxValue, _ => ulong.MaxValue };
            list.Add(new CaseAccess(offset, EffectiveAddress.Linear(c, Register.SS, offset), size, writes, true));
        }
    }

    /// <summary>Bytes by which a bit offset in a register moves the operand: whole operands, signed.</summary>
    private static ulong BitOffset(Case c, in Instruction i)
    {
        int bits = i.MemorySize.GetSize() * 8;
        ulong value = EffectiveAddress.ValueOf(c, i.Op1Register);
        long offset = bits switch { 16 => (short)value, 32 => (int)value, _ => (long)value };
        return (ulong)((offset & ~(long)(bits - 1)) >> 3);
    }
}
