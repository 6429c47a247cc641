using System.Runtime.CompilerServices;
namespace Emu.Cpus;

/// <summary>
/// Loads of ES, SS, DS, FS and GS by MOV, POP and the L?S instructions, in every mode (SDM, "MOV", "Segment Loading Instructions in IA-32e Mode").
/// CS changes only by far transfers, LDTR and TR by LLDT and LTR (<see cref="SystemTables"/>).
/// </summary>
[SkipLocalsInit]
public static unsafe class SegmentLoad
{
    /// <summary>
    /// Loads a data or stack segment register with all checks; false with the fault recorded and nothing changed. The caller sets
    /// <see cref="CpuState.InterruptShadow"/> after MOV SS and POP SS, and refuses CS (#UD).
    /// </summary>
    public static bool Load(CpuState* s, SegmentIndex segment, ushort selector)
    {
        if (!TryPrepare(s, segment, selector, out SegmentRegister register))
            return false;
        (&s->Es)[(int)segment] = register;
        CpuMode.Update(s);
        return true;
    }

    /// <summary>Checks a load and says what the register would become, so that LDS and its like can load two registers or none.</summary>
    public static bool TryPrepare(CpuState* s, SegmentIndex segment, ushort selector, out SegmentRegister register)
    {
        if (!s->ProtectedMode)
        {
            register = RealMode((&s->Es)[(int)segment], selector);
            return true;
        }
        if (s->Virtual8086)
        {
            register = Virtual8086(selector);
            return true;
        }
        return segment == SegmentIndex.Ss
            ? TryPrepareStack(s, selector, s->Cpl, Vector.GeneralProtection, s->Is64Bit && (selector & 3) == s->Cpl, out register)
            : TryPrepareData(s, segment, selector, out register);
    }

    /// <summary>
    /// A segment register in real-address mode: the base follows the selector; limit and attributes stay as they were ("unreal mode"), unless
    /// the segment had been made null.
    /// </summary>
    public static SegmentRegister RealMode(SegmentRegister present, ushort selector)
    {
        if (present.Usable == 0)
            present = new SegmentRegister { Limit = 0xFFFF, Attributes = SegmentAttributes.RealModeData, Usable = 1 };
        return present with { Selector = selector, Base = (ulong)selector << 4 };
    }

    /// <summary>A segment register in virtual-8086 mode: always 64 KBytes, read/write, DPL 3.</summary>
    public static SegmentRegister Virtual8086(ushort selector) => new()
    {
        Selector = selector,
        Base = (ulong)selector << 4,
        Limit = 0xFFFF,
        Attributes = SegmentAttributes.RealModeData | 3 << SegmentAttributes.DplShift,
        Usable = 1,
    };

    /// <summary>A null selector: the segment cannot be used. In 64-bit mode it does not matter, and FS and GS have base 0.</summary>
    public static SegmentRegister Null(ushort selector) => new() { Selector = selector };

    /// <summary>SS after a change of privilege in long mode: null, with the new CPL as RPL.</summary>
    public static SegmentRegister NullStack(int cpl) => new()
    {
        Selector = (ushort)cpl,
        Limit = uint.MaxValue,
        Attributes = (ushort)(SegmentAttributes.RealModeData | SegmentAttributes.D | SegmentAttributes.G | cpl << SegmentAttributes.DplShift),
    };

    /// <summary>
    /// SS for a given privilege level: by MOV and POP at the present one (<paramref name="vector"/> #GP), by a gate or far return at another
    /// (#TS or #GP).
    /// </summary>
    /// <param name="s">The CPU.</param>
    /// <param name="value">The selector.</param>
    /// <param name="cpl">The privilege level at which the stack is to be used.</param>
    /// <param name="vector">The exception that a wrong selector raises; a segment that is not present is always #SS.</param>
    /// <param name="allowNull">A null selector will do below level 3: MOV and POP in 64-bit mode if RPL = CPL, returns to 64-bit mode.</param>
    /// <param name="register">What SS would become.</param>
    public static bool TryPrepareStack(CpuState* s, ushort value, int cpl, Vector vector, bool allowNull, out SegmentRegister register)
    {
        register = default;
        Selector selector = new(value);
        if (selector.IsNull)
        {
            // "Loading the SS register with a null selector generates #GP(0)", but in 64-bit mode with CPL below 3.
            if (allowNull && cpl != 3)
            {
                register = NullStack(cpl) with { Selector = value };
                return true;
            }
            return Access.Raise(s, vector);
        }
        if (!DescriptorTables.TryRead(s, selector, vector, out Descriptor d))
            return false;
        // "IF segment selector's RPL != CPL or segment is not a writable data segment or DPL != CPL."
        if (selector.Rpl != cpl || !d.IsWritableData || d.Dpl != cpl)
            return Access.Raise(s, vector, selector.ErrorCode);
        // "IF segment not marked present THEN #SS(selector)."
        if (!d.IsPresent)
            return Access.Raise(s, Vector.StackFault, selector.ErrorCode);
        if (!DescriptorTables.SetAccessed(s, ref d))
            return false;
        register = d.ToRegister(value);
        return true;
    }

    /// <summary>
    /// After a return to an outer level: a data segment register whose descriptor is more privileged than the new CPL is made null
    /// (SDM, "RET", "RETURN-OUTER-PRIVILEGE-LEVEL").
    /// </summary>
    public static void DropInnerSegments(CpuState* s)
    {
        Drop(s, ref s->Es);
        Drop(s, ref s->Ds);
        Drop(s, ref s->Fs);
        Drop(s, ref s->Gs);
    }

    private static void Drop(CpuState* s, ref SegmentRegister r)
    {
        if (r.Usable == 0)
            return;
        int dpl = (r.Attributes >> SegmentAttributes.DplShift) & 3;
        const int conforming = SegmentAttributes.Code | SegmentAttributes.ExpandDownOrConforming;
        // "IF segment register points to data or non-conforming code segment and CPL > segment descriptor DPL."
        if (dpl < s->Cpl && (r.Attributes & conforming) != conforming)
            r = r with { Selector = 0, Usable = 0 };
    }

    private static bool TryPrepareData(CpuState* s, SegmentIndex segment, ushort value, out SegmentRegister register)
    {
        Selector selector = new(value);
        register = Null(value);
        // AMD leaves the base of a null FS or GS as it was (AMD APM Vol. 2, "Null Selector"); Intel clears it.
        if (s->LongModeActive && Cpu.Of(s).Model.Vendor == CpuVendor.Amd)
            register.Base = (&s->Es)[(int)segment].Base;
        if (selector.IsNull)
            return true;
        if (!DescriptorTables.TryRead(s, selector, Vector.GeneralProtection, out Descriptor d))
            return false;
        // "IF segment is not a data or readable code segment."
        if (!d.IsReadable)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        // "IF segment is a data or nonconforming code segment and ((RPL > DPL) or (CPL > DPL))."
        if (!d.IsConforming && (selector.Rpl > d.Dpl || s->Cpl > d.Dpl))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        // "IF segment not marked present THEN #NP(selector)."
        if (!d.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
        if (!DescriptorTables.SetAccessed(s, ref d))
            return false;
        register = d.ToRegister(value);
        return true;
    }
}
