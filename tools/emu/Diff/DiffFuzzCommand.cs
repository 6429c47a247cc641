using System.CommandLine;
using System.Diagnostics;
using Emu.Differ.Fuzz;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff fuzz</c>: random bytes in every mode, which must not upset the host.</summary>
public static class DiffFuzzCommand
{
    public static Command Build(Terminal terminal)
    {
        var count = new Option<long>("--count") { Description = "Streams, in all modes together.", DefaultValueFactory = _ => 1_000_000 };
        var first = new Option<long>("--first") { Description = "Number of the first stream, in each mode.", DefaultValueFactory = _ => 0 };
        var seed = new Option<ulong>("--seed") { Description = "Where all randomness comes from.", DefaultValueFactory = _ => 1 };
        var mode = new Option<FuzzMode?>("--mode") { Description = "Only this mode: Real, Virtual8086, Protected16, Protected32, Compatibility or Long." };
        var command = new Command("fuzz", "Executes random bytes on random state in every mode; exit code 1 when one upset the host.") { count, first, seed, mode };
        command.SetAction(parsed => Run(parsed.GetValue(count), parsed.GetValue(first), parsed.GetValue(seed), parsed.GetValue(mode), terminal.Out));
        return command.WithExamples(("emu diff fuzz --count 100000000 --seed 1", "a long run; each line of a failure replays"));
    }

    private static int Run(long count, long first, ulong seed, FuzzMode? only, TextWriter output)
    {
        if (count < 1 || first < 0)
            throw new UsageException($"--count {count} --first {first}: give a count of at least 1 and a first number that is not negative");
        FuzzMode[] modes = only == null ? Enum.GetValues<FuzzMode>() : [only.Value];
        long each = (count / modes.Length + Fuzzer.Group - 1) / Fuzzer.Group * Fuzzer.Group;
        long start = first / Fuzzer.Group * Fuzzer.Group;
        int failures = 0;
        foreach (FuzzMode mode in modes)
        {
            using var fuzzer = new Fuzzer(seed, mode);
            long before = 0;
            var clock = Stopwatch.StartNew();
            for (long at = start; at < start + each; at += Fuzzer.Group)
            {
                if (fuzzer.RunGroup(at) is { } failure)
                {
                    failures++;
                    output.WriteLine($"{failure.Replay}: {failure.Cause.GetType().Name}: {failure.Cause.Message.ReplaceLineEndings(" ")}");
                    output.WriteLine($"  {failure.Cause.StackTrace?.Split('\n').FirstOrDefault()?.Trim()}");
                    if (failures >= 20)
                        return ExitCode.Failure;
                }
                // What is allocated once has been by then.
                if (at == start + each / 4 / Fuzzer.Group * Fuzzer.Group)
                    before = Environment.WorkingSet;
            }
            long grown = Math.Max(0, Environment.WorkingSet - before) >> 20;
            output.WriteLine($"{mode,-14} {each} streams, {fuzzer.Retired} instructions retired, {fuzzer.Halted} came to a handler's HLT, {each / clock.Elapsed.TotalSeconds:F0} a second, memory grew by {grown} MiB");
        }
        output.WriteLine(failures == 0 ? "nothing upset the host" : $"{failures} groups upset the host");
        return failures == 0 ? ExitCode.Success : ExitCode.Failure;
    }
}
