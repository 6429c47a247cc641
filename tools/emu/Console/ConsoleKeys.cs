namespace Emu.Cli;

/// <summary>What a key asks of the emulator itself.</summary>
public enum ConsoleAction
{
    None,
    Leave,
    Pause,
    Help,
}

/// <summary>Sorts what is typed: Ctrl-A and a letter are for the emulator, all else is for the guest; Ctrl-A twice sends one.</summary>
public sealed class ConsoleKeys
{
    private const byte Prefix = 1;

    /// <summary>What Ctrl-A h shows.</summary>
    public const string Help = "Ctrl-A x leaves, Ctrl-A c pauses, Ctrl-A Ctrl-A sends Ctrl-A";

    private bool _prefixed;

    /// <summary>Takes bytes up to the first that is an action; <paramref name="rest"/> begins behind it.</summary>
    public ConsoleAction Filter(ReadOnlySpan<byte> typed, List<byte> forGuest, out int rest)
    {
        for (int i = 0; i < typed.Length; i++)
        {
            byte key = typed[i];
            if (!_prefixed)
            {
                if (key == Prefix)
                    _prefixed = true;
                else
                    forGuest.Add(key);
                continue;
            }
            _prefixed = false;
            ConsoleAction action = key switch
            {
                (byte)'x' or (byte)'X' => ConsoleAction.Leave,
                (byte)'c' or (byte)'C' => ConsoleAction.Pause,
                Prefix => ConsoleAction.None,
                _ => ConsoleAction.Help,
            };
            if (key == Prefix)
                forGuest.Add(Prefix);
            if (action == ConsoleAction.None)
                continue;
            rest = i + 1;
            return action;
        }
        rest = typed.Length;
        return ConsoleAction.None;
    }
}
