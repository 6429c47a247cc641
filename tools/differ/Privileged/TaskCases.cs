using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.Descriptors;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Task switches: by what, to what, and with each thing wrong.</summary>
internal static class TaskCases
{
    private const ulong Busy = 1UL << 41;

    public static IEnumerable<GuestCase> All => [.. Switches(), .. WrongTargets(), .. WrongImages(), .. Returns()];

    /// <summary>Exceptions that may find the new task half loaded go to a task of their own.</summary>
    private static void CatchByTask(CaseAssembler c)
    {
        foreach (byte vector in (byte[])[10, 11, 12, 13])
            c.SetGate(vector, Gate(HandlerSelector, 0, SystemType.TaskGate, 0));
    }

    private static IEnumerable<GuestCase> Switches()
    {
        foreach (bool call in (bool[])[false, true])
        {
            string verb = call ? "call" : "jmp";
            foreach (bool gate in (bool[])[false, true])
                yield return new($"{verb} to a task{(gate ? " by a gate" : "")}", c =>
                {
                    c.SetDescriptor(Free, Gate(TaskSelector, 0, SystemType.TaskGate, 0));
                    c.Code.mov(ebx, 0xB0B);
                    c.Transfer(call, gate ? Free : TaskSelector, 0);
                });
            yield return new($"{verb} to a task of 16 bits", c =>
            {
                // A TSS of 16 bits says nothing of the upper halves: mov esp, TaskStack; movzx eax, ax; int 41.
                c.Write8(0x7F00, 0xBC);
                c.Write32(0x7F01, TaskStack);
                c.Write32(0x7F05, 0xCDC0_B70F);
                c.Write8(0x7F09, 0x41);
                c.Write16(Task16 + 0x0E, 0x7F00);
                c.Write16(Task16 + 0x24, Code0);
                c.Transfer(call, Task16Selector, 0);
            });
            yield return new($"{verb} to a task with T", c =>
            {
                c.Write16(OtherTask + 0x64, 1);
                c.SetGate(1, Gate(HandlerSelector, 0, SystemType.TaskGate, 0));
                c.Transfer(call, TaskSelector, 0);
            });
            yield return new($"{verb} to a task of cpl3", c =>
            {
                c.Write16(OtherTask + 0x4C, Code3);
                foreach (uint segment in (uint[])[0x48, 0x50, 0x54])
                    c.Write16(OtherTask + segment, Data3);
                c.Write32(OtherTask + 4, Stack0);
                c.Write16(OtherTask + 8, Data0);
                c.Transfer(call, TaskSelector, 0);
            });
        }
        yield return new("exception with an error code to a task", c =>
        {
            CatchByTask(c);
            c.Code.mov(eax, 0xFFF8);
            c.Code.mov(ds, ax);
        });
        yield return new("software interrupt to a task", c =>
        {
            c.SetGate(FreeVector, Gate(HandlerSelector, 0, SystemType.TaskGate, 3));
            c.EnterUser();
            c.Code.@int(FreeVector);
        });
        yield return new("software interrupt to a task above its dpl", c =>
        {
            c.SetGate(FreeVector, Gate(HandlerSelector, 0, SystemType.TaskGate, 0));
            c.EnterUser();
            c.Code.@int(FreeVector);
        });
    }

    private static IEnumerable<GuestCase> WrongTargets()
    {
        foreach (bool call in (bool[])[false, true])
        {
            string verb = call ? "call" : "jmp";
            (string Name, int Selector, ulong Raw)[] targets =
            [
                ("busy", Free, Descriptors.System(SystemType.BusyTss32, OtherTask, 0x67)),
                ("np", Free, Descriptors.System(SystemType.AvailableTss32, OtherTask, 0x67, present: false)),
                ("short", Free, Descriptors.System(SystemType.AvailableTss32, OtherTask, 0x66)),
                ("gate to local", Free, Gate(TaskSelector | 4, 0, SystemType.TaskGate, 0)), ("gate to data", Free, Gate(Data0, 0, SystemType.TaskGate, 0)),
                ("gate beyond", Free, Gate(0x70, 0, SystemType.TaskGate, 0)), ("gate np", Free, Gate(TaskSelector, 0, SystemType.TaskGate, 0, present: false)),
                ("gate to null", Free, Gate(0, 0, SystemType.TaskGate, 0)), ("gate to busy", Free, Gate(TssSelector, 0, SystemType.TaskGate, 0)),
            ];
            foreach ((string name, int selector, ulong raw) in targets)
                yield return new($"{verb} to task {name}", c =>
                {
                    c.SetDescriptor(Free, raw);
                    c.Transfer(call, selector, 0);
                });
            foreach (int dpl in (int[])[0, 3])
                foreach (int rpl in (int[])[0, 3])
                    yield return new($"{verb} to task from cpl3 dpl{dpl} rpl{rpl}", c =>
                    {
                        c.SetDescriptor(Free, Descriptors.System(SystemType.AvailableTss32, OtherTask, 0x67, dpl));
                        c.EnterUser();
                        c.Transfer(call, Free | rpl, 0);
                    });
        }
    }

    private static IEnumerable<GuestCase> WrongImages()
    {
        (string Name, uint Field, ushort Value, ulong Raw)[] images =
        [
            ("ldt data", 0x60, Data0, 0), ("ldt beyond", 0x60, 0x70, 0), ("ldt local", 0x60, LdtSelector | 4, 0),
            ("ldt np", 0x60, Free, Descriptors.System(SystemType.Ldt, Ldt, 0x3F, present: false)),
            ("cs null", 0x4C, 0, 0), ("cs data", 0x4C, Data0, 0), ("cs beyond", 0x4C, 0x70, 0), ("cs rpl", 0x4C, Code0 | 3, 0), ("cs dpl", 0x4C, Code3 & ~3, 0),
            ("cs np", 0x4C, Free, Segment(Descriptors.Code, 0, present: false)),
            ("ss null", 0x50, 0, 0), ("ss read-only", 0x50, Free, Segment(ReadOnly, 0)), ("ss dpl", 0x50, Data3 & ~3, 0), ("ss rpl", 0x50, Data0 | 3, 0),
            ("ss np", 0x50, Free, Segment(Data, 0, present: false)), ("ss beyond", 0x50, 0x70, 0),
            ("ds beyond", 0x54, 0x70, 0), ("ds execute-only", 0x54, Free, Segment(ExecuteOnly, 0)), ("ds np", 0x54, Free, Segment(Data, 0, present: false)),
            ("fs system", 0x58, TssSelector, 0), ("gs local null", 0x5C, 0x14, 0),
        ];
        foreach ((string name, uint field, ushort value, ulong raw) in images)
            yield return new($"jmp to task with {name}", c =>
            {
                c.SetDescriptor(Free, raw);
                c.Write16(OtherTask + field, value);
                CatchByTask(c);
                c.Transfer(false, TaskSelector, 0);
            });
        yield return new("jmp to task with eip beyond its limit", c =>
        {
            c.SetDescriptor(Free, Segment(Descriptors.Code, 0, limit: 0xFFF));
            c.Write16(OtherTask + 0x4C, Free);
            CatchByTask(c);
            c.Transfer(false, TaskSelector, 0);
        });
    }

    private static IEnumerable<GuestCase> Returns()
    {
        yield return new("iret from a task", c =>
        {
            Label here = c.Code.CreateLabel();
            Label behind = c.Code.CreateLabel();
            c.PushHere(here);
            c.Code.pop(eax);
            c.Code.mov(__dword_ptr[OtherTask + 0x20], eax);
            c.Transfer(true, TaskSelector, 0);
            c.Code.jmp(behind);
            c.Code.Label(ref here);
            c.Code.iretd();
            c.Code.Label(ref behind);
            c.Code.movzx(eax, __word_ptr[Gdt + TaskSelector + 4]);
            c.Done();
        });
        (string Name, int Link)[] links = [("available", TaskSelector), ("local", TaskSelector | 4), ("beyond", 0x70), ("data", Data0), ("null", 0), ("itself", TssSelector)];
        foreach ((string name, int link) in links)
            yield return new($"iret with nt to {name}", c =>
            {
                c.Write32(Tss, (uint)link);
                CatchByTask(c);
                c.Code.push(0x4002);
                c.Code.popfd();
                c.Code.iretd();
                c.Done();
            });
        yield return new("iret with nt to a busy task that is not present", c =>
        {
            c.SetDescriptor(Free, Descriptors.System(SystemType.BusyTss32, OtherTask, 0x67, present: false));
            c.Write32(Tss, Free);
            CatchByTask(c);
            c.Code.push(0x4002);
            c.Code.popfd();
            c.Code.iretd();
        });
    }
}
