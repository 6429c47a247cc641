using Emu.Cpus;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Interrupts;

/// <summary>Time that a test sets.</summary>
internal sealed class TestTimeline : ITimeline
{
    public ulong Now { get; set; }

    /// <summary>How often a device said that its next event changed.</summary>
    public int Moves { get; private set; }

    public void EventMoved() => Moves++;

    /// <summary>As the machine does: stops exactly at each event up to <paramref name="until"/>.</summary>
    public void RunTo(ulong until, params ITimed[] devices)
    {
        while (true)
        {
            ulong next = devices.Min(d => d.NextEvent);
            if (next > until)
                break;
            Now = Math.Max(Now, next);
            foreach (ITimed d in devices)
                if (d.NextEvent <= Now)
                    d.Advance(Now);
        }
        Now = until;
    }
}

/// <summary>Some CPUs with their local APICs on a fabric; the instructions are left out.</summary>
internal sealed unsafe class ApicFixture : IDisposable
{
    public const ulong ApicPage = 0xFEE0_0000;

    public ApicFixture(int cpus = 1, CpuModel? model = null, FetchProfile? profile = null)
    {
        Fabric = new InterruptFabric(Reports.Add);
        profile ??= FetchProfiles.Coherent;
        for (int i = 0; i < cpus; i++)
        {
            var cpu = new Cpu(new CpuIndex(i), model ?? CpuModels.Skylake, Memory, Bus, profile, profile.StoreBuffer);
            var apic = new LocalApic(cpu, Fabric, Time);
            cpu.Apic = apic;
            Cpus.Add(cpu);
            Apics.Add(apic);
        }
    }

    public PhysicalMemory Memory { get; } = new(1 << 20);
    public Bus Bus { get; } = new();
    public TestTimeline Time { get; } = new();
    public List<string> Reports { get; } = [];
    public InterruptFabric Fabric { get; }
    public List<Cpu> Cpus { get; } = [];
    public List<LocalApic> Apics { get; } = [];

    public static uint Msr(int register) => 0x800 + (uint)(register >> 4);

    public uint Read(int cpu, int register) => (uint)Bus.ReadMmio(new CpuIndex(cpu), ApicPage + (ulong)register, 4);

    public void Write(int cpu, int register, uint value) => Bus.WriteMmio(new CpuIndex(cpu), ApicPage + (ulong)register, 4, value);

    public ulong ReadMsr(int cpu, int register)
    {
        Assert.True(Apics[cpu].TryReadMsr(Msr(register), out ulong value));
        return value;
    }

    public void WriteMsr(int cpu, int register, ulong value) => Assert.True(Apics[cpu].TryWriteMsr(Msr(register), value));

    public void SetBase(int cpu, ulong bits) =>
        Assert.True(Apics[cpu].TryWriteApicBase(ApicPage | (cpu == 0 ? ApicBase.Bsp : 0) | bits));

    /// <summary>Software-enables all APICs, with spurious vector 0xFF.</summary>
    public ApicFixture Enable()
    {
        for (int i = 0; i < Cpus.Count; i++)
            Write(i, ApicRegister.SpuriousVector, 0x1FF);
        return this;
    }

    /// <summary>Enables all APICs in x2APIC mode.</summary>
    public ApicFixture EnableX2()
    {
        for (int i = 0; i < Cpus.Count; i++)
        {
            SetBase(i, ApicBase.Enable | ApicBase.X2Apic);
            WriteMsr(i, ApicRegister.SpuriousVector, 0x1FF);
        }
        return this;
    }

    /// <summary>An IPI in xAPIC mode: destination first, then the command, whose write sends.</summary>
    public void Send(int cpu, uint command, byte destination = 0)
    {
        Write(cpu, ApicRegister.IcrHigh, (uint)destination << 24);
        Write(cpu, ApicRegister.IcrLow, command);
    }

    /// <summary>Latches the errors and returns them.</summary>
    public ApicErrors Errors(int cpu)
    {
        Write(cpu, ApicRegister.ErrorStatus, 0);
        return (ApicErrors)Read(cpu, ApicRegister.ErrorStatus);
    }

    public bool IsRequested(int cpu, byte vector) => Bit(cpu, ApicRegister.InterruptRequest, vector);

    public bool IsInService(int cpu, byte vector) => Bit(cpu, ApicRegister.InService, vector);

    public bool IsLevel(int cpu, byte vector) => Bit(cpu, ApicRegister.TriggerMode, vector);

    /// <summary>CPUs whose IRR has the vector.</summary>
    public int[] Requested(byte vector) => [.. Enumerable.Range(0, Cpus.Count).Where(i => IsRequested(i, vector))];

    /// <summary>CPUs with this mail.</summary>
    public int[] With(Mail mail) => [.. Enumerable.Range(0, Cpus.Count).Where(i => (Cpus[i].Mailbox & mail) != 0)];

    public void EmptyMailboxes()
    {
        foreach (Cpu cpu in Cpus)
            cpu.SetMailbox(Mail.None, 0);
    }

    public bool TakeExitRequest(int cpu)
    {
        bool requested = Cpus[cpu].State->ExitRequested != 0;
        Cpus[cpu].State->ExitRequested = 0;
        return requested;
    }

    public Activity Activity(int cpu) => Cpus[cpu].State->Activity;

    public void SetActivity(int cpu, Activity activity) => Cpus[cpu].State->Activity = activity;

    public void SetTscOffset(int cpu, ulong offset) => Cpus[cpu].State->TscOffset = offset;

    public void Dispose()
    {
        foreach (Cpu cpu in Cpus)
            cpu.Dispose();
        Memory.Dispose();
    }

    private bool Bit(int cpu, int register, byte vector)
    {
        int at = register + vector / 32 * 16;
        uint word = Apics[cpu].Mode == ApicMode.X2Apic ? (uint)ReadMsr(cpu, at) : Read(cpu, at);
        return ((word >> (vector % 32)) & 1) != 0;
    }
}
