using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Exploration;

/// <summary>Words for what a table of a witness shows: addresses become symbols, bytes become instructions.</summary>
internal sealed class WitnessText
{
    /// <summary>Smaller numbers are numbers, not addresses.</summary>
    private const ulong LowestAddress = 0x1_0000;

    private readonly Subject _subject;
    private readonly GasFormatter _formatter;

    private readonly List<string> _stacks = [];

    public WitnessText(Subject subject, ExploredMachine machine)
    {
        _subject = subject;
        foreach (ExploredCpu cpu in machine.Cpus)
        {
            string[] parts = subject.Describe(DirectStart.Rsp(cpu.Cpu)).Split('+');
            if (parts.Length == 2)
                _stacks.Add(parts[0] + "+");
        }
        _formatter = new GasFormatter(new Resolver(subject));
        _formatter.Options.FirstOperandCharIndex = 0;
        _formatter.Options.HexPrefix = "0x";
        _formatter.Options.UppercaseHex = false;
        _formatter.Options.SpaceAfterOperandSeparator = false;
        _formatter.Options.ShowSymbolAddress = false;
        _formatter.Options.BranchLeadingZeros = false;
        _formatter.Options.RipRelativeAddresses = false;
    }

    public static string Hex(ReadOnlySpan<byte> bytes)
    {
        var text = new System.Text.StringBuilder();
        foreach (byte b in bytes)
            text.Append(text.Length == 0 ? "" : " ").Append(b.ToString("x2"));
        return text.ToString();
    }

    public string Describe(ulong address) => _subject.Describe(address);

    /// <summary>True for what lies on the stack of a CPU: that others look there is an accident of the program's, and the table has no room for it.</summary>
    public bool IsOnStack(ulong address)
    {
        string name = Describe(address);
        return _stacks.Exists(s => name.StartsWith(s, StringComparison.Ordinal));
    }

    /// <summary>The first instruction in these bytes.</summary>
    /// <param name="mode">0, 1, 2 for code of 16, 32, 64 bits.</param>
    /// <param name="length">Its length; 1 where the bytes are no instruction.</param>
    public string Instruction(byte[] bytes, ulong rip, int mode, out int length)
    {
        Decoder decoder = Decoder.Create(16 << mode, bytes, rip, DecoderOptions.None);
        decoder.Decode(out Instruction instruction);
        length = instruction.IsInvalid ? 1 : instruction.Length;
        if (instruction.IsInvalid)
            return bytes.Length == 0 ? "(no instruction)" : $".byte 0x{bytes[0]:x2}";
        var output = new StringOutput();
        _formatter.Format(instruction, output);
        return output.ToStringAndReset().Trim();
    }

    /// <summary>Code as bytes, data as a number.</summary>
    public static string Value(in PendingStore store, bool isCode)
    {
        Span<byte> bytes = stackalloc byte[store.Size];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)(store.Value >> (8 * i));
        return isCode ? Hex(bytes) : Number(bytes);
    }

    /// <summary>At most eight bytes as a number.</summary>
    public static string Number(ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (int i = bytes.Length - 1; i >= 0; i--)
            value = value << 8 | bytes[i];
        return value < 10 ? $"{value}" : $"0x{value:x}";
    }

    public static string Message(in InterruptMessage m) => m.Mode switch
    {
        DeliveryMode.Nmi => "an NMI",
        DeliveryMode.Fixed or DeliveryMode.LowestPriority => $"IPI 0x{m.Vector:x2}",
        _ => $"{m.Mode} 0x{m.Vector:x2}",
    };

    public static string Outcome(StaleOutcome outcome) => outcome switch
    {
        StaleOutcome.ExemptByInt3 => "excused by the breakpoint",
        StaleOutcome.Retired => "executed all the same",
        StaleOutcome.Refetched => "fetched again",
        _ => "#GP, unsynchronised cross-modifying code",
    };

    private sealed class Resolver(Subject subject) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = default;
            if (address < LowestAddress || subject.Describe(address) is not { } name || name.StartsWith("0x", StringComparison.Ordinal))
                return false;
            symbol = new SymbolResult(address, name);
            return true;
        }
    }
}
