namespace Emu.Devices;

/// <summary>The characters of the PC's first font, as Unicode.</summary>
internal static class CodePage437
{
    private const string Low = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";

    private const string High =
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00A0";

    /// <summary>0 is shown as a blank.</summary>
    public static char ToChar(byte code) => code < 0x20 ? Low[code] : code < 0x7F ? (char)code : code == 0x7F ? '⌂' : High[code - 0x80];
}
