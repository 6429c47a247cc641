using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// Far JMP and far CALL in every mode: direct, through call gates, to an inner privilege level (SDM, "JMP", "CALL", "Call Gates").
/// On success RIP, CS and, where it changed, the stack are those of the target; on a fault nothing has changed.
/// TSSs and task gates lead to <see cref="TaskSwitch"/>.
/// </summary>
public static unsafe class FarTransfer
{
    /// <summary>JMP ptr16:16, ptr16:32, m16:16, m16:32, m16:64.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="selector">The segment selector of the far pointer.</param>
    /// <param name="offset">Its offset.</param>
    /// <param name="operandSize">Operand size in bytes.</param>
    /// <param name="nextRip">RIP behind the instruction, which a task that is left by it keeps.</param>
    public static bool Jump(CpuState* s, ushort selector, ulong offset, int operandSize, ulong nextRip = 0)
    {
        offset = CodeSegment.Truncate(offset, operandSize);
        if (!s->ProtectedMode || s->Virtual8086)
            return CodeSegment.TryCommitReal(s, selector, offset);
        if (!TryReadTarget(s, new Selector(selector), out Descriptor d))
            return false;
        if (!d.IsSystem)
        {
            return CheckDirect(s, new Selector(selector), d) && CodeSegment.CheckTarget(s, d, offset)
                && DescriptorTables.SetAccessed(s, ref d) && Land(s, new Selector(selector), d, offset);
        }
        if (IsTask(s, d))
            return CheckGate(s, new Selector(selector), d) && TaskSwitch.Transfer(s, new Selector(selector), d, nextRip, call: false);
        if (!TryReadGate(s, new Selector(selector), d, out Gate gate))
            return false;
        // "IF call gate DPL ..., code segment: conforming with DPL > CPL, or non-conforming with DPL != CPL, THEN #GP(code segment selector)."
        Descriptor code = gate.Code;
        if (code.IsConforming ? code.Dpl > s->Cpl : code.Dpl != s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, gate.Selector.ErrorCode);
        return CheckPresent(s, gate.Selector, code) && CodeSegment.CheckTarget(s, code, gate.Offset)
            && DescriptorTables.SetAccessed(s, ref code) && Land(s, gate.Selector, code, gate.Offset);
    }

    /// <summary>CALL ptr16:16, ptr16:32, m16:16, m16:32, m16:64; <paramref name="returnRip"/> is the RIP behind it.</summary>
    public static bool Call(CpuState* s, ushort selector, ulong offset, int operandSize, ulong returnRip)
    {
        offset = CodeSegment.Truncate(offset, operandSize);
        PendingStack stack = PendingStack.Present(s);
        if (!s->ProtectedMode || s->Virtual8086)
        {
            if (offset > (s->Virtual8086 ? 0xFFFF : s->Cs.Limit))
                return Access.Raise(s, Vector.GeneralProtection);
            if (!stack.TryPush(s, [s->Cs.Selector, returnRip], operandSize))
                return false;
            stack.Commit(s);
            return CodeSegment.TryCommitReal(s, selector, offset);
        }
        if (!TryReadTarget(s, new Selector(selector), out Descriptor d))
            return false;
        if (!d.IsSystem)
        {
            if (!CheckDirect(s, new Selector(selector), d) || !CodeSegment.CheckTarget(s, d, offset)
                || !DescriptorTables.SetAccessed(s, ref d) || !stack.TryPush(s, [s->Cs.Selector, returnRip], operandSize))
                return false;
            stack.Commit(s);
            return Land(s, new Selector(selector), d, offset);
        }
        if (IsTask(s, d))
            return CheckGate(s, new Selector(selector), d) && TaskSwitch.Transfer(s, new Selector(selector), d, returnRip, call: true);
        if (!TryReadGate(s, new Selector(selector), d, out Gate gate))
            return false;
        // "IF call gate code segment DPL > CPL THEN #GP(code segment selector)."
        if (gate.Code.Dpl > s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, gate.Selector.ErrorCode);
        if (!CheckPresent(s, gate.Selector, gate.Code))
            return false;
        if (!gate.Code.IsConforming && gate.Code.Dpl < s->Cpl)
            return CallInner(s, in gate, returnRip);
        // Same privilege: the gate's size decides what is pushed.
        Descriptor code = gate.Code;
        if (!CodeSegment.CheckTarget(s, code, gate.Offset) || !DescriptorTables.SetAccessed(s, ref code)
            || !stack.TryPush(s, [s->Cs.Selector, returnRip], gate.Size))
            return false;
        stack.Commit(s);
        return Land(s, gate.Selector, code, gate.Offset);
    }

    private readonly record struct Gate(Selector Selector, Descriptor Code, ulong Offset, int Size, int Parameters);

    /// <summary>To a more privileged level: the stack of the TSS, on it the old SS and stack pointer, the parameters, CS and the return address.</summary>
    private static bool CallInner(CpuState* s, in Gate gate, ulong returnRip)
    {
        int cpl = gate.Code.Dpl;
        PendingStack stack;
        if (s->LongModeActive ? !PendingStack.TryFromTss64(s, cpl, 0, out stack) : !PendingStack.TryFromTss(s, cpl, out stack))
            return false;

        Span<ulong> frame = stackalloc ulong[4 + gate.Parameters];
        frame[0] = s->Ss.Selector;
        // SDM, "CALL", MORE-PRIVILEGE: oldESP or oldRSP, of a stack of 16 bits too.
        frame[1] = s->LongModeActive ? s->Registers[4] : (uint)s->Registers[4];
        // Parameters keep their order: the one with the highest address is pushed first.
        for (int i = 0; i < gate.Parameters; i++)
            if (!Stack.Peek(s, (gate.Parameters - 1 - i) * gate.Size, gate.Size, out frame[2 + i]))
                return false;
        frame[^2] = s->Cs.Selector;
        frame[^1] = returnRip;

        Descriptor code = gate.Code;
        if (!CodeSegment.CheckTarget(s, code, gate.Offset) || !DescriptorTables.SetAccessed(s, ref code)
            || !stack.TryPush(s, frame, gate.Size))
            return false;
        stack.Commit(s);
        CodeSegment.Commit(s, gate.Selector, code, cpl, gate.Offset);
        CpuMode.Update(s);
        return true;
    }

    /// <summary>At the same privilege level; always true, so that callers can return it.</summary>
    private static bool Land(CpuState* s, Selector selector, Descriptor code, ulong offset)
    {
        CodeSegment.Commit(s, selector, code, s->Cpl, offset);
        CpuMode.Update(s);
        return true;
    }

    /// <summary>"IF segment selector in target operand is NULL THEN #GP(0)"; "IF not within descriptor table limits THEN #GP(new selector)".</summary>
    private static bool TryReadTarget(CpuState* s, Selector selector, out Descriptor d)
    {
        d = default;
        if (selector.IsNull)
            return Access.Raise(s, Vector.GeneralProtection);
        return DescriptorTables.TryRead(s, selector, Vector.GeneralProtection, out d);
    }

    /// <summary>A code segment named by the instruction itself.</summary>
    private static bool CheckDirect(CpuState* s, Selector selector, Descriptor d)
    {
        if (!d.IsCode || !CodeSegment.CheckLongBits(s, selector, d))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        // "Conforming: IF DPL > CPL THEN #GP(new code-segment selector)"; "non-conforming: IF (RPL > CPL) or (DPL != CPL)".
        if (d.IsConforming ? d.Dpl > s->Cpl : selector.Rpl > s->Cpl || d.Dpl != s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        return CheckPresent(s, selector, d);
    }

    private static bool CheckPresent(CpuState* s, Selector selector, Descriptor d) =>
        d.IsPresent || Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);

    /// <summary>A task gate or an available TSS. A busy one is #GP(selector), as is whatever else is no call gate.</summary>
    private static bool IsTask(CpuState* s, Descriptor d) =>
        !s->LongModeActive && d.Type is SystemType.TaskGate or SystemType.AvailableTss16 or SystemType.AvailableTss32;

    private static bool CheckGate(CpuState* s, Selector selector, Descriptor d)
    {
        // "Segment selector for a TSS descriptor references the GDT": of a TSS that the instruction names itself.
        if (d.Type != SystemType.TaskGate && selector.IsLocal)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        return CheckPrivilege(s, selector, d) && CheckPresent(s, selector, d);
    }

    /// <summary>"IF call gate (task gate, TSS) DPL less than CPL or RPL THEN #GP(selector)."</summary>
    private static bool CheckPrivilege(CpuState* s, Selector selector, Descriptor d) =>
        (d.Dpl >= s->Cpl && d.Dpl >= selector.Rpl) || Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);

    /// <summary>Checks a call gate and reads the code segment that it names; refuses all other system descriptors.</summary>
    private static bool TryReadGate(CpuState* s, Selector selector, Descriptor d, out Gate gate)
    {
        gate = default;
        bool longMode = s->LongModeActive;
        bool isGate = d.Type == SystemType.CallGate32 || (d.Type == SystemType.CallGate16 && !longMode);
        if (!isGate)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        if (!CheckPrivilege(s, selector, d))
            return false;
        ulong offset = d.Type == SystemType.CallGate16 ? d.GateOffset & 0xFFFF : d.GateOffset;
        if (longMode)
        {
            // 16 bytes; the type field of the upper half must be 0.
            if (!DescriptorTables.TryLocate(s, selector, 16, out ulong linear))
                return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
            if (!Access.Load(s, linear + 8, 8, AccessKind.Implicit, out ulong high))
                return false;
            if ((high & 0x1F00_0000_0000) != 0)
                return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
            offset |= high << 32;
        }
        if (!CheckPresent(s, selector, d))
            return false;

        Selector target = d.GateSelector;
        if (!TryReadTarget(s, target, out Descriptor code))
            return false;
        // In IA-32e mode a call gate leads to 64-bit code only.
        if (!code.IsCode || (longMode && (!code.IsLong || code.IsBig)))
            return Access.Raise(s, Vector.GeneralProtection, target.ErrorCode);
        int size = longMode ? 8 : d.Type == SystemType.CallGate16 ? 2 : 4;
        gate = new Gate(target, code, offset, size, longMode ? 0 : d.ParameterCount);
        return true;
    }
}
