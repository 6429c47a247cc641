using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>The conditions of the rows of data/oracle-errors.txt about the host's CPU, an AMD EPYC, where it differs from Intel's manual or decides what that leaves open.</summary>
internal static class HostDisagreements
{
    private const int InvalidOpcode = 6, StackFault = 12, GeneralProtection = 13, PageFault = 14, AlignmentCheck = 17;

    public static readonly Dictionary<string, OracleErrors.Condition> Conditions = new()
    {
        ["offset-canonical"] = (c, oracle, emu, _) =>
            c.Mode == CodeMode.User64 && oracle.Vector is GeneralProtection or StackFault && emu.Vector is PageFault or Outcome.NoVector or AlignmentCheck
            && OracleErrors.Faulting(c, emu, i => i.MemorySegment is Register.FS or Register.GS).Any(a => !CaseAccess.Canonical(a.Offset) || !CaseAccess.Canonical(a.Offset + (ulong)a.Size - 1)),
        ["prefetch-register"] = (c, oracle, emu, _) =>
            oracle.Vector == InvalidOpcode && emu.Vector != InvalidOpcode && Last(c, oracle) is { Op0Kind: OpKind.Register, Mnemonic: Mnemonic.Reservednop },
        ["cmpxchg-unequal"] = (c, _, emu, differences) =>
            c.First.Code == Code.Cmpxchg_rm32_r32 && c.First.Op0Kind == OpKind.Register
            && (c.Count == 2 || differences.Count == 1 && differences[0].What == CaseText.NameOf(c.Mode, EffectiveAddress.NumberOf(c.First.Op0Register))),
        ["rep-io-zero"] = (c, oracle, emu, _) =>
            oracle.Vector == GeneralProtection && emu.Vector == Outcome.NoVector && (c.First.HasRepPrefix || c.First.HasRepnePrefix)
            && c.First.Mnemonic is Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd,
        ["rep-loop"] = (c, _, _, differences) =>
            c.Last.Mnemonic is Mnemonic.Loope or Mnemonic.Loopne && differences is [{ What: "rip" }]
            && c.Code.AsSpan(c.Count == 2 ? c.First.Length : 0, c.Last.Length).ContainsAny((byte)0xF2, (byte)0xF3),
        ["far-pointer-64"] = (c, _, _, _) => c.First.Code is Code.Lss_r64_m1664 or Code.Lfs_r64_m1664 or Code.Lgs_r64_m1664,
        ["movsxd16"] = (c, _, _, _) => c.First.Code == Code.Movsxd_r16_rm16 && c.First.Op1Kind == OpKind.Memory,
        ["store-unmasked"] = (c, oracle, emu, _) =>
            c.First.Mnemonic is Mnemonic.Fst or Mnemonic.Fstp or Mnemonic.Fist or Mnemonic.Fistp or Mnemonic.Fisttp or Mnemonic.Fbstp && emu.Rip != c.First.IP
            && (emu.Floating.Status & X87Status.Summary) != 0 && oracle.Rip == c.First.IP
            && (OracleErrors.MayFault(c, CaseAccesses.Of(c), oracle) || (oracle.Vector == GeneralProtection && c.First.MemorySegment == Register.CS)),
        ["fcomi-unmasked"] = (c, oracle, emu, differences) =>
            IsCompareToFlags(c) && (emu.Floating.Status & X87Status.Summary) != 0
            && (c.Count == 2 || differences.All(d => d.What.StartsWith("flags", StringComparison.Ordinal) || IsConditionOne(d, oracle, emu))),
        ["fcomi-c1"] = (c, oracle, emu, differences) => IsCompareToFlags(c) && differences.Count == 1 && IsConditionOne(differences[0], oracle, emu),
        ["mxcsr-mask"] = (c, _, _, differences) => Image(c) is { } image && differences.All(d => IsAt(c, d, image, MaskOnly)),
        ["saved-pointers"] = (c, _, _, differences) => Image(c) is { } image && differences.All(d => IsAt(c, d, image, PointersAndMask)),
        ["mxcsr-mm"] = (c, oracle, emu, _) =>
            emu.Vector == GeneralProtection && emu.Rip == c.First.IP && oracle.Rip != c.First.IP && (oracle.Floating.Mxcsr & MisalignedMode) != 0,
        ["maskmov-fault"] = (c, oracle, emu, _) =>
            c.First.Mnemonic is Mnemonic.Maskmovq or Mnemonic.Maskmovdqu && oracle.Rip == c.First.IP && oracle.Vector is PageFault or AlignmentCheck or GeneralProtection
            && (emu.Vector != Outcome.NoVector || oracle.Vector == AlignmentCheck || IsMaskPartlyZero(c)),
        ["sha-alignment"] = (c, oracle, emu, _) =>
            c.First.CpuidFeatures is [CpuidFeature.SHA] && emu.Vector == GeneralProtection && emu.Rip == c.First.IP && CaseAccesses.Of(c).Any(a => a.Linear % 16 != 0),
        ["xrstor-components"] = (c, oracle, emu, _) =>
            c.First.Mnemonic is Mnemonic.Xrstor or Mnemonic.Xrstor64 && emu.Vector == GeneralProtection && emu.Rip == c.First.IP && oracle.Vector != GeneralProtection
            && Arena.For(c.Mode).TryReadStart(c, EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First)) + 512, 8, out ulong present) && (present & ~3UL) != 0,
        ["approximation"] = (c, oracle, emu, differences) =>
            c.First.Mnemonic is Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss
            && (c.Count == 2 || differences is [{ What: var what }] && what == $"xmm{c.First.Op0Register - Register.XMM0}") && IsClose(oracle, emu, c.First.Op0Register - Register.XMM0),
        ["transcendental"] = (c, oracle, emu, differences) =>
            c.First.Mnemonic is Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos
            && differences.All(d => d.What.StartsWith("fpr", StringComparison.Ordinal) ? IsNeighbour(oracle, emu, d.What[3] - '0') : IsInexactness(d, oracle, emu)),
        ["fyl2xp1-range"] = (c, _, _, _) => c.First.Mnemonic == Mnemonic.Fyl2xp1 && IsBeyondLogarithm(c),
        ["mmx-transition"] = (c, oracle, emu, differences) =>
            c.First.Mnemonic is Mnemonic.Cvtps2pi or Mnemonic.Cvttps2pi or Mnemonic.Cvtpd2pi or Mnemonic.Cvttpd2pi or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd
            && emu.Vector != Outcome.NoVector && oracle.Vector == emu.Vector && differences.All(d => d.What is "ftw" or "fsw"),
        ["branch-66"] = (c, _, _, _) => c.Mode == CodeMode.User64 && OracleErrors.IsBranch16(c),
        ["partial-commit"] = (c, oracle, emu, _) =>
            c.First.Mnemonic is Mnemonic.Enter or Mnemonic.Popa or Mnemonic.Popad or Mnemonic.Pusha or Mnemonic.Pushad
            && emu.Vector != Outcome.NoVector && (oracle.Vector == emu.Vector || OracleErrors.IsFaultOrder(c, oracle, emu)) && emu.Rip == oracle.Rip,
        ["far-return-order"] = (c, oracle, emu, differences) =>
            oracle.Rip == emu.Rip && differences.All(d => d.What is "exception" or "error code" or "fault address")
            && FarReturnFaults.Of(c) is { } faults && faults.May(oracle) && faults.May(emu),
        ["compat-stack"] = (c, oracle, emu, differences) =>
            c.Mode == CodeMode.User64 && oracle.Selectors[1] == Arena.UserCode32Selector && differences is [{ What: "rsp" }] && oracle.Registers[4] == (uint)emu.Registers[4],
        ["compat-call"] = (c, _, _, _) =>
            c.First.Code is Code.Call_m1616 or Code.Call_m1632 && c.Mode == CodeMode.User64 && c.Registers[4] - 8 > uint.MaxValue
            && Arena.For(c.Mode).TryReadStart(c, EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First)) + (ulong)c.First.MemorySize.GetSize() - 2, 2, out ulong selector)
            && (selector & ~3UL) == (Arena.UserCode32Selector & ~3UL),
        ["address-wrap"] = (c, oracle, emu, _) =>
            oracle.Vector == PageFault && emu.Vector == PageFault && oracle.Rip == emu.Rip
            && OracleErrors.Faulting(c, emu, _ => true).Any(a => WrapsTo(a, c, oracle.FaultAddress) && emu.FaultAddress - a.Linear < (ulong)a.Size),
        ["fault-order"] = (c, oracle, emu, differences) => differences.Count == 1 && OracleErrors.IsFaultOrder(c, oracle, emu)
            && ((oracle.Vector, emu.Vector) is not ((StackFault, GeneralProtection) or (GeneralProtection, StackFault)) || HasBothReasons(c)),
    };

    /// <summary>The differences but for those in which the oracle has zeros for x87 pointers from before the case, in registers or as FNSTENV or FNSAVE stored them.</summary>
    public static List<Difference> WithoutLostPointers(Case c, List<Difference> differences)
    {
        bool stores = c.First.Mnemonic is Mnemonic.Fnstenv or Mnemonic.Fnsave;
        ulong image = stores ? EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First)) : 0;
        int words = c.First.Code is Code.Fnstenv_m14byte or Code.Fnsave_m94byte ? 2 : 4;
        return [.. differences.Where(d => d.What is "fip" or "fdp" or "fop" ? d.Oracle != "0" : !stores || !IsAt(c, d, image, offset => offset >= 3 * words && offset < 7 * words))];
    }

    /// <summary>Whether an operand goes past the last offset of its address size, and the last byte's address, had it wrapped, is this one.</summary>
    private static bool WrapsTo(CaseAccess a, Case c, ulong address)
    {
        ulong mask = EffectiveAddress.Mask(EffectiveAddress.AddressBytes(c.Mode, c.First)), last = a.Offset + (ulong)a.Size - 1;
        return last > mask && address == a.Linear - a.Offset + (last & mask);
    }

    private static bool IsCompareToFlags(Case c) => c.First.Mnemonic is Mnemonic.Fcomi or Mnemonic.Fcomip or Mnemonic.Fucomi or Mnemonic.Fucomip;

    private static bool IsConditionOne(Difference d, Outcome oracle, Outcome emu) => d.What == "fsw" && (oracle.Floating.Status ^ emu.Floating.Status) == X87Status.C1;

    public static bool StoresImage(in Instruction i) =>
        i.Mnemonic is Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsavec or Mnemonic.Xsavec64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64;

    /// <summary>Linear address of what FXSAVE or XSAVE and its kin write, or null.</summary>
    private static ulong? Image(Case c) =>
        StoresImage(c.First) ? EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First)) : null;

    /// <summary>Whether the four singles of a register differ by no more than twice what an approximation may be off.</summary>
    private static unsafe bool IsClose(Outcome oracle, Outcome emu, int register)
    {
        for (int lane = 0; lane < 4; lane++)
        {
            float a = Lane(oracle, register, lane), b = Lane(emu, register, lane);
            if (BitConverter.SingleToInt32Bits(a) != BitConverter.SingleToInt32Bits(b) && !(Math.Abs((double)a - b) <= 3.0 / 4096 * Math.Abs((double)a)))
                return false;
        }
        return true;
    }

    private static unsafe float Lane(Outcome o, int register, int lane) =>
        BitConverter.UInt32BitsToSingle((uint)(o.Floating.Xmm[2 * register + lane / 2] >> 32 * (lane & 1)));

    /// <summary>C1 differs, or the oracle reports an inexact or tiny result where Emu has an exact one.</summary>
    private static bool IsInexactness(Difference d, Outcome oracle, Outcome emu)
    {
        const ushort flags = X87Status.Precision | X87Status.Underflow;
        return d.What == "fsw" && ((oracle.Floating.Status ^ emu.Floating.Status) & ~(X87Status.C1 | X87Status.Summary | X87Status.Busy | flags)) == 0
            && (emu.Floating.Status & ~oracle.Floating.Status & flags) == 0;
    }

    /// <summary>ST(0) lies outside of what FYL2XP1 accepts, -(1 - sqrt(2)/2) to sqrt(2) - 1.</summary>
    private static unsafe bool IsBeyondLogarithm(Case c)
    {
        int top = FloatingImage.Top(c.Floating);
        ulong high = c.Floating.X87[2 * top + 1];
        double value = Math.ScaleB(c.Floating.X87[2 * top], (int)(high & 0x7FFF) - 16383 - 63) * ((high & 0x8000) != 0 ? -1 : 1);
        return !(value > Math.Sqrt(2) / 2 - 1 && value < Math.Sqrt(2) - 1);
    }

    /// <summary>An access that is not canonical is #SS or #GP by its segment, and only one of them unless something else is wrong too: a branch's target, alignment, a second access.</summary>
    private static bool HasBothReasons(Case c) =>
        c.Last.FlowControl != FlowControl.Next || CaseAccesses.Of(c) is var accesses && (accesses.Count > 1 || accesses.Any(a => a.Size >= 16 && a.Linear % (a.Size == CaseGenerator.XsaveBytes ? 64U : 16U) != 0));

    /// <summary>Whether an x87 register differs by one unit in the last place.</summary>
    private static unsafe bool IsNeighbour(Outcome oracle, Outcome emu, int register)
    {
        UInt128 a = new(oracle.Floating.X87[2 * register + 1], oracle.Floating.X87[2 * register] << 1), b = new(emu.Floating.X87[2 * register + 1], emu.Floating.X87[2 * register] << 1);
        return a - b == 2 || b - a == 2;
    }

    /// <summary>MXCSR.MM, which AMD has: vectors need not be aligned.</summary>
    private const uint MisalignedMode = 1 << 17;

    private static bool MaskOnly(int offset) => offset is >= 28 and < 32;

    private static bool PointersAndMask(int offset) => offset is 6 or 7 or (>= 8 and < 24) or (>= 28 and < 32);

    /// <summary>Whether all bytes that a difference in memory shows to differ have an allowed offset from a linear address.</summary>
    private static bool IsAt(Case c, Difference d, ulong linear, Func<int, bool> allows)
    {
        if (!d.What.StartsWith("memory", StringComparison.Ordinal))
            return false;
        Arena arena = Arena.For(c.Mode);
        ulong physical = ulong.Parse(d.What[(d.What.LastIndexOf(' ') + 1)..], System.Globalization.NumberStyles.HexNumber);
        HashSet<ulong> allowed = [.. Enumerable.Range(0, FloatingImage.Bytes).Where(allows).Select(i => arena.Physical(linear + (ulong)i))];
        return Enumerable.Range(0, d.Oracle.Length / 2).All(i => d.Oracle.AsSpan(2 * i, 2).SequenceEqual(d.Emu.AsSpan(2 * i, 2)) || allowed.Contains(physical + (ulong)i));
    }

    private static unsafe bool IsMaskPartlyZero(Case c)
    {
        int r = c.First.Op2Register - (c.First.Op2Register.IsMM() ? Register.MM0 : Register.XMM0);
        const ulong signs = 0x8080_8080_8080_8080;
        return c.First.Op2Register.IsMM() ? (c.Floating.X87[2 * r] & signs) != signs : (c.Floating.Xmm[2 * r] & c.Floating.Xmm[2 * r + 1] & signs) != signs;
    }

    /// <summary>The instruction at which the oracle stopped.</summary>
    private static Instruction Last(Case c, Outcome oracle) => c.Count == 2 && oracle.Rip == c.Second.IP ? c.Second : c.First;
}
