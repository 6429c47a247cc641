using System.Diagnostics.CodeAnalysis;
using Iced.Intel;

namespace Emu.Boot;

/// <summary>Bytes that take the place of code.</summary>
/// <param name="Address">Virtual address of the first.</param>
public readonly record struct CodeEdit(ulong Address, byte[] Bytes);

/// <summary>Reads code by its virtual address; false when a part of it is not there.</summary>
public delegate bool CodeReader(ulong address, Span<byte> data);

/// <summary>
/// A function of a kernel that is made to do nothing, or not to call another one: the control of an experiment, which must fail. What it takes is found in the code itself.
/// <para>A function returns at once by a RET behind what must stay at its entry: ENDBR, and the place of ftrace's call (<c>call __fentry__</c>, or the NOP of five bytes that
/// took its place), which ftrace compares before it writes there. A call becomes a NOP; a jump that is a call at the end of its function becomes a RET.</para>
/// </summary>
/// <param name="Function">Name of the function.</param>
/// <param name="Callee">The function that it no longer calls; null where it returns at once.</param>
public sealed record FunctionBreak(string Function, string? Callee)
{
    private const byte Ret = 0xC3;
    private const int MaximumLength = 1 << 16;

    /// <summary>What stays at the entry of a function, by its bytes; a call there is one of ftrace's.</summary>
    private static readonly byte[][] s_entries = [[0xF3, 0x0F, 0x1E, 0xFA], [0xF3, 0x0F, 0x1E, 0xFB], [0x0F, 0x1F, 0x44, 0x00, 0x00], [0x66, 0x66, 0x66, 0x66, 0x90]];

    /// <summary>Reads <c>FUNCTION</c> or <c>FUNCTION:CALLEE</c>; null when it is neither.</summary>
    public static FunctionBreak? Parse(string text)
    {
        string[] parts = text.Split(':');
        return parts.Length > 2 || parts.Any(p => p.Length == 0 || p.Any(char.IsWhiteSpace)) ? null : new FunctionBreak(parts[0], parts.Length == 2 ? parts[1] : null);
    }

    /// <summary>As the user wrote it.</summary>
    public override string ToString() => Callee == null ? Function : $"{Function}:{Callee}";

    /// <summary>What to write where.</summary>
    /// <param name="problem">Why there is nothing to write, and what to name instead; null when there is.</param>
    public IReadOnlyList<CodeEdit> Find(SymbolTable symbols, CodeReader code, out string? problem)
    {
        if (!TryFind(symbols, Function, out Symbol function, out problem))
            return [];
        byte[] bytes = new byte[(int)Math.Min(function.Size, MaximumLength)];
        if (bytes.Length == 0 || !code(function.Address, bytes))
        {
            problem = $"the code of {Function} is not in memory";
            return [];
        }
        if (Callee == null)
            return [new CodeEdit(function.Address + (ulong)EntryLength(bytes, function.Address, symbols), [Ret])];
        return TryFind(symbols, Callee, out Symbol callee, out problem) ? Calls(bytes, function.Address, callee, symbols, out problem) : [];
    }

    /// <summary>Bytes at a function's entry that must stay.</summary>
    private static int EntryLength(ReadOnlySpan<byte> bytes, ulong address, SymbolTable symbols)
    {
        int length = 0;
        foreach (byte[] entry in s_entries)
            if (bytes[length..].StartsWith(entry))
                length += entry.Length;
        if (length == 0 || bytes[..length] is [0xF3, ..])
        {
            ulong target = CallTarget(bytes[length..], address + (ulong)length);
            if (target != 0 && symbols.TryFind("__fentry__", out Symbol fentry) && fentry.Address == target)
                length += 5;
        }
        return length;
    }

    private static ulong CallTarget(ReadOnlySpan<byte> bytes, ulong address) =>
        bytes is [0xE8, _, _, _, _, ..] ? address + 5 + (ulong)System.Buffers.Binary.BinaryPrimitives.ReadInt32LittleEndian(bytes[1..]) : 0;

    private List<CodeEdit> Calls(byte[] bytes, ulong address, Symbol callee, SymbolTable symbols, out string? problem)
    {
        var edits = new List<CodeEdit>();
        var others = new SortedSet<string>(StringComparer.Ordinal);
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(bytes), address);
        while (decoder.IP < address + (ulong)bytes.Length)
        {
            Instruction instruction = decoder.Decode();
            bool jump = instruction.IsJmpNear;
            if ((!instruction.IsCallNear && !jump) || (jump && instruction.NearBranchTarget - address < (ulong)bytes.Length))
                continue;
            if (instruction.NearBranchTarget == callee.Address)
                edits.Add(new CodeEdit(instruction.IP, jump ? [Ret, .. Nops(instruction.Length - 1)] : Nops(instruction.Length)));
            else if (symbols.TryFind(instruction.NearBranchTarget, out Symbol other, out ulong offset) && offset == 0)
                others.Add(other.Name);
        }
        problem = edits.Count != 0 ? null : $"{Function} does not call {Callee}; it calls {(others.Count == 0 ? "nothing" : string.Join(", ", others))}";
        return edits;
    }

    /// <summary>One NOP of up to nine bytes (SDM, "NOP—No Operation": recommended multi-byte sequences).</summary>
    private static byte[] Nops(int length) => length switch
    {
        0 => [],
        1 => [0x90],
        2 => [0x66, 0x90],
        3 => [0x0F, 0x1F, 0x00],
        4 => [0x0F, 0x1F, 0x40, 0x00],
        5 => [0x0F, 0x1F, 0x44, 0x00, 0x00],
        _ => [.. Nops(5), .. Nops(length - 5)],
    };

    private static bool TryFind(SymbolTable symbols, string name, out Symbol symbol, [NotNullWhen(false)] out string? problem)
    {
        bool found = symbols.TryFind(name, out symbol);
        int same = found ? symbols.Symbols.Count(s => s.Name == name) : 0;
        problem = !found ? $"the kernel has no function {name}{Like(symbols, name)}"
            : symbol.Kind != SymbolKind.Function ? $"{name} is no function of the kernel"
            : same > 1 ? $"the kernel has {same} functions {name}"
            : null;
        return problem == null;
    }

    /// <summary>Compilers split functions and give the parts suffixes; and memory fails.</summary>
    private static string Like(SymbolTable symbols, string name)
    {
        string[] like = [.. symbols.Symbols.Where(s => s.Kind == SymbolKind.Function && s.Name.Contains(name, StringComparison.OrdinalIgnoreCase)).Select(s => s.Name).Distinct().Take(5)];
        return like.Length == 0 ? "" : $"; it has {string.Join(", ", like)}";
    }
}
