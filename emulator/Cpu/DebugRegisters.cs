using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>What DR7 enables.</summary>
[Flags]
public enum DebugArmed
{
    None = 0,

    /// <summary>Breakpoints on instructions.</summary>
    Instructions = 1,

    /// <summary>Breakpoints on data: their pages are not accessed directly (<see cref="DebugRegisters.WatchesPage"/>).</summary>
    Data = 2,

    /// <summary>Breakpoints on ports (CR4.DE).</summary>
    Ports = 4,
}

/// <summary>
/// DR0 to DR7 (SDM, "Debug Registers"), their MOVs and their breakpoints. Nothing looks at them per instruction: a write of DR7 that enables something
/// makes the loops step, and takes direct access from the pages that are watched.
/// </summary>
public static unsafe class DebugRegisters
{
    /// <summary>Bits of DR6 that read as 1.</summary>
    public const ulong Dr6Reserved = 0xFFFF_0FF0;

    /// <summary>BT: a task switch to a TSS with its T flag set.</summary>
    public const ulong Dr6TaskSwitch = 1UL << 15;

    /// <summary>BS: single step.</summary>
    public const ulong Dr6SingleStep = 1UL << 14;

    /// <summary>BD: a debug register was about to be accessed while DR7.GD was set.</summary>
    public const ulong Dr6AccessDetected = 1UL << 13;

    /// <summary>The bit of DR7 that reads as 1.</summary>
    public const ulong Dr7Reserved = 1UL << 10;
    public const ulong Dr7GeneralDetect = 1UL << 13;

    /// <summary>L0 to L3 and LE, which a task switch clears.</summary>
    public const ulong Dr7Local = 0x155;

    private const ulong Dr6Hits = 0xF;
    private const ulong Dr6Writable = 0xE00F;
    private const ulong Dr7Writable = 0xFFFF_23FF;

    /// <summary>R/W fields of DR7.</summary>
    private enum Condition
    {
        Instruction = 0,
        Write = 1,
        Port = 2,
        ReadOrWrite = 3,
    }

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
        switch (number)
        {
            case 6:
                s->Dr6 = Dr6Reserved | (value & Dr6Writable);
                break;
            case 7:
                s->Dr7 = Dr7Reserved | (value & Dr7Writable);
                Arm(s);
                break;
            default:
                s->DebugAddress[number] = value;
                Arm(s);
                break;
        }
        Cpu.Of(s).Serialise(SerialisingEvent.MovToDebugRegister);
        return true;
    }

    /// <summary>Derives <see cref="CpuState.DebugArmed"/>; call after any change of DR0 to DR3, DR7 or CR4.DE.</summary>
    public static void Arm(CpuState* s)
    {
        DebugArmed before = s->DebugArmed;
        DebugArmed armed = DebugArmed.None;
        for (int i = 0; i < 4; i++)
        {
            if (!IsEnabled(s, i))
                continue;
            armed |= ConditionOf(s, i) switch
            {
                Condition.Instruction => DebugArmed.Instructions,
                // "10: break on I/O reads or writes" with CR4.DE; "undefined" without.
                Condition.Port => (s->Paging.Cr4 & ControlBits.Cr4De) != 0 ? DebugArmed.Ports : DebugArmed.None,
                _ => DebugArmed.Data,
            };
        }
        s->DebugArmed = armed;
        // Which pages are accessed directly is decided when their translations are entered.
        if (((before | armed) & DebugArmed.Data) != 0)
            CpuMode.FlushTlb(s, keepGlobal: false);
    }

    /// <summary>True when a data breakpoint lies in the page of this address.</summary>
    public static bool WatchesPage(CpuState* s, ulong linear)
    {
        for (int i = 0; i < 4; i++)
            if (IsEnabled(s, i) && ConditionOf(s, i) is Condition.Write or Condition.ReadOrWrite && ((s->DebugAddress[i] ^ linear) & Page.Mask) == 0)
                return true;
        return false;
    }

    /// <summary>Data were accessed: a breakpoint that they meet is reported behind the instruction.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void NoteData(CpuState* s, ulong linear, int size, bool write) =>
        s->PendingDebug |= Hits(s, linear, size, write ? Condition.Write : Condition.ReadOrWrite);

    /// <summary>Ports were accessed.</summary>
    public static void NotePort(CpuState* s, ushort port, int size)
    {
        if ((s->DebugArmed & DebugArmed.Ports) != 0)
            s->PendingDebug |= Hits(s, port, size, Condition.Port);
    }

    /// <summary>
    /// Before an instruction: true when a breakpoint on it was hit, and #DB is delivered in its place (SDM, "Instruction-Breakpoint Exception
    /// Condition"). It is a fault, but "for any fault-class exception except a debug exception generated in response to an instruction breakpoint the value
    /// pushed for RF is 1": the handler sets RF, which holds the breakpoint off. So does MOV SS before it.
    /// </summary>
    public static bool BreaksBefore(CpuState* s, ulong linear)
    {
        // Traps of an event that was delivered just now.
        if (s->PendingDebug != 0 && s->InterruptShadow != 2)
        {
            TakePending(s);
            return true;
        }
        ulong resume = s->SystemFlags & Rflags.Rf;
        if ((s->DebugArmed & DebugArmed.Instructions) != 0 && resume == 0 && s->InterruptShadow != 2)
        {
            ulong hits = Hits(s, linear, 1, Condition.Instruction);
            if (hits != 0)
            {
                s->Dr6 = (s->Dr6 & ~Dr6Hits) | hits;
                EventDelivery.Deliver(s, Vector.Debug, EventKind.Trap);
                return true;
            }
        }
        // "The processor clears the RF flag after the successful execution of the instruction": IRET may set it for the next one.
        s->ResumeHeld = resume;
        s->SystemFlags &= ~Rflags.Rf;
        return false;
    }

    /// <summary>Delivers the traps that wait.</summary>
    public static void TakePending(CpuState* s)
    {
        ulong hits = s->PendingDebug;
        s->PendingDebug = 0;
        // "Certain debug exceptions may clear bits 0-3. The remaining contents of the DR6 register are never cleared by the processor."
        if ((hits & Dr6Hits) != 0)
            s->Dr6 &= ~Dr6Hits;
        s->Dr6 |= hits;
        s->Activity = Activity.Active;
        EventDelivery.Deliver(s, Vector.Debug, EventKind.Trap);
    }

    /// <summary>Bits B0 to B3 of the breakpoints that an access meets.</summary>
    private static ulong Hits(CpuState* s, ulong linear, int size, Condition access)
    {
        ulong hits = 0;
        for (int i = 0; i < 4; i++)
        {
            Condition condition = ConditionOf(s, i);
            bool applies = condition == access || (condition == Condition.ReadOrWrite && access == Condition.Write);
            // LEN: "the processor uses LEN to mask the low-order bits of the address".
            ulong length = (s->Dr7 >> (18 + 4 * i) & 3) switch { 0 => 1, 1 => 2, 2 => 8, _ => 4UL };
            ulong first = s->DebugAddress[i] & ~(length - 1);
            if (applies && IsEnabled(s, i) && linear < first + length && first < linear + (ulong)size)
                hits |= 1UL << i;
        }
        return hits;
    }

    private static bool IsEnabled(CpuState* s, int i) => (s->Dr7 >> (2 * i) & 3) != 0;

    private static Condition ConditionOf(CpuState* s, int i) => (Condition)(s->Dr7 >> (16 + 4 * i) & 3);

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
