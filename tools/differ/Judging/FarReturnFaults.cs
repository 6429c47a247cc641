using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>What a far return or IRET at CPL 3 may fault on: each part of its frame that cannot be read, or holds what it must not.</summary>
internal sealed class FarReturnFaults
{
    private const int StackFault = 12, GeneralProtection = 13, PageFault = 14, AlignmentCheck = 17;
    private const ulong NestedTask = 0x4000, AlignmentFlag = 0x4_0000;

    private readonly HashSet<ulong> _unreadable = [];
    private readonly HashSet<uint> _codes = [];
    private bool _misaligned;

    /// <summary>Null for other instructions.</summary>
    public static FarReturnFaults? Of(Case c)
    {
        ref readonly Instruction i = ref c.First;
        bool interrupt = i.Mnemonic is Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq;
        if (c.Count != 1 || (!interrupt && i.Mnemonic != Mnemonic.Retf))
            return null;
        int size = i.Code switch
        {
            Code.Iretw or Code.Retfw or Code.Retfw_imm16 => 2,
            Code.Iretd or Code.Retfd or Code.Retfd_imm16 => 4,
            _ => 8,
        };
        // Offset, selector, flags; then the outer stack, behind the parameters that are released.
        ulong outer = (ulong)(interrupt ? 3 * size : 2 * size + (i.OpCount == 1 ? i.Immediate16 : 0));
        var faults = new FarReturnFaults();
        ulong? offset = faults.Read(c, 0, size), code = faults.Read(c, (ulong)size, size);
        if (interrupt)
            faults.Read(c, (ulong)(2 * size), size);
        faults.Read(c, outer, size);
        ulong? stack = faults.Read(c, outer + (ulong)size, size);
        if ((c.Flags & NestedTask) != 0 && interrupt)
            faults._codes.Add(0);
        faults.Check(code, s => s is Arena.UserCode32Selector or Arena.UserCode64Selector);
        faults.Check(stack, s => s == Arena.UserDataSelector);
        if (offset is { } target && (!CaseAccess.Canonical(target) || target > uint.MaxValue))
            faults._codes.Add(0);
        return faults;
    }

    /// <summary>Whether an exception is one of these.</summary>
    public bool May(Outcome o) => o.Vector switch
    {
        PageFault => _unreadable.Contains(o.FaultAddress),
        GeneralProtection or StackFault => o.ErrorCode is { } code && _codes.Contains(code),
        AlignmentCheck => _misaligned,
        Outcome.NotCanonical => _codes.Contains(0),
        _ => false,
    };

    private void Check(ulong? selector, Predicate<ushort> isGood)
    {
        if (selector is { } s && !isGood((ushort)s))
            _codes.UnionWith([0, (uint)(s & 0xFFFC)]);
    }

    /// <summary>A part of the frame; null, and noted, where it cannot be read.</summary>
    private ulong? Read(Case c, ulong at, int size)
    {
        ulong linear = EffectiveAddress.Linear(c, Register.SS, c.Registers[4] + at & c.Mode.RegisterMask());
        if (!CaseAccess.Canonical(linear) || !CaseAccess.Canonical(linear + (ulong)size - 1))
            _codes.Add(0);
        _misaligned |= (c.Flags & AlignmentFlag) != 0 && linear % (ulong)size != 0;
        Arena arena = Arena.For(c.Mode);
        bool readable = true;
        for (int b = 0; b < size; b++)
        {
            ulong address = linear + (ulong)b & c.Mode.RegisterMask();
            if (arena.Holds(address, 1) || arena.HoldsCode(address, -16))
                continue;
            if (b == 0 || (address & 0xFFF) == 0)
                _unreadable.Add(address);
            readable = false;
        }
        return readable && arena.TryReadStart(c, linear, size, out ulong value) ? value : null;
    }
}
