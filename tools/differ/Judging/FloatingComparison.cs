using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Machines;

namespace Emu.Differ.Judging;

/// <summary>Compares x87, MMX and SSE registers.</summary>
public static unsafe class FloatingComparison
{
    /// <summary>True when nothing differs that both know.</summary>
    public static bool Same(Outcome oracle, Outcome emu)
    {
        if (!oracle.KnowsPointers)
        {
            oracle.Floating.InstructionPointer = emu.Floating.InstructionPointer;
            oracle.Floating.DataPointer = emu.Floating.DataPointer;
            oracle.Floating.Opcode = emu.Floating.Opcode;
        }
        return Same(oracle.Floating, emu.Floating);
    }

    /// <summary>True when nothing at all differs.</summary>
    public static bool Same(in FloatingState a, in FloatingState b) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<FloatingState>(in a)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<FloatingState>(in b)));

    /// <summary>Everything that differs, in words.</summary>
    public static void Describe(Case c, Outcome oracleOutcome, Outcome emuOutcome, in UndefinedResult undefined, List<Difference> list)
    {
        if (Same(oracleOutcome, emuOutcome))
            return;
        FloatingState oracle = oracleOutcome.Floating, emu = emuOutcome.Floating;
        for (int i = 0; i < c.Mode.VectorCount(); i++)
            if (oracle.Xmm[2 * i] != emu.Xmm[2 * i] || oracle.Xmm[2 * i + 1] != emu.Xmm[2 * i + 1])
                list.Add(new Difference($"xmm{i}", Vector(oracle, i), Vector(emu, i)));
        for (int i = 0; i < 8; i++)
            if (oracle.X87[2 * i] != emu.X87[2 * i] || (ushort)oracle.X87[2 * i + 1] != (ushort)emu.X87[2 * i + 1])
                list.Add(new Difference($"fpr{i}", Register(oracle, i), Register(emu, i)));
        Add("fcw", oracle.Control, emu.Control);
        Add("fsw", (ulong)(oracle.Status & ~undefined.Status), (ulong)(emu.Status & ~undefined.Status));
        Add("ftw", oracle.Tags, emu.Tags);
        Add("mxcsr", oracle.Mxcsr, emu.Mxcsr);
        Add("fop", oracle.Opcode, emu.Opcode);
        Add("fip", oracle.InstructionPointer, emu.InstructionPointer);
        Add("fdp", oracle.DataPointer, emu.DataPointer);

        void Add(string what, ulong o, ulong e)
        {
            if (o != e)
                list.Add(new Difference(what, $"{o:x}", $"{e:x}"));
        }
    }

    /// <summary>An XMM register as one number.</summary>
    public static string Vector(in FloatingState s, int i) => $"{s.Xmm[2 * i + 1]:x16}{s.Xmm[2 * i]:x16}";

    /// <summary>An x87 register: sign and exponent, then the significand.</summary>
    public static string Register(in FloatingState s, int i) => $"{(ushort)s.X87[2 * i + 1]:x4}{s.X87[2 * i]:x16}";
}
