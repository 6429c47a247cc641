using System.Numerics;
using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>CRC32 of SSE4.2: polynomial 11EDC6F41h, bits reflected. On general registers: no state of SSE is looked at.</summary>
public static unsafe class Crc32
{
    /// <summary>Selects handlers by the width of the source; the destination is 32 bits and, with REX.W, zero-extended.</summary>
    public static void Lower(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        int size = l.SizeOf(1);
        if (l.IsMemory(1))
        {
            l.SelectStep<FromMemory>(size, l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<FromRegister>(size);
    }

    private readonly struct FromRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Accumulate<W>(s, op, Width.Read<W>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct FromMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong value))
                return false;
            Accumulate<W>(s, op, value);
            return true;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Accumulate<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
    {
        uint crc = (uint)Width.Read<W32>(s, op->Reg0);
        Width.Write<W64>(s, op->Reg0, W.Bits switch
        {
            8 => BitOperations.Crc32C(crc, (byte)value),
            16 => BitOperations.Crc32C(crc, (ushort)value),
            32 => BitOperations.Crc32C(crc, (uint)value),
            _ => BitOperations.Crc32C(crc, value),
        });
    }
}
