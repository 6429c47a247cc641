namespace Emu.Cpus;

/// <summary>
/// MOV to and from DR0-DR7 (SDM, "Debug Registers"). The registers are kept; a guest that arms a hardware breakpoint in DR7 stops the machine.
/// </summary>
public static unsafe class DebugRegisters
{
    /// <summary>Bits of DR6 that read as 1.</summary>
    public const ulong Dr6Reserved = 0xFFFF_0FF0;

    /// <summary>BS: single step.</summary>
    public const ulong Dr6SingleStep = 1UL << 14;

    /// <summary>BD: a debug register was about to be accessed while DR7.GD was set.</summary>
    public const ulong Dr6AccessDetected = 1UL << 13;

    /// <summary>The bit of DR7 that reads as 1.</summary>
    public const ulong Dr7Reserved = 1UL << 10;
    public const ulong Dr7GeneralDetect = 1UL << 13;

    private const ulong Dr6Writable = 0xE00F;
    private const ulong Dr7Writable = 0xFFFF_23FF;
    private const ulong Dr7Enables = 0xFF;

    /// <summary>MOV from DRn.</summary>
    public static bool Read(CpuState* s, int number, out ulong value)
    {
        value = 0;
        if (!Check(s, ref number))
            return false;
        value = number switch
        {
            6 => s->Dr6,
            7 => s->Dr7,
            _ => s->DebugAddress[number],
        };
        return true;
    }

    /// <summary>MOV to DRn; serialises.</summary>
    public static bool Write(CpuState* s, int number, ulong value)
    {
        if (!Check(s, ref number))
            return false;
        // "In 64-bit mode, the upper 32 bits of DR6 and DR7 are reserved and must be written with zeros. Writing 1 to any of the upper 32 bits
        // results in a #GP(0) exception."
        if (number >= 6 && value > uint.MaxValue)
            return Access.Raise(s, Vector.GeneralProtection);
        if (number == 7 && (value & Dr7Enables) != 0)
            return Cpu.Unsupported(s, "hardware breakpoints (DR7 enable bits; SDM, \"Debug Control Register (DR7)\")");
        switch (number)
        {
            case 6:
                s->Dr6 = Dr6Reserved | (value & Dr6Writable);
                break;
            case 7:
                s->Dr7 = Dr7Reserved | (value & Dr7Writable);
                break;
            default:
                s->DebugAddress[number] = value;
                break;
        }
        Cpu.Of(s).Serialise(SerialisingEvent.MovToDebugRegister);
        return true;
    }

    private static bool Check(CpuState* s, ref int number)
    {
        // "#UD if CR4.DE[bit 3] = 1 and a MOV instruction is executed involving DR4 or DR5"; else they are DR6 and DR7.
        if (number is 4 or 5)
        {
            if ((s->Paging.Cr4 & ControlBits.Cr4De) != 0)
                return Access.Raise(s, Vector.InvalidOpcode);
            number += 2;
        }
        if (number > 7)
            return Access.Raise(s, Vector.InvalidOpcode);
        // "#GP(0) if the current privilege level is not 0."
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        // "#DB if any debug register is accessed while the DR7.GD[bit 13] = 1." It is a fault; the handler's entry clears GD.
        if ((s->Dr7 & Dr7GeneralDetect) != 0)
        {
            s->Dr6 |= Dr6AccessDetected;
            return Access.Raise(s, Vector.Debug);
        }
        return true;
    }
}
