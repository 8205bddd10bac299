"""Scripts/bench: CPU milliseconds a call and a REGISTER, memory a held call, microseconds a relayed packet, each beside
what it is held against. Times come from /proc, as these machines are noisy: wall time judges nothing. What is measured is
verified as well (calls answered, records written, packets arrived), and a row that did not do its work says so."""
import argparse
import atexit
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent.parent / "Tests/EndToEnd"))

import load  # noqa: E402
import measure  # noqa: E402
import peers  # noqa: E402
from media import MediaBench  # noqa: E402
from harness import ports  # noqa: E402
from harness.server import ROOT, TRUSTED, Server, password  # noqa: E402
from harness.sipp import Sipp  # noqa: E402
from harness.wait import until  # noqa: E402

CALLEE, CHALLENGED = "127.0.0.8", "127.0.0.2"
BUILD = ROOT / ".build/bench"
PARTS = ["calls", "register", "set-up", "sustained", "scale", "reload", "memory", "media", "soak"]


class Bench:
    def __init__(self, quick: bool):
        self.quick = quick
        self.folder = Path(tempfile.mkdtemp(prefix="nightjar-bench-"))
        self.rows: list[dict] = []
        self.things: list = []
        atexit.register(self.close)

    def keep(self, thing):
        self.things.append(thing)
        return thing

    def end(self, *things) -> None:
        for thing in things:
            thing.stop()
            self.things.remove(thing)

    def close(self) -> None:
        for thing in reversed(self.things):
            try:
                thing.stop()
            except Exception as error:
                print(f"at the end: {error}", file=sys.stderr)
        self.things.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def row(self, part: str, what: str, unit: str, ours: float | None, theirs: float | None = None, peer: str = "", **more) -> None:
        ratio = round(ours / theirs, 2) if ours and theirs else None
        self.rows.append({"part": part, "what": what, "unit": unit, "nightjar": ours, "peer": peer, "theirs": theirs,
                          "ratio": ratio, **more})
        shown = f"{ours:.4g}" if ours is not None else "failed"
        compared = f", {peer} {theirs:.4g}, ratio {ratio}" if theirs else ""
        notes = "; ".join(f"{k} {v}" for k, v in more.items() if v not in (None, ""))
        print(f"  {what}: {shown} {unit}{compared}{f'  ({notes})' if notes else ''}", flush=True)

    # -- servers

    def server(self, callee: str, media_ports: int = 8000, settings: dict | None = None) -> Server:
        """The same work for each row: route by Lua, media leased and SDP rewritten, no tone, a record, log at its default."""
        name = f"server{len(list(self.folder.glob('server*')))}"
        dialplan = f"""local internal = router {{
  {{ "^(1%d+)$", function(call, number)
      local r = call:dial("sip:" .. number .. "@{callee}", {{ ringback = "180", timeout = 30 }})
      if not r.ok then call:reject {{ from = r }} end
    end }},
  default = function(call) call:reject {{ status = 404, cause = "UNALLOCATED_NUMBER" }} end,
}}
on.invite(internal)
"""
        return self.keep(Server(self.folder / name, dialplan, settings, media_ports=media_ports, users=range(1000, 2000),
                                ipv6=False)).start()

    # -- calls

    def calls(self, rates: list[int], seconds: float, authenticate: bool, kamailio: bool) -> None:
        for rate in rates:
            ours = self._guard(lambda: self._run_calls(None, rate, seconds, authenticate))
            theirs = self._guard(lambda: self._run_calls("kamailio", rate, seconds, authenticate)) if kamailio else None
            name = f"{'call with 407' if authenticate else 'call'} at {rate}/s"
            self.row("calls", name, "CPU ms", ours and ours["ms"], theirs and theirs["ms"], "Kamailio's proxy",
                     p99_180_ms=ours and ours["p99"], failed=ours["failed"] if ours else None,
                     records=ours["records"] if ours else None, retransmitted=ours["retransmitted"] if ours else None)

    def _guard(self, work):
        """A part that fails must not take the table with it: its row says so. All of the part before has ended."""
        ports.give_back(range(65536))
        try:
            return work()
        except Exception as error:
            print(f"  failed: {type(error).__name__}: {str(error)[:2000]}", file=sys.stderr)
            for thing in list(self.things):
                self.end(thing)
            return None

    def _run_calls(self, peer: str | None, rate: int, seconds: float, authenticate: bool) -> dict:
        calls = int(rate * seconds)
        port = ports.port()
        callee = f"{CALLEE}:{port}"
        if peer:
            server = self.keep(peers.Kamailio(self.folder / f"kamailio-{rate}-{authenticate}", callee, CHALLENGED))
        else:
            server = self.server(callee, media_ports=max(2000, 6 * rate))  # a pair given back rests for a second
        pid = server.process.pid
        warm = max(20, rate // 5)
        uas = self.keep(Sipp("callee", CALLEE, port=port, calls=None, scenarios=HERE / "scenarios",
                             folder=self.folder / "sipp", seconds=seconds * 3 + 60, arguments=["-buff_size", "4194304"]))

        def callers(count: int) -> Sipp:
            return self.keep(Sipp("caller_auth" if authenticate else "caller", CHALLENGED if authenticate else TRUSTED,
                                  to=f"127.0.0.1:{server.port}", calls=count, rate=rate, scenarios=HERE / "scenarios",
                                  folder=self.folder / "sipp", seconds=seconds * 3 + 60,
                                  keys={"caller": "1000", "password": password("1000")},
                                  arguments=["-d", "100", "-trace_rtt", "-rtt_freq", "100", "-buff_size", "4194304"]))

        first = callers(warm)
        first.wait(60)
        self.end(first)
        before = measure.cpu_seconds(pid)
        uac = callers(calls)
        uac.wait(seconds * 3 + 60)
        after = measure.cpu_seconds(pid)
        done, failed = uac.count("SuccessfulCall(C)"), uac.count("FailedCall(C)")
        retransmitted = uac.count("Retransmissions(C)") + uas.count("Retransmissions(C)")
        records = None
        if not peer:
            total = lambda: server.query("select count(*) n from call where status = 200")[0]["n"]  # noqa: E731
            try:
                until(lambda: total() >= done + warm, "the records", timeout=5)
            except AssertionError:
                pass
            records = f"{total() - warm} of {done}"
        self.end(uac, uas, server)
        if not done:
            raise AssertionError(f"no call succeeded: {uac._report()}")
        return {"ms": 1000 * (after - before) / done, "failed": failed, "p99": load.at(load.ring_times(uac), 0.99), "records": records,
                "retransmitted": retransmitted}

    # -- registrations

    def registers(self, rates: list[int], seconds: float, kamailio: bool) -> None:
        for rate in rates:
            ours = self._guard(lambda: self._run_registers(False, rate, seconds))
            theirs = self._guard(lambda: self._run_registers(True, rate, seconds)) if kamailio else None
            self.row("register", f"REGISTER with digest at {rate}/s", "CPU ms", ours and ours["ms"], theirs and theirs["ms"],
                     "Kamailio (memory only)", failed=ours["failed"] if ours else None, stored=ours["stored"] if ours else None)

    def _run_registers(self, kamailio: bool, rate: int, seconds: float) -> dict:
        if kamailio:
            server = self.keep(peers.Kamailio(self.folder / f"kamailio-reg-{rate}", f"{CALLEE}:9", CHALLENGED))
        else:
            server = self.server(f"{CALLEE}:9", media_ports=40)
        users = self.folder / "users.csv"
        users.write_text("SEQUENTIAL\n" + "".join(
            f"{u};[authentication username={u} password={password(str(u))}]\n" for u in range(1000, 2000)))

        port = ports.port()  # the same contact each time

        def callers(count: int) -> Sipp:
            return self.keep(Sipp("register", CHALLENGED, port=port, to=f"127.0.0.1:{server.port}", calls=count, rate=rate,
                                  scenarios=HERE / "scenarios", folder=self.folder / "sipp", seconds=seconds * 3 + 60,
                                  arguments=["-inf", users]))

        first = callers(1000)  # every user once: what follows are refreshes, as in a running network
        first.wait(60)
        before = measure.cpu_seconds(server.process.pid)
        again = callers(int(rate * seconds))
        again.wait(seconds * 3 + 60)
        if not kamailio:
            until(lambda: server.query("select count(*) n from binding")[0]["n"] >= 1000, "the bindings", timeout=5)
        after = measure.cpu_seconds(server.process.pid)
        done, failed = again.count("SuccessfulCall(C)"), again.count("FailedCall(C)")
        stored = None if kamailio else server.query("select count(*) n from binding")[0]["n"]
        self.end(first, again, server)
        if not done:
            raise AssertionError(f"no REGISTER succeeded: {again._report()}")
        return {"ms": 1000 * (after - before) / done, "failed": failed, "stored": stored}

    # -- what load.py measures

    def set_up(self, calls: int) -> None:
        result = self._guard(lambda: load.set_up(self, calls))
        self.row("set-up", "INVITE in to INVITE out, idle, median", "µs", result and result["median"], p99_us=result and result["p99"],
                 calls=result and result["calls"])

    def sustained(self, rate: int, seconds: int) -> None:
        result = self._guard(lambda: load.sustained(self, rate, seconds))
        self.row("sustained", f"call, {rate}/s for {seconds} s", "CPU ms", result and result["ms"],
                 **{k: v for k, v in (result or {}).items() if k != "ms"})

    def scale(self, shards: list[int], users: int, held: int, seconds: float) -> None:
        for count in shards:
            result = self._guard(lambda: load.scale(self, count, users, held, seconds))
            for what, few, many in ((f"call at 300/s, {users:,} bindings beside 100", "few_users", "many_users"),
                                    (f"call at 300/s, {held:,} held calls beside 10", "few_held", "many_held")):
                self.row("scale", f"{what}, {count} shard{'s' if count > 1 else ''}", "CPU ms", result and result[many],
                         result and result[few], "few", failed=result["failed"] if result else None)
            if result and count == shards[0]:
                self.row("scale", f"resident with {users:,} bindings", "MiB", result["many_users_mib"], with_100=result["few_users_mib"])

    def reload(self, lines: int, rate: int, seconds: int) -> None:
        result = self._guard(lambda: load.reload(self, lines, rate, seconds))
        self.row("reload", f"worst call, added by reloads of {lines:,} lines at {rate}/s", "ms", result and max(0.001, result["added"]),
                 **{k: v for k, v in (result or {}).items() if k != "added"})

    def soak(self, rate: int, calls: int) -> None:
        result = self._guard(lambda: load.soak(self, rate, calls))
        self.row("soak", f"growth over {calls:,} calls at {rate}/s", "MiB", result and max(0.001, result["growth"]),
                 **{k: v for k, v in (result or {}).items() if k != "growth"})

    # -- memory

    def memory(self, calls: int) -> None:
        result = self._guard(lambda: self._run_memory(calls))
        self.row("memory", f"a held call with its media ports, {calls} of them", "KiB", result and result["kib"],
                 idle_mib=result and result["idle"], held=result and result["held"])

    def _run_memory(self, calls: int) -> dict:
        """The marginal cost: between a tenth of the calls and all of them, so that pools and warm code are not charged."""
        port = ports.port()
        server = self.server(f"{CALLEE}:{port}", media_ports=4 * calls + 400)
        idle = measure.rss_kib(server.process.pid)
        uas = self.keep(Sipp("callee", CALLEE, port=port, calls=None, scenarios=HERE / "scenarios", folder=self.folder / "sipp", seconds=200))
        held = []

        def hold(count: int, total: int) -> int:
            held.append(self.keep(Sipp("caller", TRUSTED, to=f"127.0.0.1:{server.port}", calls=count, rate=200, limit=count + 10,
                                       scenarios=HERE / "scenarios", folder=self.folder / "sipp", seconds=200,
                                       keys={"caller": "1000", "password": ""}, arguments=["-d", "150000"])))
            until(lambda: server.json("status")["calls"] >= total, f"{total} held calls", timeout=60, interval=0.2)
            time.sleep(1)  # the last transactions of the set-up are not what is measured, but linger 32 s either way
            return measure.rss_kib(server.process.pid)

        small = hold(calls // 10, calls // 10)
        large = hold(calls - calls // 10, calls)
        count = server.json("status")["calls"]
        self.end(*held, uas)
        server.kill()
        self.things.remove(server)
        return {"kib": (large - small) / (calls - calls // 10), "idle": round(idle / 1024, 1), "held": count}


def table(machine: dict, rows: list[dict]) -> str:
    """Markdown, as the README has it."""
    head = f"{machine['date']}, {machine['cores']} cores, {machine['cpu']}, Linux {machine['kernel']}"
    lines = [head, "", "| | Nightjar | beside | ratio |", "| --- | --- | --- | --- |"]
    for row in rows:
        ours = f"{row['nightjar']:.3g} {row['unit']}" if row["nightjar"] is not None else "failed"
        theirs = f"{row['theirs']:.3g} {row['unit']} ({row['peer']})" if row["theirs"] else "–"
        lines.append(f"| {row['what']} | {ours} | {theirs} | {row['ratio'] if row['ratio'] else '–'} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="Scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 minutes, Nightjar and the C loop only")
    parser.add_argument("--only", default=",".join(PARTS[:-1]), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--no-peers", action="store_true", help="without Kamailio and rtpengine")
    parser.add_argument("--json", type=Path, default=BUILD / "results.json", help="where the results go")
    options = parser.parse_args()
    parts = set(options.only.split(","))
    if unknown := parts - set(PARTS):
        parser.error(f"unknown part: {', '.join(unknown)}")
    with_peers = not options.quick and not options.no_peers
    kamailio = with_peers and peers.Kamailio.available()
    rtpengine = with_peers and peers.Rtpengine.available()
    machine = measure.machine()
    bench = Bench(options.quick)
    print(f"{machine['cores']} cores, {machine['cpu']}, load {machine['load_before']}")
    if "calls" in parts:
        print("calls: two legs, route by Lua, media leased and SDP rewritten, 0.1 s hold, a record each", flush=True)
        bench.calls([100, 500] if options.quick else [100, 500, 1000, 2000], 8 if options.quick else 12, False, kamailio)
        bench.calls([500] if options.quick else [200, 500, 1000], 8 if options.quick else 10, True, kamailio)
    if "register" in parts:
        print("registrations: digest, 1000 users, refreshes", flush=True)
        bench.registers([500] if options.quick else [500, 1000, 2000], 8 if options.quick else 10, kamailio)
    if "set-up" in parts:
        print("set-up: one call at a time", flush=True)
        bench.set_up(100 if options.quick else 300)
    if not options.quick:
        if "sustained" in parts:
            print("sustained", flush=True)
            bench.sustained(2000, 60)
        if "scale" in parts:
            print("scale", flush=True)
            # A held call has four sockets, the process a limit of open files, and a port given back rests for a while.
            held = min(5000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1200) // 4 * 17 // 20 // 100 * 100)
            bench.scale([1, 2], 100_000, held, 8)
        if "reload" in parts:
            print("reload", flush=True)
            bench.reload(10_000, 1000, 10)
        if "soak" in parts:
            print("soak", flush=True)
            bench.soak(1800, 1_000_000)
    if "memory" in parts:
        print("memory", flush=True)
        # A call has four sockets, and the server keeps 1024 files for the rest.
        bench.memory(300 if options.quick else min(5000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1100) // 4))
    if "media" in parts:
        print("media: G.711, 20 ms, both ways", flush=True)
        media = MediaBench(bench, BUILD, rtpengine)
        if options.quick:
            media.run([5000], rounds=1, seconds=8, most=None)
        else:
            media.run([5000, 20000, 50000], rounds=4, seconds=3, most=80000)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine, "quick": options.quick, "rows": bench.rows}, indent=2) + "\n")
    print(f"\n{table(machine, bench.rows)}\n\nwritten to {options.json}")
    bench.close()
    failed = [r for r in bench.rows if r["nightjar"] is None or r.get("failed")]
    for row in failed:
        print(f"did not do its work: {row['what']}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
