"""One end of an RTP stream: sends a tone every 20 ms where told to, keeps everything it hears."""
import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from . import audio
from .message import Sdp, make_sdp
from .ports import SINGLE
from .wait import until

_random = random.Random()


@dataclass
class Packet:
    at: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: tuple


def parse(data: bytes, source: tuple = ("", 0)) -> Packet:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    assert first >> 6 == 2, f"not RTP: {data[:12].hex()}"
    header = 12 + 4 * (first & 0x0F)
    return Packet(time.monotonic(), second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[header:], source)


class Rtp:
    def __init__(self, ip: str = "127.0.0.2", port: int | None = None):
        self.ip = ip
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
        self.port = port or self._bind_pair()
        if port:
            self.socket.bind((ip, port))
            self.rtcp.bind((ip, port + 1))
        self.rtcp.settimeout(0.2)
        self.packets: list[Packet] = []
        self.frequency: float | None = None
        self.payload_type = 0
        self.remote: tuple | None = None
        self.sequence, self.timestamp = _random.randrange(30000), _random.randrange(1 << 30)
        self.ssrc = _random.randrange(1 << 32)
        self.sent = 0
        self._samples: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _bind_pair(self) -> int:
        for _ in range(200):
            port = _random.randrange(*SINGLE, 2)
            try:
                self.socket.bind((self.ip, port))
            except OSError:
                continue
            try:
                self.rtcp.bind((self.ip, port + 1))
                return port
            except OSError:
                self.socket.close()
                self.socket = socket.socket(self.rtcp.family, socket.SOCK_DGRAM)
        raise RuntimeError("no free RTP ports")

    def __enter__(self) -> "Rtp":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2)
        self.socket.close()
        self.rtcp.close()

    def sdp(self, **options) -> str:
        return make_sdp(self.ip, self.port, **options)

    # -- sending

    def talk(self, to: Sdp | tuple | None, frequency: float | None = 1000.0, payload_type: int | None = None) -> None:
        """Sends a tone from now on to where an SDP says, or to (ip, port). None as frequency: digital silence."""
        if isinstance(to, Sdp):
            self.payload_type = to.formats[0] if payload_type is None else payload_type
            self.remote = (to.ip, to.port)
        elif to:
            self.payload_type = payload_type or 0
            self.remote = to
        self._samples = []
        self.frequency = frequency or 0.0

    def hush(self) -> None:
        """Sends nothing any more."""
        self.frequency = None

    def send_packet(self, payload: bytes, payload_type: int, marker: bool = False, samples: int = 160) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, payload_type | (0x80 if marker else 0), self.sequence, self.timestamp, self.ssrc)
        try:
            self.socket.sendto(head + payload, self.remote)
            self.sent += 1
        except OSError:
            pass  # nobody listens (ICMP): as on a real network, the next packet may do better

    def _frame(self) -> bytes:
        if not self.frequency:
            return audio.encode([0] * 160, self.payload_type)
        if len(self._samples) < 160:
            # A whole second, so that the phase goes on without a step.
            self._samples = audio.tone(round(self.frequency), 1.0)
            self._frames = [audio.encode(self._samples[i:i + 160], self.payload_type) for i in range(0, 8000, 160)]
            self._index = 0
        self._index = (self._index + 1) % 50
        return self._frames[self._index - 1]

    def _pump(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            sending = self.frequency is not None and self.remote is not None
            wait = min(0.005, max(0.0, due - time.monotonic())) if sending else 0.005
            if select.select([self.socket], [], [], wait)[0]:
                self._receive()
            now = time.monotonic()
            if not sending:
                due = now
            elif now >= due:
                due = max(due + 0.02, now - 0.1)
                self.send_packet(self._frame(), self.payload_type)

    def _receive(self) -> None:
        try:
            data, source = self.socket.recvfrom(2048)
        except OSError:
            return  # an ICMP of our own earlier packet
        if len(data) >= 12 and data[0] >> 6 == 2:
            self.packets.append(parse(data, source))

    # -- hearing

    def samples(self, last: float | None = None, since: float | None = None) -> list[int]:
        """What came in as PCMU or PCMA, of the last seconds or since a time."""
        begin = since if since is not None else (time.monotonic() - last if last else 0)
        out = []
        for p in list(self.packets):
            if p.at >= begin and p.payload_type in (0, 8):
                out += audio.decode(p.payload, p.payload_type)
        return out

    def hears(self, *frequencies: float, last: float = 0.4) -> bool:
        heard = self.samples(last=last)
        return len(heard) >= last * audio.RATE / 2 and audio.hears(heard, *frequencies)

    def until_hears(self, *frequencies: float, timeout: float = 8) -> None:
        until(lambda: self.hears(*frequencies), f"{'+'.join(map(str, frequencies))} Hz at {self.ip}:{self.port}", timeout)

    def check_stream(self, since: int = 0) -> None:
        """One SSRC, sequence numbers without a gap, timestamps that never go back."""
        packets = self.packets[since:]
        assert packets, "no RTP at all"
        assert len({p.ssrc for p in packets}) == 1, f"several SSRC: {[hex(s) for s in {p.ssrc for p in packets}]}"
        for a, b in zip(packets, packets[1:]):
            assert (b.sequence - a.sequence) & 0xFFFF == 1, f"sequence {a.sequence} then {b.sequence}"
            assert 0 < (b.timestamp - a.timestamp) & 0xFFFFFFFF < 1 << 31, f"timestamp {a.timestamp} then {b.timestamp}"
