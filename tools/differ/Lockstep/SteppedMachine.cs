using Emu.Memory;

namespace Emu.Differ.Lockstep;

/// <summary>Registers of another machine's CPU, in Emu's order.</summary>
public sealed class MachineRegisters
{
    public ulong[] General { get; } = new ulong[16];
    public ulong Rip { get; set; }
    public ulong Flags { get; set; }

    /// <summary>Selectors of ES, CS, SS, DS, FS, GS.</summary>
    public ushort[] Selectors { get; } = new ushort[6];
    public ulong Cr0 { get; set; }
    public ulong Cr2 { get; set; }
    public ulong Cr3 { get; set; }
    public ulong Cr4 { get; set; }
    public ulong Efer { get; set; }

    /// <summary>XMM0 to XMM15, low half first.</summary>
    public ulong[] Xmm { get; } = new ulong[32];

    /// <summary>Whether selectors and control registers are of this moment, and not of an earlier one.</summary>
    public bool KnowsSystem { get; set; }

    /// <summary>Whether <see cref="Xmm"/> is of this moment.</summary>
    public bool KnowsXmm { get; set; }
}

/// <summary>Another emulator that has booted the same image, under its debugger: its CPU stands before the first instruction of the kernel.</summary>
public abstract class SteppedMachine : IDisposable
{
    /// <summary>For messages.</summary>
    public abstract string Name { get; }

    /// <summary>Registers at this moment.</summary>
    public MachineRegisters Registers { get; } = new();

    /// <summary>Steps that were made.</summary>
    public long Steps { get; private set; }

    /// <summary>Whether it stands where its last step has led, and has not gone further in advance; memory is compared then, for otherwise it has to go back.</summary>
    public virtual bool IsSettled => true;

    /// <summary>Executes one instruction, or one round of a repeated one, or delivers an exception or interrupt.</summary>
    /// <param name="system">Selectors and control registers are wanted as well; some machines tell them only after many steps.</param>
    /// <returns>The address of the handler of an interrupt or exception, where the emulator says that one was taken; it has then executed the first instruction there.</returns>
    /// <exception cref="OracleStoppedException">It does not answer any more.</exception>
    public ulong? Step(bool system)
    {
        ulong? handler = Make(system);
        Steps++;
        return handler;
    }

    /// <inheritdoc cref="Step"/>
    protected abstract ulong? Make(bool system);

    /// <summary>Copies its RAM.</summary>
    public abstract void CopyMemory(PhysicalMemory memory);

    /// <summary>The first byte in which its RAM differs, or null. What is looked at may be limited to pages that have changed in Emu.</summary>
    /// <param name="memory">Emu's.</param>
    /// <param name="isExcused">Whether a difference is one that is known.</param>
    public abstract MemoryDifference? FirstDifference(PhysicalMemory memory, Predicate<MemoryDifference> isExcused);

    public abstract void Dispose();

    /// <summary>The first difference in a page that is not excused.</summary>
    protected static MemoryDifference? FirstDifference(ulong page, ReadOnlySpan<byte> oracle, ReadOnlySpan<byte> emu, Predicate<MemoryDifference> isExcused)
    {
        for (int at = 0; (at += oracle[at..].CommonPrefixLength(emu[at..])) < emu.Length; at++)
        {
            var d = new MemoryDifference(page + (ulong)at, oracle[at], emu[at]);
            if (!isExcused(d))
                return d;
        }
        return null;
    }

    /// <summary>Video memory and ROMs are devices in one machine and RAM in the other.</summary>
    protected static bool IsCompared(ulong physical) => physical is < 0xA_0000 or >= 0x10_0000;
}

/// <summary>A byte of RAM that differs.</summary>
public readonly record struct MemoryDifference(ulong Address, byte Oracle, byte Emu);

/// <summary>The other emulator has ended, or hangs.</summary>
public sealed class OracleStoppedException(string message) : Exception(message);
