using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>Where a memory operand of a case points, and registers that make it point elsewhere. Written apart from Emu's own address arithmetic.</summary>
public static class EffectiveAddress
{
    /// <summary>Number of a general-purpose register, 0 to 15.</summary>
    public static int NumberOf(Register register) => register.GetFullRegister() - Register.RAX;

    /// <summary>Value of a register operand as wide as it is.</summary>
    public static ulong ValueOf(Case c, Register register)
    {
        if (register is >= Register.AH and <= Register.BH)
            return c.Registers[register - Register.AH] >> 8 & 0xFF;
        ulong value = c.Registers[NumberOf(register)];
        return register.GetSize() switch { 1 => (byte)value, 2 => (ushort)value, 4 => (uint)value, _ => value };
    }

    /// <summary>Offset of the operand in its segment.</summary>
    public static ulong OffsetOf(Case c, in Instruction i)
    {
        ulong offset = i.MemoryDisplacement64;
        int bytes = AddressBytes(c.Mode, i);
        if (i.MemoryBase is not (Register.None or Register.RIP or Register.EIP))
            offset += ValueOf(c, i.MemoryBase);
        if (i.MemoryIndex != Register.None)
            offset += ValueOf(c, i.MemoryIndex) * (ulong)i.MemoryIndexScale;
        return offset & Mask(bytes);
    }

    /// <summary>Base of a segment in a case.</summary>
    public static ulong SegmentBase(Case c, Register segment) => c.Mode switch
    {
        CodeMode.Real16 => (ulong)(segment switch
        {
            Register.ES => Arena.RealEs,
            Register.CS => c.Cs,
            Register.SS => Arena.RealSs,
            Register.FS => Arena.RealFs,
            Register.GS => Arena.RealGs,
            _ => Arena.RealDs,
        }) << 4,
        _ => segment switch
        {
            Register.FS => Arena.FsBase,
            Register.GS => Arena.GsBase,
            _ => 0,
        },
    };

    /// <summary>Linear address of an offset in a segment.</summary>
    public static ulong Linear(Case c, Register segment, ulong offset)
    {
        ulong linear = SegmentBase(c, segment) + offset;
        return c.Mode.Is64() ? linear : linear & uint.MaxValue;
    }

    public static int AddressBytes(CodeMode mode, in Instruction i)
    {
        if (i.MemoryBase != Register.None)
            return i.MemoryBase.GetSize();
        if (i.MemoryIndex is not (Register.None or Register.AL))
            return i.MemoryIndex.GetSize();
        return i.MemoryDisplSize switch { 2 => 2, 4 => 4, 8 => 8, _ => mode.Bits() / 8 };
    }

    public static ulong Mask(int bytes) => ulong.MaxValue >> (64 - 8 * bytes);

    /// <summary>
    /// Changes base or index so that the operand points at an address as <see cref="DataAddresses.Pick"/> returns it; leaves them alone where
    /// that is impossible.
    /// </summary>
    public static void PointAt(Case c, in Instruction i, ulong address, ref Dice dice)
    {
        if (i.MemoryBase is Register.RIP or Register.EIP)
            return;
        int bytes = AddressBytes(c.Mode, i);
        ulong mask = Mask(bytes);
        ulong target = address - (c.Mode == CodeMode.Real16 ? 0 : SegmentBase(c, i.MemorySegment));
        bool hasBase = i.MemoryBase != Register.None, hasIndex = i.MemoryIndex is not (Register.None or Register.AL);
        if (hasBase && hasIndex && NumberOf(i.MemoryBase) == NumberOf(i.MemoryIndex))
        {
            // (1 + scale) * r + displacement: divides only by chance.
            Set(c, i.MemoryBase, (target - i.MemoryDisplacement64) / (ulong)(1 + i.MemoryIndexScale), mask);
            return;
        }
        if (hasBase)
        {
            if (hasIndex && dice.Percent(70))
                Set(c, i.MemoryIndex, (ulong)(long)(sbyte)dice.Next(), mask);
            Set(c, i.MemoryBase, 0, mask);
            Set(c, i.MemoryBase, target - OffsetOf(c, i), mask);
        }
        else if (hasIndex)
        {
            Set(c, i.MemoryIndex, (target - i.MemoryDisplacement64) / (ulong)i.MemoryIndexScale, mask);
        }
    }

    /// <summary>Sets the low part of a register that counts in an address; what is above stays, for it must not count.</summary>
    private static void Set(Case c, Register register, ulong value, ulong mask)
    {
        ref ulong r = ref c.Registers[NumberOf(register)];
        r = (r & ~mask | value & mask) & c.Mode.RegisterMask();
    }
}
