namespace Emu.Exploration;

/// <summary>
/// Which version was fetched of each patched unit that one instruction needed, in order; up to sixteen of them, 0 being what memory holds.
/// </summary>
public record struct Picks
{
    internal const int Maximum = 16;

    private UInt128 _choices;

    public readonly int this[int position] => position < Maximum ? (int)(_choices >> (8 * position)) & 0xFF : 0;

    public void Set(int position, int choice)
    {
        if (position < Maximum)
            _choices = (_choices & ~((UInt128)0xFF << (8 * position))) | ((UInt128)(byte)choice << (8 * position));
    }
}

/// <summary>Makes the choices of one event: those that are given, then 0; and tells what else could have been chosen.</summary>
internal sealed class Chooser
{
    private readonly int[] _counts = new int[16];
    private Picks _picks;

    /// <summary>Choices made since <see cref="Begin"/>.</summary>
    public int Made { get; private set; }

    public Picks Picks => _picks;

    public void Begin(Picks given)
    {
        _picks = given;
        Made = 0;
    }

    /// <summary>One of so many.</summary>
    public int Choose(int count)
    {
        int choice = Math.Min(_picks[Made], count - 1);
        if (Made < _counts.Length)
            _counts[Made] = Math.Min(count, 255);
        Made++;
        return choice;
    }

    /// <summary>The next combination after the one just made, as an odometer counts; false after the last.</summary>
    public bool TryNext(out Picks next)
    {
        next = _picks;
        for (int i = Math.Min(Made, _counts.Length) - 1; i >= 0; i--)
        {
            if (_picks[i] + 1 < _counts[i])
            {
                next.Set(i, _picks[i] + 1);
                for (int later = i + 1; later < _counts.Length; later++)
                    next.Set(later, 0);
                return true;
            }
        }
        return false;
    }
}
