"""A phone behind a real NAT: its Contact and its SDP say 10.99.0.5, and everything must reach it all the same."""
import pytest

from harness import netns
from harness.message import make_sdp
from harness.netns import OUTSIDE, PHONE, SERVER
from harness.wait import Deadline, until

ROUTE = """on.invite(function(call)
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def nat():
    if reason := netns.missing():
        pytest.skip(reason)
    made = netns.Nat()
    yield made
    made.close()


@pytest.fixture
def world(nat, server, phone):
    """(server, phone behind the NAT, caller outside of it); `nat_settings` is `sip.nat`."""
    def make(**nat_settings):
        nightjar = server(ROUTE, start=False, ipv6=False, media={"address": [SERVER]})
        nightjar.settings["sip"]["listen"] += [f"{t}:{SERVER}:{nightjar.port}" for t in ("udp", "tcp")]
        nightjar.settings["sip"]["nat"] = nat_settings
        nightjar.write_config()
        nightjar.start()
        with nat.inside():
            behind = phone(nightjar, "1001", ip=PHONE)
        behind.server_ip = SERVER
        return nightjar, behind, phone(nightjar, "1000")
    return make


def answer(caller, behind, media):
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = behind.incoming()
    b.reply(200, "OK", body=media.sdp())
    a.answered()
    b.expect_request("ACK")
    return a, b


def test_contact_and_sdp_of_a_phone_behind_nat(world, nat, rtp):
    nightjar, behind, caller = world()
    assert PHONE in behind.register().get("contact")
    with nat.inside():
        inner = rtp(PHONE)
    outer = rtp("127.0.0.2")
    a = caller.call("1001", outer.sdp())
    b = behind.incoming()
    assert b.invite.uri == f"sip:1001@{PHONE}:{behind.port}"
    b.reply(180, "Ringing")
    a.expect(180)
    b.reply(200, "OK", body=inner.sdp())
    final = a.answered()
    b.expect_request("ACK")
    inner.talk(b.invite.sdp)
    outer.talk((SERVER, final.sdp.port))
    until(lambda: len(inner.packets) > 20 and len(outer.packets) > 20, "audio both ways")
    a.bye()
    b.expect_bye()


def test_the_mapping_is_kept_open(world):
    """The NAT forgets after 8 s of silence; a call comes after more than that."""
    nightjar, behind, caller = world(keepalive=5)
    behind.register()
    behind.drain(13)
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = behind.incoming()
    b.reply(486, "Busy Here")
    a.expect(486)


def test_options_find_a_phone_that_is_gone(world, nat):
    nightjar, behind, caller = world(keepalive=5, method="options")
    behind.register()
    seen = 0
    for _ in range(3):
        options = behind.next(lambda m: m.method == "OPTIONS" and not m.is_response, "OPTIONS", timeout=10)
        assert options.uri == f"sip:1001@{PHONE}:{behind.port}"
        lines = [f"Via: {v}" for v in options.all("via")]
        behind.send("\r\n".join(["SIP/2.0 200 OK", *lines, f"From: {options.get('from')}", f"To: {options.get('to')};tag=x",
                                 f"Call-ID: {options.call_id}", f"CSeq: {options.get('cseq')}", "Content-Length: 0"])
                    + "\r\n\r\n")
        seen += 1
    assert seen == 3 and len(nightjar.json("registrations")) == 1


def test_without_keepalives_the_phone_is_lost(world):
    """What the others prove is the server's doing."""
    nightjar, behind, caller = world(keepalive=0)
    behind.register()
    behind.drain(13)
    caller.call("1001", make_sdp("127.0.0.2", 40000))
    behind.quiet(2, lambda m: m.method == "INVITE")


def test_a_mapping_that_changes_in_mid_call(world, nat, rtp):
    """RFC 7362 §4: after a pause the NAT lets the same phone out by another port, for SIP and for RTP."""
    nightjar, behind, caller = world(keepalive=0)
    behind.register()
    with nat.inside():
        inner = rtp(PHONE)
    outer = rtp("127.0.0.2")
    a = caller.call("1001", outer.sdp())
    b = behind.incoming()
    b.reply(200, "OK", body=inner.sdp())
    final = a.answered()
    b.expect_request("ACK")
    inner.talk(b.invite.sdp)
    outer.talk((SERVER, final.sdp.port))
    until(lambda: len(inner.packets) > 20 and len(outer.packets) > 20, "audio both ways")
    first = nightjar.json("registrations")[0]
    assert OUTSIDE in str(first)
    nat.forget_after(1)
    inner.hush()
    outer.hush()
    pause = Deadline(4)
    until(lambda: pause.over, "the NAT to forget", timeout=10)
    nat.forget_after(60)
    outer.talk((SERVER, final.sdp.port))
    inner.talk(None)
    before = len(inner.packets), len(outer.packets)
    until(lambda: len(inner.packets) > before[0] + 20 and len(outer.packets) > before[1] + 20, "audio again, both ways")
    # And a request of the phone tells where it is now.
    b.request("INFO", body="x", content_type="text/plain")
    info = a.expect_request("INFO")
    a.reply(200, "OK", to=info)
    b.expect(200, method="INFO")
    a.bye()
    b.expect_bye()
