using System.Buffers.Binary;
using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Lockstep;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;

namespace Emu.Differ.Privileged;

/// <summary>Which instructions each case executes: the image runs in Emu one instruction at a time, and each is decoded apart from Emu's own decoder.</summary>
internal static class CaseTrace
{
    /// <summary>By name of the case, each code once, with the size of the code that it stands in.</summary>
    public static IReadOnlyDictionary<string, HashSet<(Code Code, int Bits)>> Run(byte[] image)
    {
        List<(string Name, uint At)> cases = CasesOf(image);
        Dictionary<ulong, int> byEntry = cases.Select((c, i) => (c.At, i)).ToDictionary(c => (ulong)c.At, c => c.i);
        var found = cases.ToDictionary(c => c.Name, _ => new HashSet<(Code Code, int Bits)>());
        using var machine = new Machine(new MachineOptions { CpuCount = 1, Model = CpuModels.Skylake, MemorySize = 16 << 20, Reboot = true });
        machine.Load(BootImage.Open(image, "privileged"));
        var present = new PresentInstruction(machine);
        int running = -1;
        while (true)
        {
            ulong linear = present.Linear;
            if (byEntry.TryGetValue(linear, out int entered))
                running = entered;
            if (running >= 0 && IsOf(cases, running, linear, image.Length) && present.Fetch() && !present.Instruction.IsInvalid)
                found[cases[running].Name].Add((present.Instruction.Code, present.Instruction.CodeSize switch { CodeSize.Code16 => 16, CodeSize.Code32 => 32, _ => 64 }));
            // A CPU that does not execute is at the end, or was shut down: running on starts the machine again.
            if (!machine.Step(new CpuIndex(0)) && machine.Run(1).Reason != StopReason.InstructionLimit)
                return found;
        }
    }

    /// <summary>Its own code, and what it puts below 1 MByte.</summary>
    private static bool IsOf(List<(string Name, uint At)> cases, int running, ulong linear, int length) =>
        (linear >= cases[running].At && linear < (running + 1 < cases.Count ? cases[running + 1].At : Image + (uint)length)) || linear - Virtual8086 < 0x1_0000;

    private static List<(string Name, uint At)> CasesOf(byte[] image)
    {
        var cases = new List<(string, uint)>();
        for (int entry = (int)(CaseList - Image); ; entry += 8)
        {
            uint at = BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(entry));
            if (at == 0)
                return cases;
            ReadOnlySpan<byte> name = image.AsSpan((int)(BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(entry + 4)) - Image));
            cases.Add((Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]), at));
        }
    }
}
