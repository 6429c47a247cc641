using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Unicorn;

namespace Emu.Differ.Machines;

/// <summary>x87, MMX and SSE registers of Unicorn. What it does not keep (the pointers and opcode of x87) stays as the case has it.</summary>
internal sealed unsafe class UnicornFloating : IDisposable
{
    private const int Slots = 8 + 16 + 4;

    private readonly int* _numbers = (int*)NativeMemory.AllocZeroed(Slots, sizeof(int));
    private readonly byte* _values = (byte*)NativeMemory.AllocZeroed(Slots, 16);
    private readonly void** _pointers = (void**)NativeMemory.AllocZeroed(Slots, (nuint)sizeof(void*));
    private readonly int _vectors;

    public UnicornFloating(CodeMode mode)
    {
        _vectors = mode.VectorCount();
        for (int i = 0; i < 8; i++)
            _numbers[i] = (int)UnicornRegister.St0 + i;
        _numbers[8] = (int)UnicornRegister.Fpcw;
        _numbers[9] = (int)UnicornRegister.Fpsw;
        _numbers[10] = (int)UnicornRegister.Fptag;
        _numbers[11] = (int)UnicornRegister.Mxcsr;
        for (int i = 0; i < _vectors; i++)
            _numbers[12 + i] = (int)UnicornRegister.Xmm0 + i;
        for (int i = 0; i < Slots; i++)
            _pointers[i] = _values + 16 * i;
    }

    public void Write(UnicornEngine engine, in FloatingState s)
    {
        for (int i = 0; i < 8; i++)
        {
            *(ulong*)(_values + 16 * i) = s.X87[2 * i];
            *(ushort*)(_values + 16 * i + 8) = (ushort)s.X87[2 * i + 1];
        }
        *(ushort*)(_values + 16 * 8) = s.Control;
        *(ushort*)(_values + 16 * 9) = s.Status;
        ushort tags = 0;
        for (int i = 0; i < 8; i++)
            if ((s.Tags >> i & 1) == 0)
                tags |= (ushort)(3 << 2 * i);
        *(ushort*)(_values + 16 * 10) = tags;
        *(uint*)(_values + 16 * 11) = s.Mxcsr;
        for (int i = 0; i < 2 * _vectors; i++)
            *(ulong*)(_values + 16 * 12 + 8 * i) = s.Xmm[i];
        engine.WriteBatch(_numbers, _pointers, 12 + _vectors);
    }

    public void Read(UnicornEngine engine, ref FloatingState s)
    {
        engine.ReadBatch(_numbers, _pointers, 12 + _vectors);
        for (int i = 0; i < 8; i++)
        {
            s.X87[2 * i] = *(ulong*)(_values + 16 * i);
            s.X87[2 * i + 1] = *(ushort*)(_values + 16 * i + 8);
        }
        s.Control = *(ushort*)(_values + 16 * 8);
        s.Status = *(ushort*)(_values + 16 * 9);
        s.Tags = 0;
        for (int i = 0; i < 8; i++)
            if ((*(ushort*)(_values + 16 * 10) >> 2 * i & 3) != 3)
                s.Tags |= (byte)(1 << i);
        s.Mxcsr = *(uint*)(_values + 16 * 11);
        for (int i = 0; i < 2 * _vectors; i++)
            s.Xmm[i] = *(ulong*)(_values + 16 * 12 + 8 * i);
    }

    public void Dispose()
    {
        NativeMemory.Free(_numbers);
        NativeMemory.Free(_values);
        NativeMemory.Free(_pointers);
    }
}
