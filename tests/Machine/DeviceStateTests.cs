using System.Collections;
using System.Reflection;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;
using Emu.Tests.Devices;
using Xunit;

namespace Emu.Tests.Machine;

/// <summary>No device, and no field of a device, is left out of a snapshot.</summary>
public sealed class DeviceStateTests : IDisposable
{
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Types that are not part of a machine's list, and why.</summary>
    private static readonly Dictionary<string, string> NotListed = new()
    {
        ["ISnapshotted"] = "the interface",
        ["PciFunction"] = "saved by the bus that it is plugged into",
        ["LegacyLine"] = "saved by the HPET",
        ["VirtioBlock"] = "saved by the bus that it is plugged into",
        ["IdeFunction"] = "saved by the bus that it is plugged into",
        ["IdeDisk"] = "saved by its channel",
    };

    /// <summary>Fields that are not state, and why.</summary>
    private static readonly Dictionary<string, string> NotState = new()
    {
        ["Uart16550._basePort"] = "where it is attached",
        ["IoApic._again"] = "counts for a report",
        ["Pic8259Pair._again"] = "counts for a report",
        ["PciHost._nextMemory"] = "where the next function goes while the machine is built",
        ["PciFunction._writable"] = "which bits software may change: made with the function",
        ["VirtioBlock._piece"] = "used within a request",
        ["VirtioBlock._readable"] = "used within a request",
        ["VirtioBlock._writable"] = "used within a request",
    };

    private static readonly Type[] Library = [.. typeof(Machines.Machine).Assembly.GetTypes().Where(t => t.IsClass && !t.IsAbstract)];

    private readonly DiskFiles _files = new();

    public void Dispose() => _files.Dispose();

    /// <summary>A machine with everything that there is.</summary>
    private Machines.Machine Build()
    {
        string disk = _files.Make(16);
        return new(new MachineOptions { CpuCount = 2, MemorySize = 2 << 20, Disks = [new DiskOptions(disk), new DiskOptions(disk, DiskInterface.Ide)] });
    }

    [Fact]
    public void EveryPart_OfTheMachine_IsMadeInTheTest()
    {
        using Machines.Machine machine = Build();
        Assert.NotNull(machine.Ide);
        Assert.Contains(machine.Pci.Functions, f => f.Function is Emu.Devices.VirtioBlock);
    }

    [Fact]
    public void EveryDevice_OfTheLibrary_IsInTheMachine()
    {
        using Machines.Machine machine = Build();
        HashSet<Type> there = [.. machine.Devices.Select(d => d.GetType())];
        Assert.Empty(Library.Where(t => t.IsAssignableTo(typeof(ISnapshotted)) && !NotListed.ContainsKey(t.Name) && !there.Contains(t)).Select(t => t.Name));
    }

    [Fact]
    public void EveryDevice_WithState_CanBeSaved()
    {
        // What answers at the bus or keeps time, and has a field that changes, must be saved.
        Type[] faces = [typeof(IPortDevice), typeof(IMmioDevice), typeof(ITimed)];
        IEnumerable<string> forgotten = Library
            .Where(t => Array.Exists(faces, t.IsAssignableTo) && !t.IsAssignableTo(typeof(ISnapshotted)))
            .Where(t => t.GetFields(Fields).Any(f => !f.IsInitOnly && !IsCaptured(f)))
            .Select(t => t.Name);
        Assert.Empty(forgotten);
    }

    [Fact]
    public void EveryField_OfEveryDevice_ComesBack()
    {
        using Machines.Machine from = Build();
        using Machines.Machine to = Build();
        int scrambled = 0;
        for (int i = 0; i < from.Devices.Count; i++)
            scrambled += Scramble(from.Devices[i], new Random(i));
        Assert.InRange(scrambled, 5_000, 20_000);
        for (int i = 0; i < from.Devices.Count; i++)
        {
            using var stream = new MemoryStream();
            using var writer = new BinaryWriter(stream);
            from.Devices[i].Save(writer);
            stream.Position = 0;
            to.Devices[i].Restore(new BinaryReader(stream));
            Assert.Equal(stream.Length, stream.Position);
            Assert.Empty(Differences(from.Devices[i], to.Devices[i], from.Devices[i].GetType().Name));
        }
    }

    [Fact]
    public void ADevice_ThatForgetsAField_IsFound()
    {
        var (from, to) = (new Forgetful(), new Forgetful());
        Assert.Equal(4, Scramble(from, new Random(1)));
        using var stream = new MemoryStream();
        from.Save(new BinaryWriter(stream));
        stream.Position = 0;
        to.Restore(new BinaryReader(stream));
        Assert.Equal(["Forgetful._table[1]", "Forgetful._forgotten"], Differences(from, to, "Forgetful"));
    }

    /// <summary>Gives every field that changes, in the object and in those that it owns, a value of its own; how many there were.</summary>
    private static int Scramble(object owner, Random random)
    {
        int count = 0;
        foreach ((FieldInfo field, object? value) in State(owner))
        {
            if (Value(field.FieldType, random) is { } scalar)
            {
                field.SetValue(owner, scalar);
                count++;
            }
            else if (value is Array array)
            {
                for (int i = 0; i < array.Length; i++)
                {
                    if (Value(array.GetType().GetElementType()!, random) is { } element)
                    {
                        array.SetValue(element, i);
                        count++;
                    }
                    else if (array.GetValue(i) is { } part && IsOwned(part.GetType()))
                    {
                        count += Scramble(part, random);
                    }
                }
            }
            else if (value != null && IsOwned(value.GetType()))
            {
                count += Scramble(value, random);
                if (field.FieldType.IsValueType)
                    field.SetValue(owner, value);
            }
        }
        return count;
    }

    private static IEnumerable<string> Differences(object a, object b, string path) =>
        State(a).SelectMany(s => Compare(s.Value, s.Field.GetValue(b), $"{path}.{s.Field.Name}"));

    private static IEnumerable<string> Compare(object? a, object? b, string path)
    {
        if (a == null || b == null)
            return a == b ? [] : [path];
        if (a is ICollection mine && b is ICollection other)
        {
            object?[] left = [.. mine.Cast<object?>()];
            object?[] right = [.. other.Cast<object?>()];
            return left.Length != right.Length ? [path] : left.Zip(right).SelectMany((p, i) => Compare(p.First, p.Second, $"{path}[{i}]"));
        }
        if (a.GetType() is { IsGenericType: true } pair && pair.GetGenericTypeDefinition() == typeof(KeyValuePair<,>))
            return ((string[])["Key", "Value"]).SelectMany(part => Compare(pair.GetProperty(part)!.GetValue(a), pair.GetProperty(part)!.GetValue(b), $"{path}.{part}"));
        if (IsOwned(a.GetType()))
            return Differences(a, b, path);
        return Equals(a, b) || a is Delegate || IsWiring(a) ? [] : [path];
    }

    /// <summary>Fields that make up what an object holds: not what it is wired to.</summary>
    private static IEnumerable<(FieldInfo Field, object? Value)> State(object owner)
    {
        for (Type? t = owner.GetType(); t != null && t != typeof(object); t = t.BaseType)
            foreach (FieldInfo field in t.GetFields(Fields))
                if (!field.FieldType.IsPointer && !IsCaptured(field) && !(field.IsInitOnly && field.FieldType.IsPrimitive) && !NotState.ContainsKey($"{t.Name}.{field.Name}") && field.GetValue(owner) is var value && !IsWiring(value) && value is not Delegate)
                    yield return (field, value);
    }

    /// <summary>Parts that an object owns and saves: counters, timers, a bank of registers.</summary>
    private static bool IsOwned(Type type) =>
        type.Namespace is "Emu.Devices" or "Emu.Interrupts" or "Emu.Tests.Machine" && !type.IsEnum && !type.IsAssignableTo(typeof(Delegate)) && !IsWiringType(type);

    private static bool IsWiring(object? value) => value != null && IsWiringType(value is Array ? value.GetType().GetElementType()! : value.GetType());

    /// <summary>What does not change, or belongs to somebody else: layouts, lines, other devices, CPUs, the bus.</summary>
    private static bool IsWiringType(Type type) =>
        type.Name is "FileStream" or "IrqLine" or "IsaIrqs" or "InterruptFabric" or "IoApic" or "LocalApic" or "LocalApicPage" or "A20Gate" or "RegisterLayout" or "BitField" or "ApicGeneration" or "DeviceClock"
        || type.Namespace is "Emu.Cpus" or "Emu.Memory" or "Emu.Machines";

    /// <summary>Parameters of a primary constructor, which are set once.</summary>
    private static bool IsCaptured(FieldInfo field) => field.Name.Contains(">P", StringComparison.Ordinal);

    private static object? Value(Type type, Random random)
    {
        int n = random.Next(1, 120);
        return type.IsEnum ? Enum.ToObject(type, 1) : Type.GetTypeCode(type) switch
        {
            TypeCode.Boolean => true,
            TypeCode.Byte => (byte)n,
            TypeCode.UInt16 => (ushort)n,
            TypeCode.Int32 => n % 4,
            TypeCode.UInt32 => (uint)n,
            TypeCode.Int64 => (long)n,
            TypeCode.UInt64 => (ulong)n,
            TypeCode.DateTime => new DateTime(n, DateTimeKind.Utc),
            _ => null,
        };
    }

    private sealed class Forgetful : ISnapshotted
    {
        private readonly byte[] _table = new byte[2];
        private int _kept;
        private long _forgotten;

        public void Save(BinaryWriter writer)
        {
            writer.Write(_kept);
            writer.Write(_table[0]);
            _forgotten++;
        }

        public void Restore(BinaryReader reader)
        {
            _kept = reader.ReadInt32();
            _table[0] = reader.ReadByte();
        }
    }
}
