using System.Runtime.InteropServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>A segment register with its hidden part (SDM, "Segment Registers").</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SegmentRegister
{
    public ulong Base;

    /// <summary>Limit in bytes, granularity already applied: the last valid offset.</summary>
    public uint Limit;

    /// <summary>Descriptor bits 40-55 as in the second doubleword >> 8: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15.</summary>
    public ushort Attributes;

    public ushort Selector;

    /// <summary>1 when the segment may be used; 0 after a null selector.</summary>
    public int Usable;

    private readonly int _reserved;
}

/// <summary>GDTR or IDTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct TableRegister
{
    public ulong Base;
    public uint Limit;
    private readonly uint _reserved;
}

/// <summary>Why a chain of operations came back to the loop.</summary>
public enum ExitReason
{
    /// <summary>RIP is set; go on with the next block.</summary>
    None = 0,

    /// <summary>The instruction at RIP raised <see cref="CpuState.Fault"/>; nothing of it was committed.</summary>
    Fault,

    /// <summary>HLT was executed; RIP is behind it.</summary>
    Halt,

    /// <summary>There is no memory to execute from; <see cref="Cpu.StopMessage"/> says where.</summary>
    Unsupported,

    /// <summary>The x87 instruction at RIP waits for an exception to be dealt with that is reported outside the CPU (CR0.NE = 0).</summary>
    NumericError,
}

/// <summary>An exception that an instruction raised: a value, never a C# exception.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FaultInfo
{
    public Vector Vector;
    public uint ErrorCode;

    /// <summary>Linear address for CR2 when the vector is #PF.</summary>
    public ulong LinearAddress;

    /// <summary>1 for a trap (#DB, INT n and the like): RIP already points behind the instruction.</summary>
    public int IsTrap;
}

/// <summary>Activity states (SDM, "Virtual-Machine Control Structures": activity state; and "MP Initialization").</summary>
public enum Activity
{
    Active = 0,
    Halted = 1,

    /// <summary>After a triple fault.</summary>
    Shutdown = 2,
    WaitForSipi = 3,

    /// <summary>MWAIT.</summary>
    Waiting = 4,

    /// <summary>Before a waiting x87 instruction, with FERR# asserted, until an interrupt or IGNNE#.</summary>
    Frozen = 5,
}

/// <summary>
/// Everything that a logical CPU is, in one blittable struct at a fixed address: the operations address registers by their byte
/// offset in it, a snapshot copies it, and a later translator can bake the addresses into code.
/// <para>Flags are lazy: CF, PF, AF, ZF, SF and OF live in <see cref="FlagResult"/> and <see cref="FlagAux"/> (see Flags); all other
/// bits of RFLAGS in <see cref="SystemFlags"/>.</para>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct CpuState
{
    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15, and a 17th that is always zero ("no base, no index").</summary>
    public fixed ulong Registers[17];

    public ulong FlagResult;
    public ulong FlagAux;

    /// <summary>RFLAGS without CF, PF, AF, ZF, SF and OF; bit 1 is always set.</summary>
    public ulong SystemFlags;

    /// <summary>Instruction pointer: an offset in CS, exact whenever no operation is running.</summary>
    public ulong Rip;

    /// <summary>Instructions that may still retire before the loop must look around. May go below zero only inside the loop.</summary>
    public long Budget;

    /// <summary>Taken out of <see cref="Budget"/> while a single instruction runs, or up to a sample; still owed.</summary>
    public long Deferred;

    /// <summary>The operation (Op*) that is executing, where it may look at the time; set by every Full access and by the instructions that read clocks or devices.</summary>
    public void* CurrentOp;

    /// <summary>The block (Block*) before which the last budget ran out: a sample of where time is spent.</summary>
    public void* Sampled;

    /// <summary>
    /// Set by PAUSE, HLT and the like: the CPU waits for another one, and the schedule may go on to it. <see cref="MustYield"/>: the machine wants the turn back, whoever
    /// else there is.
    /// </summary>
    public int YieldRequested;

    /// <summary>Of <see cref="YieldRequested"/>.</summary>
    public const int MayYield = 1;
    public const int MustYield = 2;

    /// <summary>Set by a slow path when the chain must return after the present instruction: for <see cref="LookAround"/> between the rounds of a repeated one as well.</summary>
    public int ExitRequested;

    /// <summary>Bits of <see cref="ExitRequested"/>: events may wait; code has changed, and a block of it may be running.</summary>
    public const int LookAround = 1;
    public const int CodeChanged = 2;

    public ExitReason Exit;

    /// <summary>The link (Block**) of the branch that left a chain because it was not linked yet; null else.</summary>
    public void* LinkSource;

    /// <summary>The translations for the present privilege; one of <see cref="Tlbs"/>.</summary>
    public Tlb* Tlb;

    /// <summary>Three in a row: supervisor, supervisor with SMAP in force, user.</summary>
    public Tlb* Tlbs;

    /// <summary>Recently left-for blocks by RIP; entries of type JumpCacheEntry.</summary>
    public void* JumpCache;

    /// <summary>What a decoded block depends on besides its bytes: code size, stack size, flat segments, CPL 3.</summary>
    public uint ModeKey;

    /// <summary><see cref="ModeKey"/> in the low bits, above it a count of translation changes: what an entry of the jump cache was made under.</summary>
    public uint JumpKey;

    /// <summary>Current privilege level.</summary>
    public int Cpl;

    public PagingRegisters Paging;

    /// <summary>ES, CS, SS, DS, FS, GS in the order of their encoding (<see cref="SegmentIndex"/>), then LDTR and TR.</summary>
    public SegmentRegister Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr;

    public TableRegister Gdtr, Idtr;

    public FaultInfo Fault;

    public Activity Activity;

    /// <summary>1 when interrupts are held off for one instruction after STI; 2 after MOV SS or POP SS, which also hold off #DB and NMI.</summary>
    public int InterruptShadow;

    /// <summary>1 from the delivery of an NMI to the next IRET.</summary>
    public int NmiBlocked;

    public ulong Cr8;

    /// <summary>DR0-DR3, and DR6, DR7.</summary>
    public fixed ulong DebugAddress[4];
    public ulong Dr6, Dr7;

    /// <summary>What DR7 enables, derived from it and CR4.DE; while it is not 0 the CPU executes one instruction at a time.</summary>
    public DebugArmed DebugArmed;

    /// <summary>1 when the instruction that is executing must not be followed by the trap of TF, which was set before it: INT n, and SYSCALL that masks TF.</summary>
    public int NoTrap;

    /// <summary>Bits of DR6 of a debug trap that is to be taken behind the present instruction.</summary>
    public ulong PendingDebug;

    /// <summary>RFLAGS.RF as it was before the present instruction, which runs with RF clear; only while <see cref="DebugArmed"/> is not 0.</summary>
    public ulong ResumeHeld;

    /// <summary>RIP behind the instruction that the stepper executes, were it no branch.</summary>
    public ulong SequentialRip;

    public ulong Star, Lstar, Cstar, Sfmask, KernelGsBase;
    public ulong SysenterCs, SysenterEsp, SysenterEip;
    public ulong TscAux, TscOffset, TscAdjust, Pat, ApicBase, MiscEnable;

    /// <summary>MSR_TEST_CTRL: bit 29 asks for #AC on split locks.</summary>
    public ulong SplitLockControl;

    /// <summary>Where RDRAND and RDSEED have got to: seeded by the machine, part of every snapshot, untouched by RESET.</summary>
    public ulong RandomState;

    /// <summary>IA32_DEBUGCTL.</summary>
    public ulong DebugControl;

    /// <summary>MSRs that are nothing but a word, in the order of <see cref="MsrTable"/>.</summary>
    public fixed ulong KeptMsrs[MsrTable.KeptWords];

    /// <summary>Instructions retired since reset.</summary>
    public ulong Retired;

    /// <summary>This CPU's position in the machine.</summary>
    public int Index;

    /// <summary>GCHandle of the managed <see cref="Cpu"/>.</summary>
    public nint Handle;

    // 16-byte scratch for operations with operands wider than 8 bytes.
    public ulong ScratchLow, ScratchHigh;

    /// <summary>Monitored physical line of MONITOR, or ulong.MaxValue.</summary>
    public ulong MonitorAddress;

    /// <summary>What that line held at MONITOR.</summary>
    public fixed ulong MonitorLine[8];

    /// <summary>IA32_MTRR_PHYSBASE0, PHYSMASK0, PHYSBASE1 and so on; then the eleven fixed-range registers; then IA32_MTRR_DEF_TYPE. Kept, without effect.</summary>
    public fixed ulong MtrrVariable[16];
    public fixed ulong MtrrFixed[11];
    public ulong MtrrDefaultType;

    /// <summary>x87, MMX and SSE registers. Last, for they are many bytes.</summary>
    public FloatingState Floating;

    public readonly bool Is64Bit => (Paging.Efer & PagingBits.EferLma) != 0 && (Cs.Attributes & SegmentAttributes.L) != 0;
    public readonly bool LongModeActive => (Paging.Efer & PagingBits.EferLma) != 0;
    public readonly bool ProtectedMode => (Paging.Cr0 & 1) != 0;
    public readonly bool Virtual8086 => (SystemFlags & Rflags.Vm) != 0 && !LongModeActive;
}

/// <summary>Bits of <see cref="SegmentRegister.Attributes"/>.</summary>
public static class SegmentAttributes
{
    public const ushort Accessed = 1;

    /// <summary>Data: writable. Code: readable.</summary>
    public const ushort WritableOrReadable = 2;

    /// <summary>Data: expand down. Code: conforming.</summary>
    public const ushort ExpandDownOrConforming = 4;
    public const ushort Code = 8;

    /// <summary>S: code or data, not system.</summary>
    public const ushort CodeOrData = 0x10;
    public const int DplShift = 5;
    public const ushort Present = 0x80;
    public const ushort L = 0x2000;

    /// <summary>D (code) or B (stack).</summary>
    public const ushort D = 0x4000;
    public const ushort G = 0x8000;
    public const ushort TypeMask = 0xF;

    /// <summary>A segment as real-address mode has it: present, data, read/write, accessed.</summary>
    public const ushort RealModeData = Present | CodeOrData | WritableOrReadable | Accessed;
}

/// <summary>Types of system descriptors (SDM, "System-Segment and Gate-Descriptor Types"). In long mode those of 16 bits do not exist.</summary>
public static class SystemType
{
    public const int AvailableTss16 = 1;
    public const int Ldt = 2;
    public const int BusyTss16 = 3;
    public const int CallGate16 = 4;
    public const int TaskGate = 5;
    public const int InterruptGate16 = 6;
    public const int TrapGate16 = 7;
    public const int AvailableTss32 = 9;
    public const int BusyTss32 = 11;
    public const int CallGate32 = 12;
    public const int InterruptGate32 = 14;
    public const int TrapGate32 = 15;

    /// <summary>Makes a TSS type busy.</summary>
    public const int BusyBit = 2;
}

/// <summary>Segment registers in the order of their encoding.</summary>
public enum SegmentIndex
{
    Es = 0,
    Cs = 1,
    Ss = 2,
    Ds = 3,
    Fs = 4,
    Gs = 5,
    Ldtr = 6,
    Tr = 7,
}

/// <summary>Exception and interrupt vectors (SDM, "Exception and Interrupt Vectors").</summary>
public enum Vector : byte
{
    DivideError = 0,
    Debug = 1,
    Nmi = 2,
    Breakpoint = 3,
    Overflow = 4,
    BoundRange = 5,
    InvalidOpcode = 6,
    DeviceNotAvailable = 7,
    DoubleFault = 8,
    InvalidTss = 10,
    SegmentNotPresent = 11,
    StackFault = 12,
    GeneralProtection = 13,
    PageFault = 14,
    X87 = 16,
    AlignmentCheck = 17,
    MachineCheck = 18,
    SimdFloatingPoint = 19,
}

/// <summary>Bits of RFLAGS.</summary>
public static class Rflags
{
    public const ulong Cf = 1;
    public const ulong Reserved1 = 2;
    public const ulong Pf = 4;
    public const ulong Af = 0x10;
    public const ulong Zf = 0x40;
    public const ulong Sf = 0x80;
    public const ulong Tf = 0x100;
    public const ulong If = 0x200;
    public const ulong Df = 0x400;
    public const ulong Of = 0x800;
    public const ulong IoplMask = 0x3000;
    public const ulong Nt = 0x4000;
    public const ulong Rf = 0x1_0000;
    public const ulong Vm = 0x2_0000;
    public const ulong Ac = 0x4_0000;
    public const ulong Vif = 0x8_0000;
    public const ulong Vip = 0x10_0000;
    public const ulong Id = 0x20_0000;
    public const ulong Arithmetic = Cf | Pf | Af | Zf | Sf | Of;
}
