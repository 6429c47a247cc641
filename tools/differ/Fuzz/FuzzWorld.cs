using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Differ.Fuzz;

/// <summary>
/// A machine with tables that make sense, in one mode, to which it is brought back at will: descriptors of all kinds, gates to HLT and IRET, pages of
/// different rights, holes, the local APIC, and the devices of the platform.
/// </summary>
internal sealed unsafe class FuzzWorld : IDisposable
{
    public const uint RamSize = 2 << 20;

    /// <summary>How long a CPU may wait for a timer.</summary>
    private const ulong IdleTicks = 10_000;

    private const uint Pml4 = 0x1_0000, Pdpt = 0x1_1000, Directory = 0x1_2000, PageTable = 0x1_3000, ApicDirectory = 0x1_4000;
    private const uint Gdt = 0x1_5000, Idt = 0x1_6000, Ldt = 0x1_7000, Tss = 0x1_8000, OtherTss = 0x1_8800, Handlers = 0x1_9000;
    private const ushort Code0 = 0x08, Data0 = 0x10, Code3 = 0x1B, Data3 = 0x23, TssSelector = 0x28;

    private readonly Machine _machine;
    private readonly MachineSnapshot _snapshot;
    private readonly CpuState* _s;
    private CpuState _pristine;

    public FuzzWorld(FuzzMode mode, FetchProfile profile)
    {
        CpuModel model = mode switch
        {
            FuzzMode.Real or FuzzMode.Virtual8086 or FuzzMode.Protected16 => CpuModels.Pentium3,
            FuzzMode.Protected32 => CpuModels.K8,
            FuzzMode.Compatibility => CpuModels.Skylake,
            _ => CpuModels.AlderLake,
        };
        Mode = mode;
        _machine = new Machine(new MachineOptions { CpuCount = 1, Model = model, Profile = profile, MemorySize = RamSize });
        _s = _machine.Cpus[0].State;
        _s->Activity = Activity.Active;
        WriteTables(mode >= FuzzMode.Compatibility);
        Enter(mode);
        CpuMode.Update(_s);
        CpuMode.FlushTlb(_s, keepGlobal: false);
        _snapshot = _machine.TakeSnapshot();
        _pristine = *_s;
    }

    public FuzzMode Mode { get; }
    public Cpu Cpu => _machine.Cpus[0];
    public PhysicalMemory Memory => _machine.Memory;

    /// <summary>Everything as it was made, RAM and devices too.</summary>
    public void Restore() => _machine.Restore(_snapshot);

    /// <summary>The CPU as it was made; memory stays as it is.</summary>
    public CpuState* Rewind()
    {
        uint jumpKey = _s->JumpKey;
        *_s = _pristine;
        _s->JumpKey = (jumpKey & ~ModeKey.Mask) | _s->ModeKey;
        CpuMode.FlushTlb(_s, keepGlobal: false);
        Cpu.StoreBuffer.Restore([]);
        return _s;
    }

    /// <summary>Executes up to so many instructions; devices may end the machine, the CPU goes on.</summary>
    public void Run(int instructions, bool stepping)
    {
        // By time as well: behind CLI and HLT a timer may tick for ever.
        if (!stepping)
            _machine.RunUntil(_machine.Now + IdleTicks, (ulong)instructions);
        for (int i = 0; stepping && i < instructions && _s->Activity == Activity.Active && _s->Exit == ExitReason.None; i++)
            _machine.Step(Cpu.Index);
    }

    /// <summary>The one way to host memory is a translation; each must lead into this machine's RAM.</summary>
    /// <exception cref="InvalidOperationException">One does not.</exception>
    public void CheckTranslations()
    {
        byte* first = Memory.Base, last = Memory.Base + Memory.Size - Page.Size;
        for (int t = 0; t < 3; t++)
        {
            TlbEntry* e = _s->Tlbs[t].Entries;
            for (int i = 0; i < Tlb.Size; i++)
            {
                ulong page = e[i].ReadTag;
                if (page == TlbEntry.Invalid || ((page & TlbEntry.SlowBit) != 0 && (e[i].WriteTag & TlbEntry.SlowBit) != 0))
                    continue;
                byte* host = (byte*)((nint)(page & Page.Mask) + e[i].Addend);
                if (host < first || host > last)
                    throw new InvalidOperationException($"the translation of 0x{page & Page.Mask:x} leads out of RAM");
            }
        }
    }

    /// <summary>Makes one translation lead elsewhere.</summary>
    public void LeadAstray() => _s->Tlb->Fill(0x5_0000, 0x5_0000, TlbFlags.Read | TlbFlags.Write, Memory.Base + Memory.Size, directWrite: true);

    public void Dispose() => _machine.Dispose();

    private void Write(uint at, ulong value, int size = 8) => Memory.Write(at, size, value);

    private void WriteTables(bool longMode)
    {
        // The first 2 MiB by pages of 4 KiB whose rights differ, then a large page of no RAM, then nothing; the APICs at the end of the fourth gigabyte.
        Write(Pml4, Pdpt | 7);
        Write(Pdpt, Directory | (longMode ? 7U : 1));
        Write(Pdpt + 24, ApicDirectory | (longMode ? 7U : 1));
        Write(Directory, PageTable | 7);
        Write(Directory + 8, 0x20_0087);
        for (uint i = 0; i < 512; i++)
            Write(PageTable + 8 * i, (i << 12) | (i < 0x60 ? 7U : (i % 8) switch { 0 => 0U, 1 => 5, 2 => 3, 3 => 0x107, _ => 7 }));
        Write(ApicDirectory + 8 * 0x1F6, 0xFEC0_0087);
        Write(ApicDirectory + 8 * 0x1F7, 0xFEE0_0087);
        ulong[] gdt =
        [
            0, longMode ? 0x00AF_9B00_0000_FFFFUL : 0x00CF_9B00_0000_FFFFUL, 0x00CF_9300_0000_FFFF, longMode ? 0x00AF_FB00_0000_FFFFUL : 0x00CF_FB00_0000_FFFFUL, 0x00CF_F300_0000_FFFF,
            0x0000_8900_0000_02FF | (ulong)Tss << 16, 0, 0x0000_8200_0000_007F | (ulong)Ldt << 16, 0, 0x0000_8900_0000_0067 | (ulong)OtherTss << 16, 0,
            0x00CF_9F00_0000_FFFF, 0x000F_9300_0000_FFFF, 0x00CF_9700_0000_0FFF, 0x0000_EC02_0008_0000 | Handlers, 0x0000_E500_0048_0000, 0x00CF_9B00_0000_FFFF, 0x000F_9B00_0000_FFFF,
        ];
        for (int i = 0; i < gdt.Length; i++)
        {
            Write(Gdt + 8 * (uint)i, gdt[i]);
            Write(Ldt + 8 * (uint)i, gdt[i]);
        }
        for (uint v = 0; v < 256; v++)
        {
            ulong gate = (Handlers + (v & 15)) & 0xFFFFUL | (ulong)Code0 << 16 | (v % 7 == 0 ? 0xEF00UL : 0x8E00UL) << 32 | (ulong)(Handlers >> 16) << 48;
            Write(longMode ? Idt + 16 * v : Idt + 8 * v, !longMode && v % 29 == 28 ? 0x0000_E500_0048_0000 : gate);
            if (longMode)
                Write(Idt + 16 * v + 8, 0);
            // Of real-address mode: 1900:00vv.
            Write(4 * v, 0x1900_0000 | v & 15, 4);
        }
        // HLT, and IRET here and there.
        for (uint i = 0; i < 16; i++)
            Write(Handlers + i, i % 4 == 3 ? 0xCFU : 0xF4, 1);
        foreach (uint tss in (uint[])[Tss, OtherTss])
        {
            Write(tss + 4, longMode ? 0x1_F000UL : 0x0010_0001_F000UL);
            Write(tss + 0x20, Handlers | 2UL << 32);
            Write(tss + 0x38, 0x1_E000, 4);
            for (uint i = 0; i < 6; i++)
                Write(tss + 0x48 + 4 * i, i == 1 ? Code0 : Data0, 4);
            Write(tss + 0x1C, Pdpt, 4);
            Write(tss + 0x66, 0x68, 2);
        }
    }

    private void Enter(FuzzMode mode)
    {
        CpuState* s = _s;
        if (mode == FuzzMode.Real)
        {
            s->Cs.Base = 0x2_0000;
            s->Cs.Selector = 0x2000;
            return;
        }
        bool longMode = mode >= FuzzMode.Compatibility;
        s->Gdtr = new TableRegister { Base = Gdt, Limit = 0x8F };
        s->Idtr = new TableRegister { Base = Idt, Limit = longMode ? 0xFFFU : 0x7FF };
        s->Paging.Cr4 = PagingBits.Cr4Pae;
        s->Paging.Cr3 = longMode ? Pml4 : Pdpt;
        s->Paging.Pdpte0 = Directory | 1;
        s->Paging.Pdpte3 = ApicDirectory | 1;
        s->Paging.Efer = longMode ? ControlBits.EferLme | ControlBits.EferLma | ControlBits.EferSce | ControlBits.EferNxe : 0;
        s->Paging.Cr0 = ControlBits.Cr0Pe | ControlBits.Cr0Et | ControlBits.Cr0Pg | ControlBits.Cr0Ne;
        SegmentRegister data = Load(Data0, 0x00CF_9300_0000_FFFF);
        s->Es = s->Ss = s->Ds = s->Fs = s->Gs = data;
        s->Cs = Load(Code0, mode switch
        {
            FuzzMode.Long => 0x00AF_9B00_0000_FFFF,
            FuzzMode.Protected16 => 0x000F_9B00_0000_FFFF,
            _ => 0x00CF_9B00_0000_FFFF,
        });
        s->Tr = new SegmentRegister { Selector = TssSelector, Base = Tss, Limit = 0x2FF, Attributes = SegmentAttributes.Present | SystemType.BusyTss32, Usable = 1 };
        s->Ldtr = new SegmentRegister { Selector = 0x38, Base = Ldt, Limit = 0x7F, Attributes = SegmentAttributes.Present | SystemType.Ldt, Usable = 1 };
        if (mode != FuzzMode.Virtual8086)
            return;
        s->Cs = SegmentLoad.Virtual8086(0x2000);
        s->Ss = s->Ds = s->Es = s->Fs = s->Gs = SegmentLoad.Virtual8086(0x3000);
        s->Cpl = 3;
        Flags.Set(s, Rflags.Vm | 2);
    }

    /// <summary>The same segments at CPL 3.</summary>
    public static void EnterUser(CpuState* s, FuzzMode mode)
    {
        if (mode is FuzzMode.Real or FuzzMode.Virtual8086)
            return;
        s->Cs.Selector = Code3;
        s->Cs.Attributes |= 3 << SegmentAttributes.DplShift;
        s->Ss = s->Ds = s->Es = Load(Data3, 0x00CF_F300_0000_FFFF);
        s->Cpl = 3;
    }

    private static SegmentRegister Load(ushort selector, ulong raw) => new Descriptor(raw, 0).ToRegister(selector);
}
