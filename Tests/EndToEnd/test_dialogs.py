"""Two legs, two dialogs: what crosses from one to the other, and what must not."""
import pytest

from harness.message import make_sdp
from harness.server import DOMAIN
from harness.wait import until

ROUTE = """on.invite(function(call)
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def nightjar(server):
    return server(ROUTE)


@pytest.fixture
def callee(nightjar, phone):
    one = phone(nightjar, "1001", ip="127.0.0.8")
    one.register()
    return one


@pytest.fixture
def talk(nightjar, callee, phone):
    """A call of 1000 (who authenticates) to 1001, answered: (caller's dialog, callee's dialog)."""
    def make(**options):
        caller = phone(nightjar, "1000")
        a = caller.call("1001", make_sdp("127.0.0.2", 40000), **options)
        b = callee.incoming()
        b.reply(180, "Ringing")
        a.expect(180)
        b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
        a.answered()
        b.expect_request("ACK")
        return a, b
    return make


def test_topology_is_hidden(talk):
    a, b = talk(headers=[("User-Agent", "secret-phone/1.0")])
    seen = b.invite.raw.decode()
    assert a.call_id not in seen and "127.0.0.2" not in seen and a.local.partition("tag=")[2] not in seen
    assert "secret-phone" not in seen and "Proxy-Authorization" not in seen and "Digest" not in seen
    assert len(b.invite.all("via")) == 1 and not b.invite.all("record-route")
    a.bye()
    b.expect_bye()


def test_media_goes_through_the_relay(nightjar, talk):
    a, b = talk()
    offered = b.invite.sdp
    assert offered.ip == "127.0.0.1" and offered.port in nightjar.media_range
    a.bye()
    b.expect_bye()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_bye_crosses_with_its_reason(talk, who):
    a, b = talk()
    first, second = (a, b) if who == "caller" else (b, a)
    first.request("BYE")
    bye = second.expect_bye()
    assert bye.q850 == 16
    first.expect(200, method="BYE")


def test_headers_of_the_allow_list_cross_byte_for_byte(talk):
    sent = [("Subject", 'a  "b" \\c, d'), ("Priority", "urgent"), ("Alert-Info", "<http://x/y.wav>"),
            ("Call-Info", "<http://x/>;purpose=info"), ("User-to-User", "56a3;encoding=hex"), ("X-Whatever", " ,;= 1")]
    a, b = talk(headers=[*sent, ("P-Charge-Info", "nobody"), ("Privacy", "none")])
    for name, value in sent:
        assert b.invite.get(name) == value.strip()
    assert b.invite.get("p-charge-info") is None
    a.bye()
    b.expect_bye()


def test_the_caller_is_who_he_authenticated_as(nightjar, callee, phone):
    """A From number that is not his own is replaced."""
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000), from_=f'"Boss" <sip:1009@{DOMAIN}>;tag=forged')
    b = callee.incoming()
    assert "sip:1000@" in b.invite.get("from") and "1009" not in b.invite.get("from")
    assert "1000" in (b.invite.get("p-asserted-identity") or "")
    b.reply(486, "Busy")
    b.expect_request("ACK")
    a.expect(486)


def test_hold_and_resume_by_the_callee(talk):
    a, b = talk()
    for direction, answer in (("sendonly", "recvonly"), ("sendrecv", "sendrecv"), ("inactive", "inactive"), ("sendrecv", "sendrecv")):
        b.request("INVITE", body=make_sdp("127.0.0.8", 40002, direction=direction, version=b.cseq + 1))
        offer = a.expect_request("INVITE")
        assert offer.sdp.direction == direction
        a.reply(200, "OK", body=make_sdp("127.0.0.2", 40000, direction=answer, version=b.cseq + 1))
        a.expect_request("ACK")
        got = b.expect(200, method="INVITE")
        b.ack(got)
        assert got.sdp.direction == answer
    a.bye()
    b.expect_bye()


def test_hold_by_a_zero_address(talk):
    a, b = talk()
    a.request("INVITE", body=make_sdp("127.0.0.2", 40000, connection="0.0.0.0", version=2))
    offer = b.expect_request("INVITE")
    assert offer.sdp.direction in ("sendonly", "inactive") or offer.sdp.ip == "0.0.0.0"
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002, direction="recvonly", version=2))
    b.expect_request("ACK")
    a.ack(a.expect(200, method="INVITE"))
    a.bye()
    b.expect_bye()


def test_a_refused_reinvite_leaves_the_call(talk):
    a, b = talk()
    a.request("INVITE", body=make_sdp("127.0.0.2", 40000, formats=(8,), version=2))
    b.expect_request("INVITE")
    b.reply(488, "Not Acceptable Here")
    b.expect_request("ACK")
    a.expect(488, method="INVITE")
    a.bye()
    b.expect_bye()


def test_the_origin_line_keeps_its_id_and_counts_versions(talk):
    """RFC 3264 §8: one session id, and a version that grows by one with each change."""
    a, b = talk()
    first = b.invite.sdp.origin.split()
    a.request("INVITE", body=make_sdp("127.0.0.2", 40000, direction="sendonly", version=2))
    second = b.expect_request("INVITE").sdp.origin.split()
    assert second[:2] == first[:2] and int(second[2]) == int(first[2]) + 1
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002, direction="recvonly", version=2))
    b.expect_request("ACK")
    a.ack(a.expect(200, method="INVITE"))
    a.bye()
    b.expect_bye()


def test_info_passes_through(talk):
    a, b = talk()
    a.request("INFO", body="Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay")
    info = b.expect_request("INFO")
    assert info.body == b"Signal=5\r\nDuration=160\r\n" and info.get("content-type") == "application/dtmf-relay"
    b.reply(200, "OK", to=info)
    a.expect(200, method="INFO")
    a.bye()
    b.expect_bye()


def test_options_in_a_dialog_are_answered_by_the_other_phone(talk):
    """RFC 3261 §11: what the call can do, the two phones say; Allow and Supported are the server's own."""
    a, b = talk()
    a.request("OPTIONS")
    b.reply(200, "OK", to=b.expect_request("OPTIONS"), headers=[("Allow", "INVITE"), ("X-Seen", "yes")])
    answer = a.expect(200, method="OPTIONS")
    assert "UPDATE" in answer.get("allow") and "100rel" in answer.get("supported") and answer.get("x-seen") == "yes"
    a.bye()
    b.expect_bye()


def test_an_old_cseq_is_500(talk):
    """RFC 3261 §12.2.2."""
    a, b = talk()
    a.request("UPDATE", cseq=100)
    a.expect(200, method="UPDATE")
    a.request("UPDATE", cseq=50)
    a.expect(500, method="UPDATE")
    a.cseq = 200
    a.bye()
    b.expect_bye()


def test_reinvite_from_both_sides_at_once_is_491(talk):
    """RFC 3261 §14: glare. The one who crosses an offer of ours gets 491, or the other one does."""
    a, b = talk()
    a.request("INVITE", body=make_sdp("127.0.0.2", 40000, direction="sendonly", version=2))
    b.expect_request("INVITE")
    crossing = b.request("INVITE", body=make_sdp("127.0.0.8", 40002, direction="sendonly", version=2))
    assert b.expect(491, 500, method="INVITE").cseq == crossing.cseq


def test_the_200_is_repeated_until_the_ack(nightjar, callee, phone):
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = callee.incoming()
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    ok = a.expect(200, skip=(100, 180))
    until(lambda: caller.times_seen(ok) >= 3, "the 200 to be repeated", timeout=5)
    a.ack(ok)
    b.expect_request("ACK")
    caller.drain(0.1)
    count = caller.times_seen(ok)
    caller.drain(1.2)
    assert caller.times_seen(ok) <= count + 1, "repeated after its ACK"
    a.bye()
    b.expect_bye()


def test_a_repeated_invite_makes_no_second_leg(nightjar, callee, phone):
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    caller.send(a.invite.raw)
    b = callee.incoming()
    caller.send(a.invite.raw)
    callee.quiet(0.3, lambda m: m.method == "INVITE")
    b.reply(486, "Busy")
    b.expect_request("ACK")
    a.expect(486)


def test_an_invite_without_an_offer(nightjar, callee, phone):
    """RFC 3264 §5: the 200 has the offer and the ACK the answer; towards the callee the server may make an offer itself."""
    caller = phone(nightjar, "1000")
    a = caller.call("1001")
    b = callee.incoming()
    b.reply(180, "Ringing")
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    ok = a.expect(200, skip=(100, 180))
    assert ok.sdp.port in nightjar.media_range
    a.ack(ok, body=make_sdp("127.0.0.2", 40000, formats=(0,)))
    ack = b.expect_request("ACK")
    assert b.invite.sdp or ack.sdp, "the callee made an offer and must get an answer"
    a.bye()
    b.expect_bye()


def test_one_to_tag_and_no_provisional_after_the_answer(talk):
    a, b = talk()
    assert len(a.to_tags) == 1
    b.phone.quiet(0.1)
    a.bye()
    b.expect_bye()
