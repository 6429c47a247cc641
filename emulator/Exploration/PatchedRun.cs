using Iced.Intel;

namespace Emu.Exploration;

/// <summary>
/// Patched code through which a CPU was going when it was interrupted: instructions one behind the other, from <see cref="Start"/> to the one at which it stood. When it comes
/// back, a patch may have made one instruction of them, and the saved instruction pointer leads to the inside of that. No serialisation helps.
/// </summary>
/// <param name="Start">Linear address of the first; 0 for none.</param>
/// <param name="Rip">The saved instruction pointer.</param>
/// <param name="Code">What memory held there when it was saved.</param>
internal readonly record struct PatchedRun(ulong Start, ulong Rip, UInt128 Code)
{
    private const byte Int3 = 0xCC;
    private const int Longest = 15;

    /// <summary>Of code that is patched as one instruction, and more.</summary>
    private const ulong MostBytes = 64;

    public bool IsNone => Start == 0;

    /// <summary>For a hash of the state.</summary>
    public ulong Hash => StateMixer.Mix(StateMixer.Mix(StateMixer.Mix(Start, Rip), (ulong)Code), (ulong)(Code >> 64));

    /// <summary>An interrupt comes at <paramref name="rip"/>.</summary>
    public static PatchedRun At(ExploredCpu cpu, ulong start, ulong rip) => start == 0 || rip - start > MostBytes ? default : new PatchedRun(start, rip, BitConverter.ToUInt128(Bytes(cpu, rip, 16)));

    /// <summary>
    /// The instruction inside of which the saved pointer lies by what memory holds now; null where it is at the beginning of one. Where a breakpoint stands before it, the
    /// instruction is one that is being patched: the pointer lies inside if what it points to has changed as well, and is no breakpoint.
    /// </summary>
    public ulong? Covers(ExploredCpu cpu, ulong returnsTo)
    {
        if (IsNone || returnsTo != Rip)
            return null;
        byte[] now = Bytes(cpu, Start, (int)(Rip - Start) + Longest);
        for (int at = 0; Start + (ulong)at < Rip;)
        {
            if (now[at] == Int3)
            {
                int there = (int)(Rip - Start);
                byte[] code = BitConverter.GetBytes(Code);
                Instruction old = Decode(cpu, code, Rip);
                bool changed = !now.AsSpan(there, Math.Max(1, old.Length)).SequenceEqual(code.AsSpan(0, Math.Max(1, old.Length)));
                return changed && now[there] != Int3 ? Start + (ulong)at : null;
            }
            Instruction instruction = Decode(cpu, now[at..], Start + (ulong)at);
            if (instruction.IsInvalid)
                return null;
            if (Start + (ulong)(at + instruction.Length) > Rip)
                return Start + (ulong)at;
            at += instruction.Length;
        }
        return null;
    }

    private static Instruction Decode(ExploredCpu cpu, byte[] bytes, ulong rip) => Decoder.Create(16 << cpu.CodeMode, bytes, rip).Decode();

    /// <summary>What memory holds; 0 where there is none.</summary>
    private static byte[] Bytes(ExploredCpu cpu, ulong linear, int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
            if (cpu.PhysicalOfCode(linear + (ulong)i) is { } physical)
                bytes[i] = (byte)cpu.Cpu.Memory.Read(physical, 1);
        return bytes;
    }
}
