"""Scripts/demo: two real phones (baresip) register, one calls the other through a Lua route, and `nightjar trace` prints
the ladder of both legs as it happens. Free loopback ports, a folder of its own, nothing left behind."""
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests/EndToEnd"))

from harness.baresip import Baresip, missing  # noqa: E402
from harness.server import BINARY, DOMAIN, Server  # noqa: E402
from harness.wait import until  # noqa: E402

DIALPLAN = """on.invite(router {
  { "^(10%d%d)$", function(call, extension)
      local r = call:dial("user/" .. extension, { timeout = 20 })   -- ringing tone over RTP until the answer
      if not r.ok then call:reject { from = r } end                 -- the callee's own status and Reason
    end },
  default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
})
"""
START = time.monotonic()


def say(text: str) -> None:
    print(f"\n== {time.monotonic() - START:4.1f} s  {text}", flush=True)


def main() -> int:
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    things = []
    with tempfile.TemporaryDirectory(prefix="nightjar-demo-") as folder:
        try:
            return demo(Path(folder), things)
        finally:
            for thing in reversed(things):
                thing.stop()


class Trace:
    """`nightjar trace`, straight to the terminal."""

    def __init__(self, server: Server):
        self.process = subprocess.Popen([BINARY, "trace", "--config", server.config], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(5)


def demo(folder: Path, things: list) -> int:
    say("a server, and the script that routes its calls:")
    print("\n".join("     " + line for line in DIALPLAN.splitlines()))
    passwords = {user: secrets.token_urlsafe(12) for user in ("1000", "1001")}
    users = [{"name": user, "password": word, "context": "internal"} for user, word in passwords.items()]
    # One challenge only: this baresip gives up where a second one names an algorithm that it does not know.
    settings = {"users": users, "access": [], "sip": {"auth": {"algorithms": ["MD5"]}}}
    server = Server(folder / "server", DIALPLAN, settings, ipv6=False, media_ports=40)
    things.append(server)
    server.start()

    say(f"two phones register at 127.0.0.1:{server.port} (digest, random passwords)")
    alice, bob = (Baresip(folder / user, user, passwords[user], f"127.0.0.1:{server.port}", DOMAIN, tone=tone)
                  for user, tone in (("1000", 700), ("1001", 1200)))
    for phone in (alice, bob):
        things.append(phone)
        phone.start().registered()

    say("1000 calls 1001; the ladder of both legs:")
    things.append(Trace(server))
    time.sleep(0.5)  # the trace's connection; a show may wait where a test must not
    alice.dial(f"sip:1001@{DOMAIN}")
    bob.event("CALL_INCOMING")
    alice.until_hears(440, 480)
    say("1000 hears 440 + 480 Hz: the ringing tone of the server, before anybody has answered")
    bob.accept()
    alice.event("CALL_ESTABLISHED")
    alice.until_hears(1200)
    bob.until_hears(700)
    say("answered: 1000 hears 1200 Hz, 1001 hears 700 Hz, through the relay")
    bob.hang_up()
    alice.event("CALL_CLOSED")
    row = until(lambda: server.query("select * from call"), "the call's record", timeout=3)[0]
    time.sleep(0.3)  # the trace's last lines
    say("1001 hung up; the call's record:")
    attempts = json.loads(row["attempts"])
    print(f"     {row['caller']} -> {row['callee']}, talked {row['end_ms'] - row['answer_ms']} ms, status {row['status']}, "
          f"cause {row['cause']}, ended by the {row['ended_by']}")
    for one in attempts:
        print(f"     attempt: {one['target']} at {one['ip']}, {one['status']} after {one['ms']} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
