namespace Emu.Cli;

/// <summary>Files that the user names, and the images that come with the program.</summary>
public static class Files
{
    /// <summary>Reads a text file; what the host objects to becomes one line.</summary>
    public static string ReadText(string path, string where, string remedy)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : e.Message.ReplaceLineEndings(" ").TrimEnd('.');
            throw new UsageException($"{path}: {why}", where, remedy);
        }
    }

    /// <summary>Reads a file; what the host objects to becomes one line.</summary>
    public static byte[] ReadBytes(string path, string where, string remedy)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : e.Message.ReplaceLineEndings(" ").TrimEnd('.');
            throw new UsageException($"{path}: {why}", where, remedy);
        }
    }

    /// <summary>Makes an empty file for output; what the host objects to becomes one line.</summary>
    public static FileStream Create(string path, string where)
    {
        try
        {
            return new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"{path} cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", where, "name a file in a folder that exists and may be written to");
        }
    }

    /// <summary>Makes sure, before long work, that its result can be written: what the host objects to becomes one line. A file that is there stays as it is.</summary>
    public static void RequireWritable(string? path, string where)
    {
        if (path == null)
            return;
        bool isNew = !File.Exists(path);
        try
        {
            using (new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite))
            {
            }
            if (isNew)
                File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"{path} cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", where, "name a file in a folder that exists and may be written to");
        }
    }

    /// <summary>Writes a text file; what the host objects to becomes one line.</summary>
    public static void WriteText(string path, string text, string where)
    {
        try
        {
            File.WriteAllText(path, text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"{path} cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", where, "name a file in a folder that exists and may be written to");
        }
    }

    /// <summary>Path of a shipped image: below the current directory or one above it, or beside the program or above it.</summary>
    public static string ShippedImage(string name)
    {
        foreach (string start in (string[])[Environment.CurrentDirectory, AppContext.BaseDirectory])
        {
            for (DirectoryInfo? d = new(start); d != null; d = d.Parent)
            {
                string path = Path.Combine(d.FullName, "images", name);
                if (File.Exists(path))
                    return path;
            }
        }
        throw new UsageException($"there is no images/{name} here, nor above here or the program", "the default image", "run emu inside a clone of its repository, or name an image");
    }
}
