using System.CommandLine;
using Emu.Cpus;
using Emu.Fetch;
using Spectre.Console;

namespace Emu.Cli;

/// <summary><c>emu cpus</c>: the processors that can be chosen.</summary>
public static class CpusCommand
{
    public static Command Build(Terminal terminal)
    {
        var json = JsonOutput.Option();
        var command = new Command("cpus", "Lists the CPU models.") { json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. CpuModels.All.Select(Describe)], JsonShapes.Default.CpuModelJsonArray);
            else
                WriteTable(terminal);
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu cpus", "the table of models: what each has, and its default fetch profile"),
            ("emu cpus --json", "the same with every feature, for programs"));
    }

    private static CpuModelJson Describe(CpuModel m) => new(
        m.Name, m.Description, m.Vendor.ToString().ToLowerInvariant(), m.Signature, m.PhysicalAddressBits, m.DefaultProfile,
        [.. m.Features.Select(f => f.ToString().ToLowerInvariant())]);

    private static void WriteTable(Terminal terminal)
    {
        CpuFeature[] telling = [CpuFeature.LongMode, CpuFeature.Nx, CpuFeature.Sse2, CpuFeature.X2Apic, CpuFeature.Serialize, CpuFeature.Smap, CpuFeature.Gigabyte];
        Table table = Tables.New(["name", "profile", "64-bit", "nx", "mfence", "x2apic", "serialize", "smap", "1g pages", "description"]);
        foreach (CpuModel m in CpuModels.All)
            table.AddRow([m.Name, m.DefaultProfile, .. telling.Select(f => m.Has(f) ? "yes" : "no"), Markup.Escape(m.Description)]);
        Tables.Write(terminal, table);
    }
}

/// <summary><c>emu profiles</c>: what a CPU may do with stale instruction bytes.</summary>
public static class ProfilesCommand
{
    public static Command Build(Terminal terminal)
    {
        var json = JsonOutput.Option();
        var command = new Command("profiles", "Lists the fetch profiles, and the fields that --set changes.") { json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. FetchProfiles.All.Select(Describe)], JsonShapes.Default.FetchProfileJsonArray);
            else
                WriteTables(terminal);
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu profiles", "every field of every profile"),
            ("emu boot --profile intel --set int3-exempt=no", "one of them with one field changed"));
    }

    private static FetchProfileJson Describe(FetchProfile p) => new(p.Name, p.Source, FetchProfileFields.All.ToDictionary(f => f.Name, f => f.Get(p)));

    private static void WriteTables(Terminal terminal)
    {
        Table values = Tables.New(["field", .. FetchProfiles.All.Select(p => p.Name)]);
        foreach (FetchProfileField field in FetchProfileFields.All)
            values.AddRow([field.Name, .. FetchProfiles.All.Select(field.Get)]);
        Tables.Write(terminal, values);
        terminal.Out.WriteLine();
        Table fields = Tables.New(["field", "is", "and says"]);
        foreach (FetchProfileField field in FetchProfileFields.All)
            fields.AddRow([field.Name, Markup.Escape(field.Values), Markup.Escape(field.Meaning)]);
        Tables.Write(terminal, fields);
        terminal.Out.WriteLine();
        foreach (FetchProfile p in FetchProfiles.All)
            terminal.Out.WriteLine($"  {p.Name,-13} {p.Source}");
        terminal.Out.WriteLine();
        terminal.Out.WriteLine("  A profile over-approximates hardware: \"fails\" means that its rules permit the failure, not that a given chip shows it.");
    }
}
