namespace Emu.Differ.Host;

/// <summary>
/// Where things lie in the shared file and in the helper process. The helper's own memory lies where no operand of a case points but by an
/// unlikely chance; whatever a case does there costs the helper, which is then started again, and not the differ.
/// </summary>
internal static class HostLayout
{
    /// <summary>Cases of a batch.</summary>
    public const int MaximumCases = 512;

    // Offsets in the shared file.
    public const int Control = 0;
    public const int Input = 0x1000;
    public const int InputBytes = MaximumCases * 2048;
    public const int Output = Input + InputBytes;
    public const int OutputBytes = MaximumCases * LargestResult;

    /// <summary>The data pages of the arena, in the order of its windows, and their background.</summary>
    public const int Data = Output + OutputBytes;
    public const int Background = Data + DataBytes;
    public const int DataBytes = 3 * 0x1000;
    public const int CodeAt = Background + DataBytes;
    public const int CodeBytes = 0x20_0000;
    public const int FileBytes = CodeAt + CodeBytes;

    // Addresses in the helper.
    public const ulong ProgramStart = 0x3C5A_A500_0000;
    public const ulong Shared = 0x3C5A_A600_0000;
    public const ulong SignalStack = 0x3C5A_AF00_0000;
    public const int SignalStackBytes = 0x1_0000;
    public const ulong End = SignalStack + SignalStackBytes;

    // The control page.
    public const int Count = 0, Current = 8, NextInput = 16, NextOutput = 24, Scratch = 32, Started = 40;

    // A case: its record in the input, as long as its first field says.
    public const int CaseBytes = 0, CasePatches = 4, CaseCode = 8, CaseCodeBytes = 16, CaseFrame = 24, CaseRegisters = 64, CaseFsBase = 192,
        CaseGsBase = 200, CaseFloating = 256, CaseCodeAt = 768, CasePatchesAt = 800;

    /// <summary>RIP, CS, RFLAGS, RSP and SS, as IRETQ takes them.</summary>
    public const int FrameRip = CaseFrame, FrameCs = CaseFrame + 8, FrameFlags = CaseFrame + 16, FrameRsp = CaseFrame + 24, FrameSs = CaseFrame + 32;

    // A result: the signal, the general registers of its frame (struct sigcontext_64), selectors, bases, the time that it took in cycles of the TSC, the FXSAVE
    // image, changed lines.
    public const int ResultLines = 0, ResultSignal = 8, ResultContext = 16, ResultFsBase = 208, ResultGsBase = 216, ResultSelectors = 224,
        ResultCycles = 232, ResultFloating = 256, ResultLinesAt = 768, ResultLineBytes = 72;

    /// <summary>With every line changed.</summary>
    public const int LargestResult = ResultLinesAt + DataBytes / 64 * ResultLineBytes;

    // struct sigcontext_64, from its start.
    public const int ContextRip = 16 * 8, ContextFlags = 17 * 8, ContextCs = 18 * 8, ContextSs = 18 * 8 + 6, ContextError = 19 * 8, ContextTrap = 20 * 8,
        ContextCr2 = 22 * 8, ContextFloating = 23 * 8, ContextBytes = 24 * 8;
}
