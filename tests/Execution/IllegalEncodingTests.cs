using Emu.Cpus;
using Xunit;
using static Emu.Tests.Execution.CodeMode;

namespace Emu.Tests.Execution;

/// <summary>Bad input: bytes that are no instruction in the mode they are executed in. A memory operand is [BX], [EDI] or [RDI]: ModRM with rm = 7.</summary>
public sealed unsafe class IllegalEncodingTests
{
    private static readonly CodeMode[] s_all = Enum.GetValues<CodeMode>();
    private static readonly CodeMode[] s_narrow = [Real, Virtual8086, Protected16, Protected32, Compatibility];

    [Theory]
    [InlineData("0F0B", "UD2")]
    [InlineData("0FB9C0", "UD1")]
    [InlineData("0FB907", "UD1 with a memory operand")]
    [InlineData("0FFFC0", "UD0")]
    [InlineData("0F04", "LOADALL of the 286")]
    [InlineData("0F0A", "none")]
    [InlineData("0F0C", "none")]
    [InlineData("0F24C0", "MOV from a test register of the 486")]
    [InlineData("0F26C0", "MOV to a test register of the 486")]
    [InlineData("0F3A0000", "none of the 0F 3A map")]
    [InlineData("8CF0", "MOV AX, segment register 6")]
    [InlineData("8EF8", "MOV segment register 7, AX")]
    [InlineData("8EC8", "MOV CS, AX")]
    [InlineData("8E0F", "MOV CS, memory")]
    [InlineData("8F0F", "group 1A, /1")]
    [InlineData("FED0", "group 4, /2")]
    [InlineData("FEFF", "group 4, /7")]
    [InlineData("FFF8", "group 5, /7")]
    [InlineData("FF3F", "group 5, /7, memory")]
    [InlineData("0FC7C0", "group 9, /0")]
    [InlineData("0FBAC001", "group 8, /0")]
    [InlineData("0FBADF01", "group 8, /3, memory")]
    [InlineData("0F71C001", "group 12, /0")]
    [InlineData("0FAE27", "XSAVE while CR4.OSXSAVE is clear")]
    [InlineData("0FAE37", "XSAVEOPT while CR4.OSXSAVE is clear")]
    [InlineData("D9D1", "x87, none")]
    [InlineData("DFF8", "x87, none")]
    [InlineData("DDF8", "x87, none")]
    public void Undefined_InEveryMode_IsUd(string code, string what) =>
        Expect(s_all, Bytes(code), what, Vector.InvalidOpcode);

    [Theory]
    [InlineData("0F20C8", "MOV from CR1")]
    [InlineData("0F20E8", "MOV from CR5")]
    [InlineData("0F22F8", "MOV to CR7")]
    public void ControlRegister_ThatDoesNotExist_IsUd(string code, string what) =>
        Expect([Real, Protected16, Protected32, Compatibility, Long], Bytes(code), what, Vector.InvalidOpcode);

    [Theory]
    [InlineData("8DC0", "LEA")]
    [InlineData("C4C0", "LES, or a VEX prefix of no instruction")]
    [InlineData("C5C0", "LDS, or a VEX prefix of no instruction")]
    [InlineData("62C0", "BOUND, or an EVEX prefix of no instruction")]
    [InlineData("0FB2C0", "LSS")]
    [InlineData("0FB4C0", "LFS")]
    [InlineData("0FB5C0", "LGS")]
    [InlineData("0FC7C8", "CMPXCHG8B")]
    [InlineData("FFD8", "CALL far")]
    [InlineData("FFE8", "JMP far")]
    [InlineData("0F01D8", "LIDT, or VMRUN of AMD")]
    [InlineData("0F01C3", "SGDT, or VMRESUME")]
    [InlineData("0FAEC0", "FXSAVE")]
    [InlineData("0FAEC8", "FXRSTOR")]
    [InlineData("0FAED0", "LDMXCSR")]
    [InlineData("0FAED8", "STMXCSR")]
    [InlineData("0F13C0", "MOVLPS to memory")]
    [InlineData("0F17C0", "MOVHPS to memory")]
    [InlineData("0F2BC0", "MOVNTPS")]
    [InlineData("0FC3C0", "MOVNTI")]
    [InlineData("0F38F0C0", "MOVBE")]
    public void RegisterForm_OfWhatWantsMemory_IsUd(string code, string what) =>
        Expect(s_all, [.. Bytes(code), 0x90, 0x90, 0x90, 0x90], what, Vector.InvalidOpcode);

    /// <summary>SDM, "LOCK - Assert LOCK# Signal Prefix": #UD but with the instructions listed there, and with them but for a destination in memory.</summary>
    [Theory]
    [InlineData("F0 01C0", false, "ADD register, register")]
    [InlineData("F0 0307", false, "ADD register, memory")]
    [InlineData("F0 81C001000000", false, "ADD register, immediate")]
    [InlineData("F0 0107", true, "ADD memory, register")]
    [InlineData("F0 833F01", false, "CMP memory, immediate")]
    [InlineData("F0 3907", false, "CMP memory, register")]
    [InlineData("F0 8507", false, "TEST memory, register")]
    [InlineData("F0 F60701", false, "TEST memory, immediate")]
    [InlineData("F0 8907", false, "MOV memory, register")]
    [InlineData("F0 8B07", false, "MOV register, memory")]
    [InlineData("F0 A200000000 00000000", false, "MOV absolute, AL")]
    [InlineData("F0 FFC0", false, "INC register")]
    [InlineData("F0 FF07", true, "INC memory")]
    [InlineData("F0 FF37", false, "PUSH memory")]
    [InlineData("F0 FF27", false, "JMP memory")]
    [InlineData("F0 8707", true, "XCHG memory, register")]
    [InlineData("F0 87C0", false, "XCHG register, register")]
    [InlineData("F0 93", false, "XCHG (E)AX, register")]
    [InlineData("F0 0FA307", false, "BT memory, register")]
    [InlineData("F0 0FBA2701", false, "BT memory, immediate")]
    [InlineData("F0 0FBA2F01", true, "BTS memory, immediate")]
    [InlineData("F0 0FBAE801", false, "BTS register, immediate")]
    [InlineData("F0 0FABC0", false, "BTS register, register")]
    [InlineData("F0 0FB107", true, "CMPXCHG memory, register")]
    [InlineData("F0 0FB1C0", false, "CMPXCHG register, register")]
    [InlineData("F0 0FC107", true, "XADD memory, register")]
    [InlineData("F0 0FC1C0", false, "XADD register, register")]
    [InlineData("F0 0FC70F", true, "CMPXCHG8B")]
    [InlineData("F0 0FC7F0", false, "RDRAND")]
    [InlineData("F0 F71F", true, "NEG memory")]
    [InlineData("F0 F7D8", false, "NEG register")]
    [InlineData("F0 F727", false, "MUL memory")]
    [InlineData("F0 D127", false, "SHL memory")]
    [InlineData("F0 8F07", false, "POP memory")]
    [InlineData("F0 90", false, "NOP")]
    [InlineData("F0 F390", false, "PAUSE")]
    [InlineData("F0 FA", false, "CLI")]
    [InlineData("F0 A4", false, "MOVSB")]
    [InlineData("F0 F3A4", false, "REP MOVSB")]
    [InlineData("F0 CC", false, "INT3")]
    [InlineData("F0 CD20", false, "INT")]
    [InlineData("F0 F4", false, "HLT")]
    [InlineData("F0 EBFE", false, "JMP")]
    [InlineData("F0 0FA2", false, "CPUID")]
    [InlineData("F0 0F20C0", false, "MOV from CR8 in the manner of AMD")]
    [InlineData("F0 0FAEE8", false, "LFENCE")]
    [InlineData("F0 9B", false, "FWAIT")]
    [InlineData("F0 D907", false, "FLD memory")]
    [InlineData("F0 0F5807", false, "ADDPS")]
    [InlineData("F0 C3", false, "RET")]
    [InlineData("F0 0FC307", false, "MOVNTI")]
    [InlineData("F0 0F38F107", false, "MOVBE to memory")]
    public void Lock_IsUd_ButForAReadModifyWriteOfMemory(string code, bool permitted, string what) =>
        Expect(s_all, Bytes(code.Replace(" ", "", StringComparison.Ordinal)), what, permitted ? null : Vector.InvalidOpcode);

    /// <summary>"I64" in the opcode maps of SDM Vol. 2D.</summary>
    [Theory]
    [InlineData("06", "PUSH ES")]
    [InlineData("07", "POP ES")]
    [InlineData("0E", "PUSH CS")]
    [InlineData("16", "PUSH SS")]
    [InlineData("17", "POP SS")]
    [InlineData("1E", "PUSH DS")]
    [InlineData("1F", "POP DS")]
    [InlineData("27", "DAA")]
    [InlineData("2F", "DAS")]
    [InlineData("37", "AAA")]
    [InlineData("3F", "AAS")]
    [InlineData("60", "PUSHA")]
    [InlineData("61", "POPA")]
    [InlineData("82C001", "group 1 a second time")]
    [InlineData("9A000000000800", "CALL far")]
    [InlineData("CE", "INTO")]
    [InlineData("D400", "AAM, by zero")]
    [InlineData("D50A", "AAD")]
    [InlineData("D6", "SALC")]
    [InlineData("EA000000000800", "JMP far")]
    public void OldInstruction_In64BitMode_IsUd(string code, string what) => Expect([Long], Bytes(code), what, Vector.InvalidOpcode);

    [Theory]
    [InlineData("0F01F8", "SWAPGS")]
    [InlineData("F30FAEC0", "RDFSBASE")]
    [InlineData("F30FAED8", "WRGSBASE")]
    [InlineData("0F05", "SYSCALL, which Intel's CPUs have in 64-bit mode only")]
    [InlineData("0F07", "SYSRET")]
    public void InstructionOf64BitMode_Elsewhere_IsUd(string code, string what)
    {
        foreach (CodeMode mode in s_narrow)
            FaultBench.Each(mode, b =>
            {
                b.S->Paging.Efer |= ControlBits.EferSce;
                b.S->Paging.Cr4 |= ControlBits.Cr4FsGsBase;
                CpuMode.Update(b.S);
                Check(b, Bytes(code), what, Vector.InvalidOpcode);
            });
    }

    /// <summary>"#UD: The ... instruction is not recognized in real-address mode", and virtual-8086 mode.</summary>
    [Theory]
    [InlineData("0F00C8", "STR")]
    [InlineData("0F00C0", "SLDT")]
    [InlineData("0F00D0", "LLDT")]
    [InlineData("0F00D8", "LTR")]
    [InlineData("0F00E0", "VERR")]
    [InlineData("0F00E8", "VERW")]
    [InlineData("0F02C0", "LAR")]
    [InlineData("0F03C0", "LSL")]
    [InlineData("63C0", "ARPL")]
    public void SelectorInstruction_InRealAndVirtualMode_IsUd(string code, string what) => Expect([Real, Virtual8086], Bytes(code), what, Vector.InvalidOpcode);

    [Theory]
    [InlineData("0F34", Real, "SYSENTER")]
    [InlineData("0F35", Real, "SYSEXIT")]
    [InlineData("0F34", Virtual8086, "SYSENTER with SYSENTER_CS of 0")]
    [InlineData("0F35", Virtual8086, "SYSEXIT")]
    [InlineData("0F22C0", Virtual8086, "MOV to CR0")]
    [InlineData("0F21C0", Virtual8086, "MOV from DR0")]
    [InlineData("0F08", Virtual8086, "INVD")]
    [InlineData("0F09", Virtual8086, "WBINVD")]
    [InlineData("0F32", Virtual8086, "RDMSR")]
    [InlineData("0F0117", Virtual8086, "LGDT")]
    [InlineData("0F06", Virtual8086, "CLTS")]
    [InlineData("F4", Virtual8086, "HLT")]
    [InlineData("FA", Virtual8086, "CLI at IOPL 0")]
    [InlineData("9C", Virtual8086, "PUSHF at IOPL 0")]
    [InlineData("CF", Virtual8086, "IRET at IOPL 0")]
    [InlineData("CD20", Virtual8086, "INT at IOPL 0")]
    public void PrivilegedInstruction_InVirtualAndSystemCallsInRealMode_AreGp(string code, CodeMode mode, string what) =>
        Expect([mode], Bytes(code), what, Vector.GeneralProtection);

    /// <summary>In the 0F maps 66, F2 and F3 select the instruction; where they select none, #UD.</summary>
    [Theory]
    [InlineData("F20F28C0", "MOVAPS")]
    [InlineData("F30F28C0", "MOVAPS")]
    [InlineData("F20F54C0", "ANDPS")]
    [InlineData("F30F54C0", "ANDPS")]
    [InlineData("F20F50C0", "MOVMSKPS")]
    [InlineData("F30F3A0FC001", "PALIGNR")]
    [InlineData("F30FC307", "MOVNTI")]
    [InlineData("660FC307", "MOVNTI")]
    [InlineData("F20F2BC0", "MOVNTPS")]
    [InlineData("F20FC607", "SHUFPS")]
    public void MandatoryPrefix_ThatSelectsNothing_IsUd(string code, string what) => Expect(s_all, [.. Bytes(code), 0, 0], what, Vector.InvalidOpcode);

    private static void Expect(CodeMode[] modes, byte[] code, string what, Vector? vector)
    {
        foreach (CodeMode mode in modes)
            FaultBench.Each(mode, b => Check(b, code, what, vector));
    }

    private static void Check(FaultBench b, byte[] code, string what, Vector? vector)
    {
        b.Run(code);
        Assert.Equal((b.Name, what, vector), (b.Name, what, b.Vector));
        if (vector is { } expected)
            b.ExpectFault(expected);
        else
            b.ExpectNext(b.Start + (ulong)code.Length);
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex);
}
