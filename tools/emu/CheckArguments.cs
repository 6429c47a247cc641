using System.CommandLine;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>--check[=PROFILE]</c>: whether cross-modifying code is checked, and by whose rule.</summary>
internal sealed class CheckArguments
{
    private const string RuleUnlessGiven = "intel";

    private readonly Option<string?> _check = new("--check")
    {
        HelpName = "PROFILE",
        Arity = ArgumentArity.ZeroOrOne,
        Description = $"Report every execution of code that changed since its CPU last serialised and that the rule of a profile does not excuse: the rule of the machine's "
            + $"profile, or, under a coherent one, of PROFILE ({RuleUnlessGiven} unless given). Exit code {FindingKind.UnsynchronisedExecution.ExitCode()} when there is any.",
    };

    public void AddTo(Command command) => command.Add(_check);

    /// <summary>The options with the check that was asked for.</summary>
    /// <exception cref="UsageException">A profile whose rule cannot be checked.</exception>
    public MachineOptions Read(ParseResult parsed, MachineOptions options)
    {
        if (parsed.GetResult(_check) is null)
            return options;
        string? name = parsed.GetValue(_check);
        if (!options.Profile.IsCoherent)
        {
            return name == null || name == options.Profile.Name ? options with { Check = options.Profile }
                : throw new UsageException($"the machine fetches by profile {options.Profile.Name}, and only that one's rule can be checked in it", "--check",
                    $"write --check alone, or --profile coherent --check={name}");
        }
        FetchProfile rule = MachineArguments.Profile(name ?? RuleUnlessGiven, []);
        Require(rule, "--check");
        return options with { Check = rule };
    }

    /// <exception cref="UsageException">The profile has no rule that could be broken.</exception>
    public static void Require(FetchProfile rule, string option)
    {
        if (rule.IsCoherent)
            throw new UsageException($"profile {rule.Name} fetches code when it is executed, so that nothing is ever stale", option,
                $"choose one of {string.Join(", ", FetchProfiles.All.Where(p => !p.IsCoherent).Select(p => p.Name))}");
    }
}
