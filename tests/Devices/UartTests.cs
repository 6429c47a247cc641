using System.Text;
using Emu.Devices;
using Emu.Memory;
using Emu.Tests.Interrupts;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class UartTests
{
    private const ushort Base = Uart16550.Com1;

    private readonly TestTimeline _time = new();
    private readonly TestLine _irq = new();
    private readonly Bus _bus = new();
    private readonly List<byte> _output = [];
    private readonly Uart16550 _uart;

    public UartTests()
    {
        _uart = new Uart16550(_time, _irq, _output.Add);
        _uart.AttachTo(_bus);
        // OUT2, without which a PC's UART interrupts nobody.
        Out(4, 0x08);
    }

    [Fact]
    public void Transmit_Polled_ComesOutInOrder()
    {
        foreach (byte b in "hello"u8)
        {
            Assert.Equal(0x60, In(5) & 0x60);
            Out(0, b);
        }
        Assert.Equal("hello", Encoding.ASCII.GetString([.. _output]));
    }

    [Fact]
    public void DivisorLatch_IsApartFromDataAndIer()
    {
        Out(3, 0x83);
        Out(0, 0x01);
        Out(1, 0x02);
        Assert.Equal(0x01, In(0));
        Assert.Equal(0x02, In(1));
        Out(3, 0x03);
        Assert.Equal(0, In(1));
        Assert.Empty(_output);
    }

    [Fact]
    public void Scratch_And_Ier_KeepTheirBits()
    {
        Out(7, 0xA5);
        Assert.Equal(0xA5, In(7));
        Out(1, 0xFF);
        Assert.Equal(0x0F, In(1));
        Out(4, 0xFF);
        Assert.Equal(0x1F, In(4));
    }

    [Fact]
    public void FifoDetection_As16550A()
    {
        Assert.Equal(0x01, In(2));
        Out(2, 0x01);
        Assert.Equal(0xC1, In(2));
        Out(2, 0x00);
        Assert.Equal(0x01, In(2));
    }

    [Fact]
    public void TransmitterInterrupt_IsRaisedByEnablingAndClearedByIir()
    {
        Out(1, 0x02);
        Assert.True(_irq.Asserted);
        Assert.Equal(0x02, In(2));
        Assert.False(_irq.Asserted);
        Assert.Equal(0x01, In(2));
        Out(0, (byte)'x');
        Assert.True(_irq.Asserted);
    }

    [Fact]
    public void Interrupt_WithoutOut2_StaysInside()
    {
        Out(4, 0);
        Out(1, 0x02);
        Assert.False(_irq.Asserted);
        Out(4, 8);
        Assert.True(_irq.Asserted);
    }

    [Fact]
    public void Receive_WithoutFifo_InterruptsForEachByte()
    {
        Out(1, 0x01);
        _uart.Receive("ab"u8);
        Assert.True(_irq.Asserted);
        Assert.Equal(0x04, In(2));
        Assert.Equal(0x61, In(5));
        Assert.Equal('a', In(0));
        // The next one comes in as soon as there is room.
        Assert.Equal('b', In(0));
        Assert.Equal(0x60, In(5));
        Assert.False(_irq.Asserted);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 4)]
    [InlineData(2, 8)]
    [InlineData(3, 14)]
    public void Receive_WithFifo_InterruptsAtTheTriggerLevel(int trigger, int level)
    {
        Out(2, (uint)(trigger << 6) | 1);
        Out(1, 0x01);
        _uart.Receive(new byte[level - 1]);
        Assert.False(_irq.Asserted);
        _uart.Receive(new byte[1]);
        Assert.True(_irq.Asserted);
        Assert.Equal(0xC4, In(2));
        In(0);
        Assert.False(_irq.Asserted);
    }

    [Fact]
    public void CharacterTimeout_After4CharacterTimes_Interrupts()
    {
        Out(3, 0x83);
        Out(0, 1);
        Out(1, 0);
        Out(3, 0x03);
        Out(2, 0xC1);
        Out(1, 0x01);
        _uart.Receive("x"u8);
        // 8N1 at 115200 baud: 4 times 10 bits.
        Assert.Equal(40 * 1_000_000_000UL / 115_200, _uart.NextEvent);
        _time.RunTo(_uart.NextEvent, _uart);
        Assert.True(_irq.Asserted);
        Assert.Equal(0xCC, In(2));
        Assert.Equal('x', In(0));
        Assert.False(_irq.Asserted);
        Assert.Equal(ulong.MaxValue, _uart.NextEvent);
    }

    [Fact]
    public void Loopback_TransmitsToItselfAndOverruns()
    {
        Out(4, 0x10);
        Out(0, (byte)'q');
        Assert.Empty(_output);
        Assert.Equal('q', In(0));
        Out(0, 1);
        Out(0, 2);
        Assert.Equal(0x63, In(5));
        Assert.Equal(0x61, In(5));
        Assert.Equal(2, In(0));
        Out(2, 1);
        for (uint i = 0; i < 17; i++)
            Out(0, i);
        Assert.Equal(0x63, In(5));
        for (int i = 0; i < 16; i++)
            Assert.Equal(i, In(0));
        Assert.Equal(0x60, In(5));
    }

    [Fact]
    public void Loopback_ModemLines_ComeBack()
    {
        Assert.Equal(0xB0, In(6) & 0xF0);
        // Linux' autoconfig: loop, RTS and OUT2 read back as CTS and DCD.
        Out(4, 0x1A);
        Assert.Equal(0x90, In(6) & 0xF0);
        Out(4, 0x14);
        Assert.Equal(0x40 | 0x08 | 0x01, In(6));
        Assert.Equal(0x40, In(6));
    }

    [Fact]
    public void ModemStatusInterrupt_ComesWithADelta()
    {
        Out(4, 0x1F);
        In(6);
        Out(4, 0x08);
        In(6);
        Out(1, 0x08);
        Assert.False(_irq.Asserted);
        Out(4, 0x18);
        Out(4, 0x08);
        Assert.True(_irq.Asserted);
        Assert.Equal(0x00, In(2));
        In(6);
        Assert.False(_irq.Asserted);
    }

    [Fact]
    public void FifoReset_EmptiesTheReceiver()
    {
        Out(2, 1);
        _uart.Receive("abc"u8);
        Out(2, 3);
        Assert.Equal(0x60, In(5));
    }

    [Fact]
    public void Input_OfAnyLength_ArrivesWhole() =>
        Prop.ForAll<byte[], bool>((input, fifo) =>
        {
            var uart = new Uart16550(_time, new TestLine(), _ => { });
            var bus = new Bus();
            uart.AttachTo(bus);
            bus.WritePort(Base + 2, 1, fifo ? 1u : 0);
            uart.Receive(input);
            var read = new List<byte>();
            while ((bus.ReadPort(Base + 5, 1) & 1) != 0)
                read.Add((byte)bus.ReadPort(Base, 1));
            return read.SequenceEqual(input);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Snapshot_WithInput_GoesOnAlike()
    {
        Out(2, 0xC1);
        Out(1, 3);
        _uart.Receive(new byte[20]);
        var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        _uart.Save(w);
        var bus = new Bus();
        var other = new Uart16550(_time, new TestLine(), _ => { });
        other.AttachTo(bus);
        stream.Position = 0;
        using var r = new BinaryReader(stream);
        other.Restore(r);
        Assert.Equal(_uart.NextEvent, other.NextEvent);
        for (ushort i = 0; i < 8; i++)
            Assert.Equal(In(i), (int)bus.ReadPort((ushort)(Base + i), 1));
    }

    private void Out(int register, uint value) => _bus.WritePort((ushort)(Base + register), 1, value);

    private int In(int register) => (int)_bus.ReadPort((ushort)(Base + register), 1);
}
