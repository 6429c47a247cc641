using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Emu.Boot;
using Emu.Cpus;
using Emu.Memory;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Boot;

/// <summary>The tables that firmware leaves: by the rules of their specifications, and read back by a reader that is not ours.</summary>
public sealed class FirmwareTablesTests
{
    [Fact]
    public void Acpi_EveryTable_HasItsChecksumAndIsReachedFromTheRsdp()
    {
        using BootFixture f = Write(cpus: 3);
        Assert.Equal(0, Sum(f, FirmwareTables.Rsdp, 20));
        Assert.Equal(0, Sum(f, FirmwareTables.Rsdp, 36));
        Dictionary<string, (ulong Address, int Length)> tables = Tables(f);
        Assert.Equal(["APIC", "DSDT", "FACP", "FACS", "HPET", "RSDT", "XSDT"], tables.Keys.Order());
        Assert.All(tables.Where(t => t.Key != "FACS").Select(t => t.Value), t => Assert.Equal(0, Sum(f, t.Address, t.Length)));
        // RSDT and XSDT name the same tables.
        Assert.Equal(f.Word(tables["RSDT"].Address + 36), (uint)f.Quad(tables["XSDT"].Address + 36));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    public void Madt_EachCpu_HasItsEntry(int cpus)
    {
        using BootFixture f = Write(cpus);
        (ulong madt, int length) = Tables(f)["APIC"];
        Assert.Equal(0xFEE0_0000u, f.Word(madt + 36));
        var ids = new List<byte>();
        var others = new List<byte>();
        for (ulong at = madt + 44; at < madt + (ulong)length; at += f.Bytes(at + 1, 1)[0])
        {
            byte[] entry = f.Bytes(at, f.Bytes(at + 1, 1)[0]);
            if (entry[0] == 0 && entry[4] == 1)
                ids.Add(entry[3]);
            else
                others.Add(entry[0]);
        }
        Assert.Equal(Enumerable.Range(0, cpus).Select(i => (byte)i), ids);
        Assert.Equal([1, 2, 2, 4], others);
    }

    [Fact]
    public void MpTables_FloatingPointer_LeadsToEveryCpuBusAndLine()
    {
        using BootFixture f = Write(cpus: 2);
        const ulong Pointer = FirmwareTables.MpPointer;
        Assert.Equal("_MP_"u8.ToArray(), f.Bytes(Pointer, 4));
        Assert.Equal((0, 1, 4), (Sum(f, Pointer, 16), f.Bytes(Pointer + 8, 1)[0], f.Bytes(Pointer + 9, 1)[0]));
        ulong table = f.Word(Pointer + 4);
        int length = (int)(f.Word(table + 4) & 0xFFFF);
        Assert.Equal(("PCMP", 0), (Encoding.ASCII.GetString(f.Bytes(table, 4)), Sum(f, table, length)));
        var types = new List<byte>();
        ulong at = table + 44;
        for (; at < table + (ulong)length; at += types[^1] == 0 ? 20u : 8u)
            types.Add(f.Bytes(at, 1)[0]);
        Assert.Equal(table + (ulong)length, at);
        Assert.Equal((int)(f.Word(table + 34) & 0xFFFF), types.Count);
        Assert.Equal(types.Order(), types);
        Assert.Equal([2, 1, 1, 15, 2], types.GroupBy(t => t).Select(g => g.Count()));
        // The first CPU is the boot processor; both are enabled.
        Assert.Equal((0, 3, 1, 1), (f.Bytes(table + 45, 1)[0], f.Bytes(table + 47, 1)[0], f.Bytes(table + 65, 1)[0], f.Bytes(table + 67, 1)[0]));
    }

    [Fact]
    public void Tables_WhatTheyNameOfTheMachine_IsThere()
    {
        using var machine = new Machines.Machine(new Machines.MachineOptions { CpuCount = 2 });
        FirmwareTables.Write(machine.Memory, machine.Cpus[0]);
        using BootFixture f = Write(cpus: 2);
        Dictionary<string, (ulong Address, int Length)> tables = Tables(f);
        // The event timer block's identity is the low half of the HPET's capabilities, at the address that the table gives.
        ulong hpet = tables["HPET"].Address;
        Assert.Equal(f.Word(hpet + 36), (uint)machine.Bus.ReadMmio(new CpuIndex(0), f.Quad(hpet + 44), 8));
        // The timer runs, ACPI mode is on (SCI_EN), and the reset register resets.
        ulong fadt = tables["FACP"].Address;
        Assert.NotEqual(uint.MaxValue, machine.Bus.ReadPort((ushort)f.Word(fadt + 76), 4));
        Assert.Equal(1u, machine.Bus.ReadPort((ushort)f.Word(fadt + 64), 2) & 1);
        machine.Bus.WritePort((ushort)f.Quad(fadt + 120), 1, f.Bytes(fadt + 128, 1)[0]);
        Assert.Equal(Machines.StopReason.ResetRequested, machine.Run(1).Reason);
    }

    [Fact]
    public void BiosDataArea_SaysWhereConventionalMemoryEnds()
    {
        using BootFixture f = Write(cpus: 1);
        Assert.Equal(0x9FC0, BitConverter.ToUInt16(f.Bytes(0x40E, 2)));
        Assert.Equal(639, BitConverter.ToUInt16(f.Bytes(0x413, 2)));
        Assert.Equal(0x3F8, BitConverter.ToUInt16(f.Bytes(0x400, 2)));
    }

    [Fact]
    public void Acpi_EveryTable_IsAcceptedByIasl()
    {
        using BootFixture f = Write(cpus: 2);
        string directory = Directory.CreateTempSubdirectory("emu-acpi-").FullName;
        try
        {
            foreach ((string name, (ulong address, int length)) in Tables(f))
            {
                string file = Path.Combine(directory, $"{name}.aml");
                File.WriteAllBytes(file, f.Bytes(address, length));
                (int code, string output) = Iasl($"-d {file}");
                Assert.True(code == 0, output);
                Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
                Assert.DoesNotContain("arning", output, StringComparison.Ordinal);
            }
            // What it has read compiles again to the same bytes, but for the name of the compiler and the checksum.
            string source = File.ReadAllText(Path.Combine(directory, "DSDT.dsl"));
            Assert.Contains("EisaId (\"PNP0501\")", source, StringComparison.Ordinal);
            Assert.Matches(new Regex(@"IO \(Decode16,\s+0x03F8,\s+// Range Minimum\s+0x03F8,\s+// Range Maximum\s+0x01,\s+// Alignment\s+0x08,"), source);
            // INTA# of device 4, the first virtio disk, by any function, is the level-triggered line of PCI.
            Assert.Matches(new Regex(@"Name \(_PRT, Package \(0x20\)"), source);
            Assert.Matches(new Regex(@"0x0004FFFF,\s+Zero,\s+Zero,\s+0x0B\s+}"), source);
            byte[] before = File.ReadAllBytes(Path.Combine(directory, "DSDT.aml"));
            (int compiled, string said) = Iasl($"-oa -p {Path.Combine(directory, "again")} {Path.Combine(directory, "DSDT.dsl")}");
            Assert.True(compiled == 0, said);
            Assert.Contains("0 Errors, 0 Warnings", said, StringComparison.Ordinal);
            Assert.Equal(before[36..], File.ReadAllBytes(Path.Combine(directory, "again.aml"))[36..]);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void Iasl_SpoiltTable_IsNotAccepted()
    {
        // The control: what the test above relies on notices a wrong length inside the DSDT.
        using BootFixture f = Write(cpus: 2);
        (ulong address, int length) = Tables(f)["DSDT"];
        byte[] dsdt = f.Bytes(address, length);
        dsdt[37] ^= 0x08;
        string file = Path.GetTempFileName();
        File.WriteAllBytes(file, dsdt);
        (int code, string output) = Iasl($"-d {file}");
        Assert.True(code != 0 || output.Contains("rror", StringComparison.Ordinal) || output.Contains("arning", StringComparison.Ordinal), output);
        File.Delete(file);
    }

    private static BootFixture Write(int cpus)
    {
        var f = new BootFixture();
        f.Cpu.Topology = new CpuTopology(cpus);
        FirmwareTables.Write(f.Memory, f.Cpu);
        return f;
    }

    private static byte Sum(BootFixture f, ulong address, int length) => f.Bytes(address, length).Aggregate((byte)0, (sum, b) => (byte)(sum + b));

    /// <summary>Every table by its signature.</summary>
    private static Dictionary<string, (ulong Address, int Length)> Tables(BootFixture f)
    {
        var tables = new Dictionary<string, (ulong, int)>();
        void Add(ulong address) => tables[Encoding.ASCII.GetString(f.Bytes(address, 4))] = (address, (int)f.Word(address + 4));
        ulong xsdt = f.Quad(FirmwareTables.Rsdp + 24);
        Add(f.Word(FirmwareTables.Rsdp + 16));
        Add(xsdt);
        for (ulong at = xsdt + 36; at < xsdt + f.Word(xsdt + 4); at += 8)
            Add(f.Quad(at));
        Add(f.Quad(tables["FACP"].Item1 + 140));
        Add(f.Word(tables["FACP"].Item1 + 36));
        return tables;
    }

    /// <summary>Debian's iasl: the one installed, or the one of its package unpacked below .cache. Never left out.</summary>
    private static (int Code, string Output) Iasl(string arguments)
    {
        string iasl = "iasl";
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(d => File.Exists(Path.Combine(d, iasl))))
        {
            (int code, string output) = Run("sh", $"{Path.Combine(Repository.Root, "tools/emu/obtain-package.sh")} acpica-tools");
            string last = output.TrimEnd().Split('\n')[^1];
            Assert.True(code == 0, $"iasl is neither installed nor to be had ({last}): run 'apt-get install acpica-tools' as root, or mend the package source");
            iasl = Path.Combine(last, "usr/bin/iasl");
        }
        return Run(iasl, arguments);
    }

    private static (int Code, string Output) Run(string program, string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }
}
