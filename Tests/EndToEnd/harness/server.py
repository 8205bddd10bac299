"""One server under test: a folder with its configuration and script, free ports, its log, and its end by pid."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

from . import ports
from .process import tied
from .wait import PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("NIGHTJAR_BIN") or ROOT / ".build/release/nightjar")
DOMAIN = "nightjar.test"
# Sources that the default access rules let in without credentials; everything else on loopback must authenticate.
TRUSTED = "127.0.0.9"
TRUSTED_PUBLIC = "127.0.0.10"


def password(user: str) -> str:
    return f"Pw-{user}-x"


class CommandError(AssertionError):
    def __init__(self, code: int, output: str):
        super().__init__(f"exit {code}: {output}")
        self.code, self.output = code, output


class Server:
    """`settings` is merged over the defaults below, section by section; `dialplan` is the script's text."""

    def __init__(self, folder: Path, dialplan: str, settings: dict | None = None, media_ports: int = 400,
                 users=range(1000, 1010), ipv6: bool = True, environment: dict | None = None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ipv6 = ipv6 and ports.has_ipv6()
        first, last = ports.block(media_ports)
        self.media_range = range(first, last + 1)
        self.settings = {
            "sip": {"listen": self._addresses(), "domain": DOMAIN},
            "media": {"address": ["127.0.0.1", "::1"] if self.ipv6 else ["127.0.0.1"], "ports": f"{first}-{last}"},
            "dialplan": {"script": "dialplan.lua", "sounds": "sounds"},
            "users": [{"name": str(u), "password": password(str(u)), "context": "internal"} for u in users],
            "access": [
                {"source": f"{TRUSTED}/32", "context": "internal", "authenticate": False},
                {"source": f"{TRUSTED_PUBLIC}/32", "authenticate": False},
                {"source": "::1/128", "context": "internal", "authenticate": False},
            ],
            "storage": {"url": "sqlite:data/nightjar.db"},
            "control": {"socket": "run/nightjar.sock"},
        }
        for section, value in (settings or {}).items():
            if isinstance(value, dict) and isinstance(self.settings.get(section), dict):
                self.settings[section].update(value)
            else:
                self.settings[section] = value
        for name in ("data", "run", "sounds"):
            (self.folder / name).mkdir(exist_ok=True)
        self.config = self.folder / "nightjar.yaml"
        self.log_file = self.folder / "server.log"
        self.environment = environment or {}
        self.process: subprocess.Popen | None = None
        self.expected_to_end = self.has_started = False
        self.write_config()
        self.write_dialplan(dialplan)

    def _addresses(self) -> list[str]:
        """A new port, on every address."""
        self.port = ports.port()
        hosts = ["127.0.0.1", "[::1]"] if self.ipv6 else ["127.0.0.1"]
        return [f"{transport}:{host}:{self.port}" for host in hosts for transport in ("udp", "tcp")]

    # -- files

    def write_config(self) -> None:
        # JSON is YAML; one section a line keeps the line numbers in error messages useful.
        lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.settings.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def write_dialplan(self, text: str) -> None:
        target = self.folder / "dialplan.lua"
        fresh = self.folder / "dialplan.lua.new"
        fresh.write_text(text)
        fresh.rename(target)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # -- life

    def launch(self, *arguments: str) -> "Server":
        """Starts the process without waiting until it answers."""
        self.expected_to_end = False
        with self.log_file.open("ab") as out:
            self.process = subprocess.Popen(
                tied(BINARY, "serve", "--config", self.config, *arguments), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **self.environment})
        return self

    def start(self, *arguments: str) -> "Server":
        """Starts it and waits until it answers. The first start may find that its port was taken by somebody meanwhile."""
        for attempt in range(3):
            self.launch(*arguments)
            until(lambda: self.process.poll() is not None or self.answers(timeout=0.25),
                  "the server to answer OPTIONS", timeout=20, interval=0.01)
            if self.process.poll() is None:
                self.has_started = True
                return self
            if self.has_started or "in use" not in self.log:
                break
            self.settings["sip"]["listen"] = self._addresses()
            self.write_config()
        raise AssertionError(f"the server ended with {self.process.returncode} at its start:\n{self.log}")

    def answers(self, timeout: float = 2) -> bool:
        """True where a plain OPTIONS is answered in time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(timeout * PATIENCE)
            tag = os.urandom(8).hex()
            s.sendto((
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bK{tag};rport\r\n"
                f"From: <sip:probe@127.0.0.1>;tag={tag}\r\nTo: <sip:127.0.0.1:{self.port}>\r\nCall-ID: {tag}\r\n"
                f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").encode(), ("127.0.0.1", self.port))
            try:
                while True:
                    if tag.encode() in s.recv(65536):
                        return True
            except OSError:
                return False

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout: float = 10) -> int | None:
        """SIGTERM drains; a second one ends at once. Returns the exit status."""
        ports.give_back(self.media_range)
        if self.process is None:
            return None
        for patience in (1.0, timeout * PATIENCE):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(patience)
                except subprocess.TimeoutExpired:
                    pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end after two SIGTERM:\n{self.log[-4000:]}")
        return self.process.returncode

    def kill(self) -> None:
        self.expected_to_end = True
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    # -- talking to it

    def run(self, *arguments: str, timeout: float = 20) -> str:
        done = subprocess.run([BINARY, *arguments, "--config", str(self.config)], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * PATIENCE)
        if done.returncode != 0:
            raise CommandError(done.returncode, done.stdout)
        return done.stdout

    def json(self, *arguments: str):
        return json.loads(self.run(*arguments, "--json"))

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, from /proc."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    # -- what it wrote

    def query(self, sql: str, *values) -> list[dict]:
        """Reads the database beside the running server."""
        path = self.folder / "data/nightjar.db"
        if not path.exists():
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, values)]
        finally:
            db.close()

    def tables(self) -> dict[str, list[str]]:
        names = [r["name"] for r in self.query("select name from sqlite_master where type = 'table'")]
        return {n: [c["name"] for c in self.query(f"select name from pragma_table_info('{n}')")] for n in names}
