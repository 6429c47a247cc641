using Emu.Cpus;
using Emu.Differ.Host;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>An instruction code that random cases leave out in a mode, with the reason.</summary>
public readonly record struct LeftOut(Code Code, string Reason);

/// <summary>
/// Which of Iced's instruction codes are compared in a mode: those which exist there, whose operands are general-purpose registers, memory and
/// immediates, which Emu executes, and which the table not-compared does not name.
/// </summary>
public sealed class Catalogue
{
    private static readonly Catalogue?[] s_catalogues = new Catalogue?[CodeModes.All.Count];

    private readonly HashSet<Code> _set = [];

    private Catalogue(CodeMode mode)
    {
        Mode = mode;
        Dictionary<Mnemonic, string> notCompared = ReadNotCompared(mode);
        var codes = new List<Code>();
        foreach (Code code in Enum.GetValues<Code>())
        {
            OpCodeInfo info = code.ToOpCode();
            if (!info.IsInstruction || !info.IsAvailableInMode(mode.Bits()) || !HasPlainOperands(info))
                continue;
            // Codes that only some historical CPU or another vendor's decoder has.
            if (info.DecoderOption != DecoderOptions.None)
                continue;
            if (mode == CodeMode.Real16 && !info.RealMode)
                continue;
            if (notCompared.TryGetValue(code.Mnemonic(), out string? reason) || IsLeftOut(mode, info, out reason) || IsLackedByHost(mode, code, out reason))
                LeftOut.Add(new LeftOut(code, reason));
            else
                codes.Add(code);
        }
        // Whether Emu executes it shows only in an instance.
        var maker = new InstructionMaker(mode);
        using var emulator = new EmulatorMachine(mode);
        foreach (Code code in codes)
        {
            Support support = Probe(emulator, maker, code);
            if (support == Support.Yes)
                _set.Add(code);
            else
                LeftOut.Add(new LeftOut(code, support switch
                {
                    Support.Undefined => "the CPU model lacks it",
                    Support.Unmade => "its bytes decode as another code, or as two",
                    _ => "Emu stops",
                }));
        }
        Codes = [.. codes.Where(_set.Contains)];
    }

    private enum Support
    {
        Yes,
        No,
        Undefined,

        /// <summary>No instance decodes as this code: 16-bit near branches in 64-bit mode, which only AMD has; x87 codes that include WAIT.</summary>
        Unmade,
    }

    public CodeMode Mode { get; }

    /// <summary>What is compared.</summary>
    public Code[] Codes { get; }

    public List<LeftOut> LeftOut { get; } = [];

    public static Catalogue For(CodeMode mode) => s_catalogues[(int)mode] ??= new Catalogue(mode);

    public bool Contains(Code code) => _set.Contains(code);

    private static Dictionary<Mnemonic, string> ReadNotCompared(CodeMode mode)
    {
        var table = new Dictionary<Mnemonic, string>();
        foreach (string[] row in DataTable.Read("not-compared.txt", 3))
        {
            if (row[0] is not ("both" or "host" or "unicorn"))
                throw new InvalidDataException($"not-compared.txt: '{row[0]}' is neither an oracle nor 'both'");
            if (row[0] == (mode.IsUser() ? "unicorn" : "host"))
                continue;
            string[] name = row[1].Split(':');
            if (!Enum.TryParse(name[0], ignoreCase: true, out Mnemonic mnemonic))
                throw new InvalidDataException($"not-compared.txt: Iced knows no '{name[0]}'");
            if (name.Length == 1 || name[1].Split(',').Contains(mode.Bits().ToString()))
                table[mnemonic] = row[2];
        }
        return table;
    }

    private static bool IsLeftOut(CodeMode mode, OpCodeInfo info, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? reason)
    {
        reason = null;
        for (int i = 0; i < info.OpCount; i++)
        {
            OpCodeOperandKind kind = info.GetOpKind(i);
            if (!mode.IsUser() && kind is OpCodeOperandKind.farbr2_2 or OpCodeOperandKind.farbr4_2)
                reason = "changes the code segment; lockstep runs it";
            else if (!mode.IsUser() && kind is (OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg))
                reason = "privileged";
        }
        if (!mode.IsUser() && FloatingValues.IsFloating(info.Code) && info.Code.Mnemonic() is not (Mnemonic.Lfence or Mnemonic.Sfence or Mnemonic.Mfence))
            reason = "x87, MMX and SSE are checked on the host's CPU: Unicorn's are incomplete";
        if (!mode.IsUser() && info.Code is Code.Jmp_m1616 or Code.Jmp_m1632 or Code.Jmp_m1664 or Code.Call_m1616 or Code.Call_m1632 or Code.Call_m1664)
            reason = "changes the code segment; lockstep runs it";
        if (mode.IsUser() && info.Code is Code.Jmp_m1664 or Code.Call_m1664)
            reason = "far pointers of AMD's CPUs have 32 bits at most";
        if (mode != CodeMode.Real16 && !mode.IsUser() && LoadsSegment(info))
            reason = "loads a descriptor; lockstep runs it";
        return reason != null;
    }

    private static bool IsLackedByHost(CodeMode mode, Code code, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? reason)
    {
        reason = mode.IsUser() && !HostFeatures.Has(code) ? "the host's CPU lacks it" : null;
        return reason != null;
    }

    private static bool LoadsSegment(OpCodeInfo info) =>
        info.Mnemonic is Mnemonic.Lds or Mnemonic.Les or Mnemonic.Lss or Mnemonic.Lfs or Mnemonic.Lgs
        || (info.Mnemonic is Mnemonic.Mov or Mnemonic.Pop
            && info.Op0Kind is OpCodeOperandKind.seg_reg or OpCodeOperandKind.es or OpCodeOperandKind.ss or OpCodeOperandKind.ds
                or OpCodeOperandKind.fs or OpCodeOperandKind.gs);

    private static bool HasPlainOperands(OpCodeInfo info)
    {
        if (info.Encoding is not (EncodingKind.Legacy or EncodingKind.VEX))
            return false;
        for (int i = 0; i < info.OpCount; i++)
            if (!InstructionMaker.CanMake(info.GetOpKind(i)))
                return false;
        return true;
    }

    /// <summary>Runs an instance in Emu: what the CPU model lacks is #UD.</summary>
    private static Support Probe(EmulatorMachine emulator, InstructionMaker maker, Code code)
    {
        var dice = new Dice((ulong)code);
        Span<byte> bytes = stackalloc byte[32];
        var outcome = new Outcome();
        var c = new Case();
        c.Clear(maker.Mode);
        c.Cs = Arena.For(maker.Mode).DefaultCs;
        c.Rip = Arena.For(maker.Mode).DefaultRip;
        for (int attempt = 0; attempt < 40; attempt++)
        {
            if (!maker.TryMake(code, ref dice, c.Rip, out c.First, bytes) || c.First.Code != code || c.First.HasLockPrefix)
                continue;
            c.Length = c.First.Length;
            bytes[..c.Length].CopyTo(c.Code);
            emulator.Run(c, outcome, ExecutionPath.Step);
            if (outcome.Refusal != null)
                return Support.No;
            if (outcome.Vector == (int)Vector.InvalidOpcode && !IsUndefined(code.Mnemonic(), maker.Mode))
                return Support.Undefined;
            return Support.Yes;
        }
        return Support.Unmade;
    }

    /// <summary>#UD by its meaning: UD0, UD1 and UD2; RSM outside SMM; what is so at CPL 3.</summary>
    private static bool IsUndefined(Mnemonic mnemonic, CodeMode mode) =>
        mnemonic is Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2 or Mnemonic.Rsm
        || (mode.IsUser() && mnemonic is Mnemonic.Monitor or Mnemonic.Mwait or Mnemonic.Clac or Mnemonic.Stac);
}
