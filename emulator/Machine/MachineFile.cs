using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>
/// Machines in files: all that a machine is and will do, so that a run continued from a file is the run that never stopped, on any host. Not in it: the checker
/// (<see cref="MachineOptions.Check"/>), which begins anew, what the machine reported so far, and the images of disks.
/// </summary>
public static unsafe class MachineFile
{
    /// <summary>Pages of RAM in one section: 4 MiB.</summary>
    private const int PagesPerSection = 1024;

    private const string OptionsSection = "options";
    private const string CpuSection = "cpu";
    private const string DeviceSection = "device";
    private const string EngineSection = "engine";
    private const string RamSection = "ram";
    private const string CodeSection = "code";

    /// <summary>Writes a machine that is not running to a file, which it replaces only when all is written.</summary>
    /// <exception cref="SnapshotException">The host objects.</exception>
    public static void Save(Machine machine, string path)
    {
        MachineSnapshot.Contents parts = machine.CaptureWithoutRam();
        List<Func<SnapshotContainer.Section>> sections = [() => new(OptionsSection, Encoding.UTF8.GetBytes(MachineOptionsText.Write(machine.Options)))];
        foreach (MachineSnapshot.CpuPart cpu in parts.Cpus)
            sections.Add(() => new(CpuSection, Bytes(w => WriteCpu(w, cpu))));
        for (int i = 0; i < parts.Devices.Length; i++)
        {
            int n = i;
            sections.Add(() => new($"{DeviceSection} {machine.Devices[n].GetType().Name}", parts.Devices[n]));
        }
        sections.Add(() => new(EngineSection, Bytes(w => WriteEngine(w, parts))));
        // Which pages are observed decides which versions of code are remembered. A coherent machine remembers none, and finds its code anew.
        if (!machine.Options.Profile.IsCoherent)
            sections.Add(() => new(CodeSection, MemoryMarshal.AsBytes<int>(PagesOfCode(machine.Memory)).ToArray()));
        foreach (int[] pages in machine.PagesInUse().Chunk(PagesPerSection))
            sections.Add(() => new(RamSection, RamOf(machine.Memory, pages)));
        SnapshotContainer.Write(path, sections);
    }

    /// <summary>Builds the machine of a file.</summary>
    /// <param name="adapt">Changes options that are the host's business, as where disk images lie; may be null.</param>
    /// <exception cref="SnapshotException">The file is damaged or of another version.</exception>
    public static Machine Open(string path, Func<MachineOptions, MachineOptions>? adapt = null)
    {
        List<SnapshotContainer.Section> sections = SnapshotContainer.Read(path);
        try
        {
            MachineOptions options = MachineOptionsText.Read(Encoding.UTF8.GetString(sections[0].Data));
            var machine = new Machine(adapt == null ? options : adapt(options));
            try
            {
                Apply(machine, sections);
                return machine;
            }
            catch
            {
                machine.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or IndexOutOfRangeException)
        {
            // The checksum is right: another version of the program wrote it.
            throw new SnapshotException(path, $"was written by another version of this program ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})", "take it again with this one");
        }
    }

    private static void Apply(Machine machine, List<SnapshotContainer.Section> sections)
    {
        MachineSnapshot.CpuPart[] cpus = [.. sections.Where(s => s.Name == CpuSection).Select(s => ReadCpu(s.Data))];
        SnapshotContainer.Section[] devices = [.. sections.Where(s => s.Name.StartsWith(DeviceSection + " ", StringComparison.Ordinal))];
        string expected = string.Join(", ", machine.Devices.Select(d => d.GetType().Name));
        string found = string.Join(", ", devices.Select(d => d.Name[(DeviceSection.Length + 1)..]));
        if (cpus.Length != machine.Cpus.Count || found != expected)
            throw new InvalidDataException("its machine has other devices");
        Parallel.ForEach(sections.Where(s => s.Name == RamSection), s => PutRam(machine.Memory, s.Data));
        foreach (int page in MemoryMarshal.Cast<byte, int>(sections.Find(s => s.Name == CodeSection).Data ?? []))
            machine.Memory.Flags[(uint)page < (uint)machine.Memory.PageCount ? page : throw new InvalidDataException("its machine has other memory")] |= PageFlags.Code;
        byte[] engine = sections.Find(s => s.Name == EngineSection).Data ?? throw new InvalidDataException("there is no engine");
        machine.ApplyWithoutRam(ReadEngine(engine, cpus, [.. devices.Select(d => d.Data)]));
    }

    private static byte[] Bytes(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    private static void WriteCpu(BinaryWriter w, MachineSnapshot.CpuPart cpu)
    {
        w.Write(LayoutOfCpu);
        WriteBytes(w, Portable(cpu.State));
        WriteBytes(w, PortableTlbs(cpu.Tlbs));
        w.Write(cpu.Stores.Length);
        foreach (PendingStore store in cpu.Stores)
        {
            w.Write(store.Address);
            w.Write(store.Linear);
            w.Write(store.Value);
            w.Write(store.Size);
            w.Write(store.Rip);
        }
        w.Write((int)cpu.Mailbox);
        w.Write(cpu.SipiVector);
        WriteBytes(w, cpu.Queue);
        w.Write(cpu.SerialisedAt);
    }

    private static MachineSnapshot.CpuPart ReadCpu(byte[] data)
    {
        using var r = new BinaryReader(new MemoryStream(data));
        if (r.ReadUInt64() != LayoutOfCpu)
            throw new InvalidDataException("its CPUs have other registers");
        byte[] state = ReadBytes(r);
        byte[] tlbs = ReadBytes(r);
        var stores = new PendingStore[r.ReadInt32()];
        for (int i = 0; i < stores.Length; i++)
            stores[i] = new PendingStore(r.ReadUInt64(), r.ReadUInt64(), r.ReadUInt64(), r.ReadInt32(), r.ReadUInt64());
        return new MachineSnapshot.CpuPart(state, tlbs, stores, (Mail)r.ReadInt32(), r.ReadByte(), ReadBytes(r), r.ReadUInt64());
    }

    private static void WriteEngine(BinaryWriter w, MachineSnapshot.Contents parts)
    {
        CodeHistory.Write(parts.History, w);
        w.Write(parts.Pct != null);
        if (parts.Pct != null)
            PctPriorities.Write(parts.Pct, w);
        w.Write(parts.Eagerness.Length);
        foreach (ulong eagerness in parts.Eagerness)
            w.Write(eagerness);
        foreach (bool blocked in parts.FetchBlocked)
            w.Write(blocked);
        (ulong now, ulong instructions, ulong random, int turn, int listPosition, ulong hash, Machine.HeldCpu held) = parts.Clock;
        w.Write(now);
        w.Write(instructions);
        w.Write(random);
        w.Write(turn);
        w.Write(listPosition);
        w.Write(hash);
        w.Write(held.Cpu);
        w.Write(held.Until);
        w.Write(held.PatchUntil);
        w.Write(held.CodeChanges);
        w.Write(parts.Stop != null);
        if (parts.Stop is not { } stop)
            return;
        w.Write((int)stop.Reason);
        w.Write(stop.ExitCode);
        w.Write(stop.Message);
    }

    private static MachineSnapshot.Contents ReadEngine(byte[] data, MachineSnapshot.CpuPart[] cpus, byte[][] devices)
    {
        using var r = new BinaryReader(new MemoryStream(data));
        object history = CodeHistory.Read(r);
        object? pct = r.ReadBoolean() ? PctPriorities.Read(r) : null;
        ulong[] eagerness = new ulong[r.ReadInt32()];
        for (int i = 0; i < eagerness.Length; i++)
            eagerness[i] = r.ReadUInt64();
        bool[] blocked = new bool[eagerness.Length];
        for (int i = 0; i < blocked.Length; i++)
            blocked[i] = r.ReadBoolean();
        var clock = (r.ReadUInt64(), r.ReadUInt64(), r.ReadUInt64(), r.ReadInt32(), r.ReadInt32(), r.ReadUInt64(), new Machine.HeldCpu(r.ReadInt32(), r.ReadUInt64(), r.ReadUInt64(), r.ReadUInt64()));
        RunResult? stop = r.ReadBoolean() ? new RunResult((StopReason)r.ReadInt32(), r.ReadInt32(), r.ReadString()) : null;
        return new MachineSnapshot.Contents(new RamSnapshot([]), cpus, devices, history, null, pct, eagerness, blocked, clock, stop);
    }

    private static int[] PagesOfCode(PhysicalMemory memory)
    {
        var pages = new List<int>();
        for (int page = 0; page < memory.PageCount; page++)
            if ((memory.Flags[page] & PageFlags.Code) != 0)
                pages.Add(page);
        return [.. pages];
    }

    /// <summary>Which pages, then their bytes.</summary>
    private static byte[] RamOf(PhysicalMemory memory, int[] pages)
    {
        byte[] data = GC.AllocateUninitializedArray<byte>(sizeof(int) + pages.Length * (sizeof(int) + Page.Size));
        MemoryMarshal.Write(data, pages.Length);
        MemoryMarshal.AsBytes<int>(pages).CopyTo(data.AsSpan(sizeof(int)));
        for (int i = 0; i < pages.Length; i++)
        {
            Span<byte> to = data.AsSpan(sizeof(int) * (1 + pages.Length) + i * Page.Size, Page.Size);
            memory.TryRead(memory.AddressOf((ulong)pages[i] << Page.Shift), to);
        }
        return data;
    }

    private static void PutRam(PhysicalMemory memory, byte[] data)
    {
        int count = MemoryMarshal.Read<int>(data);
        ReadOnlySpan<int> pages = MemoryMarshal.Cast<byte, int>(data.AsSpan(sizeof(int), count * sizeof(int)));
        for (int i = 0; i < count; i++)
        {
            if (!memory.TryRestorePage(pages[i], data.AsSpan(sizeof(int) * (1 + count) + i * Page.Size, Page.Size)))
                throw new InvalidDataException("its machine has other memory");
        }
    }

    private static void WriteBytes(BinaryWriter w, byte[] bytes)
    {
        w.Write(bytes.Length);
        w.Write(bytes);
    }

    private static byte[] ReadBytes(BinaryReader r) => r.ReadBytes(r.ReadInt32());

    /// <summary>The state without what it knows of its host, which <see cref="Machine"/> keeps when it restores.</summary>
    private static byte[] Portable(byte[] state)
    {
        byte[] copy = [.. state];
        ref CpuState s = ref MemoryMarshal.AsRef<CpuState>(copy.AsSpan());
        s.Tlb = null;
        s.Tlbs = null;
        s.JumpCache = null;
        s.CurrentOp = null;
        s.Sampled = null;
        s.LinkSource = null;
        s.Handle = 0;
        s.JumpKey = 0;
        return copy;
    }

    private static byte[] PortableTlbs(byte[] tlbs)
    {
        byte[] copy = [.. tlbs];
        foreach (ref Tlb tlb in MemoryMarshal.Cast<byte, Tlb>(copy.AsSpan()))
            fixed (Tlb* p = &tlb)
                p->RemoveHostState();
        return copy;
    }

    /// <summary>Names, kinds and order of all that a CPU's state holds: a program in which they are different cannot read it.</summary>
    private static ulong LayoutOfCpu { get; } = FindLayout();

    private static ulong FindLayout()
    {
        var text = new StringBuilder();
        Describe(typeof(CpuState), text);
        text.Append(Unsafe.SizeOf<CpuState>()).Append(' ').Append(sizeof(Tlb));
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (char c in text.ToString())
            hash = (hash ^ c) * 0x100_0000_01B3;
        return hash;
    }

    private static void Describe(Type type, StringBuilder text)
    {
        foreach (System.Reflection.FieldInfo field in type.GetFields(System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic))
        {
            text.Append(field.FieldType.Name).Append(' ').Append(field.Name).Append(';');
            if (field.FieldType.Namespace?.StartsWith("Emu.", StringComparison.Ordinal) == true && field.FieldType is { IsValueType: true, IsEnum: false, IsPointer: false })
                Describe(field.FieldType, text);
        }
    }
}
