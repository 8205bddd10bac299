"""sipp as caller and callee. Scenarios are in ../scenarios; a word like @STATUS@ in one is filled in here, as sipp cannot
take a status from its command line."""
import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import ports
from .process import tied
from .wait import PATIENCE, Deadline, until

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"


def missing() -> str | None:
    return None if shutil.which("sipp") else "sipp is not installed (Debian: sip-tester)"


class Sipp:
    """One sipp process. `scenario` is a file's name without .xml; `fill` replaces @WORDS@ in it; `keys` are its [words]."""

    def __init__(self, scenario: str, ip: str, *, to: str | None = None, folder: Path | None = None,
                 port: int | None = None, calls: int | None = 1, rate: float = 10, limit: int | None = None,
                 user: str = "1001", transport: str = "u1", keys: dict | None = None, fill: dict | None = None,
                 arguments: list | None = None, seconds: float = 60, scenarios: Path = SCENARIOS):
        self.name = scenario
        self.folder = Path(folder or tempfile.mkdtemp(prefix="sipp-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ip, self.port = ip, port or ports.port()
        text = (scenarios / f"{scenario}.xml").read_text()
        for word, value in (fill or {}).items():
            text = text.replace(f"@{word}@", str(value))
        stem = f"{scenario}-{self.port}"
        script = self.folder / f"{stem}.xml"
        script.write_text(text)
        self.errors = self.folder / f"{stem}-errors.log"
        self.stats_file = self.folder / f"{stem}-stats.csv"
        self.output = self.folder / f"{stem}.out"
        command = ["sipp", "-sf", script, "-i", f"[{ip}]" if ":" in ip else ip, "-p", str(self.port), "-t", transport,
                   "-nostdin", "-trace_err", "-error_file", self.errors, "-trace_stat", "-stf", self.stats_file, "-fd", "1",
                   "-timeout", f"{int(seconds * PATIENCE)}s", "-timeout_error", "-max_retrans", "5"]
        if transport[1] == "n":
            command += ["-max_socket", "2000"]
        if to:
            command += ["-s", user, "-r", str(rate)]
        if calls:
            command += ["-m", str(calls)]
        if limit:
            command += ["-l", str(limit)]
        if keys and "password" in keys:  # [authentication] takes no other words inside
            command += ["-au", keys["caller"], "-ap", keys["password"] or "-"]
        for name, value in (keys or {}).items():
            command += ["-key", name, str(value)]
        command += [str(a) for a in arguments or []]
        if to:
            command.append(to)
        self.command = [str(c) for c in command]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(tied(*self.command), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, cwd=self.folder)
        if not to:
            until(self._listening, f"sipp {scenario} to listen on port {self.port}", interval=0.005)

    def __enter__(self) -> "Sipp":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _listening(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"sipp {self.name} ended at once: {self._report()}")
        hexport = f":{self.port:04X} "
        return any(hexport in line.split(" ", 3)[-1][:60] or hexport in line[:60]
                   for table in ("udp", "udp6", "tcp", "tcp6") for line in open(f"/proc/net/{table}"))

    def wait(self, seconds: float = 60) -> int:
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"sipp {self.name} did not end: {self._report()}") from None

    def succeed(self, seconds: float = 60) -> dict:
        """Waits for its end, which must be without one failed call; returns its statistics."""
        code = self.wait(seconds)
        assert code == 0, f"sipp {self.name} ended with {code}: {self._report()}"
        return self.stats()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stats(self) -> dict:
        """The last line of its statistics: SuccessfulCall(C), FailedCall(C), Retransmissions(C) and so on."""
        if not self.stats_file.exists():
            return {}
        rows = list(csv.DictReader(self.stats_file.open(), delimiter=";"))
        return rows[-1] if rows else {}

    def count(self, name: str) -> int:
        return int(self.stats().get(name) or 0)

    def _report(self) -> str:
        errors = self.errors.read_text(errors="replace")[-3000:] if self.errors.exists() else ""
        output = self.output.read_text(errors="replace")[-1500:]
        return f"\n{' '.join(self.command)}\n{errors or output}"


__all__ = ["Sipp", "missing", "Deadline"]
