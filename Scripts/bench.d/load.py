"""What a server that is busy, large or changing has to keep up: the parts `set-up`, `sustained`, `scale`, `reload` and
`soak` of bench.py. Each verifies what it measures and gives None where its work was not done."""
import csv
import socket
import sqlite3
import statistics
import threading
import time
from pathlib import Path

import measure
from harness import ports
from harness.phone import Phone
from harness.server import TRUSTED
from harness.sipp import Sipp
from harness.wait import until

HERE = Path(__file__).resolve().parent
CALLEE = "127.0.0.8"
BUFFER = ["-buff_size", "4194304"]


class Load:
    """A server, its callee, and callers at a rate."""

    def __init__(self, bench, server=None, callee_port: int | None = None, **options):
        self.bench = bench
        self.port = callee_port or ports.port()
        self.server = server or bench.server(f"{CALLEE}:{self.port}", **options)
        self.pid = self.server.process.pid
        self.uas = bench.keep(Sipp("callee", CALLEE, port=self.port, calls=None, scenarios=HERE / "scenarios",
                                   folder=bench.folder / "sipp", seconds=1500, arguments=BUFFER))

    def call(self, count: int, rate: int, hold: int = 100, users: Path | None = None, limit: int | None = None) -> Sipp:
        """`users`: a CSV whose first field is whom a call is for."""
        scenarios = HERE / "scenarios"
        if users:
            scenarios = self.bench.folder / "scenarios"
            scenarios.mkdir(exist_ok=True)
            text = (HERE / "scenarios/caller.xml").read_text()
            (scenarios / "caller.xml").write_text(text.replace("[service]", "[field0]"))
        return self.bench.keep(Sipp(
            "caller", TRUSTED, to=f"127.0.0.1:{self.server.port}", calls=count, rate=rate, limit=limit or 40 * rate,
            scenarios=scenarios, folder=self.bench.folder / "sipp", seconds=count / rate * 2 + 120,
            keys={"caller": "1000", "password": ""},
            arguments=["-d", str(hold), "-trace_rtt", "-rtt_freq", "100", *BUFFER, *(["-inf", users] if users else [])]))

    def measured(self, count: int, rate: int, **more) -> dict:
        """Calls from start to end; CPU milliseconds a call."""
        before = measure.cpu_seconds(self.pid)
        uac = self.call(count, rate, **more)
        uac.wait(count / rate * 3 + 60)
        after = measure.cpu_seconds(self.pid)
        done = uac.count("SuccessfulCall(C)")
        self.bench.end(uac)
        if not done:
            raise AssertionError(f"no call succeeded: {uac._report()}")
        return {"ms": 1000 * (after - before) / done, "failed": uac.count("FailedCall(C)"),
                "retransmitted": uac.count("Retransmissions(C)"), "times": ring_times(uac)}

    def end(self) -> None:
        self.bench.end(self.uas)
        self.server.kill()
        self.bench.things.remove(self.server)


def ring_times(uac: Sipp) -> list[float]:
    """Milliseconds from INVITE to 180 of every call, sorted."""
    times = []
    for file in uac.folder.glob(f"{uac.name}-{uac.port}*_rtt.csv"):
        for line in csv.reader(file.open(), delimiter=";"):
            try:
                times.append(float(line[1]))
            except (ValueError, IndexError):
                continue
    return sorted(times)


def at(times: list[float], part: float) -> float | None:
    return round(times[min(len(times) - 1, int(len(times) * part))], 2) if times else None


def sustained(bench, rate: int, seconds: int) -> dict:
    """The rate for so long. A call whose messages come in another order fails at sipp, which expects one order only."""
    load = Load(bench, media_ports=6 * rate)
    load.measured(rate, rate)
    early = measure.rss_kib(load.pid)
    result = load.measured(rate * seconds, rate)
    late = measure.rss_kib(load.pid)
    wanted = rate * (seconds + 1) - result["failed"]
    total = lambda: load.server.query("select count(*) n from call where status = 200")[0]["n"]  # noqa: E731
    try:
        until(lambda: total() >= wanted, "the records", timeout=10)
    except AssertionError:
        pass
    records = total()
    load.end()
    return {"ms": result["ms"], "failed": result["failed"], "retransmitted": result["retransmitted"],
            "p99_180_ms": at(result["times"], 0.99), "records": f"{records} of {wanted}",
            "rss_mib": f"{early / 1024:.0f} to {late / 1024:.0f}"}


def soak(bench, rate: int, calls: int) -> dict:
    """Resident memory over many calls, looked at once a tenth."""
    load = Load(bench, media_ports=12_000)
    sizes, failed = [], 0
    for _ in range(10):
        failed += load.measured(calls // 10, rate)["failed"]
        sizes.append(round(measure.rss_kib(load.pid) / 1024, 1))
    load.end()
    # Transactions linger for 32 s: what the first two tenths add is the working set.
    return {"growth": sizes[-1] - sizes[1], "failed": failed, "mib": " ".join(map(str, sizes))}


def set_up(bench, calls: int) -> dict:
    """INVITE in to INVITE out on an idle server, by the kernel's receive time: microseconds, median and p99."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        callee.bind((CALLEE, 0))
        callee.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        callee.settimeout(2)
        caller.bind((TRUSTED, 0))
        caller.settimeout(2)
        here, there = caller.getsockname(), callee.getsockname()
        server = bench.server(f"{CALLEE}:{there[1]}")
        to = ("127.0.0.1", server.port)
        sdp = f"v=0\r\no=- 1 1 IN IP4 {TRUSTED}\r\ns=-\r\nc=IN IP4 {TRUSTED}\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 101\r\n" \
              "a=rtpmap:101 telephone-event/8000\r\n"

        def request(method: str, n: int, tag: str = "", body: str = "") -> bytes:
            kind = "Content-Type: application/sdp\r\n" if body else ""
            return (f"{method} sip:1001@127.0.0.1:{server.port} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {here[0]}:{here[1]};branch=z9hG4bK-setup-{n};rport\r\nFrom: <sip:1000@nightjar.test>;tag=s{n}\r\n"
                    f"To: <sip:1001@nightjar.test>{tag}\r\nCall-ID: setup-{n}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
                    f"Contact: <sip:1000@{here[0]}:{here[1]}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}").encode()

        times = []
        for n in range(calls):
            start = time.clock_gettime_ns(time.CLOCK_REALTIME)
            caller.sendto(request("INVITE", n, body=sdp), to)
            while True:
                data, ancillary, _, _ = callee.recvmsg(65536, 256)
                if data.startswith(b"INVITE"):
                    break
            seconds, nanoseconds = (int.from_bytes(ancillary[0][2][i:i + 8], "little") for i in (0, 8))
            times.append((seconds * 1_000_000_000 + nanoseconds - start) / 1000)
            keep = [line for line in data.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
                    if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
            refusal = "\r\n".join(["SIP/2.0 486 Busy Here"] + [f"{k};tag=b{n}" if k.startswith("To:") else k for k in keep])
            callee.sendto(f"{refusal}\r\nContent-Length: 0\r\n\r\n".encode(), to)
            while b" 486 " not in (answer := caller.recv(65536)):
                pass
            tag = answer.decode().split("\r\nTo: ")[1].split("\r\n")[0].partition(";")
            caller.sendto(request("ACK", n, tag=tag[1] + tag[2]), to)
            time.sleep(0.02)
        server.kill()
        bench.things.remove(server)
    times.sort()
    return {"median": statistics.median(times), "p99": round(at(times, 0.99)), "calls": len(times)}


def scale(bench, shards: int, many_users: int, many_calls: int, seconds: float) -> dict:
    """CPU milliseconds a call with few and many bindings, then with few and many held calls."""
    rate = 300
    result: dict = {"failed": 0}
    server = bench.server(f"{CALLEE}:9", media_ports=4 * many_calls + 3000, settings={"sip": {"shards": shards}})
    phone = Phone(server, "1000", ip=CALLEE)
    port = phone.port
    phone.register()
    until(lambda: server.query("select count(*) n from binding")[0]["n"] == 1, "the binding", timeout=10)
    phone.close()
    server.write_dialplan("""on.invite(function(call)
  call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 30 })
end)""")
    for name, count in (("few_users", 100), ("many_users", many_users)):
        server.stop()
        with sqlite3.connect(server.folder / "data/nightjar.db") as db:
            columns = [row[1] for row in db.execute("pragma table_info(binding)") if row[1] != "user"]
            one = db.execute(f"select {', '.join(columns)} from binding limit 1").fetchone()
            db.execute("delete from binding")
            db.executemany(f"insert into binding (user, {', '.join(columns)}) values ({', '.join('?' * (len(columns) + 1))})",
                           ((str(1_000_000 + n).encode(), *one) for n in range(count)))
        users = bench.folder / f"{name}.csv"
        users.write_text("RANDOM\n" + "".join(f"{1_000_000 + n};\n" for n in range(count)))
        server.start()
        load = Load(bench, server=server, callee_port=port)
        result[f"{name}_mib"] = round(measure.rss_kib(load.pid) / 1024, 1)
        load.measured(rate, rate, users=users)
        run = load.measured(int(rate * seconds), rate, users=users)
        result[name] = run["ms"]
        result["failed"] += run["failed"]
        if name == "few_users":
            bench.end(load.uas)
    for name, count in (("few_held", 10), ("many_held", many_calls)):
        held = load.call(count, 500, hold=600_000, users=users, limit=count + 100)
        until(lambda: server.json("status")["calls"] >= count, f"{count} held calls", timeout=60, interval=0.2)
        time.sleep(1)
        run = load.measured(int(rate * seconds), rate, users=users)
        result[name] = run["ms"]
        result["failed"] += run["failed"]
        bench.end(held)
    load.end()
    return result


def reload(bench, lines: int, rate: int, seconds: int) -> dict:
    """The longest INVITE→180 of a steady load, without a reload and with three of a long dialplan."""
    load = Load(bench, media_ports=12_000)
    rules = "\n".join(f'  {{ "^9{n:06d}$", function(call) call:reject {{ status = 486 }} end }},' for n in range(lines))
    text = (load.server.folder / "dialplan.lua").read_text().replace("  default =", rules + "\n  default =", 1)
    load.measured(rate, rate)
    quiet = load.measured(rate * seconds, rate)
    generation = load.server.json("status")["generation"]

    def work() -> None:
        for _ in range(3):
            time.sleep(seconds / 5)
            load.server.write_dialplan(text)
            load.server.run("reload")

    thread = threading.Thread(target=work)
    thread.start()
    busy = load.measured(rate * seconds, rate)
    thread.join()
    done = load.server.json("status")["generation"] - generation
    load.end()
    if done != 3:
        raise AssertionError(f"{done} of 3 reloads were done")
    return {"added": busy["times"][-1] - quiet["times"][-1], "failed": quiet["failed"] + busy["failed"],
            "worst_quiet_ms": quiet["times"][-1], "worst_reload_ms": busy["times"][-1]}
