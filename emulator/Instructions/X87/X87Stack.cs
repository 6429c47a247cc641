using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>Numbers on the register stack, stack faults, and the exceptions of an operation.</summary>
public static unsafe partial class X87
{
    /// <summary>Rounding, precision and masks as the control word has them; nothing raised yet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FloatContext Context(CpuState* s)
    {
        int control = s->Floating.Control;
        return new FloatContext
        {
            Rounding = (Rounding)(control >> 10 & 3),
            Masked = (FloatFlags)(control & ExceptionMask),
            // "01B: reserved"; CPUs take it for 64 bits.
            Precision = (control >> 8 & 3) switch { 0 => 24, 2 => 53, _ => 64 },
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Number Read(CpuState* s, int i)
    {
        ulong* r = Register(s, i);
        return Number.UnpackExtended(r[0], r[1]);
    }

    /// <summary>Writes ST(i) and marks it as not empty.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(CpuState* s, int i, in Number value)
    {
        ulong* r = Register(s, i);
        r[0] = value.ExtendedSignificand();
        r[1] = value.ExtendedExponent();
        s->Floating.Tags |= (byte)(1 << Physical(s, i));
    }

    /// <summary>Copies ST(from) to ST(to), bits as they are.</summary>
    public static void Copy(CpuState* s, int to, int from)
    {
        ulong* r = Register(s, to), source = Register(s, from);
        (r[0], r[1]) = (source[0], source[1]);
        s->Floating.Tags |= (byte)(1 << Physical(s, to));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(CpuState* s)
    {
        Free(s, 0);
        MoveTop(s, 1);
    }

    /// <summary>Sets the flags that were raised, C1 as given, and ES and B when one of them is not masked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Signal(CpuState* s, FloatFlags raised, bool c1)
    {
        ref FloatingState f = ref s->Floating;
        int status = (f.Status & ~X87Status.C1) | (int)raised | (c1 ? X87Status.C1 : 0);
        if (((int)raised & ~f.Control & ExceptionMask) != 0)
            status |= X87Status.Summary | X87Status.Busy;
        f.Status = (ushort)status;
    }

    /// <summary>
    /// Ends an operation that has a result: flags, then the result into ST(i), unless an exception that is found before there is one is not masked.
    /// </summary>
    /// <returns>True when the result was written.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Finish(CpuState* s, ref FloatContext c, int i, in Number result)
    {
        Signal(s, c.Raised, c.RoundedUp);
        if ((c.Unmasked & FloatFlags.BeforeResult) != 0)
            return false;
        Write(s, i, result);
        return true;
    }

    /// <summary>
    /// An empty register was to be read: IE and SF with C1 = 0; the masked response is an indefinite in ST(<paramref name="destination"/>).
    /// </summary>
    /// <returns>True when masked.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Underflow(CpuState* s, int destination)
    {
        if (!StackFault(s, overflow: false))
            return false;
        Write(s, destination, Number.Indefinite);
        return true;
    }

    /// <summary>IE and SF; C1 tells overflow from underflow. True when masked.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool StackFault(CpuState* s, bool overflow)
    {
        Signal(s, FloatFlags.Invalid, overflow);
        s->Floating.Status |= X87Status.StackFault;
        return (s->Floating.Control & (int)FloatFlags.Invalid) != 0;
    }

    /// <summary>True when ST(0) is not empty; otherwise the stack underflows into it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool NeedTop(CpuState* s)
    {
        if (!IsEmpty(s, 0))
            return true;
        Underflow(s, 0);
        return false;
    }

    /// <summary>True when there is room for a push; otherwise the stack overflows, and the masked response has pushed an indefinite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool NeedRoom(CpuState* s)
    {
        if (IsEmpty(s, 7))
            return true;
        if (StackFault(s, overflow: true))
            Push(s, Number.Indefinite);
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Push(CpuState* s, in Number value)
    {
        MoveTop(s, -1);
        Write(s, 0, value);
    }
}
