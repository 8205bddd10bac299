"""The others: Kamailio, rtpengine and the bare C relay loop, each started on free loopback ports and ended by its pid."""
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "Tests/EndToEnd"))

from harness import ports  # noqa: E402
from harness.process import tied  # noqa: E402
from harness.wait import until  # noqa: E402


class Peer:
    """A process with a pid, a log and an end."""

    process: subprocess.Popen

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _options_answered(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.bind(("127.0.0.1", 0))
        s.sendto(f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bKp;rport"
                 "\r\nFrom: <sip:p@x>;tag=1\r\nTo: <sip:p@x>\r\nCall-ID: p\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\n"
                 "Content-Length: 0\r\n\r\n".encode(), ("127.0.0.1", port))
        try:
            return bool(s.recv(4096))
        except OSError:
            return False


class Kamailio(Peer):
    """A stateful proxy with its route in Lua; `callee` is where calls go, `challenged` who must authenticate."""

    def __init__(self, folder: Path, callee: str, challenged: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = ports.port()
        modules = next(p for p in (Path(f"/usr/lib/{a}-linux-gnu/kamailio/modules") for a in ("x86_64", "aarch64")) if p.exists())
        route = folder / "route.lua"
        for source, target in (("kamailio.cfg.in", folder / "kamailio.cfg"), ("kamailio.lua.in", route)):
            text = (HERE / source).read_text()
            for word, value in {"PORT": self.port, "MODULES": f"{modules}/", "ROUTE": route, "CALLEE": callee,
                                "CHALLENGED": challenged}.items():
                text = text.replace(f"@{word}@", str(value))
            target.write_text(text)
        with (folder / "kamailio.log").open("wb") as log:
            self.process = subprocess.Popen(
                tied("kamailio", "-f", folder / "kamailio.cfg", "-Y", folder, "-P", folder / "pid", "-m", "512", "-M", "16", "-DD", "-E"),
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        until(lambda: _options_answered(self.port), "Kamailio to answer", timeout=10)

    @staticmethod
    def available() -> bool:
        return shutil.which("kamailio") is not None


class Loop(Peer):
    """The bare C loop: `ports` are its pairs, one a call."""

    def __init__(self, binary: Path, calls: int):
        first, _ = ports.block(2 * calls)
        self.pairs = [(first + 2 * n, first + 2 * n + 1) for n in range(calls)]
        self.process = subprocess.Popen(tied(binary), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write("".join(f"{a} {b}\n" for a, b in self.pairs))
        self.process.stdin.close()
        self.process.stdout.readline()


class Rtpengine(Peer):
    """Debian's rtpengine in user space, over its ng protocol (bencode)."""

    def __init__(self, folder: Path, calls: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = ports.port()
        first, last = ports.block(4 * calls + 40)
        with (folder / "rtpengine.log").open("wb") as log:
            self.process = subprocess.Popen(
                tied("rtpengine", "--foreground", "--config-file=none", "--table=-1", "--interface=127.0.0.1", "--log-level=3",
                 "--log-stderr", "--timeout=3600", f"--listen-ng=127.0.0.1:{self.port}", f"--port-min={first}", f"--port-max={last}"),
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.5)
        until(lambda: self._answers(), "rtpengine to answer", timeout=10)

    @staticmethod
    def available() -> bool:
        return shutil.which("rtpengine") is not None

    def _answers(self) -> bool:
        try:
            return self.ask({"command": "ping"}).get("result") == "pong"
        except OSError:
            return False

    def ask(self, command: dict) -> dict:
        cookie = f"{random.randrange(1 << 60):x}".encode()
        self.socket.sendto(cookie + b" " + bencode(command), ("127.0.0.1", self.port))
        while True:
            reply, _, body = self.socket.recv(65536).partition(b" ")
            if reply == cookie:
                return bdecode(body)

    def call(self, number: int, offer: str, answer: str) -> tuple[str, str]:
        """Sets up one call; returns the SDP that each side is given: (to the callee, to the caller)."""
        common = {"call-id": f"bench-{os.getpid()}-{number}", "from-tag": "a", "ICE": "remove", "rtcp-mux": ["demux"]}
        offered = self.ask({"command": "offer", "sdp": offer, **common})
        answered = self.ask({"command": "answer", "to-tag": "b", "sdp": answer, **common})
        return offered["sdp"], answered["sdp"]

    def stop(self) -> None:
        self.socket.close()
        super().stop()


def bencode(value) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    data = value.encode()
    return b"%d:%s" % (len(data), data)


def bdecode(data: bytes):
    def read(at: int):
        kind = data[at:at + 1]
        if kind == b"i":
            end = data.index(b"e", at)
            return int(data[at + 1:end]), end + 1
        if kind in (b"l", b"d"):
            items, at = [], at + 1
            while data[at:at + 1] != b"e":
                item, at = read(at)
                items.append(item)
            return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
        colon = data.index(b":", at)
        end = colon + 1 + int(data[at:colon])
        return data[colon + 1:end].decode(errors="replace"), end

    return read(0)[0]
