using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>
/// An exploration that ended early, as a file: what was explored, in the form of a witness without steps, and the rest. The checksum at its beginning
/// is of all that follows.
/// </summary>
public static class ExplorationFile
{
    private const string FirstLine = "emu exploration 2\n";

    /// <summary>Writes it.</summary>
    /// <param name="subject">What is explored: a witness, whose steps do not matter.</param>
    /// <exception cref="WitnessException">The file cannot be written.</exception>
    public static void Save(string path, Witness subject, ExplorationRest rest)
    {
        using var body = new MemoryStream();
        using (var zip = new GZipStream(body, CompressionLevel.Fastest, leaveOpen: true))
        using (var w = new BinaryWriter(zip))
            Write(w, subject, rest);
        try
        {
            using FileStream file = File.Create(path);
            file.Write(Encoding.ASCII.GetBytes(FirstLine));
            file.Write(SHA256.HashData(body.GetBuffer().AsSpan(0, (int)body.Length)));
            body.WriteTo(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new WitnessException($"{path}: cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}; write elsewhere");
        }
    }

    /// <summary>Reads it.</summary>
    /// <exception cref="WitnessException">It is none, was cut off or altered.</exception>
    public static (Witness Subject, ExplorationRest Remaining) Load(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : $"cannot be read: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}";
            throw new WitnessException($"{path}: {why}; give a file that an exploration wrote when it was ended early");
        }
        int start = FirstLine.Length + SHA256.HashSizeInBytes;
        if (!bytes.AsSpan().StartsWith(Encoding.ASCII.GetBytes(FirstLine)))
            throw new WitnessException($"{path}: is no exploration of this version; give a file that this program wrote when an exploration was ended early");
        if (bytes.Length < start || !SHA256.HashData(bytes.AsSpan(start)).AsSpan().SequenceEqual(bytes.AsSpan(FirstLine.Length, SHA256.HashSizeInBytes)))
            throw new WitnessException($"{path}: was cut off or altered: its checksum is not that of its contents; begin the exploration again");
        using var r = new BinaryReader(new GZipStream(new MemoryStream(bytes, start, bytes.Length - start), CompressionMode.Decompress));
        return Read(r, path);
    }

    private static void Write(BinaryWriter w, Witness subject, ExplorationRest rest)
    {
        w.Write(WitnessFile.Format(subject with { Steps = [], Kind = null, Ending = "unfinished", Shared = rest.Shared, BelowStack = rest.BelowStack, Cpus = rest.Cpus }));
        w.Write(rest.RootHash);
        w.Write(rest.Rounds);
        w.Write(rest.Transitions);
        w.Write(rest.Events);
        w.Write(rest.Elapsed.Ticks);
        w.Write(rest.EventsOnPath ?? -1);
        w.Write(rest.Preemptions ?? -1);
        w.Write(rest.IsCutOff);
        List(w, rest.States, s => { w.Write(s.Hash); w.Write(s.Id); });
        List(w, rest.Edges, e => { w.Write(e.From); w.Write(e.To); w.Write(e.Cpu); w.Write(e.Events); });
        List(w, rest.Ends, w.Write);
        List(w, rest.Deciding, w.Write);
        List(w, rest.Paths, p => List(w, p, s => Write(w, s)));
        List(w, rest.Outcomes, o => { w.Write(o.Text); w.Write(o.Count); w.Write(o.Holds); w.Write((byte)o.End); });
        List(w, rest.Tasks, t =>
        {
            List(w, t.Prefix, s => Write(w, s));
            w.Write(t.Id);
            w.Write(t.LastCpu);
            w.Write(t.Cost);
            w.Write(t.Stuck);
            w.Write(t.Only != null);
            if (t.Only is { } only)
                Write(w, only);
        });
        List(w, rest.Accesses, p =>
        {
            w.Write(p.Page);
            foreach (uint[] masks in (uint[][])[p.Loads, p.Stores, p.Executes])
                foreach (uint mask in masks)
                    w.Write(mask);
        });
    }

    private static (Witness, ExplorationRest) Read(BinaryReader r, string path)
    {
        Witness subject = WitnessFile.Parse(r.ReadString(), path);
        var rest = new ExplorationRest
        {
            Shared = subject.Shared,
            BelowStack = subject.BelowStack,
            Cpus = subject.Cpus,
            RootHash = r.ReadUInt64(),
            Rounds = r.ReadInt32(),
            Transitions = r.ReadInt64(),
            Events = r.ReadInt64(),
            Elapsed = new TimeSpan(r.ReadInt64()),
            EventsOnPath = r.ReadInt64() is >= 0 and var most ? most : null,
            Preemptions = r.ReadInt32() is >= 0 and var preemptions ? preemptions : null,
            IsCutOff = r.ReadBoolean(),
            States = List(r, () => (r.ReadUInt64(), r.ReadInt32())),
            Edges = List(r, () => new Edge(r.ReadInt32(), r.ReadInt32(), r.ReadByte(), r.ReadUInt16())),
            Ends = List(r, r.ReadInt32),
            Deciding = List(r, r.ReadInt32),
            Paths = List(r, () => List(r, () => ReadStep(r))),
            Outcomes = List(r, () => new ExploredOutcome(r.ReadString(), r.ReadInt64(), r.ReadBoolean()) { End = (RunEnd)r.ReadByte() }),
            Tasks = List(r, () => new SearchTask(List(r, () => ReadStep(r)), r.ReadInt32(), r.ReadInt32(), r.ReadInt32(), r.ReadUInt32(), r.ReadBoolean() ? ReadStep(r) : null)),
            Accesses = List(r, () => new AccessedPage(r.ReadInt32(), Masks(r), Masks(r), Masks(r))),
        };
        return (subject, rest);
    }

    private static void List<T>(BinaryWriter w, IReadOnlyList<T> list, Action<T> write)
    {
        w.Write(list.Count);
        foreach (T item in list)
            write(item);
    }

    private static List<T> List<T>(BinaryReader r, Func<T> read)
    {
        int count = r.ReadInt32();
        var list = new List<T>(count);
        for (int i = 0; i < count; i++)
            list.Add(read());
        return list;
    }

    private static uint[] Masks(BinaryReader r)
    {
        uint[] masks = new uint[Memory.Page.Size];
        for (int i = 0; i < masks.Length; i++)
            masks[i] = r.ReadUInt32();
        return masks;
    }

    private static void Write(BinaryWriter w, Step step)
    {
        w.Write(step.Cpu);
        w.Write((byte)step.Kind);
        w.Write(step.Message);
        for (int i = 0; i < Picks.Maximum; i++)
            w.Write((byte)step.Picks[i]);
    }

    private static Step ReadStep(BinaryReader r)
    {
        (byte cpu, var kind, byte message) = (r.ReadByte(), (StepKind)r.ReadByte(), r.ReadByte());
        Picks picks = default;
        for (int i = 0; i < Picks.Maximum; i++)
            picks.Set(i, r.ReadByte());
        return new Step(cpu, kind, message, picks);
    }
}
