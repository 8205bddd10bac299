"""RFC 3261 §18.1.1: what is too long for a datagram goes by TCP, and by UDP after all where TCP is refused."""
import pytest

SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\n"
LONG = ("X-Long", "y" * 1400)


def sdp(phone) -> str:
    return SDP.format(ip=phone.ip, port=phone.port)


def script(callee) -> str:
    return f"""on.invite(function(call)
      local r = call:dial("sip:uas@{callee.ip}:{callee.port}", {{ ringback = "180", timeout = 10 }})
      if not r.ok then call:reject {{ from = r }} end
    end)"""


@pytest.fixture
def pair(server, phone, trusted):
    def make(transport: str, **sip):
        nightjar = server(start=False, **({"sip": sip} if sip else {}))
        callee = phone(nightjar, "uas", ip="127.0.0.7", transport=transport)
        nightjar.write_dialplan(script(callee))
        nightjar.start()
        return nightjar, trusted(nightjar), callee
    return make


def test_a_long_invite_goes_by_tcp(pair):
    nightjar, caller, callee = pair("tcp")
    call = caller.call("1", sdp(caller), headers=[LONG])
    ring = callee.incoming()
    assert ring.invite.get("via").startswith(f"SIP/2.0/TCP 127.0.0.1:{nightjar.port};")
    assert ring.invite.get("x-long") == LONG[1]
    ring.reply(486)
    call.expect(486, skip=(100, 180))
    assert ring.expect_request("ACK").get("via").startswith("SIP/2.0/TCP ")


def test_by_udp_where_tcp_is_refused(pair):
    nightjar, caller, callee = pair("udp")
    for _ in range(2):  # the second time without asking TCP
        call = caller.call("1", sdp(caller), headers=[LONG])
        ring = callee.incoming()
        assert ring.invite.get("via").startswith("SIP/2.0/UDP ")
        ring.accept(sdp(callee))
        call.answered()
        call.bye()
        ring.expect_bye()
    assert nightjar.json("status")["counters"]["transport.connectFailures"] == 1


def test_the_limit_can_be_taken_off(pair):
    _, caller, callee = pair("udp", udp_limit=0)
    call = caller.call("1", sdp(caller), headers=[LONG])
    ring = callee.incoming()
    assert ring.invite.get("via").startswith("SIP/2.0/UDP ")
    ring.reply(486)
    call.expect(486, skip=(100, 180))


def test_a_registered_phone_is_called_on_its_flow(server, phone, trusted):
    nightjar = server()
    callee = phone(nightjar, "1001", ip="127.0.0.3")
    callee.register()
    caller = trusted(nightjar)
    call = caller.call("1001", sdp(caller), headers=[LONG])
    ring = callee.incoming()
    assert ring.invite.get("via").startswith("SIP/2.0/UDP ") and ring.invite.get("x-long")
    ring.reply(486)
    call.expect(486, skip=(100, 180))
    assert nightjar.json("status")["counters"].get("transport.connectFailures", 0) == 0
