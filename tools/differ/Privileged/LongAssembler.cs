using Iced.Intel;
using static Emu.Differ.Privileged.GuestLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Differ.Privileged;

/// <summary>What cases of long mode are written with: 64-bit code that begins at CPL 0.</summary>
public sealed class LongAssembler
{
    private const uint UserRight = 4;

    private LongAssembler()
    {
    }

    /// <summary>The instructions themselves.</summary>
    public Assembler Code { get; } = new(64);

    /// <summary>A case of 64-bit code.</summary>
    /// <param name="name">Of the case.</param>
    /// <param name="emit">Its code.</param>
    /// <param name="user">CPL 3 may use the pages below 4 MiB.</param>
    public static GuestCase Case(string name, Action<LongAssembler> emit, bool user = true) => new($"long {name}", c =>
    {
        var l = new LongAssembler();
        emit(l);
        using var stream = new MemoryStream();
        l.Code.Assemble(new StreamCodeWriter(stream), 0);
        c.Code.mov(eax, user ? UserRight : 0);
        c.Code.call(LongEnter);
        c.Code.db(stream.ToArray());
    });

    /// <summary>Says that nothing happened.</summary>
    public void Done() => Code.@int(GuestLayout.Done);

    public void Write32(uint address, uint value) => Code.mov(__dword_ptr[address], value);

    public void Write64(uint address, ulong value)
    {
        Write32(address, (uint)value);
        Write32(address + 4, (uint)(value >> 32));
    }

    /// <summary>A descriptor of the GDT: its lower eight bytes, and the upper ones of those that have them.</summary>
    public void SetDescriptor(ushort selector, ulong raw, ulong high = 0)
    {
        Write64(LongGdt + (selector & 0xFFF8U), raw);
        Write64(LongGdt + (selector & 0xFFF8U) + 8, high);
    }

    public void SetGate(byte vector, ulong raw, ulong high = 0)
    {
        Write64(LongIdt + 16U * vector, raw);
        Write64(LongIdt + 16U * vector + 8, high);
    }

    /// <summary>The handler of a vector uses the first stack of the interrupt stack table.</summary>
    public void UseInterruptStack(byte vector) => Code.mov(__byte_ptr[LongIdt + 16U * vector + 4], 1);

    public void WriteMsr(uint msr, ulong value)
    {
        Code.mov(ecx, msr);
        Code.mov(eax, (uint)value);
        Code.mov(edx, (uint)(value >> 32));
        Code.wrmsr();
    }

    /// <summary>Sets bits of CR4.</summary>
    public void SetCr4(uint bits)
    {
        Code.mov(rax, cr4);
        Code.or(eax, bits);
        Code.mov(cr4, rax);
    }

    /// <summary>Goes on at this place at CPL 3, in 64-bit mode.</summary>
    public void EnterUser(uint flags = 2)
    {
        Label body = Code.CreateLabel();
        Code.lea(rax, __[body]);
        Code.push(Data3);
        Code.push((int)Stack3);
        Code.push((int)flags);
        Code.push(LongCode3);
        Code.push(rax);
        Code.iretq();
        Code.Label(ref body);
        Code.nop();
    }

    /// <summary>Goes on at this place in compatibility mode; what follows must be 32-bit code.</summary>
    public void EnterCompatibility(bool user)
    {
        Label body = Code.CreateLabel();
        Code.lea(rax, __[body]);
        Code.push(user ? Data3 : Data0);
        Code.push((int)(user ? Stack3 : KernelStack));
        Code.push(2);
        Code.push(user ? Code3 : Code0);
        Code.push(rax);
        Code.iretq();
        Code.Label(ref body);
        Code.nop();
    }

    /// <summary>Code of 16 or 32 bits.</summary>
    public void Embed(int bits, Action<Assembler> code)
    {
        var assembler = new Assembler(bits);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        Code.db(stream.ToArray());
    }

    /// <summary>A far JMP or CALL by a pointer on the stack, with an offset of 8 bytes, or of 4.</summary>
    public void Transfer(bool call, int selector, ulong offset = CaseAssembler.Landing, bool wide = true)
    {
        if (wide)
        {
            Code.push(selector);
            Code.mov(rax, offset);
            Code.push(rax);
            Code.db(0x48);
        }
        else
        {
            Code.push(0);
            Code.mov(__dword_ptr[rsp], (uint)offset);
            Code.mov(__dword_ptr[rsp + 4], selector);
        }
        Code.db(0xFF, (byte)(call ? 0x1C : 0x2C), 0x24);
    }
}
