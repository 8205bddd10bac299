"""G.711 and single frequencies: enough to say what somebody hears."""
import math
import struct
import wave
from pathlib import Path

RATE = 8000


def _ulaw_decode(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw_decode(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, code & 0x0F
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


ULAW = [_ulaw_decode(c) for c in range(256)]
ALAW = [_alaw_decode(c) for c in range(256)]


def _ulaw_encode(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def _alaw_encode(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = min(abs(sample), 32635)
    exponent = max(0, magnitude.bit_length() - 8)
    mantissa = magnitude >> (4 if exponent == 0 else exponent + 3) & 0x0F
    return (sign | exponent << 4 | mantissa) ^ 0x55


def tone(frequency: float, seconds: float, amplitude: int = 8000) -> list[int]:
    return [round(amplitude * math.sin(2 * math.pi * frequency * i / RATE)) for i in range(int(seconds * RATE))]


def encode(samples: list[int], payload_type: int = 0) -> bytes:
    coder = _alaw_encode if payload_type == 8 else _ulaw_encode
    return bytes(coder(s) for s in samples)


def decode(payload: bytes, payload_type: int = 0) -> list[int]:
    table = ALAW if payload_type == 8 else ULAW
    return [table[b] for b in payload]


def share(samples: list[int], frequency: float, rate: int = RATE) -> float:
    """The part of the samples' energy that is at `frequency`: 1 for a pure tone (Goertzel)."""
    energy = sum(s * s for s in samples)
    count = len(samples)
    if count == 0 or energy == 0:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / rate)
    one = two = 0.0
    for s in samples:
        one, two = s + coefficient * one - two, one
    power = one * one + two * two - coefficient * one * two
    return 2 * power / (count * energy)


def loudness(samples: list[int]) -> float:
    """Root mean square, 0…32767."""
    return math.sqrt(sum(s * s for s in samples) / len(samples)) if samples else 0.0


def hears(samples: list[int], *frequencies: float, rate: int = RATE, least: float = 0.7) -> bool:
    """True where the samples are loud and nearly all of them is at the frequencies named, each with its part."""
    if loudness(samples) < 200:
        return False
    shares = [share(samples, f, rate) for f in frequencies]
    return sum(shares) > least and all(s > least / len(shares) / 3 for s in shares)


def windows(samples: list[int], seconds: float = 0.2, rate: int = RATE):
    """Cuts samples into pieces; yields (start in seconds, piece)."""
    size = int(seconds * rate)
    for start in range(0, len(samples) - size + 1, size):
        yield start / rate, samples[start:start + size]


def seconds_heard(samples: list[int], *frequencies: float, rate: int = RATE) -> float:
    return sum(0.1 for _, piece in windows(samples, 0.1, rate) if hears(piece, *frequencies, rate=rate))


def read_wav(path: Path) -> tuple[list[int], int]:
    """Samples and rate of a 16-bit mono file; tolerates one that is still being written (its sizes are not filled in)."""
    data = Path(path).read_bytes()
    position, rate, channels = 12, RATE, 1
    while position + 8 <= len(data):
        kind, size = data[position:position + 4], struct.unpack_from("<I", data, position + 4)[0]
        if kind == b"fmt ":
            channels, rate = struct.unpack_from("<HI", data, position + 10)
        if kind == b"data":
            raw = data[position + 8:] if size in (0, 0xFFFFFFFF) else data[position + 8:position + 8 + size]
            count = len(raw) // 2
            return list(struct.unpack(f"<{count}h", raw[:count * 2]))[::channels], rate
        position += 8 + size + (size & 1)
    return [], rate


def write_wav(path: Path, samples: list[int], rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
