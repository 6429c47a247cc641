using System.Numerics;
using Emu.Float;
using Emu.Tests.Instructions;
using Xunit;

namespace Emu.Tests.Float;

/// <summary>Arithmetic in every format, precision and rounding mode against exact rational arithmetic.</summary>
public sealed class RoundingLawTests
{
    [Theory]
    [InlineData("add")]
    [InlineData("subtract")]
    [InlineData("multiply")]
    [InlineData("divide")]
    [InlineData("sqrt")]
    public void Binary32_AnyNumbers_RoundAsTheDefinitionSays(string operation) =>
        Law.Holds((x, y, control) => Check<Binary32>(operation, Number.Unpack<Binary32>((uint)x ^ (uint)(x >> 32)), Number.Unpack<Binary32>((uint)y ^ (uint)(y >> 32)), control, 24));

    [Theory]
    [InlineData("add")]
    [InlineData("subtract")]
    [InlineData("multiply")]
    [InlineData("divide")]
    [InlineData("sqrt")]
    public void Binary64_AnyNumbers_RoundAsTheDefinitionSays(string operation) =>
        Law.Holds((x, y, control) => Check<Binary64>(operation, Number.Unpack<Binary64>(x), Number.Unpack<Binary64>(Near(x, y, control, 52)), control, 53));

    [Theory]
    [InlineData("add", 64)]
    [InlineData("add", 53)]
    [InlineData("subtract", 64)]
    [InlineData("subtract", 24)]
    [InlineData("multiply", 64)]
    [InlineData("multiply", 53)]
    [InlineData("divide", 64)]
    [InlineData("divide", 24)]
    [InlineData("sqrt", 64)]
    [InlineData("sqrt", 53)]
    public void Extended_AnyNumbers_RoundAsTheDefinitionSays(string operation, int precision) =>
        Law.Holds((x, y, control) =>
        {
            // Exponents: anything, and often close to each other or to the limits.
            int exponent = (int)(control >> 16 & 0x7FFF);
            int other = (control >> 8 & 3) switch { 0 => (int)(control >> 32 & 0x7FFF), 1 => 0x7FFE - exponent, _ => Math.Clamp(exponent + (int)(control >> 40 & 0x7F) - 64, 0, 0x7FFE) };
            Number a = Number.UnpackExtended(exponent == 0 ? x : x | 1UL << 63, (uint)exponent | (control >> 10 & 1) << 15);
            Number b = Number.UnpackExtended(other == 0 ? y : y | 1UL << 63, (uint)other | (control >> 11 & 1) << 15);
            Check<Extended>(operation, a, b, control, precision);
        });

    /// <summary>Two words of which the exponents are often near each other.</summary>
    private static ulong Near(ulong x, ulong y, ulong control, int width) =>
        (control >> 8 & 1) != 0 ? y : (y & ((1UL << width) - 1)) | ((x >> width) + (control >> 9 & 63) - 32) << width;

    private static void Check<F>(string operation, Number a, Number b, ulong control, int precision) where F : struct, IFloatFormat
    {
        if (operation == "sqrt")
            a.Negative = false;
        if (a.Kind is not (NumberKind.Zero or NumberKind.Finite) || b.Kind is not (NumberKind.Zero or NumberKind.Finite) || (operation == "divide" && b.Kind == NumberKind.Zero))
            return;
        var context = new FloatContext { Rounding = (Rounding)(control & 3), Masked = FloatFlags.All, Precision = (byte)precision };
        Number result = operation switch
        {
            "add" => Operations.Binary<Addition, SseNaNs, F>(a, b, ref context),
            "subtract" => Operations.Binary<Subtraction, SseNaNs, F>(a, b, ref context),
            "multiply" => Operations.Binary<Multiplication, SseNaNs, F>(a, b, ref context),
            "divide" => Operations.Binary<Division, SseNaNs, F>(a, b, ref context),
            _ => Operations.SquareRoot<F>(a, ref context),
        };
        ExactOracle.Exact x = ExactOracle.Of(a), y = ExactOracle.Of(b);
        ExactOracle.Exact exact = operation switch
        {
            "add" => ExactOracle.Add(x, y),
            "subtract" => ExactOracle.Add(x, y with { Numerator = -y.Numerator }),
            "multiply" => ExactOracle.Multiply(x, y),
            "divide" => ExactOracle.Divide(x, y),
            _ => ExactOracle.SquareRoot(x),
        };
        FloatFlags denormal = a.Denormal || (b.Denormal && operation != "sqrt") ? FloatFlags.Denormal : FloatFlags.None;
        if (exact.Numerator.IsZero)
        {
            Assert.Equal(NumberKind.Zero, result.Kind);
            Assert.Equal(denormal, context.Raised);
            return;
        }
        var expected = ExactOracle.Round(exact, precision, F.MaxExponent, context.Rounding, out FloatFlags flags);
        Assert.Equal(flags | denormal, context.Raised);
        if (expected == null)
        {
            Assert.Equal(NumberKind.Infinity, result.Kind);
            return;
        }
        if (expected.Value.Significand.IsZero)
        {
            Assert.Equal((NumberKind.Zero, exact.Numerator.Sign < 0), (result.Kind, result.Negative));
            return;
        }
        Assert.Equal(exact.Numerator.Sign < 0, result.Negative);
        BigInteger significand = result.Significand;
        int last = result.Exponent - 63;
        int align = expected.Value.LastBit - last;
        Assert.Equal(expected.Value.Significand << Math.Max(align, 0), significand << Math.Max(-align, 0));
    }

    [Fact]
    public void Doubles_HostArithmetic_GivesTheSameBits() =>
        Law.Holds((x, y, control) =>
        {
            y = Near(x, y, control, 52);
            double a = BitConverter.UInt64BitsToDouble(x), b = BitConverter.UInt64BitsToDouble(y);
            Same(a + b, Run<Addition>());
            Same(a - b, Run<Subtraction>());
            Same(a * b, Run<Multiplication>());
            Same(a / b, Run<Division>());

            ulong Run<T>() where T : struct, IBinaryOperation
            {
                var c = new FloatContext { Masked = FloatFlags.All };
                return Operations.Binary<T, SseNaNs, Binary64>(Number.Unpack<Binary64>(x), Number.Unpack<Binary64>(y), ref c).Pack<Binary64>();
            }

            void Same(double host, ulong ours)
            {
                if (double.IsNaN(host))
                    Assert.True(double.IsNaN(BitConverter.UInt64BitsToDouble(ours)));
                else
                    Assert.Equal(BitConverter.DoubleToUInt64Bits(host), ours);
            }
        });

    [Fact]
    public void PackAndUnpack_AnyEncoding_BringItBack() =>
        Law.Holds((x, y) =>
        {
            Number d = Number.Unpack<Binary64>(x);
            if (!d.Denormal)
                Assert.Equal(x, d.Pack<Binary64>());
            Number f = Number.Unpack<Binary32>((uint)x);
            if (!f.Denormal)
                Assert.Equal((uint)x, f.Pack<Binary32>());
            ulong significand = x | 1UL << 63, exponent = y & 0xFFFF;
            if ((exponent & 0x7FFF) == 0)
                return;
            Number e = Number.UnpackExtended(significand, exponent);
            Assert.Equal((significand, (ushort)exponent), (e.ExtendedSignificand(), e.ExtendedExponent()));
        });
}
