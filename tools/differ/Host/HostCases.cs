using System.Diagnostics.CodeAnalysis;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using static Emu.Differ.Host.HostLayout;

namespace Emu.Differ.Host;

/// <summary>Cases as the helper reads them, and registers as it gives them back.</summary>
internal static unsafe class HostCases
{
    /// <summary>Flags that a program at CPL 3 may have, but for TF and RF, which would trap or are the debugger's.</summary>
    private const ulong PossibleFlags = 0x24_4ED5;

    /// <summary>Place of RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15 in struct sigcontext_64.</summary>
    private static readonly int[] s_places = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];

    public static void ReadRegisters(Outcome o, ulong* context)
    {
        for (int r = 0; r < 16; r++)
            o.Registers[r] = context[s_places[r]];
    }

    /// <summary>Writes the record of a case; false with the reason where it must not run here.</summary>
    public static bool TryWrite(Case c, Arena arena, byte* record, [NotNullWhen(false)] out string? reason)
    {
        byte* at = record + CasePatchesAt;
        uint patches = 0;
        foreach (MemoryPatch patch in c.Memory)
        {
            // In two pieces where it crosses into a page that does not follow in the file.
            for (int done = 0, piece; done < patch.Bytes.Length; done += piece)
            {
                ulong linear = patch.Address + (ulong)done;
                piece = Math.Min(patch.Bytes.Length - done, 0x1000 - (int)(linear & 0xFFF));
                if (at + 16 + piece > record + InputBytes / MaximumCases - 64)
                {
                    reason = "it sets more memory than the helper takes";
                    return false;
                }
                *(ulong*)at = DataAddress(arena, linear);
                *(ulong*)(at + 8) = (ulong)piece;
                patch.Bytes.AsSpan(done, piece).CopyTo(new Span<byte>(at + 16, piece));
                at += 16 + (piece + 7 & ~7);
                patches++;
            }
        }
        return TryWriteHeader(c, arena, record, patches, at, out reason);
    }

    private static bool TryWriteHeader(Case c, Arena arena, byte* record, uint patches, byte* end, [NotNullWhen(false)] out string? reason)
    {
        if ((c.Flags & ~(PossibleFlags | c.Mode.DefaultFlags())) != 0)
        {
            reason = "a program at CPL 3 cannot have these flags";
            return false;
        }
        *(uint*)(record + CaseBytes) = (uint)(end - record + 63 & ~63);
        *(uint*)(record + CasePatches) = patches;
        *(ulong*)(record + CaseCode) = Shared + CodeAt + (c.Rip - arena.CodeStart);
        *(ulong*)(record + CaseCodeBytes) = (ulong)c.Length;
        *(ulong*)(record + FrameRip) = c.Rip;
        *(ulong*)(record + FrameCs) = c.Mode.Is64() ? Arena.UserCode64Selector : Arena.UserCode32Selector;
        *(ulong*)(record + FrameFlags) = c.Flags | c.Mode.DefaultFlags();
        *(ulong*)(record + FrameRsp) = c.Registers[4];
        *(ulong*)(record + FrameSs) = Arena.UserDataSelector;
        for (int r = 0; r < 16; r++)
            *(ulong*)(record + CaseRegisters + 8 * r) = c.Registers[r];
        *(ulong*)(record + CaseFsBase) = Arena.FsBase;
        *(ulong*)(record + CaseGsBase) = Arena.GsBase;
        FloatingImage.Write(c.Floating, record + CaseFloating);
        c.Code.CopyTo(new Span<byte>(record + CaseCodeAt, Case.MaximumBytes));
        reason = null;
        return true;
    }

    /// <summary>Address in the helper at which data may be written, be its page read-only for cases or not.</summary>
    private static ulong DataAddress(Arena arena, ulong linear)
    {
        ulong physical = arena.Physical(linear);
        int page = Array.FindIndex(arena.Windows, w => physical - w.Start < (ulong)w.Length);
        return Shared + Data + (ulong)page * 0x1000 + (physical & 0xFFF);
    }
}
