using Emu.Float;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>The part of the <see cref="InstructionTable"/> for floating-point arithmetic of SSE to SSE4.1: one line per mnemonic. 4 and 8 are the bytes of an element.</summary>
public static class SseInstructionTable
{
    /// <summary>Selects handlers; false when the instruction is none of these.</summary>
    public static bool TryLower(ref Lowering l)
    {
        Code code = l.Instruction.Code;
        switch (l.Instruction.Mnemonic)
        {
            // Arithmetic
            case Mnemonic.Addps: SseForms.HostPacked<SseArithmetic.Add>(ref l, 4); break;
            case Mnemonic.Addpd: SseForms.HostPacked<SseArithmetic.Add>(ref l, 8); break;
            case Mnemonic.Addss: SseForms.HostScalar<SseArithmetic.Add>(ref l, 4); break;
            case Mnemonic.Addsd: SseForms.HostScalar<SseArithmetic.Add>(ref l, 8); break;
            case Mnemonic.Subps: SseForms.HostPacked<SseArithmetic.Subtract>(ref l, 4); break;
            case Mnemonic.Subpd: SseForms.HostPacked<SseArithmetic.Subtract>(ref l, 8); break;
            case Mnemonic.Subss: SseForms.HostScalar<SseArithmetic.Subtract>(ref l, 4); break;
            case Mnemonic.Subsd: SseForms.HostScalar<SseArithmetic.Subtract>(ref l, 8); break;
            case Mnemonic.Mulps: SseForms.HostPacked<SseArithmetic.Multiply>(ref l, 4); break;
            case Mnemonic.Mulpd: SseForms.HostPacked<SseArithmetic.Multiply>(ref l, 8); break;
            case Mnemonic.Mulss: SseForms.HostScalar<SseArithmetic.Multiply>(ref l, 4); break;
            case Mnemonic.Mulsd: SseForms.HostScalar<SseArithmetic.Multiply>(ref l, 8); break;
            case Mnemonic.Divps: SseForms.HostPacked<SseArithmetic.Divide>(ref l, 4); break;
            case Mnemonic.Divpd: SseForms.HostPacked<SseArithmetic.Divide>(ref l, 8); break;
            case Mnemonic.Divss: SseForms.HostScalar<SseArithmetic.Divide>(ref l, 4); break;
            case Mnemonic.Divsd: SseForms.HostScalar<SseArithmetic.Divide>(ref l, 8); break;
            case Mnemonic.Sqrtps: SseForms.HostPacked<SseArithmetic.SquareRoot>(ref l, 4); break;
            case Mnemonic.Sqrtpd: SseForms.HostPacked<SseArithmetic.SquareRoot>(ref l, 8); break;
            case Mnemonic.Sqrtss: SseForms.HostScalar<SseArithmetic.SquareRoot>(ref l, 4); break;
            case Mnemonic.Sqrtsd: SseForms.HostScalar<SseArithmetic.SquareRoot>(ref l, 8); break;
            case Mnemonic.Minps: SseForms.HostPacked<SseArithmetic.Select<SseArithmetic.Smaller>>(ref l, 4); break;
            case Mnemonic.Minpd: SseForms.HostPacked<SseArithmetic.Select<SseArithmetic.Smaller>>(ref l, 8); break;
            case Mnemonic.Minss: SseForms.HostScalar<SseArithmetic.Select<SseArithmetic.Smaller>>(ref l, 4); break;
            case Mnemonic.Minsd: SseForms.HostScalar<SseArithmetic.Select<SseArithmetic.Smaller>>(ref l, 8); break;
            case Mnemonic.Maxps: SseForms.HostPacked<SseArithmetic.Select<SseArithmetic.Larger>>(ref l, 4); break;
            case Mnemonic.Maxpd: SseForms.HostPacked<SseArithmetic.Select<SseArithmetic.Larger>>(ref l, 8); break;
            case Mnemonic.Maxss: SseForms.HostScalar<SseArithmetic.Select<SseArithmetic.Larger>>(ref l, 4); break;
            case Mnemonic.Maxsd: SseForms.HostScalar<SseArithmetic.Select<SseArithmetic.Larger>>(ref l, 8); break;
            case Mnemonic.Addsubps: SseForms.Packed<SseArithmetic.AddSubtract>(ref l, 4); break;
            case Mnemonic.Addsubpd: SseForms.Packed<SseArithmetic.AddSubtract>(ref l, 8); break;
            case Mnemonic.Haddps: SseForms.Packed<SseArithmetic.Horizontal<Addition>>(ref l, 4); break;
            case Mnemonic.Haddpd: SseForms.Packed<SseArithmetic.Horizontal<Addition>>(ref l, 8); break;
            case Mnemonic.Hsubps: SseForms.Packed<SseArithmetic.Horizontal<Subtraction>>(ref l, 4); break;
            case Mnemonic.Hsubpd: SseForms.Packed<SseArithmetic.Horizontal<Subtraction>>(ref l, 8); break;
            case Mnemonic.Roundps: SseForms.Packed<SseArithmetic.Round>(ref l, 4); break;
            case Mnemonic.Roundpd: SseForms.Packed<SseArithmetic.Round>(ref l, 8); break;
            case Mnemonic.Roundss: SseForms.Scalar<SseArithmetic.Round>(ref l, 4); break;
            case Mnemonic.Roundsd: SseForms.Scalar<SseArithmetic.Round>(ref l, 8); break;
            case Mnemonic.Dpps: SseDotProduct.Lower(ref l, 4); break;
            case Mnemonic.Dppd: SseDotProduct.Lower(ref l, 8); break;
            case Mnemonic.Rcpps: SseForms.Packed<SseApproximations.Reciprocal>(ref l, 4); break;
            case Mnemonic.Rcpss: SseForms.Scalar<SseApproximations.Reciprocal>(ref l, 4); break;
            case Mnemonic.Rsqrtps: SseForms.Packed<SseApproximations.ReciprocalSquareRoot>(ref l, 4); break;
            case Mnemonic.Rsqrtss: SseForms.Scalar<SseApproximations.ReciprocalSquareRoot>(ref l, 4); break;

            // Comparisons
            case Mnemonic.Cmpps: SseForms.Packed<SseCompare.Predicate>(ref l, 4); break;
            case Mnemonic.Cmppd: SseForms.Packed<SseCompare.Predicate>(ref l, 8); break;
            case Mnemonic.Cmpss: SseForms.Scalar<SseCompare.Predicate>(ref l, 4); break;
            case Mnemonic.Cmpsd when code == Code.Cmpsd_xmm_xmmm64_imm8: SseForms.Scalar<SseCompare.Predicate>(ref l, 8); break;
            case Mnemonic.Comiss: SseCompare.ToFlags<SseCompare.Ordered>(ref l, 4); break;
            case Mnemonic.Comisd: SseCompare.ToFlags<SseCompare.Ordered>(ref l, 8); break;
            case Mnemonic.Ucomiss: SseCompare.ToFlags<SseCompare.Unordered>(ref l, 4); break;
            case Mnemonic.Ucomisd: SseCompare.ToFlags<SseCompare.Unordered>(ref l, 8); break;

            // Conversions
            case Mnemonic.Cvtsi2ss: SseConvert.FromInteger(ref l, 4); break;
            case Mnemonic.Cvtsi2sd: SseConvert.FromInteger(ref l, 8); break;
            case Mnemonic.Cvtss2si: SseConvert.ToInteger(ref l, 4, truncate: false); break;
            case Mnemonic.Cvtsd2si: SseConvert.ToInteger(ref l, 8, truncate: false); break;
            case Mnemonic.Cvttss2si: SseConvert.ToInteger(ref l, 4, truncate: true); break;
            case Mnemonic.Cvttsd2si: SseConvert.ToInteger(ref l, 8, truncate: true); break;
            case Mnemonic.Cvtss2sd: SseConvert.BetweenFormats(ref l, 4); break;
            case Mnemonic.Cvtsd2ss: SseConvert.BetweenFormats(ref l, 8); break;
            case Mnemonic.Cvtps2pd: SseConvertPacked.Lower<SseConvertPacked.SinglesToDoubles>(ref l); break;
            case Mnemonic.Cvtpd2ps: SseConvertPacked.Lower<SseConvertPacked.DoublesToSingles>(ref l); break;
            case Mnemonic.Cvtdq2ps: SseConvertPacked.Lower<SseConvertPacked.IntegersToSingles>(ref l); break;
            case Mnemonic.Cvtdq2pd: SseConvertPacked.Lower<SseConvertPacked.IntegersToDoubles>(ref l); break;
            case Mnemonic.Cvtps2dq: SseConvertPacked.Lower<SseConvertPacked.SinglesToIntegers<SseConvertPacked.Rounded>>(ref l); break;
            case Mnemonic.Cvttps2dq: SseConvertPacked.Lower<SseConvertPacked.SinglesToIntegers<SseConvertPacked.Truncated>>(ref l); break;
            case Mnemonic.Cvtpd2dq: SseConvertPacked.Lower<SseConvertPacked.DoublesToIntegers<SseConvertPacked.Rounded>>(ref l); break;
            case Mnemonic.Cvttpd2dq: SseConvertPacked.Lower<SseConvertPacked.DoublesToIntegers<SseConvertPacked.Truncated>>(ref l); break;
            case Mnemonic.Cvtpi2ps: SseConvertPacked.Lower<SseConvertPacked.TwoIntegersToSingles>(ref l); break;
            case Mnemonic.Cvtpi2pd: SseConvertPacked.Lower<SseConvertPacked.IntegersToDoubles>(ref l); break;
            case Mnemonic.Cvtps2pi: SseConvertPacked.Lower<SseConvertPacked.TwoSinglesToIntegers<SseConvertPacked.Rounded>>(ref l); break;
            case Mnemonic.Cvttps2pi: SseConvertPacked.Lower<SseConvertPacked.TwoSinglesToIntegers<SseConvertPacked.Truncated>>(ref l); break;
            case Mnemonic.Cvtpd2pi: SseConvertPacked.Lower<SseConvertPacked.DoublesToIntegers<SseConvertPacked.Rounded>>(ref l); break;
            case Mnemonic.Cvttpd2pi: SseConvertPacked.Lower<SseConvertPacked.DoublesToIntegers<SseConvertPacked.Truncated>>(ref l); break;

            default: return false;
        }
        return true;
    }
}
