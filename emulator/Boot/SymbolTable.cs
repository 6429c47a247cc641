namespace Emu.Boot;

/// <summary>What a symbol names.</summary>
public enum SymbolKind
{
    /// <summary>A label of assembly code or of the linker script.</summary>
    Label,
    Function,
    Data,

    /// <summary>A number, not an address (SHN_ABS).</summary>
    Absolute,
}

/// <summary>A name in an image.</summary>
/// <param name="Address">Virtual address.</param>
/// <param name="Size">Bytes; 0 when the image does not say.</param>
/// <param name="SectionEnd">End of the section that it lies in: as far as a symbol without size can reach.</param>
public readonly record struct Symbol(string Name, ulong Address, ulong Size, SymbolKind Kind, ulong SectionEnd);

/// <summary>Names of addresses and addresses of names, for reports and scenarios.</summary>
public sealed class SymbolTable
{
    private readonly Symbol[] _byAddress;
    private readonly ulong[] _ends;

    /// <summary>Greatest end of this and all symbols before it, so that a search back may stop.</summary>
    private readonly ulong[] _reach;
    private readonly Dictionary<string, Symbol> _byName = [];

    public SymbolTable(IEnumerable<Symbol> symbols)
    {
        Symbol[] all = [.. symbols];
        foreach (Symbol s in all)
            _byName.TryAdd(s.Name, s);
        // Functions before labels at the same address, so that a search from the end meets the function last and prefers it.
        _byAddress = [.. all.Where(s => s.Kind != SymbolKind.Absolute).OrderBy(s => s.Address).ThenBy(s => s.Kind == SymbolKind.Label ? 0 : 1).ThenBy(s => s.Name, StringComparer.Ordinal)];
        _ends = new ulong[_byAddress.Length];
        _reach = new ulong[_byAddress.Length];
        ulong next = ulong.MaxValue;
        for (int i = _byAddress.Length - 1; i >= 0; i--)
        {
            Symbol s = _byAddress[i];
            if (i + 1 < _byAddress.Length && _byAddress[i + 1].Address != s.Address)
                next = _byAddress[i + 1].Address;
            _ends[i] = s.Size != 0 ? s.Address + s.Size : Math.Min(next, Math.Max(s.SectionEnd, s.Address));
        }
        for (int i = 0; i < _reach.Length; i++)
            _reach[i] = Math.Max(_ends[i], i == 0 ? 0 : _reach[i - 1]);
    }

    /// <summary>A table without symbols, of a stripped image.</summary>
    public static SymbolTable Empty { get; } = new([]);

    /// <summary>All symbols that are addresses, by address.</summary>
    public IReadOnlyList<Symbol> Symbols => _byAddress;

    /// <summary>Finds a symbol by its name; the first in the image where a name occurs twice.</summary>
    public bool TryFind(string name, out Symbol symbol) => _byName.TryGetValue(name, out symbol);

    /// <summary>
    /// Finds the symbol that an address lies in: a function or datum that says it reaches that far, else the label before it.
    /// </summary>
    public bool TryFind(ulong address, out Symbol symbol, out ulong offset)
    {
        int best = -1;
        for (int i = LastAtOrBefore(address); i >= 0 && _reach[i] > address; i--)
        {
            if (address >= _ends[i])
                continue;
            if (_byAddress[i].Size != 0)
            {
                best = i;
                break;
            }
            if (best < 0)
                best = i;
        }
        symbol = best < 0 ? default : _byAddress[best];
        offset = best < 0 ? 0 : address - symbol.Address;
        return best >= 0;
    }

    /// <summary>The range [start, end) of the function that an address lies in.</summary>
    public bool TryFindFunction(ulong address, out ulong start, out ulong end)
    {
        for (int i = LastAtOrBefore(address); i >= 0 && _reach[i] > address; i--)
        {
            if (address < _ends[i] && _byAddress[i].Kind == SymbolKind.Function)
            {
                (start, end) = (_byAddress[i].Address, _ends[i]);
                return true;
            }
        }
        (start, end) = (0, 0);
        return false;
    }

    /// <summary><c>text_poke+0x1c</c>, or the number where nothing is known.</summary>
    public string Describe(ulong address)
    {
        if (!TryFind(address, out Symbol symbol, out ulong offset))
            return $"0x{address:x}";
        return offset == 0 ? symbol.Name : $"{symbol.Name}+0x{offset:x}";
    }

    private int LastAtOrBefore(ulong address)
    {
        int low = 0;
        int high = _byAddress.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_byAddress[middle].Address <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low - 1;
    }
}
