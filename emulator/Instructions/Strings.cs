using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>A string instruction: one iteration, and how to do many at once where the host can.</summary>
public unsafe interface IStringOperation
{
    /// <summary>CMPS and SCAS: REPE and REPNE look at ZF after each iteration.</summary>
    static abstract bool Compares { get; }

    /// <summary>One iteration, index registers included; false with the fault recorded and nothing changed.</summary>
    static abstract bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth;

    /// <summary>Up to <paramref name="limit"/> iterations in one native operation; returns how many, 0 when they must go one by one.</summary>
    static abstract ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth;
}

/// <summary>
/// MOVS, STOS, LODS, SCAS, CMPS with REP, REPE, REPNE. A repeated instruction is restartable: index and count registers are written back after
/// every run of iterations; when the chain must return before the last one, RIP stays at the instruction and it does not count as retired.
/// At least one run is made each time, so that a caller which sets <see cref="CpuState.ExitRequested"/> beforehand gets the iterations one run at a time.
/// "When single-stepping, a repeated string instruction traps after each iteration": RIP is then still its own; so too where a data breakpoint was hit.
/// </summary>
public static unsafe class Strings
{
    private const int Count = 1;

    /// <summary>
    /// Elements after which a repeated instruction leaves, to go on as if it began, and counts as an instruction: time passes, interrupts come in, and a run's limit holds,
    /// whatever a guest has in RCX.
    /// </summary>
    internal const ulong ElementsAtOnce = 1 << 20;

    internal const int Source = 6;
    internal const int Destination = 7;

    public readonly struct Movs : IStringOperation
    {
        public static bool Compares => false;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            if (!LoadSource<W>(s, op, out ulong v) || !StoreDestination<W>(s, op, v))
                return false;
            Advance<W>(s, op, Source);
            Advance<W>(s, op, Destination);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth
        {
            byte* from = StringRuns.Readable(s, op, Source, op->Segment, out ulong most);
            if (from == null)
                return 0;
            byte* to = StringRuns.Writable(s, op, Destination, out ulong room);
            if (to == null)
                return 0;
            ulong n = Math.Min(limit, Math.Min(most, room) / (ulong)Width.Bytes<W>());
            StringRuns.Copy(to, from, (nuint)n * (nuint)Width.Bytes<W>(), Width.Bytes<W>());
            Advance<W>(s, op, Source, (long)n);
            Advance<W>(s, op, Destination, (long)n);
            return n;
        }
    }

    public readonly struct Stos : IStringOperation
    {
        public static bool Compares => false;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            if (!StoreDestination<W>(s, op, s->Registers[0]))
                return false;
            Advance<W>(s, op, Destination);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth
        {
            byte* to = StringRuns.Writable(s, op, Destination, out ulong room);
            if (to == null)
                return 0;
            ulong n = Math.Min(limit, room / (ulong)Width.Bytes<W>());
            StringRuns.Fill<W>(to, (int)n, s->Registers[0]);
            Advance<W>(s, op, Destination, (long)n);
            return n;
        }
    }

    public readonly struct Lods : IStringOperation
    {
        public static bool Compares => false;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            if (!LoadSource<W>(s, op, out ulong v))
                return false;
            Width.Write<W>(s, 0, v);
            Advance<W>(s, op, Source);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth => 0;
    }

    public readonly struct Scas : IStringOperation
    {
        public static bool Compares => true;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            if (!LoadDestination<W>(s, op, out ulong v))
                return false;
            Arithmetic.Cmp.Execute<W>(s, Width.Read<W>(s, 0), v);
            Advance<W>(s, op, Destination);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth
        {
            byte* at = StringRuns.Readable(s, op, Destination, (byte)SegmentIndex.Es, out ulong most);
            if (at == null)
                return 0;
            int n = (int)Math.Min(limit, most / (ulong)Width.Bytes<W>());
            if (n == 0)
                return 0;
            ulong a = Width.Read<W>(s, 0);
            int done = StringRuns.Scan<W>(at, n, a, (op->Prefix & OpPrefix.Repne) != 0);
            Arithmetic.Cmp.Execute<W>(s, a, Width.ReadAt<W>(at + (done - 1) * Width.Bytes<W>()));
            Advance<W>(s, op, Destination, done);
            return (ulong)done;
        }
    }

    public readonly struct Cmps : IStringOperation
    {
        public static bool Compares => true;

        public static bool Once<W>(CpuState* s, Op* op) where W : struct, IWidth
        {
            if (!LoadSource<W>(s, op, out ulong a) || !LoadDestination<W>(s, op, out ulong b))
                return false;
            Arithmetic.Cmp.Execute<W>(s, a, b);
            Advance<W>(s, op, Source);
            Advance<W>(s, op, Destination);
            return true;
        }

        public static ulong Many<W>(CpuState* s, Op* op, ulong limit) where W : struct, IWidth
        {
            if ((op->Prefix & OpPrefix.Repne) != 0)
                return 0;
            byte* a = StringRuns.Readable(s, op, Source, op->Segment, out ulong mostA);
            byte* b = a == null ? null : StringRuns.Readable(s, op, Destination, (byte)SegmentIndex.Es, out mostA, mostA);
            if (b == null)
                return 0;
            int n = (int)Math.Min(limit, mostA / (ulong)Width.Bytes<W>());
            if (n == 0)
                return 0;
            int same = new ReadOnlySpan<byte>(a, n * Width.Bytes<W>()).CommonPrefixLength(new ReadOnlySpan<byte>(b, n * Width.Bytes<W>()));
            int done = Math.Min(n, same / Width.Bytes<W>() + 1);
            int last = (done - 1) * Width.Bytes<W>();
            Arithmetic.Cmp.Execute<W>(s, Width.ReadAt<W>(a + last), Width.ReadAt<W>(b + last));
            Advance<W>(s, op, Source, done);
            Advance<W>(s, op, Destination, done);
            return (ulong)done;
        }
    }

    /// <summary>Selects handlers for a string instruction; its operands are implied but for segment and address size.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, IStringOperation
    {
        l.Op->Segment = (byte)SegmentIndex.Ds;
        for (int i = 0; i < l.Instruction.OpCount; i++)
        {
            switch (l.Kind(i))
            {
                case OpKind.MemorySegSI or OpKind.MemoryESDI:
                    l.Op->AddressSize = 2;
                    break;
                case OpKind.MemorySegESI or OpKind.MemoryESEDI:
                    l.Op->AddressSize = 4;
                    break;
                case OpKind.MemorySegRSI or OpKind.MemoryESRDI:
                    l.Op->AddressSize = 8;
                    break;
            }
            if (l.Kind(i) is OpKind.MemorySegSI or OpKind.MemorySegESI or OpKind.MemorySegRSI)
                l.Op->Segment = (byte)(l.Segment - Register.ES);
        }
        int size = l.Instruction.MemorySize.GetSize();
        if ((l.Op->Prefix & (OpPrefix.Rep | OpPrefix.Repne)) != 0)
            l.Select<Repeated<T>>(size);
        else
            l.Select<Single<T>>(size);
    }

    private readonly struct Single<T> : IForm where T : struct, IStringOperation
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return T.Once<W>(s, op) ? Full.Next(s, op) : Full.Failed(s, op);
        }
    }

    private enum Outcome
    {
        Done,
        Interrupted,
        Resting,
        Faulted,
    }

    private readonly struct Repeated<T> : IForm where T : struct, IStringOperation
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return Repeat<T, W>(s, op) switch
            {
                Outcome.Done => Full.Next(s, op),
                Outcome.Interrupted => LeaveBetweenRounds(s, op),
                Outcome.Resting => Rest(s, op),
                _ => Full.Failed(s, op),
            };
        }
    }

    /// <summary>
    /// "For any interrupt arriving after any iteration of a repeated string instruction but the last iteration, the value pushed for RF is 1" (SDM Vol. 3B,
    /// "Instruction-Breakpoint Exception Condition"). When none arrives after all, the next round takes RF back.
    /// </summary>
    private static Op* LeaveBetweenRounds(CpuState* s, Op* op)
    {
        s->SystemFlags |= Rflags.Rf;
        return Chain.LeaveBefore(s, op);
    }

    private static Op* Rest(CpuState* s, Op* op)
    {
        s->SystemFlags |= Rflags.Rf;
        // With BTF, to stay is no branch.
        s->NoTrap = (s->SystemFlags & Rflags.Tf) != 0 ? 1 : 0;
        s->Rip = Op.RipOf(op);
        return Chain.LeaveAt(s, op);
    }

    private static Outcome Repeat<T, W>(CpuState* s, Op* op) where T : struct, IStringOperation where W : struct, IWidth
    {
        ulong count = s->Registers[Count] & Lowering.Mask(op->AddressSize);
        bool whileEqual = (op->Prefix & OpPrefix.Repne) == 0;
        bool stepping = (s->SystemFlags & Rflags.Tf) != 0;
        s->SystemFlags &= ~Rflags.Rf;
        ulong left = ElementsAtOnce;
        while (count != 0)
        {
            ulong done = stepping ? 0 : T.Many<W>(s, op, Math.Min(count, left));
            if (done == 0)
            {
                if (!T.Once<W>(s, op))
                    return Outcome.Faulted;
                done = 1;
            }
            count -= done;
            left -= done;
            Move(s, op, Count, -(long)done);
            if (T.Compares && Flags.Zero(s) != whileEqual)
                return Outcome.Done;
            if (count == 0)
                break;
            // With BTF only branches are traps.
            if (stepping && (s->DebugControl & Msrs.DebugControlBranches) == 0)
                s->PendingDebug |= DebugRegisters.Dr6SingleStep;
            // What overwrites itself goes on as it was fetched: it is one instruction.
            if ((s->ExitRequested & CpuState.LookAround) != 0 || s->PendingDebug != 0)
                return Outcome.Interrupted;
            if (left == 0)
                return Outcome.Resting;
        }
        return Outcome.Done;
    }

    /// <summary>Offset that an index register holds, in the address size.</summary>
    internal static ulong Index(CpuState* s, Op* op, int register) => s->Registers[register] & Lowering.Mask(op->AddressSize);

    /// <summary>Moves an index register by whole elements, in the direction of DF.</summary>
    internal static void Advance<W>(CpuState* s, Op* op, int register, long elements = 1) where W : struct, IWidth =>
        Move(s, op, register, (s->SystemFlags & Rflags.Df) != 0 ? -elements * Width.Bytes<W>() : elements * Width.Bytes<W>());

    internal static bool LoadSource<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth
    {
        value = 0;
        return Segmentation.TryLinear(s, (SegmentIndex)op->Segment, Index(s, op, Source), Width.Bytes<W>(), AccessKind.Read, out ulong linear)
            && Access.Load(s, linear, Width.Bytes<W>(), Full.Kind(op), out value);
    }

    internal static bool LoadDestination<W>(CpuState* s, Op* op, out ulong value) where W : struct, IWidth
    {
        value = 0;
        return Segmentation.TryLinear(s, SegmentIndex.Es, Index(s, op, Destination), Width.Bytes<W>(), AccessKind.Read, out ulong linear)
            && Access.Load(s, linear, Width.Bytes<W>(), AccessKind.Read, out value);
    }

    internal static bool StoreDestination<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth =>
        Segmentation.TryLinear(s, SegmentIndex.Es, Index(s, op, Destination), Width.Bytes<W>(), AccessKind.Write, out ulong linear)
        && Access.Store(s, linear, Width.Bytes<W>(), AccessKind.Write, Width.Truncate<W>(value));

    /// <summary>Adds to a register in the address size: a 32-bit result is zero-extended, a 16-bit one keeps the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Move(CpuState* s, Op* op, int register, long by)
    {
        ulong r = s->Registers[register] + (ulong)by;
        s->Registers[register] = op->AddressSize switch
        {
            2 => (s->Registers[register] & ~0xFFFFUL) | (ushort)r,
            4 => (uint)r,
            _ => r,
        };
    }
}
