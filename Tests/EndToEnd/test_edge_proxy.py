"""Kamailio in front of the server: phones register and call through it (RFC 3327 Path, RFC 3261 §16 Record-Route)."""
from types import SimpleNamespace

import pytest

from harness import kamailio
from harness.message import make_sdp
from harness.server import DOMAIN
from harness.wait import until

ROUTE = """on.invite(function(call)
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def nightjar(server):
    return server(ROUTE, registrar={"service_route": ["<sip:edge.nightjar.test;lr>"]})


@pytest.fixture
def edge(nightjar, own, tmp_path):
    if reason := kamailio.missing():
        pytest.skip(reason)
    return own.keep(kamailio.Kamailio(tmp_path / "kamailio", nightjar.port), logged=True).start()


@pytest.fixture
def behind(edge, nightjar, phone):
    """A phone that knows nothing but the proxy."""
    def make(user: str, ip: str):
        one = phone(nightjar, user, ip=ip)
        one.server, one.server_ip = SimpleNamespace(port=edge.port), edge.ip
        return one
    return make


def routes(message) -> list[str]:
    return [v for line in message.all("route") for v in line.split(",")]


def test_a_registration_through_the_proxy_keeps_its_path(behind, edge, nightjar):
    one = behind("1001", "127.0.0.8")
    answer = one.register(headers=[("Supported", "path")])
    (path,) = answer.all("path")
    assert f"{edge.ip}:{edge.port}" in path and "received=" in path and ";lr" in path
    assert answer.get("service-route") == "<sip:edge.nightjar.test;lr>"
    assert one.register().get("path") is None  # without Supported: path the phone is not told
    (shown,) = nightjar.json("registrations")
    assert f"{one.ip}:{one.port}" in str(shown)


def test_call_to_a_phone_behind_the_proxy(behind, edge, nightjar, phone):
    one = behind("1001", "127.0.0.8")
    one.register(headers=[("Supported", "path")])
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = one.incoming()
    assert b.invite.uri == f"sip:1001@127.0.0.8:{one.port}" and len(b.invite.all("via")) == 2
    assert f"{edge.ip}:{edge.port}" in b.invite.get("record-route")
    b.reply(180, "Ringing")
    a.expect(180)
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    a.answered()
    b.expect_request("ACK")
    # In the dialog everything goes through the proxy, both ways.
    a.request("INFO", body="x", content_type="text/plain")
    info = b.expect_request("INFO")
    assert len(info.all("via")) == 2
    b.reply(200, "OK", to=info)
    a.expect(200, method="INFO")
    a.bye()
    bye = b.expect_bye()
    assert len(bye.all("via")) == 2
    until(lambda: nightjar.json("calls") == [], "the call to end")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_call_between_two_phones_behind_the_proxy(behind, nightjar, who):
    one, two = behind("1000", "127.0.0.2"), behind("1001", "127.0.0.8")
    two.register(headers=[("Supported", "path")])
    a = one.call("1001", make_sdp("127.0.0.2", 40000), headers=[("Route", "<sip:127.0.0.99:5099;lr>")])
    b = two.incoming()
    assert not b.invite.all("route")
    b.reply(180, "Ringing")
    a.expect(180)
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    a.answered()
    b.expect_request("ACK")
    first, second = (a, b) if who == "caller" else (b, a)
    first.request("INVITE", body=make_sdp("127.0.0.8" if who == "callee" else "127.0.0.2", 40000, direction="sendonly"))
    again = second.expect_request("INVITE")
    assert again.sdp.direction == "sendonly"
    second.reply(200, "OK", body=make_sdp("127.0.0.2", 40004, direction="recvonly"), to=again)
    second.expect_request("ACK")
    first.expect(200)
    first.ack()
    second.bye()
    first.expect_bye()
    until(lambda: nightjar.json("calls") == [], "the call to end")


def test_cancel_and_refusal_go_through_the_proxy(behind, nightjar, phone):
    one = behind("1001", "127.0.0.8")
    one.register(headers=[("Supported", "path")])
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = one.incoming()
    b.reply(180, "Ringing")
    a.expect(180)
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    b.expect_cancel()
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = one.incoming()
    b.reply(486, "Busy Here")
    a.expect(486)
    assert one.aor == f"sip:1001@{DOMAIN}"


def test_a_preloaded_route_leads_nowhere(nightjar, phone):
    """The phone asks the server itself to relay to a third party: the INVITE is its own, and ends there."""
    victim, caller = phone(nightjar, "1005", ip="127.0.0.30"), phone(nightjar, "1000")
    a = caller.call("1003", make_sdp("127.0.0.2", 40000),
                    headers=[("Route", f"<sip:127.0.0.1:{nightjar.port};lr>, <sip:127.0.0.30:{victim.port};lr>")])
    a.expect(480)
    answer = caller.request("OPTIONS", f"sip:127.0.0.1:{nightjar.port}",
                            headers=[("Route", f"<sip:127.0.0.30:{victim.port};lr>")])
    assert answer.status == 200
    victim.quiet(0.5)
