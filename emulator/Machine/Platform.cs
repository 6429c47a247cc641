using Emu.Boot;
using Emu.Devices;
using Emu.Interrupts;

namespace Emu.Machines;

/// <summary>The devices of the machine, and how their lines are wired.</summary>
public sealed unsafe partial class Machine
{
    /// <summary>Takes every byte that the guest sends to COM1.</summary>
    public Action<byte>? SerialOutput { get; set; }

    public Pic8259Pair Pic { get; private set; } = null!;
    public IoApic IoApic { get; private set; } = null!;
    public IsaIrqs Irqs { get; private set; } = null!;
    public Pit8254 Pit { get; private set; } = null!;
    public CmosRtc Rtc { get; private set; } = null!;
    public Uart16550 Uart { get; private set; } = null!;

    /// <summary>The image that was loaded, for its symbols; null before <see cref="Load"/>.</summary>
    public BootImage? Image { get; private set; }

    /// <summary>Loads an image, and sets the boot CPU up as its boot protocol says. The other CPUs wait for a SIPI.</summary>
    /// <exception cref="BootException">The image does not fit this machine.</exception>
    public void Load(BootImage image, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        image.Load(Memory, _cpus[0], commandLine, modules);
        Image = image;
    }

    private void BuildPlatform()
    {
        Pic = Pic8259Pair.ConnectedTo(Fabric.LocalApics[0]);
        Pic.AttachTo(Bus);
        IoApic = new IoApic(Fabric);
        Bus.AttachMmio(IoApic.DefaultAddress, IoApic.Length, IoApic);
        Irqs = new IsaIrqs(Pic, IoApic);

        Pit = new Pit8254(this, Irqs.Line(0));
        Pit.AttachTo(Bus);
        Rtc = new CmosRtc(this, CmosRtc.DefaultStart, Memory);
        Rtc.AttachTo(Bus);
        Uart = new Uart16550(this, Irqs.Line(Uart16550.Com1Irq), b => SerialOutput?.Invoke(b));
        Uart.AttachTo(Bus);
        var post = new PostPort();
        post.AttachTo(Bus);
        new DebugExit(GuestExit).AttachTo(Bus);
        var reset = new ResetControl(how => RequestStop(new RunResult(StopReason.ResetRequested, 0, $"the guest asked for a reset: {how}")));
        reset.AttachTo(Bus);
        _timed.AddRange([Pit, Uart]);
        _devices.AddRange([Pic, IoApic, Pit, Rtc, Uart, post, reset]);
    }

    /// <summary>isa-debug-exit: the guest ends, and says how.</summary>
    private void GuestExit(uint value) =>
        RequestStop(new RunResult(StopReason.GuestExit, (int)value, $"the guest left through the exit port with 0x{value:x}"));
}
