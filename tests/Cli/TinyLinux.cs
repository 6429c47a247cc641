using Emu.Tests.Boot;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Cli;

/// <summary>
/// A bzImage that unpacks a "kernel" of a few functions, named as Linux's are, with its own symbols: it patches one site of its code by a breakpoint, the tail and the first
/// byte, and synchronises after each; it executes the site before and after.
/// </summary>
internal static class TinyLinux
{
    /// <summary>Linear address minus physical address.</summary>
    private const ulong Shift = 0xFFFF_FFFF_8000_0000;
    private const ulong Physical = 0x20_0000;
    private const ulong LoadAddress = 0x10_0000;

    private const int Main = 0x100;
    private const int RestInit = 0x200;
    private const int Batch = 0x240;
    private const int Poke = 0x340;
    private const int Sync = 0x380;
    private const int Site = 0x3A0;
    private const int Memcpy = 0x3C0;
    private const int Bytes = 0x3E0;

    private static ulong At(int offset) => Physical + Shift + (ulong)offset;

    /// <param name="lateWrite">Before rest_init runs, the first byte of text_poke_bp_batch is written once more, as alternatives are.</param>
    public static byte[] Build(bool symbols = true, bool lateWrite = false)
    {
        byte[] code = new byte[0x400];
        Put(code, 0, a =>
        {
            // PML4[511] and PDPT[510]: the first GiB again, where a kernel is linked.
            a.mov(rax, __qword_ptr[0x9000]);
            a.mov(__qword_ptr[0x9000 + 511 * 8], rax);
            a.mov(rax, __qword_ptr[0xA000]);
            a.mov(__qword_ptr[0xA000 + 510 * 8], rax);
            a.mov(rsp, At(0x8_0000));
            a.mov(rax, At(Main));
            a.jmp(rax);
        });
        Put(code, Main, a =>
        {
            a.call(At(Site));
            a.mov(rbx, At(Batch));
            if (lateWrite)
                a.mov(__byte_ptr[rbx], 0x48); // REX.W of its first MOV
            a.call(At(RestInit));
            a.call(At(Batch));
            a.call(At(Site));
            a.call(At(Site));
            a.mov(al, 0x10);
            a.@out(0xF4, al);
            a.hlt();
        });
        Put(code, RestInit, a => a.ret());
        Put(code, Batch, a =>
        {
            for (int i = 0; i < 3; i++)
            {
                a.mov(rsi, At(Site + (i == 1 ? 1 : 0)));
                a.mov(rdx, At(Bytes + i));
                a.mov(ecx, 1);
                a.call(At(Poke));
                a.call(At(Sync));
            }
            a.ret();
        });
        Put(code, Poke, a =>
        {
            a.mov(rdi, rsi);
            a.mov(rsi, rdx);
            a.rep.movsb();
            a.ret();
        });
        Put(code, Sync, a =>
        {
            a.xor(eax, eax);
            a.cpuid();
            a.ret();
        });
        byte[] site = [0x66, 0x90, 0xC3];
        site.CopyTo(code, Site);
        code[Memcpy] = 0xC3;
        byte[] poked = [0xCC, 0x00, 0xEB];
        poked.CopyTo(code, Bytes);
        byte[] kernel = !symbols ? code : new KallsymsImage
        {
            Code = code,
            Symbols =
            [
                ("Tstartup_64", 0), ("tmain", Main), ("Trest_init", RestInit), ("ttext_poke_bp_batch", Batch), ("t__text_poke", Poke), ("tdo_sync_core", Sync),
                ("tsite", Site), ("ttext_poke_memcpy", Memcpy), ("dbytes", Bytes),
            ],
        }.Build();
        return new LinuxImage { Code = Unpacker(kernel), PreferredAddress = Physical, InitSize = 0x20_0000 }.Build();
    }

    /// <summary>Copies the kernel to where it is linked, and enters it.</summary>
    private static byte[] Unpacker(byte[] kernel)
    {
        byte[] image = new byte[0x300 + kernel.Length];
        byte[] code = Assemble(LoadAddress + 0x200, a =>
        {
            a.mov(rsi, LoadAddress + 0x300);
            a.mov(rdi, Physical);
            a.mov(ecx, kernel.Length);
            a.rep.movsb();
            a.mov(rax, Physical);
            a.jmp(rax);
        });
        code.CopyTo(image, 0x200);
        kernel.CopyTo(image, 0x300);
        return image;
    }

    private static void Put(byte[] code, int offset, Action<Assembler> write) => Assemble(offset == 0 ? Physical : At(offset), write).CopyTo(code, offset);

    private static byte[] Assemble(ulong at, Action<Assembler> write)
    {
        var assembler = new Assembler(64);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }
}
