using Emu.Interrupts;

namespace Emu.Machines;

/// <summary>The devices of the machine, and how their lines are wired.</summary>
public sealed unsafe partial class Machine
{
    private void BuildPlatform()
    {
        Pic = Pic8259Pair.ConnectedTo(Fabric.LocalApics[0]);
        Pic.AttachTo(Bus);
        IoApic = new IoApic(Fabric);
        Bus.AttachMmio(IoApic.DefaultAddress, IoApic.Length, IoApic);
        Irqs = new IsaIrqs(Pic, IoApic);
        _devices.AddRange([Pic, IoApic]);
    }

    /// <summary>Takes every byte that the guest sends to COM1.</summary>
    public Action<byte>? SerialOutput { get; set; }

    public Pic8259Pair Pic { get; private set; } = null!;
    public IoApic IoApic { get; private set; } = null!;
    public IsaIrqs Irqs { get; private set; } = null!;
}
