#!/usr/bin/env python3
"""Makes the WAV files of Config/sounds: 8 kHz, mono, 16 bit. Run by hand when a sound is to change; needs nothing else.

summer.wav is the colour ring-back of the demo dialplan, busy.wav what a caller hears when the callee is busy.
"""
import math
import struct
import wave
from pathlib import Path

RATE = 8000
SOUNDS = Path(__file__).resolve().parent.parent / "Config" / "sounds"
NOTES = {name: 261.6256 * 2 ** (step / 12) for name, step in zip("c d e f g a b C".split(), (0, 2, 4, 5, 7, 9, 11, 12))}


def note(frequency: float, seconds: float, level: float = 0.35) -> list[float]:
    """A plucked note: three partials that die away, with soft edges so that nothing clicks."""
    count = int(seconds * RATE)
    out = []
    for i in range(count):
        t = i / RATE
        edge = min(1.0, i / 80, (count - i) / 160)
        decay = math.exp(-2.2 * t)
        wave_ = sum(math.sin(2 * math.pi * frequency * k * t) / k**2 for k in (1, 2, 3))
        out.append(level * edge * decay * wave_)
    return out


def chord(frequencies: tuple[float, ...], seconds: float) -> list[float]:
    count = int(seconds * RATE)
    return [
        0.2 * min(1.0, i / 80, (count - i) / 80) * sum(math.sin(2 * math.pi * f * i / RATE) for f in frequencies)
        for i in range(count)
    ]


def write(name: str, samples: list[float]) -> None:
    SOUNDS.mkdir(parents=True, exist_ok=True)
    with wave.open(str(SOUNDS / name), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(struct.pack("<h", int(32767 * max(-1.0, min(1.0, s)))) for s in samples))


def main() -> None:
    tune = "e g C g a C a g f a C a g e c e".split()
    write("summer.wav", [s for name in tune for s in note(NOTES[name], 0.3)])
    silence = [0.0] * (RATE // 4)
    write("busy.wav", (chord((480, 620), 0.25) + silence) * 3)


if __name__ == "__main__":
    main()
