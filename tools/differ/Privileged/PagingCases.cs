using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Rights of pages, for each kind of access.</summary>
internal static class PagingCases
{
    private const uint Smep = 1 << 20, Smap = 1 << 21;
    private const ulong ExecuteDisable = 1UL << 63, Reserved = 1UL << 51;
    private const uint Ac = 1 << 18;

    private static readonly (string Name, Action<Assembler> Code)[] _accesses =
    [
        ("read", a => a.mov(eax, __dword_ptr[Page])),
        ("write", a => a.mov(__dword_ptr[Page + 0x10], eax)),
        ("fetch", a => a.call(Page)),
        ("rmw", a => a.@lock.add(__dword_ptr[Page + 0x10], 1)),
    ];

    public static IEnumerable<GuestCase> All => [.. Rights(), .. Crossing(), .. Delivery()];

    private static IEnumerable<GuestCase> Rights()
    {
        (string Name, ulong Bits)[] entries =
        [
            ("absent", 0), ("absent nx", ExecuteDisable), ("s r", 1), ("s rw", 3), ("u r", 5), ("u rw", 7), ("s rw nx", 3 | ExecuteDisable), ("u rw nx", 7 | ExecuteDisable), ("u r nx", 5 | ExecuteDisable),
            ("reserved", 7 | Reserved), ("reserved absent", Reserved),
        ];
        foreach ((string access, Action<Assembler> code) in _accesses)
            foreach ((string name, ulong bits) in entries)
            {
                foreach (bool wp in (bool[])[true, false])
                    yield return new($"page {name} {access} cpl3{(wp ? " wp" : "")}", c =>
                    {
                        c.EnablePaging(bits, user: true, writeProtect: wp);
                        c.EnterUser();
                        code(c.Code);
                        c.Done();
                    });
                (string Name, uint Cr4, bool Wp, bool Ac)[] supervisors =
                    [("", 0, false, false), (" wp", 0, true, false), (" smep", Smep, true, false), (" smap", Smap, true, false), (" smap ac", Smap, true, true), (" smap ac nowp", Smap, false, true)];
                foreach ((string suffix, uint cr4, bool wp, bool ac) in supervisors)
                    yield return new($"page {name} {access} cpl0{suffix}", c =>
                    {
                        c.EnablePaging(bits, user: false, cr4, wp);
                        c.Code.push(ac ? Ac | 2 : 2);
                        c.Code.popfd();
                        code(c.Code);
                        c.Code.mov(eax, __dword_ptr[PageTables + 0x3000]);
                        c.Code.and(eax, 0xFFF);
                        c.Done();
                    });
            }
    }

    private static IEnumerable<GuestCase> Crossing()
    {
        foreach (bool write in (bool[])[false, true])
            foreach (bool first in (bool[])[false, true])
                yield return new($"{(write ? "write" : "read")} across pages, {(first ? "first" : "second")} absent", c =>
                {
                    // The third page of the region is absent.
                    c.EnablePaging(first ? 0UL : 3, user: false);
                    uint at = first ? Page + 0xFFE : Page + 0x1FFE;
                    c.Code.mov(eax, 0x1234_5678);
                    if (write)
                        c.Code.mov(__dword_ptr[at], eax);
                    else
                        c.Code.mov(eax, __dword_ptr[at]);
                    c.Done();
                });
        yield return new("rep movs into an absent page", c =>
        {
            c.EnablePaging(3, user: false);
            c.Code.mov(esi, Page);
            c.Code.mov(edi, Page + 0x1FF8);
            c.Code.mov(ecx, 8);
            c.Code.rep.movsd();
            c.Done();
        });
        yield return new("instruction across pages, second absent", c =>
        {
            c.EnablePaging(3, user: false);
            c.Write8(Page + 0x1FFF, 0xB8);
            c.Code.mov(eax, Page + 0x1FFF);
            c.Code.jmp(eax);
        });
        yield return new("push to an absent page", c =>
        {
            c.EnablePaging(0, user: false);
            c.Code.mov(ebp, esp);
            c.Code.mov(esp, Page + 0x1000);
            Label back = c.Code.CreateLabel();
            // The handler needs a stack: #PF goes to a task.
            c.SetGate(14, Descriptors.Gate(HandlerSelector, 0, Cpus.SystemType.TaskGate, 0));
            c.Write32(HandlerTask + 0x1C, PageTables);
            c.Code.push(1);
            c.Code.Label(ref back);
            c.Code.mov(esp, ebp);
            c.Done();
        });
    }

    private static IEnumerable<GuestCase> Delivery()
    {
        yield return new("page fault whose gate is not present", c =>
        {
            c.EnablePaging(0, user: false);
            c.SetGate(14, Descriptors.Gate(Code0, Stubs + 16 * 14, Cpus.SystemType.InterruptGate32, 0, present: false));
            c.Code.mov(eax, __dword_ptr[Page]);
        });
        yield return new("page fault on the stack of the handler", c =>
        {
            c.EnablePaging(0, user: true);
            c.Write32(Tss + 4, Page + 0x800);
            c.SetGate(8, Descriptors.Gate(HandlerSelector, 0, Cpus.SystemType.TaskGate, 0));
            c.Write32(HandlerTask + 0x1C, PageTables);
            c.EnterUser();
            c.Code.mov(eax, __dword_ptr[Page]);
        });
        yield return new("undefined opcode with the handler's stack absent", c =>
        {
            c.EnablePaging(0, user: true);
            c.Write32(Tss + 4, Page + 0x800);
            c.SetGate(14, Descriptors.Gate(HandlerSelector, 0, Cpus.SystemType.TaskGate, 0));
            c.Write32(HandlerTask + 0x1C, PageTables);
            c.EnterUser();
            c.Code.ud2();
        });
        yield return new("descriptor in an absent page", c =>
        {
            c.EnablePaging(0, user: false);
            Label behind = c.Code.CreateLabel();
            c.Code.call(behind);
            c.Code.dw(0xFFF);
            c.Code.dd(Page);
            c.Code.Label(ref behind);
            c.Code.pop(ebx);
            c.Code.sidt(__[esp - 16]);
            c.Code.lgdt(__[ebx]);
            c.Code.mov(eax, Free);
            c.SetGate(14, 0);
            c.SetGate(8, 0);
            c.Code.lgdt(__[ebx]);
            // CS is in no table now: what follows would end in shutdown, so the table goes back first.
            c.Code.sub(esp, 8);
            c.Code.mov(__word_ptr[esp], (short)GdtLimit);
            c.Code.mov(__dword_ptr[esp + 2], Gdt);
            c.Code.lgdt(__[esp]);
            c.SetGate(14, Descriptors.Gate(Code0, Stubs + 16 * 14, Cpus.SystemType.InterruptGate32, 0));
            c.Done();
        });
    }
}
