using Emu.Cpus;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Instructions;

/// <summary>
/// Transcendental instructions: correctly rounded values computed with 90 decimal digits, the argument of sines reduced by the 66 bits of π that the manual
/// documents; and the special operands of the manual's tables.
/// </summary>
public sealed unsafe class X87TranscendentalTests
{
    [Theory]
    [InlineData("f2xm1", 0x3FEA, 0xADE47DDEBDE5C099, 0x0000, 0x0000000000000000, 0x3FE9, 0xF110F9A9DB55A8D9)]
    [InlineData("fyl2x", 0x6860, 0xEBB6A198F1446BEA, 0xBFF1, 0xE3529C3B77330BDB, 0xBFFF, 0x8F6F4BD62741DC55)]
    [InlineData("fyl2xp1", 0xBFE6, 0xF350B51D0D464138, 0xBFF1, 0xE3529C3B77330BDB, 0x3FDA, 0x9BDA834931A46F84)]
    [InlineData("fsin", 0x3FF5, 0xBC0A74515F2DD97F, 0x0000, 0x0000000000000000, 0x3FF5, 0xBC0A70172D6A63B7)]
    [InlineData("fcos", 0x3FF5, 0xBC0A74515F2DD97F, 0x0000, 0x0000000000000000, 0x3FFE, 0xFFFFEEBC14C914AC)]
    [InlineData("fptan", 0x3FF5, 0xBC0A74515F2DD97F, 0x0000, 0x0000000000000000, 0x3FF5, 0xBC0A7CC5C338250B)]
    [InlineData("fpatan", 0x4005, 0xC599F4B4617959CE, 0xBFF9, 0x81ADB9CC3FD42359, 0xBFF2, 0xA800E57D12034E61)]
    [InlineData("f2xm1", 0x3FFE, 0xA3C6140E687C966C, 0x0000, 0x0000000000000000, 0x3FFE, 0x8EDC571C0F58156A)]
    [InlineData("fyl2x", 0x3FFD, 0xEF08E64EEA959C21, 0x4008, 0xE608E9ABC30D8B76, 0xC008, 0xFCCA66D7BC07A2E7)]
    [InlineData("fyl2xp1", 0x3FF9, 0xCF08AF259E30691C, 0x4008, 0xE608E9ABC30D8B76, 0x4004, 0x84873FF41A82CD54)]
    [InlineData("fsin", 0x4000, 0x803A289821DA8978, 0x0000, 0x0000000000000000, 0x3FFE, 0xE86687E94D741055)]
    [InlineData("fcos", 0x4000, 0x803A289821DA8978, 0x0000, 0x0000000000000000, 0xBFFD, 0xD6B7EBCFAFE0B47E)]
    [InlineData("fptan", 0x4000, 0x803A289821DA8978, 0x0000, 0x0000000000000000, 0xC000, 0x8A8A72177559DA3D)]
    [InlineData("fpatan", 0x4005, 0xE3051E55359EEEFB, 0xBFFB, 0x953AC8ACFB7FF337, 0xBFF4, 0xA84783F176B12344)]
    [InlineData("f2xm1", 0x3FFA, 0xA825BA5D4A0FE75D, 0x0000, 0x0000000000000000, 0x3FF9, 0xEC732AC551D70908)]
    [InlineData("fyl2x", 0x2975, 0xF024AA478A0A8C96, 0x3FFD, 0xFBF9AB1AF0E3CD97, 0xC00A, 0xB173247B95E3B3E4)]
    [InlineData("fyl2xp1", 0xBFE3, 0xF2662099F7108E96, 0x3FFD, 0xFBF9AB1AF0E3CD97, 0xBFE3, 0xAC1AD9D6651D0B5C)]
    [InlineData("fsin", 0x4012, 0xAE3B78C50585A01C, 0x0000, 0x0000000000000000, 0xBFFE, 0xEF1AD7B6D0409968)]
    [InlineData("fcos", 0x4012, 0xAE3B78C50585A01C, 0x0000, 0x0000000000000000, 0x3FFD, 0xB6EB581A77A0781D)]
    [InlineData("fptan", 0x4012, 0xAE3B78C50585A01C, 0x0000, 0x0000000000000000, 0xC000, 0xA75106E25F017278)]
    [InlineData("fpatan", 0x3FFE, 0x92A65C32EF901B93, 0x3FFC, 0xA692EF5954F46A69, 0x3FFD, 0x8DA945FCCCF29B2D)]
    [InlineData("f2xm1", 0xBFFD, 0xCC4909CB00DDB74D, 0x0000, 0x0000000000000000, 0xBFFC, 0xF76984E5CC8E8F9B)]
    [InlineData("fyl2x", 0x400D, 0xAB40345CB52A43AB, 0x3FF4, 0xE8C5334D5AF84E6B, 0x3FF8, 0xD1C8A4C41E4C8B99)]
    [InlineData("fyl2xp1", 0x3FFB, 0xA86BE89FB2489191, 0x3FF4, 0xE8C5334D5AF84E6B, 0x3FF1, 0xD4513F2BFB0387AC)]
    [InlineData("fsin", 0x3FFB, 0xDA32992978F845F5, 0x0000, 0x0000000000000000, 0x3FFB, 0xD9C8FB4A89718E51)]
    [InlineData("fcos", 0x3FFB, 0xDA32992978F845F5, 0x0000, 0x0000000000000000, 0x3FFE, 0xFE8C659BF687BC70)]
    [InlineData("fptan", 0x3FFB, 0xDA32992978F845F5, 0x0000, 0x0000000000000000, 0x3FFB, 0xDB06EA67FDF6DDC3)]
    [InlineData("fpatan", 0x3FFA, 0xFCD00FF4419521FE, 0xBFF8, 0xADC747D9BFF29101, 0xBFFC, 0xAE446680629E801E)]
    [InlineData("f2xm1", 0x3FF9, 0xC647CAF704A012E8, 0x0000, 0x0000000000000000, 0x3FF9, 0x8A98CE7A48950B86)]
    [InlineData("fyl2x", 0x459C, 0xB02CBDEE5DBE4409, 0x3FF0, 0xDA97D29E0BF64EF7, 0x3FFB, 0x996D5EE31981D2A3)]
    [InlineData("fyl2xp1", 0xBFE2, 0xFA299927F486AB73, 0x3FF0, 0xDA97D29E0BF64EF7, 0xBFD5, 0x9A160323B4FF528C)]
    [InlineData("fsin", 0x3FFA, 0x9F7FC59FC177F113, 0x0000, 0x0000000000000000, 0x3FFA, 0x9F75741FB6290BAC)]
    [InlineData("fcos", 0x3FFA, 0x9F7FC59FC177F113, 0x0000, 0x0000000000000000, 0x3FFE, 0xFFCE519FD2D4F1DF)]
    [InlineData("fptan", 0x3FFA, 0x9F7FC59FC177F113, 0x0000, 0x0000000000000000, 0x3FFA, 0x9F946C3B42E1A44F)]
    [InlineData("fpatan", 0xC006, 0xBB298B9BF129C8C6, 0xBFFD, 0xF2445B645AD3BA32, 0xC000, 0xC8E66EBFCC80392E)]
    [InlineData("f2xm1", 0x3FFD, 0xBB3EA93AC68DEB5D, 0x0000, 0x0000000000000000, 0x3FFD, 0x93B89A1CE7D4BDF8)]
    [InlineData("fyl2x", 0x3FFB, 0xDFCB81E096FABB7B, 0xC007, 0x84B057F44BBDBB01, 0x4008, 0xD3E6DF6C07579175)]
    [InlineData("fyl2xp1", 0xBFFC, 0x8BABC82FFA749692, 0xC007, 0x84B057F44BBDBB01, 0x4004, 0xE092EB1073270582)]
    [InlineData("fsin", 0x3FFC, 0xCE2F98CF834C1B69, 0x0000, 0x0000000000000000, 0x3FFC, 0xCCCBA65C41B4A5FA)]
    [InlineData("fcos", 0x3FFC, 0xCE2F98CF834C1B69, 0x0000, 0x0000000000000000, 0x3FFE, 0xFAD3F66D5B0BF0D9)]
    [InlineData("fptan", 0x3FFC, 0xCE2F98CF834C1B69, 0x0000, 0x0000000000000000, 0x3FFC, 0xD104B2782CDF009C)]
    [InlineData("fpatan", 0xBFFD, 0xAB83CB3825F02628, 0xBFFC, 0xC5C747A7B3DE08F9, 0xC000, 0xA796E160D0BCEF44)]
    [InlineData("f2xm1", 0x3FC8, 0xA88CE6E6AF9B74F8, 0x0000, 0x0000000000000000, 0x3FC7, 0xE9A9145849F3A8D7)]
    [InlineData("fyl2x", 0x3730, 0xE63E36C02D6F2EFC, 0xBFF5, 0xDC4E272B261C374B, 0x4000, 0xF27B3A207FFB6C37)]
    [InlineData("fyl2xp1", 0xBFEA, 0x94ACFF517BD9E8A1, 0xBFF5, 0xDC4E272B261C374B, 0x3FE1, 0xB89621592C83FD70)]
    [InlineData("fsin", 0x403D, 0xFE4C280014B9ADB5, 0x0000, 0x0000000000000000, 0x3FFE, 0xB00868B75BA1B15E)]
    [InlineData("fcos", 0x403D, 0xFE4C280014B9ADB5, 0x0000, 0x0000000000000000, 0xBFFE, 0xB9DF41C16A73B015)]
    [InlineData("fptan", 0x403D, 0xFE4C280014B9ADB5, 0x0000, 0x0000000000000000, 0xBFFE, 0xF272D02919BD4CB0)]
    [InlineData("fpatan", 0xC001, 0xB3F42383EC717F15, 0x3FF8, 0xCC06E37FBD953DC2, 0x4000, 0xC8EB92C434A4ACAB)]
    [InlineData("f2xm1", 0xBFFB, 0xBA533BE3400DB00D, 0x0000, 0x0000000000000000, 0xBFFA, 0xFA5355D3BCE18F57)]
    [InlineData("fyl2x", 0x400C, 0x92A3F8CE6BF84914, 0xBFF3, 0xD1B49CF7EA83854A, 0xBFF7, 0xACF4DAB1B1E2E037)]
    [InlineData("fyl2xp1", 0xBFF9, 0xAAC6956D7E5A3930, 0xBFF3, 0xD1B49CF7EA83854A, 0x3FEE, 0xCBF4D158379EC6F6)]
    [InlineData("fsin", 0x3FFC, 0xDDA72E08FB368220, 0x0000, 0x0000000000000000, 0x3FFC, 0xDBED1BC0B5554C75)]
    [InlineData("fcos", 0x3FFC, 0xDDA72E08FB368220, 0x0000, 0x0000000000000000, 0x3FFE, 0xFA06ABA6E9208910)]
    [InlineData("fptan", 0x3FFC, 0xDDA72E08FB368220, 0x0000, 0x0000000000000000, 0x3FFC, 0xE12E53A3D37AC53B)]
    [InlineData("fpatan", 0xC001, 0xD0B0EC8421FDAC3A, 0xC006, 0x8DA6126169F0441E, 0xBFFF, 0xCEF372F08A1B0187)]
    [InlineData("f2xm1", 0x3FCD, 0x931A78B75F7CC5D8, 0x0000, 0x0000000000000000, 0x3FCC, 0xCBEDBA0CA54137C5)]
    [InlineData("fyl2x", 0x1785, 0xB5D7B8EBD8407B1A, 0x4002, 0xF604349E7401F5CE, 0xC010, 0x9B95A66D9EBACE9C)]
    [InlineData("fyl2xp1", 0xBFE1, 0xBA0D992685AE8770, 0x4002, 0xF604349E7401F5CE, 0xBFE6, 0x80F99B9AEA0CDC1C)]
    [InlineData("fsin", 0xC01F, 0xA8AA77AFBAC0D757, 0x0000, 0x0000000000000000, 0x3FFE, 0xFF44A1248FBC6016)]
    [InlineData("fcos", 0xC01F, 0xA8AA77AFBAC0D757, 0x0000, 0x0000000000000000, 0x3FFB, 0x9AC14ED0041820EA)]
    [InlineData("fptan", 0xC01F, 0xA8AA77AFBAC0D757, 0x0000, 0x0000000000000000, 0x4002, 0xD322B784A1DF117C)]
    [InlineData("fpatan", 0x3FFF, 0xBC2B9BCB4A807546, 0xBFFE, 0x8E6860A8258170F9, 0xBFFD, 0xB9372D9E063DB920)]
    [InlineData("f2xm1", 0xBFFC, 0xC41071DEFD06F9F6, 0x0000, 0x0000000000000000, 0xBFFB, 0xFE89DE9128E42F44)]
    [InlineData("fyl2x", 0x3FFD, 0xF7F459DAA080C6A5, 0xC00F, 0x970E2E9D56A68B41, 0x400F, 0x9E03A80E05736E69)]
    [InlineData("fyl2xp1", 0x3FF9, 0xC1F1619445B61DF2, 0xC00F, 0x970E2E9D56A68B41, 0xC00A, 0xA32CD18B1DABDE63)]
    [InlineData("fsin", 0x3FFE, 0xE5C7889BC938C68D, 0x0000, 0x0000000000000000, 0x3FFE, 0xC825356CD4B16320)]
    [InlineData("fcos", 0x3FFE, 0xE5C7889BC938C68D, 0x0000, 0x0000000000000000, 0x3FFE, 0x9F9E27C65092376D)]
    [InlineData("fptan", 0x3FFE, 0xE5C7889BC938C68D, 0x0000, 0x0000000000000000, 0x3FFF, 0xA07FEACA5C263DB9)]
    [InlineData("fpatan", 0x4004, 0xCB32AF91B1D117B7, 0x4002, 0xA72125C9C277AF32, 0x3FFC, 0xCFAA181FEDCE9B7D)]
    [InlineData("f2xm1", 0xBFDA, 0xD58B1A03B4581E37, 0x0000, 0x0000000000000000, 0xBFDA, 0x940458EC5A3AA3E6)]
    [InlineData("fyl2x", 0x33F2, 0xBE2AEEF0D5D1CBD0, 0xC000, 0xD86EDA45FB1FF91A, 0x400C, 0xA2FB43FEEDE8DB78)]
    [InlineData("fyl2xp1", 0xBFE9, 0xAB87865FF20F678D, 0xC000, 0xD86EDA45FB1FF91A, 0x3FEB, 0xD1378529B71078FE)]
    [InlineData("fsin", 0x4034, 0xED0880D594A6300C, 0x0000, 0x0000000000000000, 0x3FF5, 0xB02ED44920E5CAA2)]
    [InlineData("fcos", 0x4034, 0xED0880D594A6300C, 0x0000, 0x0000000000000000, 0xBFFE, 0xFFFFF0D7F1FE731A)]
    [InlineData("fptan", 0x4034, 0xED0880D594A6300C, 0x0000, 0x0000000000000000, 0xBFF5, 0xB02EDEB770E8F83E)]
    [InlineData("fpatan", 0x3FF8, 0xE30928C88C07985B, 0x3FFC, 0xA3081D15ABF0CA69, 0x3FFF, 0xBDF301685F515ED5)]
    [InlineData("f2xm1", 0x3FFC, 0xC00B70A6D111EB37, 0x0000, 0x0000000000000000, 0x3FFC, 0x8E27A36012C8FC42)]
    [InlineData("fyl2x", 0x400C, 0xE6189B6CAC738C8C, 0x4006, 0xD270A8AC461CB6E0, 0x400A, 0xB61C5D65519A4BD7)]
    [InlineData("fyl2xp1", 0xBFFB, 0xEA02161BF000FEB0, 0x4006, 0xD270A8AC461CB6E0, 0xC004, 0x935926241BA26D7B)]
    [InlineData("fsin", 0x3FFF, 0xEBE37A71EC1E07D7, 0x0000, 0x0000000000000000, 0x3FFE, 0xF69522CF95C7C160)]
    [InlineData("fcos", 0x3FFF, 0xEBE37A71EC1E07D7, 0x0000, 0x0000000000000000, 0xBFFD, 0x89981C7B82149B70)]
    [InlineData("fptan", 0x3FFF, 0xEBE37A71EC1E07D7, 0x0000, 0x0000000000000000, 0xC000, 0xE56389DF10C86D81)]
    [InlineData("fpatan", 0xBFFA, 0xD81B6CEEDDF1D79F, 0xBFFF, 0xFA6F21C75D411B0D, 0xBFFF, 0xCC8347C5A0FAAA6D)]
    [InlineData("fsin", 0x4000, 0xC90FDAA22168C235, 0x0000, 0x0000000000000000, 0xBFBF, 0x8000000000000000)]
    [InlineData("fcos", 0x3FFF, 0xC90FDAA22168C235, 0x0000, 0x0000000000000000, 0xBFBE, 0x8000000000000000)]
    public void Function_OfAnyNumber_IsCorrectlyRounded(string name, int x, ulong xSignificand, int y, ulong ySignificand, int expected, ulong expectedSignificand)
    {
        using TestCpu cpu = Run(name, (x, xSignificand), (y, ySignificand));
        Assert.Equal((expected.ToString("x"), expectedSignificand.ToString("x")), Register(cpu, name == "fptan" ? 1 : 0));
        Assert.Equal(X87Status.Precision, cpu.S->Floating.Status & 0x3F);
    }

    private const ulong Top = 1UL << 63, Quiet = 3UL << 62;

    [Theory]
    [InlineData("f2xm1", 0xBFFF, Top, 0, 0, 0xBFFE, Top, 0)]
    [InlineData("f2xm1", 0x8000, 0, 0, 0, 0x8000, 0, 0)]
    [InlineData("f2xm1", 0xFFFF, Top, 0, 0, 0xBFFF, Top, 0)]
    [InlineData("fyl2x", 0, 0, 0x3FFF, Top, 0xFFFF, Top, X87Status.ZeroDivide)]
    [InlineData("fyl2x", 0, 0, 0, 0, 0xFFFF, Quiet, X87Status.Invalid)]
    [InlineData("fyl2x", 0xBFFF, Top, 0x3FFF, Top, 0xFFFF, Quiet, X87Status.Invalid)]
    [InlineData("fyl2x", 0x4002, Top, 0xBFFF, Top, 0xC000, 0xC000_0000_0000_0000, 0)]
    [InlineData("fyl2x", 0x3FFF, Top, 0xBFFF, Top, 0x8000, 0, 0)]
    [InlineData("fyl2x", 0x3FFF, Top, 0x7FFF, Top, 0xFFFF, Quiet, X87Status.Invalid)]
    [InlineData("fyl2xp1", 0x8000, 0, 0x3FFF, Top, 0x8000, 0, 0)]
    [InlineData("fyl2xp1", 0, 0, 0x7FFF, Top, 0xFFFF, Quiet, X87Status.Invalid)]
    [InlineData("fpatan", 0x8000, 0, 0, 0, 0x4000, 0xC90F_DAA2_2168_C235, X87Status.Precision)]
    [InlineData("fpatan", 0x3FFF, Top, 0x8000, 0, 0x8000, 0, 0)]
    [InlineData("fpatan", 0xFFFF, Top, 0x7FFF, Top, 0x4000, 0x96CB_E3F9_990E_91A8, X87Status.Precision)]
    [InlineData("fpatan", 0, 0, 0xBFFF, Top, 0xBFFF, 0xC90F_DAA2_2168_C235, X87Status.Precision)]
    [InlineData("fsin", 0x8000, 0, 0, 0, 0x8000, 0, 0)]
    [InlineData("fsin", 0x7FFF, Top, 0, 0, 0xFFFF, Quiet, X87Status.Invalid)]
    [InlineData("fcos", 0, 0, 0, 0, 0x3FFF, Top, 0)]
    [InlineData("fsin", 0x403E, Top, 0, 0, 0x403E, Top, X87Status.C2)]
    [InlineData("fcos", 0xC03E, Top, 0, 0, 0xC03E, Top, X87Status.C2)]
    public void SpecialOperands_OfTheManualsTables_GiveTheirResults(string name, int x, ulong xSignificand, int y, ulong ySignificand, int expected, ulong expectedSignificand, int flags)
    {
        using TestCpu cpu = Run(name, (x, xSignificand), (y, ySignificand));
        Assert.Equal((expected.ToString("x"), expectedSignificand.ToString("x")), Register(cpu, 0));
        Assert.Equal(flags, cpu.S->Floating.Status & (0x3F | X87Status.C2));
    }

    [Fact]
    public void Fsincos_StackFull_Overflows()
    {
        using TestCpu cpu = Run("fsincos", (0x3FFF, Top), (0, 0), tags: 0xFF);
        Assert.Equal(X87Status.Invalid | X87Status.StackFault | X87Status.C1, cpu.S->Floating.Status & 0x27F);
        Assert.Equal(("ffff", "c000000000000000"), Register(cpu, 0));
        Assert.Equal(("ffff", "c000000000000000"), Register(cpu, 1));
    }

    /// <summary>ST(0) is R6, ST(1) R7.</summary>
    private static TestCpu Run(string name, (int Exponent, ulong Significand) x, (int Exponent, ulong Significand) y, byte tags = 0xC0)
    {
        var cpu = new TestCpu();
        ref FloatingState f = ref cpu.S->Floating;
        (f.Control, f.Status, f.Tags) = (0x37F, 6 << 11, tags);
        (f.X87[12], f.X87[13], f.X87[14], f.X87[15]) = (x.Significand, (ulong)x.Exponent, y.Significand, (ulong)y.Exponent);
        Code code = Enum.Parse<Code>(char.ToUpperInvariant(name[0]) + name[1..]);
        Assert.Null(cpu.Run(a => a.AddInstruction(Instruction.Create(code))));
        return cpu;
    }

    private static (string Exponent, string Significand) Register(TestCpu cpu, int i)
    {
        ref FloatingState f = ref cpu.S->Floating;
        int p = ((f.Status >> 11) + i) & 7;
        return (f.X87[2 * p + 1].ToString("x"), f.X87[2 * p].ToString("x"));
    }
}
