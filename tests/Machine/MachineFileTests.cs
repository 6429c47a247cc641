using System.Diagnostics;
using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Machine;

/// <summary>Machines in files: continued exactly, and refused when damaged.</summary>
public sealed class MachineFileTests : IDisposable
{
    private static readonly BootImage Kernel = BootImage.OpenFile(Path.Combine(Repository.Root, "images", "emu64.elf"));

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("emu-snapshot-");

    private string At(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>The guest kernel on some CPUs, with timers, IPIs, patching; stopped in the middle.</summary>
    [Theory]
    [InlineData("coherent", ScheduleKind.RoundRobin, 4, 700_000)]
    [InlineData("p6", ScheduleKind.Random, 4, 700_000)]
    [InlineData("amd", ScheduleKind.Random, 2, 450_003)]
    [InlineData("p6", ScheduleKind.Pct, 3, 300_001)]
    public void Continued_FromAFile_IsTheRunThatNeverStopped(string profile, ScheduleKind schedule, int cpus, ulong at)
    {
        var options = new MachineOptions { CpuCount = cpus, Profile = FetchProfiles.Find(profile)!, Schedule = schedule, Seed = 5, PctDepth = 4, RtcStart = new DateTime(2026, 2, 3, 4, 5, 6, DateTimeKind.Utc) };
        using var whole = new Machines.Machine(options);
        whole.Load(Kernel, "rounds=200");
        Assert.Equal(StopReason.InstructionLimit, whole.Run(at).Reason);
        MachineFile.Save(whole, At("middle"));
        ulong middle = whole.RunHash;
        Assert.Equal(StopReason.InstructionLimit, whole.Run(200_000).Reason);

        using Machines.Machine continued = MachineFile.Open(At("middle"));
        Assert.Equal(options with { Events = continued.Options.Events }, continued.Options);
        Assert.Equal(middle, continued.RunHash);
        continued.Run(200_000);
        Assert.Equal((whole.RunHash, whole.Now, whole.Instructions), (continued.RunHash, continued.Now, continued.Instructions));

        // Nothing is forgotten that the hash does not see: what both would write is the same, byte for byte.
        MachineFile.Save(whole, At("whole"));
        MachineFile.Save(continued, At("continued"));
        Assert.Equal(File.ReadAllBytes(At("whole")), File.ReadAllBytes(At("continued")));
        // A serial port's output belongs to the machine as well.
        Assert.Equal(End(whole), End(continued));
    }

    [Fact]
    public void Continued_WithAListedSchedule_GoesOnInTheList()
    {
        List<ScheduleEvent> events = ScheduleEvent.Parse(string.Join('\n', Enumerable.Repeat("P0 run 100\nP1 run 7\n", 5000)), 2, out _)!;
        var options = new MachineOptions { CpuCount = 2, Schedule = ScheduleKind.Listed, Events = events };
        using var whole = new Machines.Machine(options);
        whole.Load(Kernel, "rounds=200");
        whole.Run(100_000);
        MachineFile.Save(whole, At("file"));
        whole.Run(100_000);
        using Machines.Machine continued = MachineFile.Open(At("file"));
        Assert.Equal(events, continued.Options.Events);
        continued.Run(100_000);
        Assert.Equal(whole.RunHash, continued.RunHash);
    }

    [Fact]
    public void Saved_ChangedProfile_ComesBackWithItsFields()
    {
        Assert.True(FetchProfileFields.TrySet(FetchProfiles.P6, "depth=16", out FetchProfile? profile, out _));
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, Profile = profile, Model = CpuModels.Pentium3, MemorySize = 2 << 20 });
        MachineFile.Save(machine, At("file"));
        using Machines.Machine again = MachineFile.Open(At("file"));
        Assert.Equal(profile, again.Options.Profile);
        Assert.Equal("pentium3", again.Options.Model.Name);
    }

    [Fact]
    public void Saved_Rom_ComesBack()
    {
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20, RomSize = 64 << 10 });
        byte[] rom = new byte[64 << 10];
        new Random(1).NextBytes(rom);
        machine.Memory.LoadRom(rom);
        MachineFile.Save(machine, At("file"));
        using Machines.Machine again = MachineFile.Open(At("file"));
        byte[] read = new byte[rom.Length];
        Assert.True(again.Memory.TryRead(0xFFFF_0000, read));
        Assert.Equal(rom, read);
    }

    [Fact]
    public void Saved_Disks_ComeBackWithWhatWasWritten()
    {
        File.WriteAllBytes(At("disk.img"), new byte[4096]);
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20, Disks = [new DiskOptions(At("disk.img"), DiskInterface.Ide)] });
        foreach ((int port, uint value) in ((int, uint)[])[(0x1F6, 0xE0), (0x1F2, 1), (0x1F3, 2), (0x1F7, 0x30)])
            machine.Bus.WritePort((ushort)port, 1, value);
        for (int i = 0; i < 256; i++)
            machine.Bus.WritePort(0x1F0, 2, 0xABCD);
        MachineFile.Save(machine, At("file"));
        // The image may have moved meanwhile.
        File.Move(At("disk.img"), At("moved.img"));
        Assert.Contains("there is no such file", Assert.Throws<Emu.Devices.DiskException>(() => MachineFile.Open(At("file"))).Message);
        using Machines.Machine again = MachineFile.Open(At("file"), o => o with { Disks = [.. o.Disks.Select(d => d with { Path = At("moved.img") })] });
        again.Bus.WritePort(0x1F7, 1, 0x20);
        Assert.Equal(0xABCDu, again.Bus.ReadPort(0x1F0, 2));
    }

    [Fact]
    public void File_IsSmallerThanTheMemoryThatWasTouched()
    {
        using var machine = new Machines.Machine(new MachineOptions { MemorySize = 256 << 20 });
        machine.Load(Kernel);
        machine.Run(500_000);
        MachineFile.Save(machine, At("file"));
        Assert.InRange(new FileInfo(At("file")).Length, 10_000, 2_000_000);
    }

    [Fact]
    public void Save_OverAnOlderFile_ReplacesItAndLeavesNothingBehind()
    {
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20 });
        File.WriteAllText(At("file"), "old");
        MachineFile.Save(machine, At("file"));
        using (Machines.Machine again = MachineFile.Open(At("file")))
            Assert.Equal(machine.RunHash, again.RunHash);
        Assert.Equal(["file"], _folder.GetFiles().Select(f => f.Name));
    }

    [Fact]
    public void Save_ThatCannotComplete_LeavesTheOldThingWhole()
    {
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20 });
        Directory.CreateDirectory(Path.Combine(At("file"), "inside"));
        string line = Assert.Throws<SnapshotException>(() => MachineFile.Save(machine, At("file"))).Message;
        Assert.Contains("cannot be written", line);
        Assert.True(Directory.Exists(Path.Combine(At("file"), "inside")));
        Assert.Empty(_folder.GetFiles());
        Assert.Contains("cannot be written", Assert.Throws<SnapshotException>(() => MachineFile.Save(machine, At("nowhere/file"))).Message);
    }

    /// <summary>A program that is killed while it saves: the new file is already there in part, under another name, when it dies.</summary>
    [Fact]
    public void Save_ProgramKilledInTheMiddle_LeavesTheOldFileWhole()
    {
        using (var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20 }))
            MachineFile.Save(machine, At("file"));
        byte[] old = File.ReadAllBytes(At("file"));
        File.WriteAllBytes(At("kernel"), Cli.TinyKernel.Build(a => Cli.TinyKernel.Exit(a, Emu.Cli.ExitCode.GuestSuccess)));
        // What cannot be compressed takes long to save.
        byte[] noise = new byte[128 << 20];
        new Random(1).NextBytes(noise);
        File.WriteAllBytes(At("noise"), noise);
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[typeof(Emu.Cli.Program).Assembly.Location, "boot", At("kernel"), "--module", At("noise"), "--memory", "256M", "--snapshot", At("file")])
            start.ArgumentList.Add(argument);
        using Process emu = Process.Start(start)!;
        try
        {
            string? partial = null;
            while (partial == null && !emu.HasExited)
                partial = _folder.GetFiles().FirstOrDefault(f => f.Name is not ("file" or "kernel" or "noise") && f.Length > 1 << 20)?.Name;
            Assert.NotNull(partial);
            emu.Kill();
            emu.WaitForExit();
            Assert.NotEqual(0, emu.ExitCode);
        }
        finally
        {
            emu.Kill();
        }
        Assert.Equal(old, File.ReadAllBytes(At("file")));
        using Machines.Machine again = MachineFile.Open(At("file"));
        Assert.Equal(2UL << 20, again.Options.MemorySize);
    }

    [Fact]
    public void Damage_OfEveryKind_IsRefusedInOneLine()
    {
        using var machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = 2 << 20 });
        MachineFile.Save(machine, At("good"));
        byte[] good = File.ReadAllBytes(At("good"));
        Refused("there is no such file", null);
        Refused("is not a snapshot", []);
        Refused("is not a snapshot", "MZ and then some more text"u8.ToArray());
        Refused("bytes where", good[..^1]);
        Refused("bytes where", good[..40]);
        Refused("bytes where", [.. good, 0]);
        Refused("format 99", [.. good[..8], 99, .. good[9..]]);
        // Any bit of the contents or of the checksum.
        for (int at = 20; at < good.Length; at += good.Length / 40)
        {
            byte[] altered = [.. good];
            altered[at] ^= 0x10;
            Refused("was altered", altered);
        }
    }

    private static string End(Machines.Machine machine)
    {
        var text = new System.Text.StringBuilder();
        machine.SerialOutput = b => text.Append((char)b);
        RunResult result = machine.Run(1_000_000);
        return $"{text}{result}{machine.RunHash}";
    }

    private void Refused(string why, byte[]? bytes)
    {
        if (bytes != null)
            File.WriteAllBytes(At("bad"), bytes);
        string line = Assert.Throws<SnapshotException>(() => MachineFile.Open(At("bad"))).Message;
        Assert.Contains(why, line);
        Assert.StartsWith(At("bad"), line);
        Assert.DoesNotContain('\n', line);
    }
}
