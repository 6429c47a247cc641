using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// Memory as a CPU sees it, its own waiting stores included, for host programs that look at a running machine: nothing of it leaves a trace in the guest.
/// </summary>
public static unsafe class CpuView
{
    /// <summary>Physical address of a linear one; false where it is not mapped, or not to RAM.</summary>
    public static bool TryTranslate(Cpu cpu, ulong linear, out ulong physical) =>
        PageWalk.TryPeek(cpu.Memory, ref cpu.State->Paging, linear, out physical) && cpu.Memory.Pointer(physical) != null;

    /// <summary>Reads bytes, over any number of pages; false when a part of them is not mapped to RAM.</summary>
    public static bool TryRead(Cpu cpu, ulong linear, Span<byte> data)
    {
        while (!data.IsEmpty)
        {
            int n = (int)Math.Min((ulong)data.Length, Page.Size - (linear & Page.OffsetMask));
            if (!TryTranslate(cpu, linear, out ulong physical) || !cpu.Memory.TryRead(physical, data[..n]))
                return false;
            for (int i = 0; i < n && cpu.StoreBuffer.Count != 0; i++)
                data[i] = (byte)cpu.StoreBuffer.Load(physical + (ulong)i, 1);
            data = data[n..];
            linear += (ulong)n;
        }
        return true;
    }
}
