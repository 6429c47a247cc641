using System.Collections.Frozen;
using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>
/// Which encodings an AT&amp;T mnemonic may mean. The table is Iced's list of instructions; this file only knows where AT&amp;T names them otherwise.
/// </summary>
internal static class InstructionForms
{
    /// <summary>AT&amp;T names without a rule.</summary>
    private static readonly FrozenDictionary<string, string> _renamed = new Dictionary<string, string>
    {
        ["cbtw"] = "cbw",
        ["cwtl"] = "cwde",
        ["cltq"] = "cdqe",
        ["cwtd"] = "cwd",
        ["cltd"] = "cdq",
        ["cqto"] = "cqo",
        ["movsl"] = "movsd",
        ["stosl"] = "stosd",
        ["lodsl"] = "lodsd",
        ["scasl"] = "scasd",
        ["cmpsl"] = "cmpsd",
        ["insl"] = "insd",
        ["outsl"] = "outsd",
        ["pushf"] = "pushfq",
        ["popf"] = "popfq",
        ["iret"] = "iretd",
        ["iretl"] = "iretd",
        ["lret"] = "retf",
        ["movabs"] = "mov",
        ["sal"] = "shl",
        ["xlat"] = "xlatb",
        ["icebp"] = "int1",
        ["ud2a"] = "ud2",
        ["jz"] = "je",
        ["jnz"] = "jne",
        ["jc"] = "jb",
        ["jnae"] = "jb",
        ["jnc"] = "jae",
        ["jnb"] = "jae",
        ["jna"] = "jbe",
        ["jnbe"] = "ja",
        ["jpe"] = "jp",
        ["jpo"] = "jnp",
        ["jnge"] = "jl",
        ["jnl"] = "jge",
        ["jng"] = "jle",
        // herd's names for these two.
        ["jlt"] = "jl",
        ["jgt"] = "jg",
        ["jnle"] = "jg",
        ["setz"] = "sete",
        ["setnz"] = "setne",
        ["setc"] = "setb",
        ["setnc"] = "setae",
        ["setnb"] = "setae",
        ["cmovz"] = "cmove",
        ["cmovnz"] = "cmovne",
        ["cmovc"] = "cmovb",
        ["cmovnc"] = "cmovae",
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, Code[]> _byMnemonic = Enum.GetValues<Code>()
        .Where(IsEncodable)
        .GroupBy(c => c.Mnemonic().ToString().ToLowerInvariant())
        .ToFrozenDictionary(g => g.Key, g => g.ToArray());

    /// <summary>
    /// The encodings that a mnemonic may mean, with the operand size that its suffix asks for (0: none) and that of the source of an extending move.
    /// Empty when there is no such mnemonic.
    /// </summary>
    public static (IReadOnlyList<Code> Codes, int Size, int SourceSize) Find(string mnemonic)
    {
        if (_renamed.TryGetValue(mnemonic, out string? intel))
            return (_byMnemonic[intel], 0, 0);
        if (TryExtendingMove(mnemonic, out (IReadOnlyList<Code>, int, int) move))
            return move;
        if (_byMnemonic.TryGetValue(mnemonic, out Code[]? exact))
            return (exact, 0, 0);
        int size = SizeOf(mnemonic[^1]);
        string stem = mnemonic[..^1];
        if (size != 0)
        {
            if (_renamed.TryGetValue(stem, out intel))
                stem = intel;
            if (_byMnemonic.TryGetValue(stem, out exact))
                return (exact, size, 0);
        }
        return ([], 0, 0);
    }

    private static int SizeOf(char suffix) => suffix switch
    {
        'b' => 8,
        'w' => 16,
        'l' => 32,
        'q' => 64,
        _ => 0,
    };

    /// <summary><c>movzbl</c>, <c>movswq</c>, <c>movslq</c>: the sizes of source and destination.</summary>
    private static bool TryExtendingMove(string mnemonic, out (IReadOnlyList<Code> Codes, int Size, int SourceSize) move)
    {
        move = default;
        if (mnemonic.Length != 6 || !(mnemonic.StartsWith("movz", StringComparison.Ordinal) || mnemonic.StartsWith("movs", StringComparison.Ordinal)))
            return false;
        int source = SizeOf(mnemonic[4]);
        int destination = SizeOf(mnemonic[5]);
        if (source == 0 || destination <= source)
            return false;
        string intel = mnemonic[3] == 'z' ? "movzx" : source == 32 ? "movsxd" : "movsx";
        move = (_byMnemonic[intel], destination, source);
        return intel != "movzx" || source != 32;
    }

    private static bool IsEncodable(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        if (!info.IsInstruction || !info.Mode64 || info.Encoding != EncodingKind.Legacy)
            return false;
        // AT&T has names of their own for far jumps and calls, which no scenario has needed yet.
        if (code.IsJmpFarIndirect() || code.IsCallFarIndirect())
            return false;
        for (int i = 0; i < info.OpCount; i++)
            if (OperandForm.Of(info.GetOpKind(i)).Kind == OperandFormKind.Unsupported)
                return false;
        return true;
    }
}
