using Emu.Boot;
using Emu.Cpus;
using Emu.Devices;
using Emu.Interrupts;

namespace Emu.Machines;

/// <summary>The devices of the machine, and how their lines are wired.</summary>
public sealed unsafe partial class Machine
{
    private const int IdeSlot = 1;
    private const int FirstVirtioSlot = 4;

    private readonly List<DiskImage> _images = [];

    /// <summary>Takes every byte that the guest sends to COM1.</summary>
    public Action<byte>? SerialOutput { get; set; }

    /// <summary>Takes every byte that the guest writes to the debug ports 0xE9 and 0x402.</summary>
    public Action<byte>? DebugOutput { get; set; }

    public Pic8259Pair Pic { get; private set; } = null!;
    public IoApic IoApic { get; private set; } = null!;
    public IsaIrqs Irqs { get; private set; } = null!;
    public Pit8254 Pit { get; private set; } = null!;
    public Hpet Hpet { get; private set; } = null!;
    public CmosRtc Rtc { get; private set; } = null!;
    public PowerManagement Power { get; private set; } = null!;
    public Uart16550 Uart { get; private set; } = null!;
    public KeyboardController Keyboard { get; private set; } = null!;
    public TextScreen Screen { get; private set; } = null!;
    public PciHost Pci { get; private set; } = null!;
    public FwCfg FwCfg { get; private set; } = null!;

    /// <summary>The IDE channel; null without an IDE disk.</summary>
    public IdeChannel? Ide { get; private set; }

    /// <summary>Everything whose state is the machine's, besides CPUs and RAM, in the order in which a snapshot holds it.</summary>
    public IReadOnlyList<ISnapshotted> Devices => _devices;

    /// <summary>The image that was loaded, for its symbols; null before <see cref="Load"/>.</summary>
    public BootImage? Image { get; private set; }

    /// <summary>Loads an image, and sets the boot CPU up as its boot protocol says. The other CPUs wait for a SIPI.</summary>
    /// <exception cref="BootException">The image does not fit this machine.</exception>
    public void Load(BootImage image, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (Options.Reboot)
            KeepPowerUpState(() => image.Load(Memory, _cpus[0], commandLine, modules));
        image.Load(Memory, _cpus[0], commandLine, modules);
        Image = image;
    }

    private void BuildPlatform()
    {
        IoApic = Add(new IoApic(Fabric));
        Bus.AttachMmio(IoApic.DefaultAddress, IoApic.Length, IoApic);
        Pic = Add(Pic8259Pair.ConnectedTo(Fabric.LocalApics, IoApic, Report));
        Pic.AttachTo(Bus);
        Irqs = new IsaIrqs(Pic, IoApic);

        Hpet = Add(new Hpet(this, IoApic, Irqs.Line(0), Irqs.Line(CmosRtc.Irq)));
        Hpet.AttachTo(Bus);
        Pit = Add(new Pit8254(this, Hpet.PitLine));
        Pit.AttachTo(Bus);
        Rtc = Add(new CmosRtc(this, Hpet.RtcLine, Options.RtcStart, Memory));
        Rtc.AttachTo(Bus);
        Power = Add(new PowerManagement(this, Irqs.Line(PowerManagement.SciIrq), PowerOff, Report));
        Power.AttachTo(Bus);

        Uart = Add(new Uart16550(this, Irqs.Line(Uart16550.Com1Irq), b => SerialOutput?.Invoke(b)));
        Uart.AttachTo(Bus);
        Screen = Add(new TextScreen(this, Memory));
        Screen.AttachTo(Bus);
        new DebugConsole(b => DebugOutput?.Invoke(b)).AttachTo(Bus);
        Add(new PostPort()).AttachTo(Bus);
        new DebugExit(GuestExit).AttachTo(Bus);
        new NumericErrorPort(_cpus, Irqs.Line(NumericErrorPort.Irq)).AttachTo(Bus);

        A20Gate a20 = Add(new A20Gate(Memory, ForgetTranslations));
        Keyboard = Add(new KeyboardController(Irqs.Line(KeyboardController.KeyboardIrq), Irqs.Line(KeyboardController.AuxiliaryIrq), GuestReset, a20));
        Keyboard.AttachTo(Bus);
        Add(new ResetControl(GuestReset, a20)).AttachTo(Bus);

        FwCfg = Add(new FwCfg(Options.MemorySize, Options.CpuCount));
        FwCfg.AttachTo(Bus);
        Pci = Add(new PciHost(Bus, Irqs.Line(PciHost.Irq)));
        Pci.AttachTo();
        BuildDisks();
    }

    private void BuildDisks()
    {
        DiskImage[] virtio = [.. Options.Disks.Where(d => d.Interface == DiskInterface.Virtio).Select(OpenDisk)];
        DiskImage[] ide = [.. Options.Disks.Where(d => d.Interface == DiskInterface.Ide).Select(OpenDisk)];
        ArgumentOutOfRangeException.ThrowIfGreaterThan(virtio.Length, MachineOptions.MaximumVirtioDisks);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ide.Length, MachineOptions.MaximumIdeDisks);
        if (ide.Length != 0)
        {
            Ide = Add(new IdeChannel(Irqs.Line(IdeChannel.Irq), ide[0], ide.Length == 2 ? ide[1] : null));
            Ide.AttachTo(Bus);
            Pci.Add(IdeSlot, new IdeFunction());
        }
        for (int i = 0; i < virtio.Length; i++)
            Pci.Add(FirstVirtioSlot + i, new VirtioBlock(virtio[i], Memory, Report));
        // As firmware leaves it: the line of PCI is level-triggered.
        if (virtio.Length != 0)
            Pic.SetLevelTriggered(PciHost.Irq);
    }

    private DiskImage OpenDisk(DiskOptions disk)
    {
        DiskImage image = DiskImage.Open(disk.Path, disk.Writable);
        _images.Add(image);
        return Add(image);
    }

    /// <summary>Makes a device part of the machine: of its snapshots and, where it keeps time, of its clock.</summary>
    private T Add<T>(T device) where T : ISnapshotted
    {
        _devices.Add(device);
        if (device is ITimed timed)
            _timed.Add(timed);
        return device;
    }

    private void ForgetTranslations()
    {
        foreach (Cpu cpu in _cpus)
        {
            CpuMode.FlushTlb(cpu.State, keepGlobal: false);
            cpu.RequestExit();
        }
    }

    private void GuestReset(string how) => RequestStop(new RunResult(StopReason.ResetRequested, 0, $"the guest asked for a reset: {how}"));

    private void PowerOff() => RequestStop(new RunResult(StopReason.PowerOff, 0, "the guest switched the machine off"));

    /// <summary>isa-debug-exit: the guest ends, and says how.</summary>
    private void GuestExit(uint value) =>
        RequestStop(new RunResult(StopReason.GuestExit, (int)value, $"the guest left through the exit port with 0x{value:x}"));
}
