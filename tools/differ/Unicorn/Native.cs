using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Emu.Differ.Unicorn;

/// <summary>The C functions of unicorn.h (Unicorn 2.0) that the differ calls, under their own names.</summary>
internal static unsafe partial class Native
{
    public const string Library = "unicorn";

    /// <summary>x86 of enum uc_arch.</summary>
    public const int ArchX86 = 4;

    // The control word of uc_ctl: direction in bits 31:30 (1 = write), number of arguments in 29:26, type in 15:0.
    public const int CtlSetCpuModel = 1 << 30 | 1 << 26 | 7;
    public const int CtlUseExits = 1 << 30 | 1 << 26 | 4;
    public const int CtlSetExits = 1 << 30 | 2 << 26 | 6;
    public const int CtlRemoveTranslations = 1 << 30 | 2 << 26 | 9;

    [LibraryImport(Library)]
    public static partial uint uc_version(out uint major, out uint minor);

    [LibraryImport(Library)]
    public static partial byte* uc_strerror(UnicornError code);

    [LibraryImport(Library)]
    public static partial UnicornError uc_open(int arch, int mode, out nint engine);

    [LibraryImport(Library)]
    public static partial UnicornError uc_close(nint engine);

    [LibraryImport(Library)]
    public static partial UnicornError uc_mem_map_ptr(nint engine, ulong address, nuint size, uint permissions, void* host);

    [LibraryImport(Library)]
    public static partial UnicornError uc_mem_unmap(nint engine, ulong address, nuint size);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial UnicornError uc_reg_read(nint engine, int register, void* value);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial UnicornError uc_reg_write(nint engine, int register, void* value);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial UnicornError uc_reg_read_batch(nint engine, int* registers, void** values, int count);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial UnicornError uc_reg_write_batch(nint engine, int* registers, void** values, int count);

    [LibraryImport(Library)]
    public static partial UnicornError uc_emu_start(nint engine, ulong begin, ulong until, ulong timeoutMicroseconds, nuint count);

    [LibraryImport(Library)]
    public static partial UnicornError uc_emu_stop(nint engine);

    // uc_hook_add is variadic in C: the argument behind the range is passed only for UC_HOOK_INSN. The System V and Microsoft conventions pass
    // integer arguments of variadic functions as they pass those of others.
    [LibraryImport(Library)]
    public static partial UnicornError uc_hook_add(nint engine, out nuint hook, int type, void* callback, nint user, ulong begin, ulong end, int instruction);

    // Variadic as well.
    [LibraryImport(Library, EntryPoint = "uc_ctl")]
    public static partial UnicornError uc_ctl_set(nint engine, int control, int value);

    [LibraryImport(Library, EntryPoint = "uc_ctl")]
    public static partial UnicornError uc_ctl_set_exits(nint engine, int control, ulong* exits, nuint count);

    [LibraryImport(Library, EntryPoint = "uc_ctl")]
    public static partial UnicornError uc_ctl_remove(nint engine, int control, ulong begin, ulong end);

    [LibraryImport(Library)]
    public static partial UnicornError uc_context_alloc(nint engine, out nint context);

    [LibraryImport(Library)]
    public static partial UnicornError uc_context_free(nint context);

    [LibraryImport(Library)]
    public static partial UnicornError uc_context_save(nint engine, nint context);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial UnicornError uc_context_restore(nint engine, nint context);

    // The verbs of emu are the only application that uses this library, and every import needs the resolver.
#pragma warning disable CA2255
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void Initialise() =>
        NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, (name, _, _) => name == Library ? UnicornLibrary.Handle : 0);
}

/// <summary>enum uc_err.</summary>
public enum UnicornError
{
    Ok = 0,
    NoMemory,
    Arch,
    Handle,
    Mode,
    Version,
    ReadUnmapped,
    WriteUnmapped,
    FetchUnmapped,
    Hook,
    InvalidInstruction,
    Map,
    WriteProtected,
    ReadProtected,
    FetchProtected,
    Argument,
    ReadUnaligned,
    WriteUnaligned,
    FetchUnaligned,
    HookExists,
    Resource,
    Exception,
}

/// <summary>enum uc_mode, of x86.</summary>
public enum UnicornMode
{
    Real16 = 2,
    Protected32 = 4,
    Long64 = 8,
}

/// <summary>enum uc_x86_reg, as far as the differ uses it. The 64-bit names exist only in <see cref="UnicornMode.Long64"/>: elsewhere they read as 0.</summary>
public enum UnicornRegister
{
    Cs = 11,
    Ds = 17,
    Eax = 19,
    Ebp,
    Ebx,
    Ecx,
    Edi,
    Edx,
    Eflags,
    Eip,
    Fpsw = 31,
    Es = 28,
    Esi,
    Esp,
    Fs = 32,
    Gs = 33,
    Rax = 35,
    Rbp = 36,
    Rbx = 37,
    Rcx = 38,
    Rdi = 39,
    Rdx = 40,
    Rip = 41,
    Rsi = 43,
    Rsp = 44,
    Ss = 49,
    Cr0 = 50,
    Cr2 = 52,
    Cr3 = 53,
    Cr4 = 54,
    R8 = 106,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,

    /// <summary>ST(0); the others follow.</summary>
    St0,
    Xmm0 = 122,
    Fpcw = 246,
    Fptag = 247,
    Mxcsr = 249,
    Idtr = 242,
    Gdtr = 243,
    Ldtr = 244,
    Tr = 245,
    Msr = 248,
    FsBase = 250,
    GsBase = 251,
    Rflags = 253,
}

/// <summary>uc_x86_mmr: a system segment or descriptor-table register.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct UnicornTableRegister
{
    public ushort Selector;
    public ulong Base;
    public uint Limit;
    public uint Flags;
}

/// <summary>uc_x86_msr.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct UnicornMsr
{
    public uint Number;
    public ulong Value;
}

/// <summary>enum uc_hook_type, as far as the differ uses it.</summary>
[Flags]
public enum UnicornHooks
{
    Interrupt = 1 << 0,
    Instruction = 1 << 1,
    Code = 1 << 2,
    ReadUnmapped = 1 << 4,
    WriteUnmapped = 1 << 5,
    FetchUnmapped = 1 << 6,
    ReadProtected = 1 << 7,
    WriteProtected = 1 << 8,
    FetchProtected = 1 << 9,
    Block = 1 << 3,
    MemoryInvalid = ReadUnmapped | WriteUnmapped | FetchUnmapped | ReadProtected | WriteProtected | FetchProtected,
    Read = 1 << 10,
    Write = 1 << 11,
    InvalidInstruction = 1 << 14,
}
