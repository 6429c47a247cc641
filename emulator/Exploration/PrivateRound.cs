namespace Emu.Exploration;

/// <summary>
/// Notices that a CPU goes round for ever on its own, such as one that waits for what is in nobody else's hands, and stops it always at the same point of the
/// round, so that the search sees one state which leads to itself. (Brent's algorithm on hashes of the state.)
/// </summary>
internal struct PrivateRound
{
    /// <summary>Instructions of a run that may be left when watching begins: a straight run, or a short loop, costs nothing.</summary>
    public const int Begins = ExploredMachine.LongestPrivateRun - 256;

    private ulong _mark;
    private int _sinceMark, _limit, _length, _walked;
    private ulong _least;

    /// <summary>Told of the state before each instruction. True where the CPU is to stop: it has gone round, and stands at the point of the round that has the least hash.</summary>
    public bool IsComplete(ulong hash)
    {
        if (_length != 0)
        {
            // Once round to find that point, and once more to reach it.
            _least = Math.Min(_least, hash);
            return ++_walked > _length && hash == _least;
        }
        _sinceMark++;
        if (hash == _mark)
        {
            _length = _sinceMark;
            _least = hash;
        }
        else if (_sinceMark >= _limit)
        {
            // A mark from which a longer round leads back, and behind what led into the round.
            _mark = hash;
            _sinceMark = 0;
            _limit = Math.Max(8, 2 * _limit);
        }
        return false;
    }
}
