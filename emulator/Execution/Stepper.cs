using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Instructions;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Execution;

/// <summary>
/// Executes exactly one instruction from given bytes: for the modelled machine, whose bytes come out of a prefetch queue, and for the coherent
/// one where a block would be too much. Decoded forms are kept by RIP, mode and the bytes themselves.
/// </summary>
public sealed unsafe class Stepper : IDisposable
{
    private const int Entries = 8192;

    /// <summary>A block of one instruction and a stop, preceded by the bytes it was decoded from.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Entry
    {
        public ulong BytesLow, BytesHigh;
        public ulong MaskLow, MaskHigh;

        // All that a look-up compares stands in one cache line.
        public ulong Rip;
        public uint ModeKey;
        public int Length;

        /// <summary>The entry that served after this one the last time: nearly always it does so again.</summary>
        public Entry* Next;
        private readonly ulong _pad;
        public Block Block;
        public Op Op;
        public Op Stop;
    }

    private readonly Entry* _entries;
    private readonly InstructionDecoder _decoder;
    private Entry* _last;

    /// <summary>Who checks cross-modifying code as the coherent machine steps; the modelled one asks by itself.</summary>
    internal XmcMonitor? Monitor { get; set; }

    /// <summary>Who wants to know that addresses are reached, as the coherent machine steps.</summary>
    internal ExecutionWatch? Watch { get; set; }

    public Stepper(InstructionDecoder decoder)
    {
        _decoder = decoder;
        _entries = (Entry*)NativeMemory.AlignedAlloc((nuint)(Entries * sizeof(Entry)), 64);
        NativeMemory.Clear(_entries, (nuint)(Entries * sizeof(Entry)));
        for (int i = 0; i < Entries; i++)
            _entries[i].Next = _entries;
        _last = _entries;
    }

    /// <summary>The decoded form of the instruction at RIP that these bytes begin, or null when they are too few to tell.</summary>
    /// <param name="bytes">16 readable bytes, of which <paramref name="available"/> count.</param>
    internal Entry* Decode(CpuState* s, byte* bytes, int available)
    {
        Entry* guess = _last->Next;
        if (Serves(guess, s, bytes, available))
            return _last = guess;
        Entry* found = LookUp(s, bytes, available);
        if (found != null)
            _last = _last->Next = found;
        return found;
    }

    private Entry* LookUp(CpuState* s, byte* bytes, int available)
    {
        // The first bytes take part, so that the versions of a patched instruction do not push each other out.
        uint hash = (uint)s->Rip ^ (uint)(s->Rip >> 13) ^ s->ModeKey << 5 ^ (uint)(*(ushort*)bytes * 0x9E37u >> 6);
        uint index = hash & (Entries - 1);
        Entry* e = _entries + index;
        if (Serves(e, s, bytes, available))
            return e;
        // Two ways: what a newcomer pushes out moves to the other one.
        Entry* other = _entries + (index ^ 1);
        if (Serves(other, s, bytes, available))
            return other;
        if (e->Length != 0)
            *other = *e;
        return Refill(e, s, bytes, available);
    }

    private static bool Serves(Entry* e, CpuState* s, byte* bytes, int available) =>
        e->Rip == s->Rip && e->ModeKey == s->ModeKey && e->Length <= available && e->Length != 0 && Matches(e, bytes);

    /// <summary>Runs a decoded instruction. True when it retired; else the exit reason tells.</summary>
    internal bool Execute(CpuState* s, Entry* e)
    {
        long held = s->Deferred;
        s->Deferred = held + s->Budget - 1;
        s->Budget = 0;
        s->ExitRequested = 0;
        s->CurrentOp = null;
        s->SequentialRip = e->Stop.Immediate;
        Op* op = &e->Op;
        while (op != null)
            op = op->Handler(s, op);
        bool retired = s->Budget == 0;
        s->Budget = s->Deferred - held + (retired ? 0 : 1);
        s->Deferred = held;
        s->CurrentOp = null;
        s->LinkSource = null;
        return retired;
    }

    /// <summary>One instruction of the coherent machine, at RIP, from memory as it is now. False with the fault recorded when its bytes cannot be fetched.</summary>
    public bool StepCoherent(Cpu cpu, out bool retired)
    {
        CpuState* s = cpu.State;
        retired = false;
        if (IsBeyondLimit(s, 1))
            return Access.Raise(s, Vector.GeneralProtection);
        byte* bytes = stackalloc byte[16];
        int available = 0;
        ulong physical = 0;
        while (available < InstructionDecoder.MaximumLength)
        {
            ulong linear = (s->Cs.Base + s->Rip + (ulong)available) & (s->Is64Bit ? ulong.MaxValue : uint.MaxValue);
            byte* host = CodeFetch.Translate(cpu, linear, out ulong at);
            // A fault on later bytes counts only if the instruction needs them.
            if (host == null)
                return false;
            physical = available == 0 ? at : physical;
            int n = Math.Min(InstructionDecoder.MaximumLength - available, Page.Size - (int)(linear & Page.OffsetMask));
            Buffer.MemoryCopy(host, bytes + available, 16 - available, n);
            available += n;
            Entry* decoded = Decode(s, bytes, available);
            if (decoded == null)
                continue;
            if (IsBeyondLimit(s, decoded->Length))
                return Access.Raise(s, Vector.GeneralProtection);
            if (Monitor is { } monitor)
            {
                monitor.Cover(physical, Math.Min(decoded->Length, Page.Size - (int)(physical & Page.OffsetMask)));
                if (available > n)
                    monitor.Cover(at, n);
                monitor.Check(cpu, (s->Cs.Base + s->Rip) & (s->Is64Bit ? ulong.MaxValue : uint.MaxValue), bytes, decoded->Length, physical);
            }
            Watch?.Check(cpu, (s->Cs.Base + s->Rip) & (s->Is64Bit ? ulong.MaxValue : uint.MaxValue));
            retired = Execute(s, decoded);
            return true;
        }
        return Access.Raise(s, Vector.GeneralProtection);
    }

    /// <summary>"If any part of the instruction lies beyond the code-segment limit: #GP(0)."</summary>
    internal static bool IsBeyondLimit(CpuState* s, int length) =>
        (s->ModeKey & ModeKey.CsNotFlat) != 0 && s->Rip + (ulong)(length - 1) > s->Cs.Limit;

    public void Dispose() => NativeMemory.AlignedFree(_entries);

    private static bool Matches(Entry* e, byte* bytes)
    {
        Vector128<byte> difference = Vector128.Load(bytes) ^ Vector128.Load((byte*)&e->BytesLow);
        return (difference & Vector128.Load((byte*)&e->MaskLow)) == Vector128<byte>.Zero;
    }

    private Entry* Refill(Entry* e, CpuState* s, byte* bytes, int available)
    {
        if (!_decoder.TryDecode(bytes, available, s->Rip, s->ModeKey, out Instruction instruction))
            return null;
        *e = default;
        e->Next = _entries;
        e->Rip = e->Block.Rip = s->Rip;
        e->ModeKey = e->Block.ModeKey = s->ModeKey;
        e->Block.RipMask = BlockBuilder.RipMask(s->ModeKey);
        e->Block.InstructionCount = 1;
        e->Block.Valid = 1;
        _decoder.Lower(instruction, &e->Op, s->ModeKey);
        int length = e->Op.Length;
        // One step never chains on: without store-buffer-free TLB entries Fast could still serve it, but then ends here as well.
        e->Stop.Position = 1;
        e->Stop.InstructionsBefore = 1;
        e->Stop.Handler = e->Stop.Full = &Chain.Stop;
        e->Stop.Immediate = (s->Rip + (ulong)length) & e->Block.RipMask;
        e->Length = length;
        for (int i = 0; i < length; i++)
        {
            ((byte*)&e->BytesLow)[i] = bytes[i];
            ((byte*)&e->MaskLow)[i] = 0xFF;
        }
        return e;
    }
}
