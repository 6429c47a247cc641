using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// Finds the handler of a form for an operand width and a kind of memory. They are instances of generic methods, thousands in all, of which a guest uses a few hundred.
/// They are put together here by reflection, when an instruction is first lowered to them: selectors generic over the same types would have to be compiled as well, and
/// took half of the time that the JIT had. A handler that was not compiled ahead of time, the JIT compiles when it first runs. Safe for several threads.
/// </summary>
internal static unsafe class Handlers
{
    private static readonly ConcurrentDictionary<(Type Form, Type Width, Type Memory), nint> Forms = [];
    private static readonly ConcurrentDictionary<Type, nint> Runs = [];

    /// <summary>The type of an operand of so many bytes; the widest one for what is no such operand.</summary>
    public static Type Width(int size) => size switch { 1 => typeof(W8), 2 => typeof(W16), 4 => typeof(W32), _ => typeof(W64) };

    /// <summary>How the fast handler reaches memory.</summary>
    /// <param name="none">Of an operation without a memory operand.</param>
    public static Type Memory(AddressForm address, Type none) => address switch
    {
        AddressForm.Base => typeof(Fast<BaseForm>),
        AddressForm.Index => typeof(Fast<IndexForm>),
        AddressForm.Segment => typeof(Fast<SegmentForm>),
        AddressForm.Flat32 => typeof(Fast<Flat32Form>),
        AddressForm.General => typeof(Full),
        _ => none,
    };

    /// <summary>The handler of an <see cref="IForm"/>.</summary>
    public static delegate*<CpuState*, Op*, Op*> Of(Type form, Type width, Type memory) =>
        (delegate*<CpuState*, Op*, Op*>)Forms.GetOrAdd((form, width, memory),
            static key => Method(key.Form, nameof(IForm.Run)).MakeGenericMethod(key.Width, key.Memory).MethodHandle.GetFunctionPointer());

    /// <summary>The handler of an <see cref="IRun"/>.</summary>
    public static delegate*<CpuState*, Op*, Op*> Of(Type run) =>
        (delegate*<CpuState*, Op*, Op*>)Runs.GetOrAdd(run, static type => Method(type, nameof(IRun.Run)).MethodHandle.GetFunctionPointer());

    /// <summary>A step, and then the rest: an <see cref="IRun"/>.</summary>
    public static Type Prepend(StepType step, Type rest) => typeof(Then<,,,>).MakeGenericType(step.Step, step.Width, step.Memory, rest);

    /// <summary>
    /// Names the handlers of a form that reaches memory so. Such code is never run: a compiler ahead of time (tools/emu is compiled by one) does not see what reflection
    /// will put together, but compiles what it finds named. Handlers that are named nowhere, as the joined ones, the JIT compiles as before.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Name<F, M>() where F : struct, IForm where M : struct, IMemory
    {
        _named = (nint)(delegate*<CpuState*, Op*, Op*>)&F.Run<W8, M>;
        _named = (nint)(delegate*<CpuState*, Op*, Op*>)&F.Run<W16, M>;
        _named = (nint)(delegate*<CpuState*, Op*, Op*>)&F.Run<W32, M>;
        _named = (nint)(delegate*<CpuState*, Op*, Op*>)&F.Run<W64, M>;
    }

    /// <summary>Names the handlers of a form with a memory operand; never called.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void NameWithMemory<F>() where F : struct, IForm
    {
        Name<F, Fast<BaseForm>>();
        Name<F, Fast<IndexForm>>();
        Name<F, Fast<SegmentForm>>();
        Name<F, Full>();
    }

    /// <summary>Names the handler of a run; never called.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Name<R>() where R : struct, IRun => _named = (nint)(delegate*<CpuState*, Op*, Op*>)&R.Run;

    private static nint _named;

    private static MethodInfo Method(Type type, string name) =>
        type.GetMethod(name, BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly) ?? throw new InvalidOperationException($"{type} has no public {name}");
}

/// <summary>The types of one step, so that it can be joined to others.</summary>
/// <param name="Step">An <see cref="IStep"/>.</param>
/// <param name="Width">An <see cref="IWidth"/>.</param>
/// <param name="Memory">An <see cref="IMemory"/>.</param>
public readonly record struct StepType(Type Step, Type Width, Type Memory);
