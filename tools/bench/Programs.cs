namespace Emu.Bench;

/// <summary>Where the programs and images that are measured lie.</summary>
internal static class Programs
{
    /// <summary>The emu executable as users run it, of the same configuration: the one that lies beside this program is not compiled ahead of time.</summary>
    public static string Emu
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            return Path.GetFullPath(Path.Combine(folder.FullName, "..", "..", "..", "..", "emu", "bin", folder.Parent!.Name, folder.Name, "emu"));
        }
    }

    /// <summary>An image of the repository: found upwards from here.</summary>
    public static string Image(string name)
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d != null; d = d.Parent)
        {
            string path = Path.Combine(d.FullName, "images", name);
            if (File.Exists(path))
                return path;
        }
        throw new FileNotFoundException($"images/{name} is not in any folder above {AppContext.BaseDirectory}; run this from a clone");
    }
}
