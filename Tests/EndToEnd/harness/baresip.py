"""A real phone without a head: baresip (Debian's baresip-core), driven over its ctrl_tcp module. It plays a sine of its
own, and records what it hears with its sndfile module."""
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from . import audio, ports
from .process import tied
from .wait import PATIENCE, Deadline, until

MODULES = next((p for p in ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules",
                            "/usr/lib/aarch64-linux-gnu/baresip/modules") if os.path.isdir(p)), "")
# Debian 12's baresip gives up (ENOSYS) where one of several challenges names an algorithm that it does not know, so a
# server for it offers MD5 alone.
SETTINGS = {"sip": {"auth": {"algorithms": ["MD5"]}}}


def missing() -> str | None:
    """Why there is no baresip here, or None."""
    if not shutil.which("baresip"):
        return "baresip is not installed (Debian: baresip-core)"
    return None if MODULES else "baresip's modules were not found"


class Baresip:
    """`tone`: the frequency that this phone speaks. `answer`: "manual" or "auto"."""

    def __init__(self, folder: Path, user: str, password: str, server: str, domain: str, tone: int = 1000,
                 answer: str = "manual", transport: str = "udp", codecs: str = "", register: bool = True,
                 ip: str = "127.0.0.1"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.user = user
        self.port, self.control_port = ports.port(), ports.port()
        self.events: list[dict] = []
        self._buffer = b""
        self._token = 0
        source = self.folder / "voice.wav"
        audio.write_wav(source, audio.tone(tone, 20))
        modules = ["g711.so", "aufile.so", "sndfile.so"]
        (self.folder / "config").write_text("\n".join([
            "poll_method epoll", f"sip_listen {ip}:{self.port}", f"net_interface {ip}", "call_local_timeout 60",
            "call_max_calls 4",
            f"audio_source aufile,{source}", f"audio_player aufile,{self.folder}/heard-by-speaker.wav",
            f"audio_alert aufile,{self.folder}/alert.wav", "audio_srate 8000-8000", "audio_channels 1-1",
            "ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1", "rtp_timeout 0",
            "jitter_buffer_delay 1-2", f"snd_path {self.folder}", f"module_path {MODULES}",
            *[f"module {m}" for m in modules], "module_tmp uuid.so", "module_tmp account.so",
            "module_app menu.so", "module_app ctrl_tcp.so", f"ctrl_tcp_listen 127.0.0.1:{self.control_port}",
            "menu_bell no", ""]))
        options = [f"auth_user={user}", f"auth_pass={password}", f"outbound=\"sip:{server};transport={transport}\"",
                   f"answermode={answer}", f"regint={600 if register else 0}", "ptime=20", "audio_codecs=" + (codecs or "PCMU,PCMA")]
        (self.folder / "accounts").write_text(f"<sip:{user}@{domain};transport={transport}>;{';'.join(options)}\n")
        (self.folder / "contacts").write_text("")
        self.log_file = self.folder / "baresip.log"
        self.process: subprocess.Popen | None = None
        self.socket: socket.socket | None = None

    def __enter__(self) -> "Baresip":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> "Baresip":
        with self.log_file.open("wb") as out:
            self.process = subprocess.Popen(tied("baresip", "-4", "-v", "-f", self.folder), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        self.socket = until(self._connect, f"baresip {self.user} to open its control port", timeout=10)
        return self

    def _connect(self) -> socket.socket | None:
        if self.process.poll() is not None:
            raise AssertionError(f"baresip ended with {self.process.returncode}:\n{self.log}")
        try:
            s = socket.create_connection(("127.0.0.1", self.control_port), timeout=1)
        except OSError:
            return None
        s.setblocking(False)
        return s

    def stop(self) -> None:
        if self.socket:
            self.socket.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # -- control: netstrings of JSON

    def _read(self) -> None:
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            if not data:
                raise AssertionError(f"baresip {self.user} closed its control connection:\n{self.log[-2000:]}")
            self._buffer += data
        while b":" in self._buffer:
            size, _, rest = self._buffer.partition(b":")
            if len(rest) < int(size) + 1:
                return
            message = json.loads(rest[:int(size)])
            message["_at"] = time.monotonic()
            self.events.append(message)
            self._buffer = rest[int(size) + 1:]

    def command(self, name: str, parameters: str = "", timeout: float = 5) -> str:
        self._token += 1
        token = f"t{self._token}"
        body = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self.socket.sendall(str(len(body)).encode() + b":" + body + b",")

        def answered():
            self._read()
            return next((e for e in self.events if e.get("response") and e.get("token") == token), None)

        reply = until(answered, f"baresip {self.user} to answer {name}", timeout)
        return reply.get("data", "")

    def event(self, kind: str, timeout: float = 10) -> dict:
        """Waits for an event of this type, and takes it."""
        deadline = Deadline(timeout)

        def found():
            self._read()
            return next((e for e in self.events if e.get("event") and e.get("type") == kind), None)

        try:
            event = until(found, f"baresip {self.user} to report {kind}", timeout)
        except AssertionError as error:
            seen = [e.get("type") for e in self.events if e.get("event")]
            raise AssertionError(f"{error}; it reported {seen}\n{self.log[-3000:]}") from None
        self.events.remove(event)
        assert not deadline.over or event
        return event

    def has(self, kind: str) -> bool:
        self._read()
        return any(e.get("type") == kind for e in self.events)

    # -- what a person does

    def registered(self, timeout: float = 10) -> None:
        """It may have registered before the control connection stood, so its log counts as well as the event."""
        until(lambda: self.has("REGISTER_OK") or re.search(r"\} 200 .*\d+ binding", self.log),
              f"baresip {self.user} to register", timeout)

    def dial(self, uri: str) -> None:
        self.command("dial", uri)

    def accept(self) -> None:
        self.command("accept")

    def hang_up(self) -> None:
        self.command("hangup")

    def transfer(self, uri: str) -> None:
        """Blind: REFER in its call."""
        self.command("transfer", uri)

    # -- what it hears

    def heard(self) -> list[int]:
        """Everything decoded so far in its calls, in order."""
        out: list[int] = []
        for file in sorted(self.folder.glob("dump-*dec.wav")):
            samples, rate = audio.read_wav(file)
            assert rate in (0, audio.RATE), f"{file} has {rate} Hz"
            out += samples
        return out

    def until_hears(self, *frequencies: float, timeout: float = 10, seconds: float = 0.3) -> None:
        """Waits until the last part of the recording is these frequencies. libsndfile writes in blocks: some delay."""
        size = int(seconds * audio.RATE)

        def now():
            heard = self.heard()
            return len(heard) >= size and any(
                audio.hears(heard[i:i + size], *frequencies) for i in range(max(0, len(heard) - 3 * size), len(heard) - size + 1, size // 3))

        until(now, f"baresip {self.user} to hear {'+'.join(map(str, frequencies))} Hz", timeout, interval=0.1)
