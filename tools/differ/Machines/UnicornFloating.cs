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
        // The status word first: the registers are those that its TOP makes them.
        _numbers[0] = (int)UnicornRegister.Fpsw;
        _numbers[1] = (int)UnicornRegister.Fpcw;
        _numbers[2] = (int)UnicornRegister.Fptag;
        _numbers[3] = (int)UnicornRegister.Mxcsr;
        for (int i = 0; i < 8; i++)
            _numbers[4 + i] = (int)UnicornRegister.St0 + i;
        for (int i = 0; i < _vectors; i++)
            _numbers[12 + i] = (int)UnicornRegister.Xmm0 + i;
        for (int i = 0; i < Slots; i++)
            _pointers[i] = _values + 16 * i;
    }

    public void Write(UnicornEngine engine, in FloatingState s)
    {
        *(ushort*)_values = s.Status;
        *(ushort*)(_values + 16) = s.Control;
        ushort tags = 0;
        for (int i = 0; i < 8; i++)
            if ((s.Tags >> i & 1) == 0)
                tags |= (ushort)(3 << 2 * i);
        *(ushort*)(_values + 16 * 2) = tags;
        *(uint*)(_values + 16 * 3) = s.Mxcsr;
        for (int i = 0; i < 8; i++)
        {
            int r = (FloatingImage.Top(s) + i) & 7;
            *(ulong*)(_values + 16 * (4 + i)) = s.X87[2 * r];
            *(ushort*)(_values + 16 * (4 + i) + 8) = (ushort)s.X87[2 * r + 1];
        }
        for (int i = 0; i < 2 * _vectors; i++)
            *(ulong*)(_values + 16 * 12 + 8 * i) = s.Xmm[i];
        engine.WriteBatch(_numbers, _pointers, 12 + _vectors);
    }

    public void Read(UnicornEngine engine, ref FloatingState s)
    {
        engine.ReadBatch(_numbers, _pointers, 12 + _vectors);
        s.Status = *(ushort*)_values;
        s.Control = *(ushort*)(_values + 16);
        s.Tags = 0;
        for (int i = 0; i < 8; i++)
            if ((*(ushort*)(_values + 16 * 2) >> 2 * i & 3) != 3)
                s.Tags |= (byte)(1 << i);
        s.Mxcsr = *(uint*)(_values + 16 * 3);
        for (int i = 0; i < 8; i++)
        {
            int r = (FloatingImage.Top(s) + i) & 7;
            s.X87[2 * r] = *(ulong*)(_values + 16 * (4 + i));
            s.X87[2 * r + 1] = *(ushort*)(_values + 16 * (4 + i) + 8);
        }
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
