"""kill -9 and SIGTERM: what is still there afterwards, and what was promised on the way out."""
import signal
import time

from harness.baresip import SETTINGS
from harness.message import make_sdp
from harness.server import DOMAIN
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)


def test_bindings_survive_kill_9(server, phone, trusted):
    nightjar = server("standard")
    callees = [phone(nightjar, str(1001 + n), ip=f"127.0.0.{30 + n}") for n in range(3)]
    for one in callees:
        one.register()
    stored = lambda: len(nightjar.query("select * from binding"))  # noqa: E731
    until(lambda: stored() == 3, "the bindings to be written behind", timeout=3)
    nightjar.kill()
    nightjar.start()
    assert len(nightjar.json("registrations")) == 3
    a = trusted(nightjar).call("1002", SDP)
    b = callees[1].incoming()
    b.reply(486, "Busy Here")
    b.expect_request("ACK")
    a.expect(486)


def test_a_real_phone_is_reached_after_kill_9(server, bare):
    nightjar = server("standard", **SETTINGS)
    one, other = bare(nightjar, "1000"), bare(nightjar, "1001")
    until(lambda: len(nightjar.query("select * from binding")) == 2, "the bindings to be written", timeout=3)
    nightjar.kill()
    nightjar.start()
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    other.accept()
    one.event("CALL_ESTABLISHED")
    one.hang_up()
    other.event("CALL_CLOSED")


def test_removed_bindings_stay_removed(server, phone):
    nightjar = server("standard")
    one = phone(nightjar)
    one.register()
    until(lambda: nightjar.query("select * from binding"), "the binding to be written", timeout=3)
    one.register(expires=0, contact="*")
    until(lambda: not nightjar.query("select * from binding"), "the removal to be written", timeout=3)
    nightjar.kill()
    nightjar.start()
    assert nightjar.json("registrations") == []


def test_a_kill_loses_at_most_the_last_second_of_records(server, trusted):
    nightjar = server("on.invite(function(call) call:reject { status = 486 } end)")
    caller = trusted(nightjar)
    for _ in range(20):
        caller.call("1", SDP).expect(486)
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 1.0, "one second")
    nightjar.kill()
    assert len(nightjar.query("select * from call")) == 20


def test_a_clean_end_is_0_and_loses_nothing(server, trusted, phone):
    nightjar = server("on.invite(function(call) call:reject { status = 486 } end)")
    caller = trusted(nightjar)
    for _ in range(20):
        caller.call("1", SDP).expect(486)
    phone(nightjar).register()
    nightjar.expected_to_end = True
    nightjar.signal(signal.SIGTERM)
    assert nightjar.process.wait(15) == 0
    assert len(nightjar.query("select * from call")) == 20
    assert len(nightjar.query("select * from binding")) == 1


def test_drain_refuses_new_calls_and_lets_old_ones_end(server, trusted):
    nightjar = server("on.invite(function(call) call:answer() call:echo() end)")
    nightjar.expected_to_end = True
    caller = trusted(nightjar)
    old = caller.call("1", SDP)
    old.answered()
    nightjar.signal(signal.SIGTERM)
    until(lambda: nightjar.json("status")["draining"], "the drain to begin")
    refused = caller.call("1", SDP).expect(503)
    assert int(refused.get("retry-after").split()[0]) > 0
    old.bye()
    assert nightjar.process.wait(15) == 0


def test_drain_has_an_end(server, trusted):
    nightjar = server("on.invite(function(call) call:answer() call:echo() end)", start=False).start("--drain", "0.5")
    nightjar.expected_to_end = True
    old = trusted(nightjar).call("1", SDP)
    old.answered()
    nightjar.signal(signal.SIGTERM)
    assert old.expect_bye().reason
    assert nightjar.process.wait(15) == 0


def test_a_second_sigterm_ends_now(server, trusted):
    nightjar = server("on.invite(function(call) call:answer() call:echo() end)")
    nightjar.expected_to_end = True
    trusted(nightjar).call("1", SDP).answered()
    nightjar.signal(signal.SIGTERM)
    until(lambda: nightjar.json("status")["draining"], "the drain to begin")
    nightjar.signal(signal.SIGTERM)
    assert nightjar.process.wait(10) == 0
