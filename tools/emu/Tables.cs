using Spectre.Console;

namespace Emu.Cli;

/// <summary>Tables on the terminal.</summary>
internal static class Tables
{
    public static Table New(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column)));
        return table;
    }

    public static void Write(Terminal terminal, Table table)
    {
        var text = new StringWriter { NewLine = "\n" };
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(text),
            Ansi = terminal.IsInteractive ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = terminal.IsInteractive ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        console.Profile.Width = terminal.IsInteractive ? Math.Max(80, System.Console.WindowWidth) : 400;
        console.Write(table);
        // Spectre pads every line to the table's width.
        foreach (string line in text.ToString().TrimEnd().Split('\n'))
            terminal.Out.WriteLine(line.TrimEnd());
    }
}
