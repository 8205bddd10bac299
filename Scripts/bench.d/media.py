"""Relayed RTP: G.711, 20 ms, both ways, from `rtpload` through the server, the bare C loop and rtpengine. The three run at
the same time with their calls up, and are loaded in turn, round by round; what is said is the median of the rounds, so that
what else the machine does meets all of them alike. Where it is allowed, load and relays have real-time priority."""
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import measure
import peers
from harness import ports
from harness.message import Sdp, make_sdp
from harness.phone import Phone
from harness.server import TRUSTED

HERE = Path(__file__).resolve().parent
CALLEE = "127.0.0.8"
PRIORITY = 10
# The ratio of CPU time that is aimed at.
GOALS = {"bare C loop": 1.15, "rtpengine": 0.55}


class Stopped:
    """What ends otherwise than by `stop`."""

    def __init__(self, stop):
        self.stop = stop


def realtime(pid: int) -> bool:
    """All threads of a process ahead of everything else on the machine."""
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        return False
    return True


class MediaBench:
    def __init__(self, bench, build: Path, rtpengine: bool):
        self.bench = bench
        self.relay = measure.build(HERE / "relay.c", build / "relay")
        self.load = measure.build(HERE / "rtpload.c", build / "rtpload")
        self.rtpengine = rtpengine

    def run(self, rates: list[int], rounds: int, seconds: float, most: int | None) -> None:
        """`most`: packets a second that one media thread shall carry, measured without rtpengine."""
        bench = self.bench
        calls = max([*rates, most or 0]) // 100  # two directions, fifty packets a second each
        sides = {}
        for name, start in (("nightjar", self._nightjar), ("bare C loop", self._loop), ("rtpengine", self._rtpengine)):
            if name == "rtpengine":
                if not self.rtpengine:
                    continue
                count = max(rates) // 100
            else:
                count = calls
            started = bench._guard(lambda: start(count))
            if started:
                sides[name] = started
        if "nightjar" not in sides:
            return bench.row("media", "relayed packets", "CPU µs", None)
        first = all([realtime(pid) for pid, _ in sides.values()])
        print(f"  {rounds} rounds of {seconds:g} s each, in turn; medians{'; real-time priority for all' if first else ''}", flush=True)
        for rate in rates:
            self._rate(rate, f"at {rate}/s", sides, rounds, seconds)
        if most:
            sides.pop("rtpengine", None)
            self._rate(most, f"at {most}/s on one media thread", sides, max(1, rounds - 1), seconds)
        for thing in list(self.bench.things):
            self.bench.end(thing)
        self._allocations()

    def _rate(self, rate: int, at: str, sides: dict, rounds: int, seconds: float) -> None:
        results: dict[str, list[dict]] = {name: [] for name in sides}
        dropped = dict.fromkeys(sides, 0)
        for _ in range(rounds):
            for name, (pid, ends) in sides.items():
                try:
                    results[name].append(self._loaded(pid, ends[:rate // 50], seconds))
                except (AssertionError, subprocess.SubprocessError) as error:
                    dropped[name] += 1
                    print(f"  a round of {name} failed: {error}", file=sys.stderr)
        rows = {name: self._summary(found) for name, found in results.items() if found}
        ours = rows.get("nightjar")
        if not ours:
            return self.bench.row("media", f"relayed packet {at}", "CPU µs", None)
        for name, theirs in rows.items():
            if name == "nightjar":
                continue
            # What the bare loop loses as well the load or the kernel has lost.
            excess = ours["lost"] - rows.get("bare C loop", {"lost": 0})["lost"]
            self.bench.row("media", f"relayed packet {at}", "CPU µs", ours["us"], theirs["us"], name,
                           goal=GOALS[name], lost=f"{ours['lost']} against {theirs['lost']} of {ours['sent']}",
                           dropped_rounds=f"{dropped['nightjar']} against {dropped[name]}" if dropped["nightjar"] or dropped[name] else None,
                           failed=max(0, excess) + dropped["nightjar"] or None)
        floor = rows.get("bare C loop")
        for field, name in (("p99_us", "p99"), ("p999_us", "p99.9")):
            others = "; ".join(f"{peer} {row[field] / 1000:.2g}" for peer, row in rows.items() if peer not in ("nightjar", "bare C loop"))
            self.bench.row("media", f"delay {name} {at}", "ms", ours[field] / 1000, floor and floor[field] / 1000, "bare C loop", beside=others)

    @staticmethod
    def _summary(found: list[dict]) -> dict:
        return {"us": round(median(r["us"] for r in found), 2), "p99_us": median(r["p99_us"] for r in found),
                "p999_us": median(r["p999_us"] for r in found), "lost": sum(r["lost"] for r in found),
                "sent": sum(r["sent"] for r in found)}

    def _loaded(self, pid: int, ends: list[tuple], seconds: float) -> dict:
        text = "".join(f"{a} {b} {c} {d}\n" for a, b, c, d in ends)
        before = measure.cpu_seconds(pid)
        load = subprocess.Popen([self.load, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        realtime(load.pid)
        out, error = load.communicate(text, timeout=seconds * 3 + 30)
        after = measure.cpu_seconds(pid)
        if load.returncode != 0:
            raise AssertionError(f"rtpload: {error}")
        result = json.loads(out)
        if not result["total"]:
            raise AssertionError("no packet came back")
        if result["misplaced"] or result["disordered"]:
            raise AssertionError(f"packets at the wrong end or out of order: {result}")
        return {**result, "us": 1e6 * (after - before) / result["total"], "lost": result["sent"] - result["received"]}

    def _allocations(self) -> None:
        """What Tests/Cost counts, where it has been built beside the server."""
        cost = Path(os.environ.get("NIGHTJAR_BIN", "")).parent / "Cost"
        if not cost.exists():
            return
        found = json.loads(subprocess.run([cost, "packets"], capture_output=True, text=True, timeout=120).stdout)
        self.bench.row("media", f"allocations, {found['packets']} relayed packets", "", float(found["allocations"]),
                       failed=found["allocations"] or found["lost"] or None)

    # -- the relays: the pid of each, and two ends of each call, (own address, own port, relay's address, relay's port)

    @staticmethod
    def _phones(calls: int) -> list[tuple[int, int]]:
        """Ports of the two phones of each call, on their own addresses."""
        first, _ = ports.block(2 * calls)
        return [(first + 2 * n, first + 2 * n) for n in range(calls)]

    def _loop(self, calls: int) -> tuple[int, list[tuple]]:
        loop = self.bench.keep(peers.Loop(self.relay, calls))
        ends = []
        for (a, b), (port_a, port_b) in zip(loop.pairs, self._phones(calls)):
            ends += [(TRUSTED, port_a, "127.0.0.1", a), (CALLEE, port_b, "127.0.0.1", b)]
        return loop.pid, ends

    def _nightjar(self, calls: int) -> tuple[int, list[tuple]]:
        server = self.bench.server("127.0.0.8:1", media_ports=4 * calls + 40)
        # Its calls are not hung up one by one.
        self.bench.things.remove(server)
        self.bench.keep(Stopped(server.kill))
        callee = Phone(server, "1001", ip=CALLEE)
        caller = Phone(server, "1000", ip=TRUSTED)
        for phone in (callee, caller):
            self.bench.keep(Stopped(phone.close))
        server.write_dialplan(f"""on.invite(function(call)
  call:dial("sip:1001@{CALLEE}:{callee.port}", {{ ringback = "180", rtp_timeout = 0 }})
end)""")
        server.run("reload")
        ends = []
        for port_a, port_b in self._phones(calls):
            a = caller.call("1001", make_sdp(TRUSTED, port_a, formats=(0,)))
            b = callee.incoming()
            b.reply(200, "OK", body=make_sdp(CALLEE, port_b, formats=(0,)))
            to_a = a.answered().sdp
            b.expect_request("ACK")
            to_b = b.invite.sdp
            ends += [(TRUSTED, port_a, to_a.ip, to_a.port), (CALLEE, port_b, to_b.ip, to_b.port)]
        return server.process.pid, ends

    def _rtpengine(self, calls: int) -> tuple[int, list[tuple]]:
        engine = self.bench.keep(peers.Rtpengine(self.bench.folder / "rtpengine", calls))
        ends = []
        for number, (port_a, port_b) in enumerate(self._phones(calls)):
            to_b, to_a = engine.call(number, make_sdp(TRUSTED, port_a, formats=(0,)), make_sdp(CALLEE, port_b, formats=(0,)))
            a, b = Sdp(to_a), Sdp(to_b)
            ends += [(TRUSTED, port_a, a.ip, a.port), (CALLEE, port_b, b.ip, b.port)]
        return engine.pid, ends
