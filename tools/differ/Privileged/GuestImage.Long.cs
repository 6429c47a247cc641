using Emu.Cpus;
using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>Long mode: the way in, from 32-bit protected mode, the handlers, and the way back.</summary>
public sealed partial class GuestImage
{
    private const uint Efer = 0xC000_0080;

    private void PlaceLongMode()
    {
        for (uint v = 0; v < Vectors; v++)
        {
            uint vector = v;
            Place(LongStubs + 16 * v, a =>
            {
                if (!EventDelivery.HasErrorCode((Vector)vector))
                    a.push(0);
                a.push((int)vector);
                a.jmp(LongCommon);
            }, 64);
        }
        Place(LongCommon, LongHandler, 64);
        Place(LongEnter, Enter);
        var tables = new byte[LongTablesSize];
        void Put(uint at, ulong value) => BitConverter.TryWriteBytes(tables.AsSpan((int)(at - LongGdt)), value);
        Put(LongGdt + Code0, Descriptors.Segment(Descriptors.Code, 0));
        Put(LongGdt + Data0, Descriptors.Segment(Descriptors.Data, 0));
        Put(LongGdt + (Code3 & ~3U), Descriptors.Segment(Descriptors.Code, 3));
        Put(LongGdt + (Data3 & ~3U), Descriptors.Segment(Descriptors.Data, 3));
        Put(LongGdt + TssSelector, Descriptors.System(SystemType.AvailableTss32, LongTss, 0x67));
        Put(LongGdt + LongLdt, Descriptors.System(SystemType.Ldt, Ldt, 0x3F));
        Put(LongGdt + LongCode0, Descriptors.LongCode(Descriptors.Code, 0));
        Put(LongGdt + (LongCode3 & ~3U), Descriptors.LongCode(Descriptors.Code, 3));
        Put(LongGdt + LongConforming, Descriptors.LongCode(Descriptors.ConformingCode, 0));
        Put(LongTss + 4, Stack0);
        Put(LongTss + 0x24, InterruptStack1);
        Put(LongTss + 0x2C, InterruptStack2);
        // The I/O permission bit map begins behind the limit: no port is open.
        Put(LongTss + 0x60, 0x68UL << 48);
        for (uint v = 0; v < Vectors; v++)
            Put(LongIdt + 16 * v, Descriptors.Gate(LongCode0, LongStubs + 16 * v, SystemType.InterruptGate32, v == Done ? 3 : 0, v == 8 ? 2 : 0));
        Place(LongTables, tables);
    }

    /// <summary>
    /// In EAX the rights of pages below 4 MiB besides P and R/W. Goes on behind its caller in 64-bit mode at CPL 0 with flat segments, the runtime's stack, and
    /// zeros in the registers.
    /// </summary>
    private static void Enter(Assembler a)
    {
        a.pop(ebp);
        a.mov(ebx, eax);
        a.cld();
        a.mov(esi, LongTables);
        a.mov(edi, LongGdt);
        a.mov(ecx, LongTablesSize / 4);
        a.rep.movsd();
        a.mov(edi, PageTables);
        a.xor(eax, eax);
        a.mov(ecx, LongPageTablesSize / 4);
        a.rep.stosd();
        a.mov(__byte_ptr[Page], 0xC3);
        a.mov(__byte_ptr[Page + 0x1000], 0xC3);
        (uint At, uint Value)[] entries =
        [
            (Pml4, Pdpt | 7), (Pml4 + 8 * 255, Pdpt | 7), (Pml4 + 8 * 256, Pdpt | 7), (Pdpt, PageDirectory | 7), (Pdpt + 8 * 511, HighPageDirectory | 7), (HighPageDirectory + 8 * 511, HighPageTable | 7),
            (HighPageTable + 8 * 511, (Page + 0x1000) | 7), (PageDirectory, 0x83), (PageDirectory + 8, 0x20_0083), (PageDirectory + 16, PageTable | 7), (PageTable, Page | 7), (PageTable + 8, (Page + 0x1000) | 7),
        ];
        foreach ((uint at, uint value) in entries)
            a.mov(__dword_ptr[at], value);
        a.or(__dword_ptr[PageDirectory], ebx);
        a.or(__dword_ptr[PageDirectory + 8], ebx);
        a.mov(ecx, Efer);
        a.mov(eax, 0x901); // NXE, LME, SCE
        a.xor(edx, edx);
        a.wrmsr();
        a.mov(eax, 0x20);
        a.mov(cr4, eax);
        a.mov(eax, PageTables);
        a.mov(cr3, eax);
        a.mov(eax, 0x8001_0011);
        a.mov(cr0, eax);
        LoadTables(a, LongGdt, LongGdtLimit, LongIdt, 16 * Vectors - 1, LongLdt);
        a.push(LongCode0);
        a.push(ebp);
        foreach (AssemblerRegister32 r in (AssemblerRegister32[])[eax, ebx, ecx, edx, esi, edi, ebp])
            a.xor(r, r);
        a.retf();
    }

    /// <summary>On the stack: vector, error code, RIP, CS, RFLAGS, RSP, SS.</summary>
    private static void LongHandler(Assembler a)
    {
        a.push(rax);
        a.push(rcx);
        (int At, Field Field)[] words =
        [
            (16, Field.Vector), (24, Field.ErrorCode), (32, Field.Ip), (36, Field.IpHigh), (40, Field.Cs), (48, Field.Flags), (56, Field.Sp), (60, Field.SpHigh), (64, Field.Ss), (8, Field.Ax),
        ];
        foreach ((int at, Field field) in words)
        {
            a.mov(eax, __dword_ptr[rsp + at]);
            a.mov(At(field), eax);
        }
        a.lea(rax, __[rsp + 72]);
        a.mov(At(Field.HandlerSp), eax);
        a.mov(eax, ss);
        a.shl(eax, 16);
        a.mov(ecx, cs);
        a.or(eax, ecx);
        a.mov(At(Field.HandlerSegments), eax);
        a.mov(At(Field.Long), 1);
        Label noAddress = a.CreateLabel();
        Label noDebug = a.CreateLabel();
        a.cmp(At(Field.Vector), 14);
        a.jne(noAddress);
        a.mov(rax, cr2);
        a.mov(At(Field.Address), eax);
        a.shr(rax, 32);
        a.mov(At(Field.AddressHigh), eax);
        a.Label(ref noAddress);
        a.cmp(At(Field.Vector), 1);
        a.jne(noDebug);
        a.mov(rax, dr6);
        a.and(eax, 0xE00F);
        a.mov(At(Field.Debug), eax);
        a.Label(ref noDebug);
        a.xor(eax, eax);
        a.str(eax);
        a.mov(At(Field.Task), eax);
        // Without process-context identifiers, or paging could not be left.
        a.mov(eax, 0x20);
        a.mov(cr4, rax);
        a.mov(rsp, (ulong)KernelStack);
        Label leave = a.CreateLabel();
        a.lea(rax, __[leave]);
        a.push(Code0);
        a.push(rax);
        a.db(0x48, 0xCB); // retfq
        // In compatibility mode: these bytes mean the same in 32-bit code.
        a.Label(ref leave);
        a.db(0xB8, 0x11, 0, 0, 0); // mov eax, 11
        a.db(0x0F, 0x22, 0xC0); // mov cr0, eax
        a.mov(ecx, Efer);
        a.xor(eax, eax);
        a.xor(edx, edx);
        a.wrmsr();
        a.jmp(Runtime);
    }
}
