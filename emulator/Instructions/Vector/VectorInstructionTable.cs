using Emu.Cpus;
using Iced.Intel;
using static Emu.Instructions.PackedArithmetic;
using static Emu.Instructions.PackedMultiply;
using static Emu.Instructions.PackedShifts;
using static Emu.Instructions.PackedShuffles;
using static Emu.Instructions.VectorForms;

namespace Emu.Instructions;

/// <summary>
/// The third part of the <see cref="InstructionTable"/>: MMX, the integer part of SSE to SSE4.2, moves and shuffles, and the saving of their state.
/// Arithmetic on floating-point numbers stands elsewhere.
/// </summary>
public static unsafe class VectorInstructionTable
{
    /// <summary>Lowers the instruction when it stands here.</summary>
    public static bool TryLower(ref Lowering l)
    {
        switch (l.Instruction.Mnemonic)
        {
            // State
            case Mnemonic.Emms: StateSaving.Emms(ref l); break;
            case Mnemonic.Ldmxcsr: StateSaving.Ldmxcsr(ref l); break;
            case Mnemonic.Stmxcsr: StateSaving.Stmxcsr(ref l); break;
            case Mnemonic.Fxsave or Mnemonic.Fxsave64: StateSaving.Fxsave(ref l); break;
            case Mnemonic.Fxrstor or Mnemonic.Fxrstor64: StateSaving.Fxrstor(ref l); break;

            case Mnemonic.Xsave or Mnemonic.Xsave64: StateSaving.Xsave(ref l, ExtendedSave.Xsave); break;
            case Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64: StateSaving.Xsave(ref l, ExtendedSave.Xsaveopt); break;
            case Mnemonic.Xsavec or Mnemonic.Xsavec64: StateSaving.Xsave(ref l, ExtendedSave.Xsavec); break;
            case Mnemonic.Xsaves or Mnemonic.Xsaves64: StateSaving.Xsave(ref l, ExtendedSave.Xsaves); break;
            case Mnemonic.Xrstor or Mnemonic.Xrstor64: StateSaving.Xrstor(ref l, supervisor: false); break;
            case Mnemonic.Xrstors or Mnemonic.Xrstors64: StateSaving.Xrstor(ref l, supervisor: true); break;
            case Mnemonic.Xgetbv: StateSaving.Xgetbv(ref l); break;
            case Mnemonic.Xsetbv: StateSaving.Xsetbv(ref l); break;

            // Moves
            case Mnemonic.Movaps or Mnemonic.Movapd or Mnemonic.Movdqa: VectorMoves.Whole<Aligned>(ref l); break;
            case Mnemonic.Movntps or Mnemonic.Movntpd or Mnemonic.Movntdq or Mnemonic.Movntdqa: VectorMoves.Whole<Aligned>(ref l); break;
            case Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu: VectorMoves.Whole<Unaligned>(ref l); break;
            case Mnemonic.Movntq: VectorMoves.Whole<Unaligned>(ref l); break;
            case Mnemonic.Movd: VectorMoves.Scalar<W32>(ref l); break;
            case Mnemonic.Movq when l.Instruction.Code is Code.Movq_mm_mmm64 or Code.Movq_mmm64_mm: VectorMoves.Whole<Unaligned>(ref l); break;
            case Mnemonic.Movq: VectorMoves.Scalar<W64>(ref l); break;
            case Mnemonic.Movss: VectorMoves.ScalarFloat<W32, VectorMoves.MergeSingle>(ref l); break;
            case Mnemonic.Movsd: VectorMoves.ScalarFloat<W64, VectorMoves.MergeLow>(ref l); break;
            case Mnemonic.Movlps or Mnemonic.Movlpd: VectorMoves.Half<VectorMoves.MergeLow>(ref l, 0); break;
            case Mnemonic.Movhps or Mnemonic.Movhpd or Mnemonic.Movlhps: VectorMoves.Half<VectorMoves.LowToHigh>(ref l, 8); break;
            case Mnemonic.Movhlps: Binary<VectorMoves.HighToLow>(ref l); break;
            case Mnemonic.Movddup: Narrow<DuplicateLowQuadword, W64>(ref l); break;
            case Mnemonic.Movsldup: Binary<DuplicateEven>(ref l); break;
            case Mnemonic.Movshdup: Binary<DuplicateOdd>(ref l); break;
            case Mnemonic.Movmskps: VectorMoves.SignBits<uint>(ref l); break;
            case Mnemonic.Movmskpd: VectorMoves.SignBits<ulong>(ref l); break;
            case Mnemonic.Pmovmskb: VectorMoves.SignBits<byte>(ref l); break;
            case Mnemonic.Movq2dq or Mnemonic.Movdq2q: VectorMoves.BetweenFiles(ref l); break;
            case Mnemonic.Maskmovdqu or Mnemonic.Maskmovq: VectorMoves.Masked(ref l); break;
            case Mnemonic.Movnti: Moves.Mov(ref l); break;

            // Elements
            case Mnemonic.Pinsrw: VectorElements.Insert<W16>(ref l); break;
            case Mnemonic.Pextrw: VectorElements.Extract<W16>(ref l); break;

            // Logic
            case Mnemonic.Pand or Mnemonic.Andps or Mnemonic.Andpd: Binary<PackedArithmetic.And>(ref l); break;
            case Mnemonic.Pandn or Mnemonic.Andnps or Mnemonic.Andnpd: Binary<AndNot>(ref l); break;
            case Mnemonic.Por or Mnemonic.Orps or Mnemonic.Orpd: Binary<PackedArithmetic.Or>(ref l); break;
            case Mnemonic.Pxor or Mnemonic.Xorps or Mnemonic.Xorpd: Binary<PackedArithmetic.Xor>(ref l); break;

            // Comparison
            case Mnemonic.Pcmpeqb: Binary<Equal<byte>>(ref l); break;
            case Mnemonic.Pcmpeqw: Binary<Equal<ushort>>(ref l); break;
            case Mnemonic.Pcmpeqd: Binary<Equal<uint>>(ref l); break;
            case Mnemonic.Pcmpgtb: Binary<Greater<sbyte>>(ref l); break;
            case Mnemonic.Pcmpgtw: Binary<Greater<short>>(ref l); break;
            case Mnemonic.Pcmpgtd: Binary<Greater<int>>(ref l); break;
            case Mnemonic.Pminub: Binary<Minimum<byte>>(ref l); break;
            case Mnemonic.Pminsw: Binary<Minimum<short>>(ref l); break;
            case Mnemonic.Pmaxub: Binary<Maximum<byte>>(ref l); break;
            case Mnemonic.Pmaxsw: Binary<Maximum<short>>(ref l); break;

            // Addition and subtraction
            case Mnemonic.Paddb: Binary<Add<byte>>(ref l); break;
            case Mnemonic.Paddw: Binary<Add<ushort>>(ref l); break;
            case Mnemonic.Paddd: Binary<Add<uint>>(ref l); break;
            case Mnemonic.Paddq: Binary<Add<ulong>>(ref l); break;
            case Mnemonic.Psubb: Binary<Subtract<byte>>(ref l); break;
            case Mnemonic.Psubw: Binary<Subtract<ushort>>(ref l); break;
            case Mnemonic.Psubd: Binary<Subtract<uint>>(ref l); break;
            case Mnemonic.Psubq: Binary<Subtract<ulong>>(ref l); break;
            case Mnemonic.Paddsb: Binary<AddSaturated<sbyte>>(ref l); break;
            case Mnemonic.Paddsw: Binary<AddSaturated<short>>(ref l); break;
            case Mnemonic.Paddusb: Binary<AddSaturated<byte>>(ref l); break;
            case Mnemonic.Paddusw: Binary<AddSaturated<ushort>>(ref l); break;
            case Mnemonic.Psubsb: Binary<SubtractSaturated<sbyte>>(ref l); break;
            case Mnemonic.Psubsw: Binary<SubtractSaturated<short>>(ref l); break;
            case Mnemonic.Psubusb: Binary<SubtractSaturated<byte>>(ref l); break;
            case Mnemonic.Psubusw: Binary<SubtractSaturated<ushort>>(ref l); break;
            case Mnemonic.Pavgb: Binary<AverageBytes>(ref l); break;
            case Mnemonic.Pavgw: Binary<AverageWords>(ref l); break;

            // Multiplication
            case Mnemonic.Pmullw: Binary<Low<ushort>>(ref l); break;
            case Mnemonic.Pmulhw: Binary<High>(ref l); break;
            case Mnemonic.Pmulhuw: Binary<HighUnsigned>(ref l); break;
            case Mnemonic.Pmuludq: Binary<EvenUnsigned>(ref l); break;
            case Mnemonic.Pmaddwd: Binary<AddProducts>(ref l); break;
            case Mnemonic.Psadbw: Binary<SumOfDifferences>(ref l); break;

            // Shifts
            case Mnemonic.Psllw: PackedShifts.Lower<LeftWords>(ref l); break;
            case Mnemonic.Pslld: PackedShifts.Lower<LeftDoublewords>(ref l); break;
            case Mnemonic.Psllq: PackedShifts.Lower<LeftQuadwords>(ref l); break;
            case Mnemonic.Psrlw: PackedShifts.Lower<RightWords>(ref l); break;
            case Mnemonic.Psrld: PackedShifts.Lower<RightDoublewords>(ref l); break;
            case Mnemonic.Psrlq: PackedShifts.Lower<RightQuadwords>(ref l); break;
            case Mnemonic.Psraw: PackedShifts.Lower<ArithmeticWords>(ref l); break;
            case Mnemonic.Psrad: PackedShifts.Lower<ArithmeticDoublewords>(ref l); break;
            case Mnemonic.Pslldq: PackedShifts.Lower<BytesLeft>(ref l); break;
            case Mnemonic.Psrldq: PackedShifts.Lower<BytesRight>(ref l); break;

            // Shuffles
            case Mnemonic.Pshufd: Immediate<Doublewords>(ref l); break;
            case Mnemonic.Pshuflw or Mnemonic.Pshufw: Immediate<LowWords>(ref l); break;
            case Mnemonic.Pshufhw: Immediate<HighWords>(ref l); break;
            case Mnemonic.Shufps: Immediate<Singles>(ref l); break;
            case Mnemonic.Shufpd: Immediate<Doubles>(ref l); break;
            case Mnemonic.Punpcklbw: LowerInterleaveLow<byte>(ref l); break;
            case Mnemonic.Punpcklwd: LowerInterleaveLow<ushort>(ref l); break;
            case Mnemonic.Punpckldq or Mnemonic.Unpcklps: LowerInterleaveLow<uint>(ref l); break;
            case Mnemonic.Punpcklqdq or Mnemonic.Unpcklpd: LowerInterleaveLow<ulong>(ref l); break;
            case Mnemonic.Punpckhbw: Binary<InterleaveHigh<byte>>(ref l); break;
            case Mnemonic.Punpckhwd: Binary<InterleaveHigh<ushort>>(ref l); break;
            case Mnemonic.Punpckhdq or Mnemonic.Unpckhps: Binary<InterleaveHigh<uint>>(ref l); break;
            case Mnemonic.Punpckhqdq or Mnemonic.Unpckhpd: Binary<InterleaveHigh<ulong>>(ref l); break;
            case Mnemonic.Packsswb: Binary<PackWordsSigned>(ref l); break;
            case Mnemonic.Packssdw: Binary<PackDoublewordsSigned>(ref l); break;
            case Mnemonic.Packuswb: Binary<PackWordsUnsigned>(ref l); break;

            default: return TryLowerLater(ref l);
        }
        return true;
    }

    /// <summary>SSSE3, SSE4.1, SSE4.2, AES, PCLMULQDQ, SHA.</summary>
    private static bool TryLowerLater(ref Lowering l)
    {
        switch (l.Instruction.Mnemonic)
        {
            // Elements
            case Mnemonic.Pinsrb: VectorElements.Insert<W8>(ref l); break;
            case Mnemonic.Pinsrd: VectorElements.Insert<W32>(ref l); break;
            case Mnemonic.Pinsrq: VectorElements.Insert<W64>(ref l); break;
            case Mnemonic.Pextrb: VectorElements.Extract<W8>(ref l); break;
            case Mnemonic.Pextrd or Mnemonic.Extractps: VectorElements.Extract<W32>(ref l); break;
            case Mnemonic.Pextrq: VectorElements.Extract<W64>(ref l); break;
            case Mnemonic.Insertps: VectorElements.InsertSingle(ref l); break;

            // Comparison
            case Mnemonic.Pcmpeqq: Binary<Equal<ulong>>(ref l); break;
            case Mnemonic.Pcmpgtq: Binary<Greater<long>>(ref l); break;
            case Mnemonic.Pminsb: Binary<Minimum<sbyte>>(ref l); break;
            case Mnemonic.Pminuw: Binary<Minimum<ushort>>(ref l); break;
            case Mnemonic.Pminsd: Binary<Minimum<int>>(ref l); break;
            case Mnemonic.Pminud: Binary<Minimum<uint>>(ref l); break;
            case Mnemonic.Pmaxsb: Binary<Maximum<sbyte>>(ref l); break;
            case Mnemonic.Pmaxuw: Binary<Maximum<ushort>>(ref l); break;
            case Mnemonic.Pmaxsd: Binary<Maximum<int>>(ref l); break;
            case Mnemonic.Pmaxud: Binary<Maximum<uint>>(ref l); break;
            case Mnemonic.Ptest: PackedSelect.Test(ref l); break;

            // Arithmetic
            case Mnemonic.Pabsb: Binary<Absolute<sbyte>>(ref l); break;
            case Mnemonic.Pabsw: Binary<Absolute<short>>(ref l); break;
            case Mnemonic.Pabsd: Binary<Absolute<int>>(ref l); break;
            case Mnemonic.Psignb: Binary<Sign<sbyte>>(ref l); break;
            case Mnemonic.Psignw: Binary<Sign<short>>(ref l); break;
            case Mnemonic.Psignd: Binary<Sign<int>>(ref l); break;
            case Mnemonic.Phaddw: Binary<PackedHorizontal.AddWords>(ref l); break;
            case Mnemonic.Phaddsw: Binary<PackedHorizontal.AddWordsSaturated>(ref l); break;
            case Mnemonic.Phaddd: Binary<PackedHorizontal.AddDoublewords>(ref l); break;
            case Mnemonic.Phsubw: Binary<PackedHorizontal.SubtractWords>(ref l); break;
            case Mnemonic.Phsubsw: Binary<PackedHorizontal.SubtractWordsSaturated>(ref l); break;
            case Mnemonic.Phsubd: Binary<PackedHorizontal.SubtractDoublewords>(ref l); break;
            case Mnemonic.Phminposuw: Long<PackedHorizontal.MinimumPosition, Aligned>(ref l); break;
            case Mnemonic.Mpsadbw: Long<PackedHorizontal.SlidingDifferences, Aligned>(ref l); break;
            case Mnemonic.Pmulhrsw: Binary<HighRounded>(ref l); break;
            case Mnemonic.Pmaddubsw: Binary<AddByteProducts>(ref l); break;
            case Mnemonic.Pmulld: Binary<Low<uint>>(ref l); break;
            case Mnemonic.Pmuldq: Binary<EvenSigned>(ref l); break;

            // Shuffles
            case Mnemonic.Pshufb: Binary<PackedShuffles.Bytes>(ref l); break;
            case Mnemonic.Palignr: Immediate<Align>(ref l); break;
            case Mnemonic.Packusdw: Binary<PackDoublewordsUnsigned>(ref l); break;
            case Mnemonic.Pblendw: Immediate<Blend<ushort>>(ref l); break;
            case Mnemonic.Blendps: Immediate<Blend<uint>>(ref l); break;
            case Mnemonic.Blendpd: Immediate<Blend<ulong>>(ref l); break;
            case Mnemonic.Pblendvb: PackedSelect.BlendBySign<sbyte>(ref l); break;
            case Mnemonic.Blendvps: PackedSelect.BlendBySign<int>(ref l); break;
            case Mnemonic.Blendvpd: PackedSelect.BlendBySign<long>(ref l); break;
            case Mnemonic.Pmovsxbw: Narrow<PackedSelect.SignExtend<byte, ushort>, W64>(ref l); break;
            case Mnemonic.Pmovsxbd: Narrow<PackedSelect.SignExtend<byte, uint>, W32>(ref l); break;
            case Mnemonic.Pmovsxbq: Narrow<PackedSelect.SignExtend<byte, ulong>, W16>(ref l); break;
            case Mnemonic.Pmovsxwd: Narrow<PackedSelect.SignExtend<ushort, uint>, W64>(ref l); break;
            case Mnemonic.Pmovsxwq: Narrow<PackedSelect.SignExtend<ushort, ulong>, W32>(ref l); break;
            case Mnemonic.Pmovsxdq: Narrow<PackedSelect.SignExtend<uint, ulong>, W64>(ref l); break;
            case Mnemonic.Pmovzxbw: Narrow<PackedSelect.ZeroExtend<byte, ushort>, W64>(ref l); break;
            case Mnemonic.Pmovzxbd: Narrow<PackedSelect.ZeroExtend<byte, uint>, W32>(ref l); break;
            case Mnemonic.Pmovzxbq: Narrow<PackedSelect.ZeroExtend<byte, ulong>, W16>(ref l); break;
            case Mnemonic.Pmovzxwd: Narrow<PackedSelect.ZeroExtend<ushort, uint>, W64>(ref l); break;
            case Mnemonic.Pmovzxwq: Narrow<PackedSelect.ZeroExtend<ushort, ulong>, W32>(ref l); break;
            case Mnemonic.Pmovzxdq: Narrow<PackedSelect.ZeroExtend<uint, ulong>, W64>(ref l); break;

            // Strings, checksums, cryptography
            case Mnemonic.Pcmpestri: Long<TextComparison.Index<TextComparison.Explicit32>, Unaligned>(ref l); break;
            case Mnemonic.Pcmpestri64: Long<TextComparison.Index<TextComparison.Explicit64>, Unaligned>(ref l); break;
            case Mnemonic.Pcmpestrm: Long<TextComparison.Mask<TextComparison.Explicit32>, Unaligned>(ref l); break;
            case Mnemonic.Pcmpestrm64: Long<TextComparison.Mask<TextComparison.Explicit64>, Unaligned>(ref l); break;
            case Mnemonic.Pcmpistri: Long<TextComparison.Index<TextComparison.Implicit>, Unaligned>(ref l); break;
            case Mnemonic.Pcmpistrm: Long<TextComparison.Mask<TextComparison.Implicit>, Unaligned>(ref l); break;
            case Mnemonic.Crc32: Crc32.Lower(ref l); break;
            case Mnemonic.Aesenc: Aes.Lower<Aes.Host.Encrypt, Aes.Portable.Encrypt>(ref l); break;
            case Mnemonic.Aesenclast: Aes.Lower<Aes.Host.EncryptLast, Aes.Portable.EncryptLast>(ref l); break;
            case Mnemonic.Aesdec: Aes.Lower<Aes.Host.Decrypt, Aes.Portable.Decrypt>(ref l); break;
            case Mnemonic.Aesdeclast: Aes.Lower<Aes.Host.DecryptLast, Aes.Portable.DecryptLast>(ref l); break;
            case Mnemonic.Aesimc: Aes.Lower<Aes.Host.InverseMixColumns, Aes.Portable.InverseMixColumns>(ref l); break;
            case Mnemonic.Aeskeygenassist: Long<Aes.KeygenAssist, Aligned>(ref l); break;
            case Mnemonic.Pclmulqdq: Long<CarrylessMultiply, Aligned>(ref l); break;
            case Mnemonic.Sha1rnds4: Long<Sha.Sha1Rounds, Aligned>(ref l); break;
            case Mnemonic.Sha1nexte: Long<Sha.Sha1NextE, Aligned>(ref l); break;
            case Mnemonic.Sha1msg1: Long<Sha.Sha1Message1, Aligned>(ref l); break;
            case Mnemonic.Sha1msg2: Long<Sha.Sha1Message2, Aligned>(ref l); break;
            case Mnemonic.Sha256rnds2: Long<Sha.Sha256Rounds, Aligned>(ref l); break;
            case Mnemonic.Sha256msg1: Long<Sha.Sha256Message1, Aligned>(ref l); break;
            case Mnemonic.Sha256msg2: Long<Sha.Sha256Message2, Aligned>(ref l); break;

            default: return false;
        }
        return true;
    }
}
