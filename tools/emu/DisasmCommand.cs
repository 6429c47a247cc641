using System.CommandLine;
using System.Globalization;
using System.Text;
using Emu.Boot;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;
using Symbol = Emu.Boot.Symbol;

namespace Emu.Cli;

/// <summary><c>emu disasm</c>: what an image will execute, with its symbols.</summary>
public static class DisasmCommand
{
    private const int DefaultLength = 128;

    public static Command Build(Terminal terminal)
    {
        var image = new Argument<string>("IMAGE") { Description = "A multiboot 1 kernel." };
        var at = new Argument<string?>("WHERE") { Arity = ArgumentArity.ZeroOrOne, Description = "A symbol, or an address such as 0x100000; every function unless given." };
        var bits = new Option<string>("--bits") { HelpName = "16|32|64", Description = "Width of the code; guessed from the image's functions unless given." };
        var length = new Option<string>("--length") { HelpName = "BYTES", Description = $"How much to show; the function unless given, {DefaultLength} bytes where none is known." };
        var syntax = new Option<string>("--syntax") { HelpName = "gas|intel|nasm|masm", Description = "Assembler syntax; gas (AT&T) unless given." };
        var command = new Command("disasm", "Disassembles an image.") { image, at, bits, length, syntax };
        command.SetAction(parsed =>
        {
            BootImage kernel = BootImage.OpenFile(parsed.GetRequiredValue(image));
            int width = parsed.GetValue(bits) is { } b ? Bits(b) : GuessBits(kernel);
            Formatter formatter = NewFormatter(parsed.GetValue(syntax) ?? "gas", kernel.Symbols);
            ulong? bytes = parsed.GetValue(length) is { } l ? Length(l) : null;
            IEnumerable<(ulong Start, ulong End)> ranges = parsed.GetValue(at) is { } where ? [Range(kernel, where, bytes)] : Functions(kernel);
            foreach ((ulong start, ulong end) in ranges)
                Write(terminal, kernel, start, end, width, formatter);
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu disasm images/emu64.elf text_poke_bp", "one function"),
            ("emu disasm images/emu64.elf 0x100000 --bits 32 --length 64", "an address: the entry is 32-bit code"),
            ("emu disasm images/emu32.elf --syntax intel", "all functions"));
    }

    private static int Bits(string text) => text is "16" or "32" or "64" ? int.Parse(text, CultureInfo.InvariantCulture)
        : throw new UsageException($"\"{text}\" is not a width of code", "--bits", "write 16, 32 or 64");

    private static ulong Length(string text) => Quantities.TryNumber(text, out ulong n) && n is > 0 and <= 1 << 24 ? n
        : throw new UsageException($"\"{text}\" is not a number of bytes", "--length", "write a number from 1 to 16777216");

    private static Formatter NewFormatter(string syntax, SymbolTable symbols)
    {
        var resolver = new SymbolResolver(symbols);
        Formatter formatter = syntax switch
        {
            "gas" => new GasFormatter(resolver),
            "intel" => new IntelFormatter(resolver),
            "nasm" => new NasmFormatter(resolver),
            "masm" => new MasmFormatter(resolver),
            _ => throw new UsageException($"there is no syntax \"{syntax}\"", "--syntax", "write gas, intel, nasm or masm"),
        };
        FormatterOptions options = formatter.Options;
        options.FirstOperandCharIndex = 8;
        options.HexPrefix = "0x";
        options.HexSuffix = "";
        options.UppercaseHex = false;
        options.SpaceAfterOperandSeparator = true;
        options.ShowSymbolAddress = true;
        options.RipRelativeAddresses = false;
        return formatter;
    }

    /// <summary>From a symbol or an address, as far as its function goes.</summary>
    private static (ulong Start, ulong End) Range(BootImage image, string where, ulong? length)
    {
        ulong start;
        if (image.Symbols.TryFind(where, out Symbol symbol))
            start = symbol.Address;
        else if (!Quantities.TryNumber(where, out start))
            throw new UsageException($"no symbol \"{where}\"", image.Name, Suggest(image.Symbols, where));
        if (!TryBytes(image, start, out ReadOnlyMemory<byte> bytes))
            throw new UsageException($"nothing is loaded at 0x{start:x}", image.Name, $"it has bytes from {string.Join(", from ", image.Segments.Where(s => s.Data.Length > 0).Select(s => $"0x{s.Address:x} to 0x{s.Address + (ulong)s.Data.Length - 1:x}"))}");
        ulong most = start + (ulong)bytes.Length;
        ulong end = length != null ? start + length.Value
            : symbol.Size != 0 ? start + symbol.Size
            : image.Symbols.TryFindFunction(start, out _, out ulong functionEnd) ? functionEnd
            : start + DefaultLength;
        return (start, Math.Min(end, most));
    }

    private static string Suggest(SymbolTable symbols, string wanted)
    {
        string[] near = [.. symbols.Symbols.Select(s => s.Name).Where(n => n.Contains(wanted, StringComparison.OrdinalIgnoreCase)).Distinct().Take(5)];
        return near.Length != 0 ? $"did you mean {string.Join(", ", near)}?" : "give a symbol of the image, or an address such as 0x100000";
    }

    private static IEnumerable<(ulong Start, ulong End)> Functions(BootImage image)
    {
        ulong done = 0;
        foreach (Symbol s in image.Symbols.Symbols)
        {
            if (s.Kind != SymbolKind.Function || s.Address < done || !image.Symbols.TryFindFunction(s.Address, out _, out ulong end) || end <= s.Address)
                continue;
            done = end;
            yield return (s.Address, end);
        }
    }

    private static void Write(Terminal terminal, BootImage image, ulong start, ulong end, int bits, Formatter formatter)
    {
        if (!TryBytes(image, start, out ReadOnlyMemory<byte> code))
            return;
        code = code[..(int)Math.Min((ulong)code.Length, end - start)];
        byte[] bytes = code.ToArray();
        var decoder = Decoder.Create(bits, new ByteArrayCodeReader(bytes));
        decoder.IP = start;
        terminal.Out.WriteLine($"{image.Symbols.Describe(start)}:");
        var text = new StringOutput();
        var line = new StringBuilder();
        while (decoder.IP < start + (ulong)bytes.Length)
        {
            Instruction instruction = decoder.Decode();
            formatter.Format(instruction, text);
            int offset = (int)(instruction.IP - start);
            int taken = Math.Max(1, Math.Min(instruction.Length, bytes.Length - offset));
            line.Clear().Append(CultureInfo.InvariantCulture, $"{instruction.IP,10:x}  ");
            for (int i = 0; i < taken; i++)
                line.Append(bytes[offset + i].ToString("x2", CultureInfo.InvariantCulture)).Append(' ');
            line.Append(' ', Math.Max(1, 46 - line.Length)).Append(text.ToStringAndReset());
            terminal.Out.WriteLine(line.ToString());
        }
        terminal.Out.WriteLine();
    }

    private static bool TryBytes(BootImage image, ulong address, out ReadOnlyMemory<byte> bytes)
    {
        foreach (ImageSegment s in image.Segments)
        {
            if (address - s.Address < (ulong)s.Data.Length)
            {
                bytes = s.Data[(int)(address - s.Address)..];
                return true;
            }
        }
        bytes = default;
        return false;
    }

    /// <summary>A container of either class may hold code of any width; frames are set up by "push rbp; mov rbp, rsp" or without the REX prefix.</summary>
    private static int GuessBits(BootImage image)
    {
        if (image.Kind == ImageKind.FlatBinary)
            return 16;
        int wide = 0;
        int narrow = 0;
        foreach ((ulong start, _) in Functions(image))
        {
            if (!TryBytes(image, start, out ReadOnlyMemory<byte> code))
                continue;
            wide += code.Span.StartsWith((byte[])[0x55, 0x48, 0x89, 0xE5]) ? 1 : 0;
            narrow += code.Span.StartsWith((byte[])[0x55, 0x89, 0xE5]) ? 1 : 0;
        }
        return narrow > wide ? 32 : 64;
    }

    private sealed class SymbolResolver(SymbolTable symbols) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = default;
            // Small numbers are numbers more often than addresses.
            if (address < 0x1000 || !symbols.TryFind(address, out _, out _))
                return false;
            symbol = new SymbolResult(address, symbols.Describe(address));
            return true;
        }
    }
}
