using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>The second half of the <see cref="InstructionTable"/>: what operating systems use, and segment registers.</summary>
public static unsafe class SystemInstructionTable
{
    public static void Lower(ref Lowering l)
    {
        switch (l.Instruction.Mnemonic)
        {
            // Segment registers
            case Mnemonic.Les: SegmentMoves.LoadPointer(ref l, SegmentIndex.Es); break;
            case Mnemonic.Lds: SegmentMoves.LoadPointer(ref l, SegmentIndex.Ds); break;
            case Mnemonic.Lfs: SegmentMoves.LoadPointer(ref l, SegmentIndex.Fs); break;
            case Mnemonic.Lgs: SegmentMoves.LoadPointer(ref l, SegmentIndex.Gs); break;
            case Mnemonic.Lss: SegmentMoves.LoadPointer(ref l, SegmentIndex.Ss); break;
            case Mnemonic.Swapgs: ModelRegisters.Swapgs(ref l); break;
            case Mnemonic.Rdfsbase: ModelRegisters.ReadBase(ref l, SegmentIndex.Fs); break;
            case Mnemonic.Rdgsbase: ModelRegisters.ReadBase(ref l, SegmentIndex.Gs); break;
            case Mnemonic.Wrfsbase: ModelRegisters.WriteBase(ref l, SegmentIndex.Fs); break;
            case Mnemonic.Wrgsbase: ModelRegisters.WriteBase(ref l, SegmentIndex.Gs); break;

            // Descriptor tables. At CPL 3 some would fault in their operand first; the CPUs at hand look at the privilege before.
            case Mnemonic.Lldt or Mnemonic.Ltr or Mnemonic.Lmsw when (l.Mode & (ModeKey.User | ModeKey.Real)) == ModeKey.User: Refusals.Privileged(ref l); break;
            case Mnemonic.Lgdt: TableInstructions.Load(ref l, interrupt: false, OperandSize(l.Instruction.Code)); break;
            case Mnemonic.Lidt: TableInstructions.Load(ref l, interrupt: true, OperandSize(l.Instruction.Code)); break;
            case Mnemonic.Sgdt: TableInstructions.Store(ref l, interrupt: false); break;
            case Mnemonic.Sidt: TableInstructions.Store(ref l, interrupt: true); break;
            case Mnemonic.Lldt: TableInstructions.TakeSelector<TableInstructions.Lldt>(ref l); break;
            case Mnemonic.Ltr: TableInstructions.TakeSelector<TableInstructions.Ltr>(ref l); break;
            case Mnemonic.Sldt: TableInstructions.StoreSelector<TableInstructions.Sldt>(ref l); break;
            case Mnemonic.Str: TableInstructions.StoreSelector<TableInstructions.Str>(ref l); break;
            case Mnemonic.Lar: TableInstructions.Query<TableInstructions.Lar>(ref l); break;
            case Mnemonic.Lsl: TableInstructions.Query<TableInstructions.Lsl>(ref l); break;
            case Mnemonic.Verr: TableInstructions.TakeSelector<TableInstructions.Verr>(ref l); break;
            case Mnemonic.Verw: TableInstructions.TakeSelector<TableInstructions.Verw>(ref l); break;
            case Mnemonic.Arpl: TableInstructions.Arpl(ref l); break;

            // Control registers
            case Mnemonic.Smsw: ControlMoves.Smsw(ref l); break;
            case Mnemonic.Lmsw: ControlMoves.Lmsw(ref l); break;
            case Mnemonic.Clts: ControlMoves.Clts(ref l); break;
            case Mnemonic.Invlpg: ControlMoves.Invlpg(ref l); break;
            case Mnemonic.Invpcid: ControlMoves.Invpcid(ref l); break;

            // Model-specific registers, time, identification
            case Mnemonic.Rdmsr: ModelRegisters.Rdmsr(ref l); break;
            case Mnemonic.Wrmsr: ModelRegisters.Wrmsr(ref l); break;
            case Mnemonic.Rdtsc: ModelRegisters.Rdtsc(ref l); break;
            case Mnemonic.Rdtscp: ModelRegisters.Rdtscp(ref l); break;
            case Mnemonic.Rdpid: ModelRegisters.Rdpid(ref l); break;
            case Mnemonic.Rdrand or Mnemonic.Rdseed: RandomNumbers.Lower(ref l); break;
            case Mnemonic.Rdpmc: ModelRegisters.Rdpmc(ref l); break;
            case Mnemonic.Cpuid: ModelRegisters.Cpuid(ref l); break;

            // Transfers of control
            case Mnemonic.Jmp: FarTransfers.Jump(ref l); break;
            case Mnemonic.Call: FarTransfers.Call(ref l); break;
            case Mnemonic.Retf: FarTransfers.Return(ref l, OperandSize(l.Instruction.Code)); break;
            case Mnemonic.Iret: FarTransfers.InterruptReturn(ref l, 2); break;
            case Mnemonic.Iretd: FarTransfers.InterruptReturn(ref l, 4); break;
            case Mnemonic.Iretq: FarTransfers.InterruptReturn(ref l, 8); break;
            case Mnemonic.Syscall: FarTransfers.Syscall(ref l); break;
            case Mnemonic.Sysret: FarTransfers.Sysret(ref l, 4); break;
            case Mnemonic.Sysretq: FarTransfers.Sysret(ref l, 8); break;
            case Mnemonic.Sysenter: FarTransfers.Sysenter(ref l); break;
            case Mnemonic.Sysexit: FarTransfers.Sysexit(ref l, 4); break;
            case Mnemonic.Sysexitq: FarTransfers.Sysexit(ref l, 8); break;
            case Mnemonic.Int: SoftwareInterrupts.Int(ref l); break;
            case Mnemonic.Int3: SoftwareInterrupts.Int3(ref l); break;
            case Mnemonic.Int1: SoftwareInterrupts.Int1(ref l); break;
            case Mnemonic.Into: SoftwareInterrupts.Into(ref l); break;
            // "#UD if an attempt is made to execute this instruction when the processor is not in SMM", which it never is.
            case Mnemonic.Rsm: Refusals.UndefinedByName(ref l); break;
            case Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2: Refusals.UndefinedByName(ref l); break;

            // Waiting and ordering
            case Mnemonic.Hlt: Waiting.Hlt(ref l); break;
            case Mnemonic.Pause: Waiting.Pause(ref l); break;
            case Mnemonic.Monitor: Waiting.Monitor(ref l); break;
            case Mnemonic.Mwait: Waiting.Mwait(ref l); break;
            case Mnemonic.Lfence: Fences.Lfence(ref l); break;
            case Mnemonic.Sfence: Fences.Sfence(ref l); break;
            case Mnemonic.Mfence: Fences.Mfence(ref l); break;
            case Mnemonic.Serialize: Fences.Serialize(ref l); break;
            case Mnemonic.Clflush or Mnemonic.Clflushopt or Mnemonic.Clwb: Fences.CacheLine(ref l); break;
            case Mnemonic.Invd or Mnemonic.Wbinvd: Fences.CacheAll(ref l); break;

            // Ports
            case Mnemonic.In: PortIo.In(ref l); break;
            case Mnemonic.Out: PortIo.Out(ref l); break;
            case Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd: PortIo.String<PortIo.Ins>(ref l); break;
            case Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd: PortIo.String<PortIo.Outs>(ref l); break;

            default:
                if (!VectorInstructionTable.TryLower(ref l))
                    Refusals.Undefined(ref l);
                break;
        }
    }

    /// <summary>MOV, PUSH and POP with a register that is not a general one; false when all operands are general.</summary>
    public static bool TryMove(ref Lowering l)
    {
        for (int i = 0; i < l.Instruction.OpCount; i++)
        {
            if (!l.IsRegister(i) || l.Instruction.GetOpRegister(i).IsGPR())
                continue;
            Register register = l.Instruction.GetOpRegister(i);
            Lower(ref l, register, destination: i == 0);
            return true;
        }
        return false;
    }

    private static void Lower(ref Lowering l, Register register, bool destination)
    {
        switch (l.Instruction.Mnemonic)
        {
            case Mnemonic.Push: SegmentMoves.Push(ref l); break;
            case Mnemonic.Pop: SegmentMoves.Pop(ref l); break;
            case Mnemonic.Mov when register.IsSegmentRegister() && destination: SegmentMoves.Load(ref l); break;
            case Mnemonic.Mov when register.IsSegmentRegister(): SegmentMoves.Store(ref l); break;
            case Mnemonic.Mov when register.IsCR() && destination: ControlMoves.StoreControl(ref l); break;
            case Mnemonic.Mov when register.IsCR(): ControlMoves.LoadControl(ref l); break;
            case Mnemonic.Mov when register.IsDR() && destination: ControlMoves.StoreDebug(ref l); break;
            case Mnemonic.Mov when register.IsDR(): ControlMoves.LoadDebug(ref l); break;
            default: Refusals.Undefined(ref l); break; // Test registers went with the Pentium.
        }
    }

    /// <summary>Of instructions whose operand size is in their code only.</summary>
    private static int OperandSize(Code code) => code switch
    {
        Code.Lgdt_m1632_16 or Code.Lidt_m1632_16 or Code.Retfw or Code.Retfw_imm16 => 2,
        Code.Lgdt_m1632 or Code.Lidt_m1632 or Code.Retfd or Code.Retfd_imm16 => 4,
        _ => 8,
    };
}
