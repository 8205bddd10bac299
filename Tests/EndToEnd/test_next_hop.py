"""RFC 3263 and RFC 2782 with a DNS server that the tests own: where a name leads, and where to go when a server fails."""
import json
import time
from collections import Counter

import pytest

from harness import ports
from harness.dns import DNS, NAPTR, SRV
from harness.message import make_sdp
from harness.wait import PATIENCE, until

# The caller says in a header whom to ring.
DIAL = """on.invite(function(call)
  local r = call:dial(call.headers["X-Target"], { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def dns(own):
    return own.keep(DNS())


@pytest.fixture
def start(server, dns):
    """start(**dns settings): a server that asks the test's DNS server."""
    def make(trunks=(), script: str = DIAL, **settings):
        return server(script, dns={"servers": [dns.address], "timeout": 0.3, "attempts": 1, **settings},
                      trunks=list(trunks), records={"json": "records.json"})

    return make


def call(caller, target: str):
    return caller.call("x", make_sdp(caller.ip, 40000), headers=[("X-Target", target)])


def talk(dialog, callee, ip: str | None = None) -> None:
    """The callee answers, and both hang up."""
    leg = callee.incoming()
    leg.accept(make_sdp(ip or callee.ip, 40002))
    dialog.answered()
    dialog.bye()
    leg.expect_bye()


def attempts(nightjar, count: int) -> list[list[tuple[str, int]]]:
    """(address, status) of each attempt of the last calls."""
    file = nightjar.folder / "records.json"
    lines = until(lambda: file.exists() and len(found := file.read_text().splitlines()) >= count and found,
                  f"{count} call records")
    return [[(a["ip"], a["status"]) for a in json.loads(line)["attempts"]] for line in lines[-count:]]


def test_naptr_leads_to_srv_and_srv_to_an_address(start, dns, phone, trusted):
    gateway = phone(nightjar := start(), "gw", ip="127.0.0.5", transport="tcp")
    dns.naptr("carrier.example", (10, 10, "SIP+D2T", "_sip._tcp.lb.example"), (10, 20, "SIP+D2U", "_sip._udp.lb.example"))
    dns.srv("_sip._tcp.lb.example", (1, 1, gateway.port, "gw.example"))
    dns.cname("gw.example", "real.example")
    dns.a("real.example", "127.0.0.5")
    caller = trusted(nightjar)
    talk(call(caller, "sip:42@carrier.example"), gateway)
    assert ("carrier.example", NAPTR) in dns.queries
    # All of it is known by now.
    asked = len(dns.queries)
    talk(call(caller, "sip:43@carrier.example"), gateway)
    assert len(dns.queries) == asked
    assert attempts(nightjar, 2) == [[(f"127.0.0.5:{gateway.port}", 200)]] * 2
    counters = nightjar.json("status")["counters"]
    assert counters["dns.hits"] >= 1 and counters["dns.questions"] == asked


def test_a_trunk_by_name(start, dns, phone, trusted):
    nightjar = start(trunks=[{"name": "carrier", "host": "carrier.example"}])
    gateway = phone(nightjar, "gw", ip="127.0.0.5")
    dns.srv("_sip._udp.carrier.example", (1, 1, gateway.port, "gw.example"))
    dns.a("gw.example", "127.0.0.5")
    dialog = call(trusted(nightjar), "trunk/carrier/4930")
    leg = gateway.incoming()
    assert leg.invite.uri == "sip:4930@carrier.example"
    leg.reply(486, "Busy Here")
    leg.expect_request("ACK")
    dialog.expect(486, skip=(100, 180))


def test_srv_weights(start, dns, run_sipp, trusted):
    nightjar = start()
    heavy = run_sipp("uas_refuse", "127.0.0.5", calls=None, fill={"STATUS": 486, "CAUSE": 17})
    light = run_sipp("uas_refuse", "127.0.0.6", calls=None, fill={"STATUS": 486, "CAUSE": 17})
    dns.srv("_sip._udp.carrier.example", (1, 80, heavy.port, "h.example"), (1, 20, light.port, "l.example"),
            (2, 1000, ports.port(), "never.example"))
    dns.a("h.example", "127.0.0.5")
    dns.a("l.example", "127.0.0.6")
    dns.a("never.example", "127.0.0.7")
    caller = trusted(nightjar)
    for _ in range(60):
        call(caller, "sip:1@carrier.example;transport=udp").expect(486, skip=(100, 180))
    went = Counter(one[0][0] for one in attempts(nightjar, 60))
    assert set(went) == {f"127.0.0.5:{heavy.port}", f"127.0.0.6:{light.port}"}
    assert 35 <= went[f"127.0.0.5:{heavy.port}"] <= 58, went


def test_a_closed_port_then_the_next_server(start, dns, phone, trusted):
    nightjar, closed = start(), ports.port()
    gateway = phone(nightjar, "gw", ip="127.0.0.5", transport="tcp")
    dns.srv("_sip._tcp.carrier.example", (1, 1, closed, "gw.example"), (2, 1, gateway.port, "gw.example"))
    dns.a("gw.example", "127.0.0.5")
    caller = trusted(nightjar)
    began = time.monotonic()
    talk(call(caller, "sip:1@carrier.example;transport=tcp"), gateway)
    assert time.monotonic() - began < 3 * PATIENCE
    assert attempts(nightjar, 1) == [[(f"127.0.0.5:{closed}", 503), (f"127.0.0.5:{gateway.port}", 200)]]


def test_503_then_the_next_server_and_the_first_is_tried_last(start, dns, phone, trusted):
    nightjar = start()
    first, second = phone(nightjar, "a", ip="127.0.0.5"), phone(nightjar, "b", ip="127.0.0.6")
    dns.srv("_sip._udp.carrier.example", (1, 1, first.port, "a.example"), (2, 1, second.port, "b.example"))
    dns.a("a.example", "127.0.0.5")
    dns.a("b.example", "127.0.0.6")
    caller = trusted(nightjar)
    dialog = call(caller, "sip:1@carrier.example;transport=udp")
    refused = first.incoming()
    refused.reply(503, "Service Unavailable")
    refused.expect_request("ACK")
    leg = second.incoming()
    for field in ("call-id", "from", "cseq"):
        assert leg.invite.get(field) == refused.invite.get(field)
    assert leg.invite.get("via") != refused.invite.get("via") and leg.invite.uri == refused.invite.uri
    leg.accept(make_sdp("127.0.0.6", 40002))
    dialog.answered()
    dialog.bye()
    leg.expect_bye()
    talk(call(caller, "sip:1@carrier.example;transport=udp"), second)
    first.quiet()
    # Both fail: the caller hears of the last, and the script's own `reject` says which.
    dialog = call(caller, "sip:1@carrier.example;transport=udp")
    for gateway in (second, first):
        leg = gateway.incoming()
        leg.reply(503, "Service Unavailable")
        leg.expect_request("ACK")
    dialog.expect(503, skip=(100, 180))


def test_a_silent_server_then_the_next(start, dns, phone, trusted):
    nightjar = start(failover_after=0.5)
    silent, gateway = phone(nightjar, "a", ip="127.0.0.5"), phone(nightjar, "b", ip="127.0.0.6")
    dns.srv("_sip._udp.carrier.example", (1, 1, silent.port, "a.example"), (2, 1, gateway.port, "b.example"))
    dns.a("a.example", "127.0.0.5")
    dns.a("b.example", "127.0.0.6")
    dialog = call(trusted(nightjar), "sip:1@carrier.example;transport=udp")
    talk(dialog, gateway)
    # He wakes up, and is told that it is over.
    late = silent.incoming()
    late.reply(180, "Ringing")
    late.expect_cancel()
    assert attempts(nightjar, 1) == [[(f"127.0.0.5:{silent.port}", 408), (f"127.0.0.6:{gateway.port}", 200)]]


@pytest.mark.skipif(not ports.has_ipv6(), reason="no IPv6 here")
def test_the_next_server_is_of_another_address_family(start, dns, phone, trusted):
    nightjar = start()
    six, four = phone(nightjar, "a", ip="::1"), phone(nightjar, "b", ip="127.0.0.6")
    dns.srv("_sip._udp.carrier.example", (1, 1, six.port, "six.example"), (2, 1, four.port, "four.example"))
    dns.aaaa("six.example", "::1")
    dns.a("four.example", "127.0.0.6")
    dialog = call(trusted(nightjar), "sip:1@carrier.example;transport=udp")
    leg = six.incoming()
    assert b"c=IN IP6 ::1" in leg.invite.body and "[::1]" in leg.invite.get("contact")
    leg.reply(503, "Service Unavailable")
    leg.expect_request("ACK")
    leg = four.incoming()
    assert b"c=IN IP4 127.0.0.1" in leg.invite.body and "127.0.0.1" in leg.invite.get("contact")
    leg.accept(make_sdp("127.0.0.6", 40002))
    dialog.answered()
    dialog.bye()
    leg.expect_bye()


@pytest.mark.parametrize("code", [3, 2, 5])
def test_no_such_name_and_a_server_that_refuses(start, dns, trusted, code):
    nightjar = start()
    dns.code = code
    refusal = call(trusted(nightjar), "sip:1@nowhere.example").expect(503)
    assert "cause=38" in refusal.get("reason")
    assert attempts(nightjar, 1) == [[("", 503)]]
    assert "no next hop" in nightjar.log


def test_a_ttl_of_one_second(start, dns, phone, trusted):
    nightjar = start()
    old, new = phone(nightjar, "a", ip="127.0.0.5"), phone(nightjar, "b", ip="127.0.0.6")
    dns.a("pbx.example", "127.0.0.5", ttl=1)
    caller = trusted(nightjar)
    first = call(caller, f"sip:1@pbx.example:{old.port}")
    talk(first, old)
    dns.a("pbx.example", "127.0.0.6", ttl=300)
    until(lambda: new_comes(caller, new, old, nightjar), "calls to go to the new address", timeout=5)


def new_comes(caller, new, old, nightjar) -> bool:
    """One more call; its port is the new one's, so the old address refuses it or the new one rings."""
    dialog = call(caller, f"sip:1@pbx.example:{new.port}")
    try:
        leg = new.incoming(timeout=0.3)
    except AssertionError:
        dialog.cancel()
        dialog.expect(200, method="CANCEL")
        dialog.expect(487, method="INVITE")
        return False
    leg.reply(486, "Busy Here")
    leg.expect_request("ACK")
    dialog.expect(486, skip=(100, 180))
    return True


def test_a_dead_dns_server_delays_only_the_call_that_needs_it(start, dns, phone, trusted):
    nightjar = start(timeout=3)
    dns.silent = True
    callee = phone(nightjar, "1001", ip="127.0.0.7")
    callee.register()
    caller = trusted(nightjar)
    slow = call(caller, "sip:1@slow.example")
    until(lambda: dns.queries, "a DNS query")
    for _ in range(5):
        began = time.monotonic()
        dialog = call(caller, "user/1001")
        leg = callee.incoming()
        leg.accept(make_sdp("127.0.0.7", 40002))
        dialog.answered()
        assert time.monotonic() - began < 1 * PATIENCE
        dialog.bye()
        leg.expect_bye()
    # One who hangs up does not wait for DNS, nor does anything else.
    gone = call(caller, "sip:1@other.example")
    gone.expect(100, skip=())
    gone.cancel()
    gone.expect(200, method="CANCEL")
    gone.expect(487, method="INVITE")
    refusal = slow.expect(503, timeout=8)
    assert "cause=38" in refusal.get("reason")
    # DNS comes back: so do the calls.
    dns.silent = False
    dns.a("later.example", "127.0.0.7")
    talk(call(caller, f"sip:1@later.example:{callee.port}"), callee)


def test_an_answer_that_is_cut_off_comes_by_tcp(start, dns, phone, trusted):
    nightjar = start()
    gateway = phone(nightjar, "gw", ip="127.0.0.5")
    dns.truncates = True
    dns.srv("_sip._udp.carrier.example", *[(1, 1, gateway.port, "gw.example")] * 40)
    dns.a("gw.example", "127.0.0.5")
    talk(call(trusted(nightjar), "sip:1@carrier.example;transport=udp"), gateway)
    assert dns.queries.count(("_sip._udp.carrier.example", SRV)) == 2


def test_hosts_and_a_reload_with_other_servers(start, dns, own, phone, trusted):
    nightjar = start(hosts={"pbx.example": "127.0.0.5"})
    gateway = phone(nightjar, "gw", ip="127.0.0.5")
    caller = trusted(nightjar)
    talk(call(caller, f"sip:1@pbx.example:{gateway.port}"), gateway)
    assert dns.queries == []
    call(caller, "sip:1@other.example").expect(503)
    other = own.keep(DNS())
    other.a("other2.example", "127.0.0.5")
    nightjar.settings["dns"]["servers"] = [other.address]
    nightjar.write_config()
    nightjar.run("reload")
    talk(call(caller, f"sip:1@other2.example:{gateway.port}"), gateway)
    assert other.queries and ("other2.example", 1) not in dns.queries


def test_a_contact_that_is_a_name(start, dns, phone, trusted):
    nightjar = start()
    gateway, inner = phone(nightjar, "gw", ip="127.0.0.5"), phone(nightjar, "inner", ip="127.0.0.6")
    dns.a("inner.example", "127.0.0.6")
    dialog = call(trusted(nightjar), f"sip:1@127.0.0.5:{gateway.port}")
    leg = gateway.incoming()
    leg.reply(200, "OK", body=make_sdp("127.0.0.5", 40002), contact=f"<sip:1@inner.example:{inner.port}>")
    dialog.answered()
    ack = inner.next(lambda m: m.method == "ACK", "the ACK")
    assert ack.uri == f"sip:1@inner.example:{inner.port}" and ack.call_id == leg.call_id
    dialog.bye()
    bye = inner.next(lambda m: m.method == "BYE", "the BYE")
    leg.phone = inner
    leg.reply(200, "OK", to=bye)
    gateway.quiet(wanted=lambda m: m.method in ("ACK", "BYE"))
