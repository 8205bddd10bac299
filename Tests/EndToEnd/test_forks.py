"""Several bindings, lists and sequences; and the races that come with them."""
import pytest

from harness import ports
from harness.message import make_sdp
from harness.wait import until

RING = """on.invite(function(call)
  local r = call:dial("user/1001", { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


def offer(ip="127.0.0.9"):
    return make_sdp(ip, 40000)


def answer(ip="127.0.0.8"):
    return make_sdp(ip, 40002)


@pytest.fixture
def two(server, phone, trusted):
    """A server, a caller, and two phones that are both 1001."""
    nightjar = server(RING)
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1001", ip="127.0.0.8")
    one.register()
    other.register()
    return nightjar, trusted(nightjar), one, other


def test_all_bindings_ring_and_the_first_to_answer_wins(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(180, "Ringing")
    second.reply(180, "Ringing")
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    cancel = first.expect_cancel()
    assert "SIP" in cancel.get("reason") and "cause=200" in cancel.get("reason")
    assert "completed elsewhere" in cancel.get("reason")
    assert len(a.to_tags) == 1
    a.bye()
    second.expect_bye()


def test_the_late_200_of_a_loser_is_acknowledged_and_ended(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    loser, winner = one.incoming(), other.incoming()
    loser.reply(180, "Ringing")
    winner.reply(200, "OK", body=answer())
    a.answered()
    winner.expect_request("ACK")
    cancel = loser.expect_request("CANCEL")
    loser.reply(200, "OK", to=cancel)
    loser.reply(200, "OK", body=answer("127.0.0.7"))  # he had picked up already
    loser.expect_request("ACK")
    loser.expect_bye()
    a.bye()
    winner.expect_bye()


def test_two_answers_at_the_same_instant(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(200, "OK", body=answer("127.0.0.7"))
    second.reply(200, "OK", body=answer())
    a.answered()
    first.expect_request("ACK")
    second.expect_request("ACK")
    ended = until(lambda: next((d for d in (first, second) if _has_bye(d)), None), "one of the two to get BYE")
    ended.expect_bye()
    a.bye()
    (second if ended is first else first).expect_bye()


def _has_bye(dialog) -> bool:
    dialog.phone.drain()
    return any(m.method == "BYE" and not m.is_response and m.call_id == dialog.call_id for m in dialog.phone._backlog)


def test_one_busy_does_not_end_the_others(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(486, "Busy Here")
    first.expect_request("ACK")
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    a.bye()
    second.expect_bye()


def test_a_decline_of_6xx_ends_the_rest(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    second.reply(180, "Ringing")
    first.reply(603, "Decline")
    first.expect_request("ACK")
    second.expect_cancel()
    a.expect(603, skip=(100, 180))


def test_all_refuse_the_best_wins(two):
    """RFC 3261 §16.7: the lowest class; the caller learns something useful."""
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(503, "Service Unavailable")
    first.expect_request("ACK")
    second.reply(486, "Busy Here")
    second.expect_request("ACK")
    a.expect(486, skip=(100, 180))


def test_cancel_reaches_every_leg(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(180, "Ringing")
    second.reply(180, "Ringing")
    a.expect(180)
    a.cancel()
    a.expect(200, method="CANCEL", skip=(180,))
    a.expect(487, skip=(100, 180))
    first.expect_cancel()
    second.expect_cancel()


def test_cancel_waits_for_the_first_provisional(two):
    """RFC 3261 §9.1: no CANCEL to a callee who has said nothing."""
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    second.reply(486, "Busy")
    second.expect_request("ACK")
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    one.quiet(0.3, lambda m: m.method == "CANCEL")
    first.reply(180, "Ringing")
    first.expect_cancel()


def test_cancel_crosses_a_200_of_the_callee(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    second.reply(486, "Busy")
    first.reply(180, "Ringing")
    a.expect(180)
    a.cancel()
    cancel = first.expect_request("CANCEL")
    first.reply(200, "OK", body=answer("127.0.0.7"))
    first.reply(200, "OK", to=cancel)
    a.expect(200, method="CANCEL", skip=(180,))
    a.expect(487, skip=(100, 180))
    first.expect_request("ACK")
    first.expect_bye()


def test_cancel_after_the_answer_changes_nothing(two):
    _, caller, one, other = two
    a = caller.call("1001", offer())
    first, second = one.incoming(), other.incoming()
    second.reply(486, "Busy")
    first.reply(200, "OK", body=answer("127.0.0.7"))
    ok = a.expect(200, skip=(100, 180), method="INVITE")
    a.cancel()
    a.expect(200, 481, method="CANCEL")
    a.ack(ok)
    first.expect_request("ACK")
    a.bye()
    first.expect_bye()


# -- sequences and lists


def sequence(server, targets: str, options: str = "") -> object:
    return server(f"""on.invite(function(call)
  local r = call:dial({targets}, {{ ringback = "180"{', ' + options if options else ''} }})
  if not r.ok then call:reject {{ from = r }} end
end)""")


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_failover_to_the_second(server, phone, trusted, status):
    nightjar = sequence(server, 'seq { "user/1001", "user/1002" }', 'failover_on = { 408, 500, 502, 503, "timeout", "unreachable" }')
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", offer())
    first = one.incoming()
    other.quiet(0.05)
    first.reply(status, "Failure")
    first.expect_request("ACK")
    second = other.incoming()
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    a.bye()
    second.expect_bye()


def test_a_status_that_is_not_listed_ends_the_sequence(server, phone, trusted):
    nightjar = sequence(server, 'seq { "user/1001", "user/1002" }', "failover_on = { 503 }")
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", offer())
    first = one.incoming()
    first.reply(486, "Busy")
    first.expect_request("ACK")
    a.expect(486)
    other.quiet(0.2)


def test_failover_from_a_closed_port_is_quick(server, phone, trusted):
    """ICMP says it at once; no reason to wait for timer B."""
    closed = ports.port()
    nightjar = sequence(server, f'seq {{ "sip:x@127.0.0.7:{closed};transport=tcp", "user/1002" }}', 'failover_on = { "unreachable", 503 }')
    other = phone(nightjar, "1002", ip="127.0.0.8")
    other.register()
    a = trusted(nightjar).call("1", offer())
    second = other.incoming(timeout=5)
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    a.bye()
    second.expect_bye()


def test_failover_after_a_ring_timeout(server, phone, trusted):
    nightjar = sequence(server, 'seq { { "user/1001", timeout = 0.4 }, "user/1002" }', 'failover_on = { "timeout" }')
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", offer())
    first = one.incoming()
    first.reply(180, "Ringing")
    cancel = first.expect_cancel()
    assert cancel.get("reason"), "a CANCEL that we originate says why"
    second = other.incoming()
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    a.bye()
    second.expect_bye()


def test_the_caller_gives_up_and_the_second_never_rings(server, phone, trusted):
    nightjar = sequence(server, 'seq { "user/1001", "user/1002" }', 'failover_on = { 408, 480, 487, "timeout" }')
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", offer())
    first = one.incoming()
    first.reply(180, "Ringing")
    a.expect(180)
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    first.expect_cancel()
    other.quiet(0.3)


def test_a_list_rings_in_parallel(server, phone, trusted):
    nightjar = sequence(server, '{ "user/1001", "user/1002" }')
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", offer())
    first, second = one.incoming(), other.incoming()
    first.reply(180, "Ringing")
    second.reply(200, "OK", body=answer())
    a.answered()
    second.expect_request("ACK")
    first.expect_cancel()
    a.bye()
    second.expect_bye()


def test_headers_and_identity_of_a_target(server, phone, trusted):
    nightjar = server("""on.invite(function(call)
  local r = call:dial({ { "user/1001", headers = { ["X-Route"] = "a;b" }, remove = { "X-Secret" }, from = "5551234" } },
    { ringback = "180", headers = { ["X-All"] = "yes" } })
  if not r.ok then call:reject { from = r } end
end)""")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    a = trusted(nightjar).call("1", offer(), headers=[("X-Secret", "s"), ("X-Kept", "k")])
    b = callee.incoming()
    assert b.invite.get("x-route") == "a;b" and b.invite.get("x-all") == "yes" and b.invite.get("x-kept") == "k"
    assert b.invite.get("x-secret") is None
    assert "5551234" in b.invite.get("from")
    b.reply(404, "Not Found")
    b.expect_request("ACK")
    a.expect(404)


@pytest.mark.parametrize("status", [401, 407, 420, 421, 422, 494])
def test_what_is_between_us_and_the_callee_becomes_502(server, phone, trusted, status):
    nightjar = server(RING)
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    a = trusted(nightjar).call("1001", offer())
    b = callee.incoming()
    b.reply(status, "Between Us")
    b.expect_request("ACK")
    a.expect(502)


def test_after_the_bridge_the_script_goes_on_where_told_to(server, phone, trusted):
    nightjar = server("""on.invite(function(call)
  local r = call:dial("user/1001", { ringback = "180", after_bridge = "continue" })
  if r.ok then call:hangup { cause = 31 } end
end)""")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    a = trusted(nightjar).call("1", offer())
    b = callee.incoming()
    b.reply(200, "OK", body=answer())
    a.answered()
    b.expect_request("ACK")
    b.bye()
    assert a.expect_bye().q850 == 31
