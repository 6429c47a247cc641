using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Iced.Intel;

namespace Emu.Cli.Diff;

/// <summary>What came of a run of cases.</summary>
internal static class DiffReport
{
    public static void Write(Session session, TextWriter output, bool byCode)
    {
        foreach (Failure failure in session.Failures)
        {
            output.WriteLine();
            output.WriteLine($"{failure.Path}: {string.Join("; ", failure.Differences)}");
            if (failure.Cycles is { } cycles)
                output.WriteLine($"  did not repeat: {cycles.First} cycles, undisturbed {cycles.Second}. An error of the harness, or of the oracle.");
            output.WriteLine($"  emu diff replay \"{failure.Line}\"");
        }
        output.WriteLine();
        if (byCode || session.Different > 0)
            WriteByCode(session, output, all: byCode);
        foreach ((string rule, long cases) in session.Explained)
            output.WriteLine($"{cases,9}  explained by {rule}");
        double seconds = session.Elapsed.TotalSeconds;
        output.WriteLine(
            $"{session.Cases} cases of {session.ByCode.Count} instruction codes in {seconds:f1} s ({session.Cases / seconds:f0} cases/s): {session.Agreed} agree ({session.Faults} of all end in an exception), {session.Explained.Values.Sum()} explained, {session.Refused} not comparable, {session.Different} different{(session.Interrupted > 0 ? $", {session.Interrupted} interrupted by the system and run again" : "")}{(session.Unrepeated > 0 ? $", {session.Unrepeated} did not repeat" : "")}");
    }

    private static void WriteByCode(Session session, TextWriter output, bool all)
    {
        foreach (((CodeMode mode, Code code), CodeTally tally) in session.ByCode.OrderBy(e => e.Key.Mode).ThenBy(e => e.Key.Code.ToString(), StringComparer.Ordinal))
            if (all || tally.Different > 0)
                output.WriteLine($"{mode.Word(),3} {code,-32} {tally.Cases,8} cases{(tally.Different > 0 ? $", {tally.Different} different" : "")}");
    }
}
