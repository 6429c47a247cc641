using Emu.Machines;
using Emu.Memory;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>Bytes that a table of a witness shows after each event: an instruction that is patched, or a variable that CPUs share.</summary>
/// <param name="Address">Physical.</param>
/// <param name="IsAsked">A scenario asks for it.</param>
internal sealed record WitnessWatch(string Name, ulong Address, int Length, bool IsCode, bool IsAsked = false)
{
    private const int LongestInstruction = 15;
    private const int WidestData = 8;

    public bool Contains(ulong physical) => physical - Address < (ulong)Length;

    /// <summary>What is worth watching of the bytes that an exploration found to be shared.</summary>
    public static List<WitnessWatch> Of(Subject subject, SharedBytes shared, Machine machine, WitnessText text)
    {
        var code = new List<WitnessWatch>();
        if (subject is ScenarioSubject { Scenario: var scenario })
        {
            foreach (WatchedBytes asked in scenario.Watches)
            {
                ulong address = ScenarioLayout.Physical(asked.Address);
                code.Add(new WitnessWatch(asked.Name, address, asked.Length, (shared.Of(address, asked.Length) & Sharing.Code) != 0 || asked.Length > WidestData, true));
            }
        }
        var data = new List<WitnessWatch>();
        foreach ((ulong start, int length, Sharing sharing) in WitnessShared.Ranges(shared, machine.Memory))
        {
            if ((sharing & Sharing.Code) != 0)
            {
                if (!code.Exists(w => w.Contains(start)))
                    code.Add(Instruction(start, length, machine, text));
            }
            else if ((sharing & Sharing.Cpus) != 0 && !text.IsOnStack(start) && !code.Exists(w => w.Contains(start)))
            {
                for (int at = 0; at < length; at += WidestData)
                    data.Add(new WitnessWatch(text.Describe(start + (ulong)at), start + (ulong)at, Math.Min(WidestData, length - at), false));
            }
        }
        return [.. code, .. data];
    }

    /// <summary>The instruction that a patched byte belongs to: it begins at the symbol before it.</summary>
    private static WitnessWatch Instruction(ulong patched, int length, Machine machine, WitnessText text)
    {
        string name = text.Describe(patched);
        ulong start = patched;
        for (int back = 1; back < LongestInstruction && name.Contains('+', StringComparison.Ordinal); back++)
        {
            if (text.Describe(patched - (ulong)back) is { } before && !before.Contains('+', StringComparison.Ordinal) && name.StartsWith(before + "+", StringComparison.Ordinal))
            {
                (name, start) = (before, patched - (ulong)back);
                break;
            }
        }
        byte[] bytes = new byte[LongestInstruction];
        machine.Memory.TryRead(start, bytes);
        text.Instruction(bytes, start, 2, out int instruction);
        return new WitnessWatch(name, start, Math.Max(instruction, (int)(patched - start) + length), true);
    }
}

/// <summary>What an exploration found to be shared, as ranges: a witness keeps it, for the steps of an exploration mean something only together with it.</summary>
internal static class WitnessShared
{
    private const Sharing Kept = Sharing.Cpus | Sharing.Contexts | Sharing.Code | Sharing.Stop;

    /// <summary>Ranges of equal marks, in order of address.</summary>
    public static IEnumerable<(ulong Start, int Length, Sharing Sharing)> Ranges(SharedBytes shared, PhysicalMemory memory)
    {
        for (int page = 0; page < memory.PageCount; page++)
        {
            ulong address = memory.AddressOf((ulong)page << Page.Shift);
            if (shared.IsPlain(address))
                continue;
            int from = 0;
            for (int i = 1; i <= Page.Size; i++)
            {
                Sharing sharing = shared[address + (ulong)from] & Kept;
                if (i < Page.Size && (shared[address + (ulong)i] & Kept) == sharing)
                    continue;
                if (sharing != Sharing.None)
                    yield return (address + (ulong)from, i - from, sharing);
                from = i;
            }
        }
    }
}
