using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>Reads one instruction in AT&amp;T syntax and chooses its encoding: of all that fit, the shortest, as the GNU assembler does.</summary>
internal static class InstructionSelector
{
    /// <summary>Somewhere in the middle of the first 2 GiB, so that any symbol is a plausible 32-bit value while lengths are compared.</summary>
    private const long PlausibleAddress = 0x1000_0000;

    public static InstructionStatement Parse(SourceText text)
    {
        text.SkipBlanks();
        int start = text.Position;
        (InstructionPrefixes prefixes, string mnemonic, int at) = ParseMnemonic(text);
        string stem = mnemonic;
        int forced = 0;
        if (mnemonic.EndsWith(".d8", StringComparison.Ordinal) || mnemonic.EndsWith(".d32", StringComparison.Ordinal))
        {
            forced = mnemonic.EndsWith('8') ? 8 : 32;
            stem = mnemonic[..mnemonic.IndexOf('.')];
        }
        (IReadOnlyList<Code> codes, int size, int sourceSize) = InstructionForms.Find(stem);
        if (codes.Count == 0)
            throw text.Error(at, $"'{mnemonic}' is no instruction of x86-64 that scenarios know; "
                + "expected an AT&T mnemonic such as movl, or a directive such as .byte");
        List<AttOperand> operands = ParseOperands(text);
        string source = text.Text(start, text.Position).Trim();
        operands.Reverse();
        bool absolute = stem.StartsWith("movabs", StringComparison.Ordinal);
        List<EncodedForm> fitting = Fitting(codes, operands, prefixes, absolute);
        // The first two do not care which operand comes first; of the third herd writes the memory first.
        bool eitherWay = stem.StartsWith("xchg", StringComparison.Ordinal) || stem.StartsWith("test", StringComparison.Ordinal)
            || (stem.StartsWith("cmpxchg", StringComparison.Ordinal) && operands.Count == 2);
        if (fitting.Count == 0 && eitherWay)
            fitting = Fitting(codes, [.. operands.AsEnumerable().Reverse()], prefixes, absolute);
        if (fitting.Count == 0)
            throw text.Error(at, $"'{mnemonic}' does not take these operands ({Describe(operands)})");
        List<EncodedForm> sized = Sized(fitting, stem, size, sourceSize);
        if (sized.Count == 0)
            throw text.Error(at, $"the suffix of '{mnemonic}' contradicts its operands ({Describe(operands)})");
        if (SizeIsOpen(sized, size, operands))
            throw text.Error(at, $"the size of the memory operand is open: write '{mnemonic}' with a suffix b, w, l or q");
        return Choose(text, at, start, source, sized, forced);
    }

    private static (InstructionPrefixes Prefixes, string Mnemonic, int At) ParseMnemonic(SourceText text)
    {
        var prefixes = InstructionPrefixes.None;
        while (true)
        {
            text.SkipBlanks();
            int at = text.Position;
            string word = text.Name("an instruction").ToLowerInvariant();
            InstructionPrefixes prefix = word switch
            {
                "lock" => InstructionPrefixes.Lock,
                "rep" or "repe" or "repz" => InstructionPrefixes.Rep,
                "repne" or "repnz" => InstructionPrefixes.Repne,
                _ => InstructionPrefixes.None,
            };
            if (prefix == InstructionPrefixes.None)
                return (prefixes, word, at);
            prefixes |= prefix;
        }
    }

    private static List<AttOperand> ParseOperands(SourceText text)
    {
        var operands = new List<AttOperand>();
        text.SkipBlanks();
        if (text.AtEnd)
            return operands;
        do
            operands.Add(AttOperand.Parse(text));
        while (text.Take(","));
        text.SkipBlanks();
        if (!text.AtEnd)
            throw text.Expected("',', '|' or ';'");
        return operands;
    }

    private static List<EncodedForm> Fitting(IReadOnlyList<Code> codes, List<AttOperand> operands, InstructionPrefixes prefixes, bool absolute) =>
        [.. codes.Select(c => TryFit(c, operands, prefixes, absolute)).OfType<EncodedForm>()];

    private static EncodedForm? TryFit(Code code, List<AttOperand> operands, InstructionPrefixes prefixes, bool absolute)
    {
        OpCodeInfo info = code.ToOpCode();
        var forms = new OperandForm[info.OpCount];
        for (int i = 0; i < forms.Length; i++)
            forms[i] = OperandForm.Of(info.GetOpKind(i));
        bool jumps = info.Mnemonic is Mnemonic.Jmp or Mnemonic.Call && forms[0].Kind != OperandFormKind.Branch;
        if (operands.Any(o => o.Indirect) != jumps)
            return null;
        if (absolute != (forms.Any(f => f.Kind == OperandFormKind.Absolute) || (absolute && forms.Any(f => f.Op == OpKind.Immediate64))))
            return null;
        if (operands.Count != forms.Length)
            return WithoutWritten(code, operands, forms, prefixes);
        for (int i = 0; i < forms.Length; i++)
            if (!Matches(forms[i], operands[i]))
                return null;
        // 90 with EAX twice would be NOP, which does not zero the upper half of RAX.
        if (code == Code.Xchg_r32_EAX && operands[0].Register == Register.EAX)
            return null;
        return new EncodedForm(code, operands, forms, prefixes);
    }

    /// <summary>Operands that AT&amp;T does not write: those of string instructions, and the 1 of a shift.</summary>
    private static EncodedForm? WithoutWritten(Code code, List<AttOperand> operands, OperandForm[] forms, InstructionPrefixes prefixes)
    {
        bool strings = operands.Count == 0 && forms.Any(f => f.Kind == OperandFormKind.Implied)
            && forms.All(f => f.Kind is OperandFormKind.Implied or OperandFormKind.Fixed);
        bool shift = operands.Count == 1 && forms.Length == 2 && forms[1].Kind == OperandFormKind.One && Matches(forms[0], operands[0]);
        return strings || shift ? new EncodedForm(code, operands, forms, prefixes) : null;
    }

    private static bool Matches(OperandForm form, AttOperand operand)
    {
        Register r = operand.Register;
        bool isRegister = operand.Kind == AttOperandKind.Register;
        bool isMemory = operand.Kind == AttOperandKind.Memory;
        return form.Kind switch
        {
            OperandFormKind.General => isRegister && IsGeneral(r, form.Size),
            OperandFormKind.GeneralOrMemory => isMemory || (isRegister && IsGeneral(r, form.Size)),
            OperandFormKind.Memory => isMemory,
            OperandFormKind.Absolute => isMemory && operand.Base == Register.None && operand.Index == Register.None,
            OperandFormKind.Segment => isRegister && r.IsSegmentRegister(),
            OperandFormKind.Control => isRegister && r is >= Register.CR0 and <= Register.CR15,
            OperandFormKind.DebugRegister => isRegister && r is >= Register.DR0 and <= Register.DR15,
            OperandFormKind.Fixed => isRegister && r == form.Register,
            OperandFormKind.Immediate => operand.Kind == AttOperandKind.Immediate && ImmediateFits(form, operand.Expression!),
            OperandFormKind.One => operand.Kind == AttOperandKind.Immediate && !operand.Expression!.HasSymbols && operand.Expression.Evaluate(_ => 0) == 1,
            OperandFormKind.Branch => isMemory && operand.IsBareExpression,
            _ => false,
        };
    }

    private static bool IsGeneral(Register r, int size) => size switch
    {
        8 => r.IsGPR8(),
        16 => r.IsGPR16(),
        32 => r.IsGPR32(),
        _ => r.IsGPR64(),
    };

    /// <summary>A symbol's value is not known yet, so its place must be wide enough for any address, or as wide as the operation.</summary>
    private static bool ImmediateFits(OperandForm form, AssemblyExpression value) =>
        value.HasSymbols ? form.Extended == 0 || form.Size == 32 : EncodedForm.Fits(form, value.Evaluate(_ => 0));

    private static List<EncodedForm> Sized(List<EncodedForm> forms, string stem, int size, int sourceSize)
    {
        if (size == 0)
        {
            // Without a suffix these mean the natural size of 64-bit mode.
            bool natural = stem is "push" or "pop" or "jmp" or "call" or "ret" or "retf";
            return natural ? [.. forms.Where(f => OperationSize(f) is 0 or 64)] : forms;
        }
        return [.. forms.Where(f => OperationSize(f) == size && (sourceSize == 0 || f.Forms[1].Size == sourceSize))];
    }

    /// <summary>Bits that an encoding works on; the destination decides, which Intel's order puts first.</summary>
    private static int OperationSize(EncodedForm form)
    {
        foreach (OperandForm f in form.Forms)
            if (f.DecidesSize)
                return f.Size;
        return form.Code.ToOpCode().OperandSize;
    }

    /// <summary>True when only a suffix could tell how wide the access to memory is.</summary>
    private static bool SizeIsOpen(List<EncodedForm> forms, int size, List<AttOperand> operands) =>
        size == 0 && operands.Any(o => o.Kind == AttOperandKind.Memory)
        && forms.Where(f => f.Forms.All(o => o.Kind != OperandFormKind.Branch)).Select(f => (OperationSize(f), SourceSize(f))).Distinct().Count() > 1;

    /// <summary>The size of a source that may be memory and differ from the destination's (MOVZX, MOVSX).</summary>
    private static int SourceSize(EncodedForm form) =>
        form.Forms.Count > 1 && form.Forms[1].Kind == OperandFormKind.GeneralOrMemory ? form.Forms[1].Size : 0;

    private static InstructionStatement Choose(SourceText text, int at, int start, string source, List<EncodedForm> forms, int forced)
    {
        bool branch = forms.Any(f => f.Forms.Any(o => o.Kind == OperandFormKind.Branch));
        if (branch)
        {
            EncodedForm? shortForm = forms.FirstOrDefault(f => f.Forms[0].Size == 8);
            EncodedForm? longForm = forms.FirstOrDefault(f => f.Forms[0].Size == 32);
            if (forced == 8)
                longForm = null;
            if (forced == 32)
                shortForm = null;
            EncodedForm first = shortForm ?? longForm ?? throw text.Error(at, $"this branch has no form with a displacement of {forced} bits");
            return new InstructionStatement(start, source, first, shortForm == null ? null : longForm);
        }
        if (forced != 0)
            throw text.Error(at, "'.d8' and '.d32' choose the displacement of a direct branch; this is none");
        EncodedForm? best = null;
        int shortest = int.MaxValue;
        foreach (EncodedForm form in forms)
        {
            int length = Length(form);
            if (length < shortest)
                (best, shortest) = (form, length);
        }
        if (best == null)
        {
            forms[0].Build(_ => PlausibleAddress, out (int Position, string Message)? error);
            if (error != null)
                throw text.Error(error.Value.Position, error.Value.Message);
        }
        if (best == null)
            throw text.Error(at, $"'{source}' cannot be encoded: {WhyNot(forms[0])}");
        return new InstructionStatement(start, source, best, null);
    }

    private static int Length(EncodedForm form)
    {
        Instruction instruction = form.Build(_ => PlausibleAddress, out _);
        return Encoder.Create(64, new NoWriter()).TryEncode(instruction, PlausibleAddress, out uint length, out _) ? (int)length : int.MaxValue;
    }

    private static string WhyNot(EncodedForm form)
    {
        Encoder.Create(64, new NoWriter()).TryEncode(form.Build(_ => PlausibleAddress, out _), PlausibleAddress, out _, out string? why);
        return why?.ReplaceLineEndings(" ") ?? "no encoding";
    }

    private static string Describe(List<AttOperand> operands) =>
        operands.Count == 0 ? "none" : string.Join(", ", operands.AsEnumerable().Reverse().Select(o => o.Kind switch
        {
            AttOperandKind.Register => "%" + o.Register.ToString().ToLowerInvariant(),
            AttOperandKind.Immediate => "an immediate",
            _ => o.IsBareExpression ? "memory or a target" : "memory",
        }));

    private sealed class NoWriter : CodeWriter
    {
        public override void WriteByte(byte value)
        {
        }
    }
}
