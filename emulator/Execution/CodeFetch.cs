using Emu.Cpus;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>Translation of instruction addresses.</summary>
public static unsafe class CodeFetch
{
    /// <summary>
    /// Host address of a byte of code; null with the fault recorded, or with <see cref="ExitReason.Unsupported"/> where no RAM answers.
    /// </summary>
    public static byte* Translate(Cpu cpu, ulong linear, out ulong physical)
    {
        CpuState* s = cpu.State;
        physical = 0;
        TlbEntry* e = Access.Translate(s, linear, 1, AccessKind.Execute);
        if (e == null)
        {
            s->Exit = ExitReason.Fault;
            return null;
        }
        physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        byte* host = cpu.Memory.Pointer(physical);
        if (host == null)
        {
            s->Exit = ExitReason.Unsupported;
            cpu.StopMessage = $"CPU {s->Index} at RIP 0x{s->Rip:x} executes from physical address 0x{physical:x}, where no memory is (RAM ends at 0x{cpu.Memory.LowSize:x}); check the guest's jump or give it more with --memory";
        }
        return host;
    }
}
