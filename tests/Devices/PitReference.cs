namespace Emu.Tests.Devices;

/// <summary>
/// A counter of the 8254 that is stepped clock by clock, as the data sheet tells it: the counting element is loaded by the CLK pulse after the
/// write or the trigger and then decremented. Binary counts; even counts in mode 3.
/// </summary>
internal sealed class PitReference
{
    private int _register;
    private int _element;
    private bool _written;
    private bool _triggered;
    private bool _running;
    private bool _strobeArmed;
    private bool _gate = true;

    public int Mode { get; private set; } = 3;
    public bool Out { get; private set; } = true;

    public int Count => _element & 0xFFFF;

    /// <summary>True when what a read gives is defined: something has been loaded.</summary>
    public bool IsLoaded { get; private set; }

    public void Program(int mode)
    {
        Mode = mode;
        Out = mode != 0;
        _written = _triggered = _running = _strobeArmed = IsLoaded = false;
    }

    public void Write(int count)
    {
        _register = count;
        switch (Mode)
        {
            case 0:
                Out = false;
                _written = true;
                break;
            case 4:
                _written = true;
                break;
            case 2 or 3 when !_running:
                _written = true;
                break;
        }
        _hasCount = true;
    }

    private bool _hasCount;

    public void SetGate(bool gate)
    {
        bool rises = gate && !_gate;
        _gate = gate;
        if (Mode is 1 or 2 or 3 or 5 && rises && _hasCount)
            _triggered = true;
        if (Mode is 2 or 3 && !gate)
            Out = true;
    }

    /// <summary>One CLK pulse.</summary>
    public void Clock()
    {
        switch (Mode)
        {
            case 0:
                if (_written)
                    Load();
                else if (_running && _gate)
                    Out |= --_element == 0;
                break;
            case 1:
                if (_triggered)
                {
                    Load();
                    Out = false;
                }
                else if (_running)
                {
                    Out |= --_element == 0;
                }
                break;
            case 2:
                if (_written || _triggered)
                {
                    Load();
                    Out = true;
                }
                else if (_running && _gate)
                {
                    _element--;
                    if (_element == 1)
                        Out = false;
                    if (_element == 0)
                    {
                        Load();
                        Out = true;
                    }
                }
                break;
            case 3:
                if (_written || _triggered)
                {
                    Load();
                    Out = true;
                }
                else if (_running && _gate)
                {
                    _element -= 2;
                    if (_element == 0)
                    {
                        Load();
                        Out = !Out;
                    }
                }
                break;
            case 4:
                if (_written)
                {
                    Load();
                    _strobeArmed = true;
                    Out = true;
                }
                else if (_running && _gate)
                {
                    Strobe();
                }
                break;
            case 5:
                if (_triggered)
                {
                    Load();
                    _strobeArmed = true;
                    Out = true;
                }
                else if (_running)
                {
                    Strobe();
                }
                break;
        }
    }

    private void Strobe()
    {
        Out = !(--_element == 0 && _strobeArmed);
        if (!Out)
            _strobeArmed = false;
    }

    private void Load()
    {
        _element = _register;
        _written = _triggered = false;
        _running = true;
        IsLoaded = true;
    }
}
