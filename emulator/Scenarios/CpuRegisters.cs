using Emu.Cpus;
using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>Registers by the names that scenarios use: general registers of any width, rip, eflags, and the interrupt flag <c>if</c>.</summary>
internal static unsafe class CpuRegisters
{
    /// <summary>In the order of their encoding, as CpuState keeps them.</summary>
    public static readonly string[] General =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    public static bool Exists(string name) => name is "rip" or "eflags" or "rflags" or "if" || TryFind(name, out _);

    /// <summary>Bytes that a comparison looks at.</summary>
    public static int SizeOf(string name) => name switch
    {
        "rip" or "rflags" => 8,
        "eflags" => 4,
        "if" => 1,
        _ => TryFind(name, out Register r) ? r.GetSize() : 8,
    };

    public static ulong Read(Cpu cpu, string name)
    {
        CpuState* s = cpu.State;
        switch (name)
        {
            case "rip":
                return s->Rip;
            case "eflags" or "rflags":
                return Flags.Get(s);
            case "if":
                return (s->SystemFlags & Rflags.If) != 0 ? 1UL : 0;
        }
        TryFind(name, out Register r);
        ulong value = s->Registers[r.GetFullRegister().GetNumber()];
        if (IsHighByte(r))
            value >>= 8;
        int size = r.GetSize();
        return size == 8 ? value : value & ((1UL << (8 * size)) - 1);
    }

    /// <summary>Sets a register whole; a part of one is zero-extended, as initial values are.</summary>
    public static void Write(Cpu cpu, string name, ulong value)
    {
        CpuState* s = cpu.State;
        switch (name)
        {
            case "rip":
                s->Rip = value;
                return;
            case "eflags" or "rflags":
                Flags.Set(s, value | Rflags.Reserved1);
                return;
            case "if":
                Flags.Set(s, value != 0 ? Flags.Get(s) | Rflags.If : Flags.Get(s) & ~Rflags.If);
                return;
        }
        TryFind(name, out Register r);
        s->Registers[r.GetFullRegister().GetNumber()] = IsHighByte(r) ? value << 8 : value;
    }

    private static bool IsHighByte(Register r) => r is Register.AH or Register.BH or Register.CH or Register.DH;

    private static bool TryFind(string name, out Register register) => AttOperand.TryRegister(name, out register) && register.IsGPR();
}
