using Emu.Cpus;

namespace Emu.Differ.Machines;

/// <summary>How a case ended on one machine.</summary>
public sealed unsafe class Outcome
{
    /// <summary>No exception.</summary>
    public const int NoVector = -1;

    /// <summary>An access to an address that is not canonical: Unicorn ends the run, but raises neither #GP nor #SS.</summary>
    public const int NotCanonical = -2;

    public readonly ulong[] Registers = new ulong[16];
    public ulong Rip;
    public ulong Flags;

    /// <summary>Selectors of ES, CS, SS, DS, FS, GS.</summary>
    public readonly ushort[] Selectors = new ushort[6];

    public ulong FsBase, GsBase;

    /// <summary>x87, MMX and SSE registers.</summary>
    public FloatingState Floating;

    /// <summary>Whether the machine tells the pointers and opcode of the last x87 instruction.</summary>
    public bool KnowsPointers;

    /// <summary>Exception, or <see cref="NoVector"/>.</summary>
    public int Vector;

    /// <summary>The exception's error code, or null where the machine does not tell it.</summary>
    public uint? ErrorCode;

    /// <summary>Address of the access that faulted, where <see cref="Vector"/> is #PF; else 0.</summary>
    public ulong FaultAddress;

    /// <summary>How long the case took, with everything that came between, in cycles of the TSC; 0 where the machine does not tell.</summary>
    public ulong Cycles;

    /// <summary>Memory.</summary>
    public readonly ChangedLines Memory = new();

    /// <summary>What the machine could not do, or null: it is then no oracle, or no implementation, for the case.</summary>
    public string? Refusal;

    public void Clear()
    {
        Vector = NoVector;
        ErrorCode = null;
        FaultAddress = 0;
        Cycles = 0;
        Refusal = null;
        Memory.Clear();
    }
}
