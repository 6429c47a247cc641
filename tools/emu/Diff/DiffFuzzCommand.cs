using System.CommandLine;
using System.Diagnostics;
using System.Runtime;
using Emu.Differ.Fuzz;
using Spectre.Console;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff fuzz</c>: random bytes in every mode, which must not upset the host.</summary>
public static class DiffFuzzCommand
{
    /// <summary>So many failures end a run.</summary>
    private const int MostFailures = 20;

    /// <summary>More than a process takes whose code caches are full and whose handlers are all compiled: something is never given back.</summary>
    private const long MostMemory = 1500L << 20;

    private static readonly TimeSpan _between = TimeSpan.FromSeconds(30);

    public static Command Build(Terminal terminal)
    {
        var count = new Option<long>("--count") { Description = "Streams, in all modes together.", DefaultValueFactory = _ => 1_000_000 };
        var first = new Option<long>("--first") { Description = "Number of the first stream, in each mode: where a run before this one ended.", DefaultValueFactory = _ => 0 };
        var seed = new Option<ulong>("--seed") { Description = "Where all randomness comes from.", DefaultValueFactory = _ => 1 };
        var mode = new Option<FuzzMode?>("--mode") { Description = "Only this mode: Real, Virtual8086, Protected16, Protected32, Compatibility or Long." };
        var command = new Command("fuzz", "Executes random bytes on random state in every mode; exit code 1 when one upset the host.") { count, first, seed, mode };
        command.SetAction(parsed => Run(parsed.GetValue(count), parsed.GetValue(first), parsed.GetValue(seed), parsed.GetValue(mode), terminal));
        return command.WithExamples(
            ("emu diff fuzz --count 100000000 --seed 1", "a long run; each line of a failure replays"),
            ("emu diff fuzz --count 6000000 --first 1000000", "goes on behind a run of 6000000"));
    }

    private static int Run(long count, long first, ulong seed, FuzzMode? only, Terminal terminal)
    {
        if (count < 1 || first < 0)
            throw new UsageException($"--count {count} --first {first}: give a count of at least 1 and a first number that is not negative");
        FuzzMode[] modes = only == null ? Enum.GetValues<FuzzMode>() : [only.Value];
        long each = (count / modes.Length + Fuzzer.Group - 1) / Fuzzer.Group * Fuzzer.Group;
        long start = first / Fuzzer.Group * Fuzzer.Group;
        TextWriter output = terminal.Out;
        var clock = Stopwatch.StartNew();
        int failures = 0;
        long retired = 0;
        foreach (FuzzMode mode in modes)
        {
            using var fuzzer = new Fuzzer(seed, mode);
            var run = new ModeRun(fuzzer, mode, start, each, output);
            if (terminal.IsInteractive)
                AnsiConsole.Progress().AutoClear(true).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn()).Start(context =>
                {
                    ProgressTask task = context.AddTask(mode.ToString(), maxValue: 1);
                    failures += run.Complete(MostFailures - failures, TimeSpan.FromSeconds(0.2), r => (task.Value, task.Description) = (r.Part, r.ToString()));
                });
            else
                failures += run.Complete(MostFailures - failures, _between, output.WriteLine);
            retired += fuzzer.Retired;
            output.WriteLine(run);
            if (failures >= MostFailures)
                return ExitCode.Failure;
        }
        long peak = Process.GetCurrentProcess().PeakWorkingSet64;
        output.WriteLine($"{each * modes.Length} streams, {retired} instructions retired, {each * modes.Length / clock.Elapsed.TotalSeconds:F0} streams a second");
        output.WriteLine($"memory: {peak >> 20} MiB at most, of which objects {GC.GetTotalMemory(forceFullCollection: true) >> 20} MiB; {JitInfo.GetCompiledMethodCount()} methods were compiled");
        output.WriteLine($"a run with --seed {seed} --first {start + each} goes on from here");
        if (peak > MostMemory)
            output.WriteLine($"memory: more than {MostMemory >> 20} MiB, which is a leak");
        output.WriteLine(failures == 0 ? "nothing upset the host" : $"{failures} groups upset the host");
        return failures == 0 && peak <= MostMemory ? ExitCode.Success : ExitCode.Failure;
    }

    /// <summary>The streams of one mode.</summary>
    private sealed class ModeRun(Fuzzer fuzzer, FuzzMode mode, long start, long count, TextWriter output)
    {
        private readonly Stopwatch _clock = new();
        private long _done;

        public double Part => (double)_done / count;

        /// <summary>Runs all, and tells now and then how far it came.</summary>
        /// <returns>Groups that upset the host.</returns>
        public int Complete(int mostFailures, TimeSpan between, Action<ModeRun> tell)
        {
            int failures = 0;
            _clock.Start();
            for (TimeSpan next = between; _done < count && failures < mostFailures; _done += Fuzzer.Group)
            {
                if (_clock.Elapsed > next)
                {
                    tell(this);
                    next = _clock.Elapsed + between;
                }
                if (fuzzer.RunGroup(start + _done) is not { } failure)
                    continue;
                failures++;
                output.WriteLine($"{failure.Replay}: {failure.Cause.GetType().Name}: {failure.Cause.Message.ReplaceLineEndings(" ")}");
                output.WriteLine($"  {failure.Cause.StackTrace?.Split('\n').FirstOrDefault()?.Trim()}");
            }
            _clock.Stop();
            return failures;
        }

        public override string ToString() =>
            $"{mode,-14} {_done} streams, {fuzzer.Retired} instructions retired, {fuzzer.Halted} came to a handler's HLT, {_done / Math.Max(_clock.Elapsed.TotalSeconds, 1e-3):F0} a second, {Environment.WorkingSet >> 20} MiB";
    }
}
