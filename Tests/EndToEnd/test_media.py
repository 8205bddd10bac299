"""The relay, seen from both ends of it: who hears whom, with which payload numbers, and who cannot."""
import socket
import struct
import time

import pytest

from harness import audio
from harness.message import make_sdp
from harness.ports import has_ipv6
from harness.rtp import Rtp
from harness.server import TRUSTED
from harness.wait import until

RING = """on.invite(function(call)
  local r = call:dial("user/1001", { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def call(server, phone, own):
    """call(…): an answered call of a trusted caller to 1001 with RTP ends on both sides: (a, b, a's RTP, b's RTP)."""

    def make(caller_ip=TRUSTED, callee_ip="127.0.0.8", formats=(0, 8, 101), callee_formats=None, extra="", talking=True,
             **settings):
        nightjar = server(RING, **settings)
        make.server = nightjar
        callee = phone(nightjar, "1001", ip=callee_ip)
        callee.register()
        here, there = own.keep(Rtp(caller_ip)), own.keep(Rtp(callee_ip))
        a = phone(nightjar, "1000", ip=caller_ip).call("1001", here.sdp(formats=formats, extra=extra))
        b = callee.incoming()
        b.reply(180, "Ringing")
        a.expect(180)
        b.reply(200, "OK", body=there.sdp(formats=callee_formats or formats))
        a.answer = a.answered()
        b.expect_request("ACK")
        if talking:
            here.talk(a.answer.sdp, 700)
            there.talk(b.invite.sdp, 1200)
            here.until_hears(1200)
            there.until_hears(700)
        return a, b, here, there

    return make


def test_both_hear_each_other(call):
    a, b, here, there = call()
    here.check_stream()
    there.check_stream()
    assert {p.payload_type for p in here.packets} == {0}
    a.bye()
    b.expect_bye()


def test_after_the_call_nothing_is_relayed(call):
    a, b, here, there = call()
    a.bye()
    b.expect_bye()
    time_of_bye = time.monotonic()
    until(lambda: time.monotonic() - time_of_bye > 0.3, "0.3 s to pass")
    count = len(there.packets)
    until(lambda: time.monotonic() - time_of_bye > 0.6, "another 0.3 s")
    assert len(there.packets) == count


def test_pcma_only(call):
    a, b, here, there = call(formats=(8, 101))
    assert {p.payload_type for p in there.packets} == {8}
    a.bye()
    b.expect_bye()


def test_a_codec_that_the_server_does_not_know_is_relayed(call):
    a, b, here, there = call(formats=(111, 101), talking=False)
    here.remote = (a.answer.sdp.ip, a.answer.sdp.port)
    there.remote = (b.invite.sdp.ip, b.invite.sdp.port)
    payload = bytes(range(40))

    def relayed():
        here.send_packet(payload, 111, samples=960)
        return there.packets

    assert until(relayed, "a packet")[0].payload == payload and there.packets[0].payload_type == 111
    a.bye()
    b.expect_bye()


def test_telephone_events_have_their_own_numbers_on_each_side(call):
    a, b, here, there = call(formats=(0, 101), callee_formats=(0, 101), talking=True)
    assert b.invite.sdp.telephone_event is not None
    number = a.answer.sdp.telephone_event
    event = struct.pack("!BBH", 5, 10, 800)
    here.hush()
    here.send_packet(event, number, marker=True)
    until(lambda: [p for p in there.packets if p.payload == event], "the digit")
    digit = next(p for p in there.packets if p.payload == event)
    assert digit.payload_type == b.invite.sdp.telephone_event and digit.marker
    a.bye()
    b.expect_bye()


def test_payload_numbers_are_mapped_a_direction(server, phone, trusted, own):
    """The callee answers with numbers of his own for the same events (he may, RFC 3264 §6.1 only asks the same direction)."""
    nightjar = server(RING)
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    here, there = own.keep(Rtp(TRUSTED)), own.keep(Rtp("127.0.0.8"))
    a = trusted(nightjar).call("1001", here.sdp(formats=(0, 96)))
    b = callee.incoming()
    b.reply(200, "OK", body=there.sdp(formats=(0, 101)))
    ok = a.answered()
    b.expect_request("ACK")
    assert ok.sdp.telephone_event == 96
    here.remote, there.remote = (ok.sdp.ip, ok.sdp.port), (b.invite.sdp.ip, b.invite.sdp.port)
    event = struct.pack("!BBH", 7, 10, 800)

    def relayed():
        here.send_packet(event, 96)
        return there.packets

    assert until(relayed, "the digit")[-1].payload_type == 101
    a.bye()
    b.expect_bye()


def test_video_is_answered_with_port_zero(call):
    video = "m=video 40010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    a, b, here, there = call(extra=video)
    assert len(a.answer.sdp.media) == 2
    assert a.answer.sdp.media[1].split()[:2] == ["video", "0"]
    a.bye()
    b.expect_bye()


def test_ice_and_crypto_are_dropped(call):
    extra = "a=ice-ufrag:x\r\na=ice-pwd:yyyyyyyyyyyyyyyyyyyyyy\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n" \
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxxx\r\na=rtcp-mux\r\n"
    a, b, here, there = call(extra=extra)
    text = b.invite.body.decode()
    for word in ("ice-", "candidate", "crypto", "rtcp-mux", "192.0.2.1"):
        assert word not in text
    a.bye()
    b.expect_bye()


def test_the_stream_follows_where_it_comes_from(call):
    """Symmetric RTP: the phone says one port in its SDP and sends from another (NAT)."""
    a, b, here, there = call(talking=False)
    with Rtp("127.0.0.9") as elsewhere:
        elsewhere.talk(a.answer.sdp, 700)
        there.talk(b.invite.sdp, 1200)
        elsewhere.until_hears(1200)
        there.until_hears(700)
    a.bye()
    b.expect_bye()


def test_a_stranger_cannot_take_a_flowing_stream(call):
    a, b, here, there = call()
    with Rtp("127.0.0.66") as stranger:
        stranger.talk(a.answer.sdp, 2500)
        begin = time.monotonic()
        until(lambda: time.monotonic() - begin > 1, "one second of injection")
        assert not stranger.packets, "the stream went to the stranger"
        assert there.hears(700), "the stranger's packets were passed on"
    assert here.hears(1200)
    a.bye()
    b.expect_bye()


def test_rtcp_crosses(call):
    a, b, here, there = call()
    report = struct.pack("!BBHI", 0x80, 201, 1, here.ssrc)
    deadline = time.monotonic() + 5

    def arrives():
        here.rtcp.sendto(report, (a.answer.sdp.ip, a.answer.sdp.port + 1))
        there.rtcp.settimeout(0.2)
        try:
            return there.rtcp.recv(2048)
        except (TimeoutError, socket.timeout):
            return None

    assert until(arrives, "RTCP", timeout=deadline - time.monotonic())
    a.bye()
    b.expect_bye()


def test_hold_stops_and_resume_brings_it_back(call):
    a, b, here, there = call()
    a.request("INVITE", body=make_sdp(here.ip, here.port, direction="sendonly", version=2))
    b.expect_request("INVITE")
    b.reply(200, "OK", body=make_sdp(there.ip, there.port, direction="recvonly", version=2))
    b.expect_request("ACK")
    a.ack(a.expect(200, method="INVITE"))
    until(lambda: not here.hears(1200, last=0.3), "the held caller to hear nothing")
    a.request("INVITE", body=make_sdp(here.ip, here.port, version=3))
    b.expect_request("INVITE")
    b.reply(200, "OK", body=make_sdp(there.ip, there.port, version=3))
    b.expect_request("ACK")
    a.ack(a.expect(200, method="INVITE"))
    here.until_hears(1200)
    there.until_hears(700)
    a.bye()
    b.expect_bye()


def test_a_call_without_media_is_ended(call):
    a, b, here, there = call(media={"timeout": 2})
    here.hush()
    there.hush()
    assert a.expect_bye(timeout=10).reason
    assert b.expect_bye().reason


def test_one_dead_side_is_enough(call):
    """A phone that has crashed sends nothing, while the other talks on."""
    a, b, here, there = call(media={"timeout": 2})
    here.hush()
    assert a.expect_bye(timeout=10).reason
    assert b.expect_bye().reason


def test_a_held_call_has_its_own_timeout(call):
    a, b, here, there = call(media={"timeout": 2, "hold_timeout": 0})
    a.request("INVITE", body=make_sdp(here.ip, here.port, direction="inactive", version=2))
    b.expect_request("INVITE")
    b.reply(200, "OK", body=make_sdp(there.ip, there.port, direction="inactive", version=2))
    b.expect_request("ACK")
    a.ack(a.expect(200, method="INVITE"))
    here.hush()
    there.hush()
    a.phone.quiet(3.5, lambda m: m.method == "BYE")
    a.bye()
    b.expect_bye()


@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_ipv6_to_ipv4(call):
    a, b, here, there = call(caller_ip="::1", callee_ip="127.0.0.8")
    assert a.answer.sdp.ip == "::1" and b.invite.sdp.ip == "127.0.0.1"
    a.bye()
    b.expect_bye()


def test_no_ports_left_is_503(server, phone, trusted):
    """Room for one call: the second is refused, and there is room again when the first has ended."""
    nightjar = server(RING, media_ports=4)
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    caller = trusted(nightjar)

    def one():
        """An answered call, or None where it is refused with 503."""
        a = caller.call("1001", make_sdp(TRUSTED, 40000))
        try:
            b = callee.incoming(timeout=0.3)
        except AssertionError:
            assert a.expect(503).reason
            return None
        b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
        a.answered()
        b.expect_request("ACK")
        return a, b

    a, b = one()
    assert one() is None
    a.bye()
    b.expect_bye()
    a, b = until(one, "the ports, which rest for a moment, to be leased again", timeout=5)
    a.bye()
    b.expect_bye()


# -- what the server itself makes


def test_echo(server, trusted, rtp):
    nightjar = server("standard")
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("600", here.sdp())
    here.talk(a.answered().sdp, 900)
    here.until_hears(900)
    here.check_stream()
    a.bye()


def test_play_a_file_to_its_end(server, trusted, rtp, tmp_path):
    nightjar = server("""on.invite(function(call)
  call:answer()
  call:play "two.wav"
  call:hangup { cause = 16 }
end)""")
    audio.write_wav(nightjar.folder / "sounds/two.wav", audio.tone(600, 1.0))
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("1", here.sdp())
    here.talk(a.answered().sdp, None)
    assert a.expect_bye().q850 == 16
    assert 0.8 <= audio.seconds_heard(here.samples(), 600) <= 1.1
    here.check_stream()


def test_a_list_of_files_and_another_rate(server, trusted, rtp):
    nightjar = server("""on.invite(function(call)
  call:answer()
  call:play { "one.wav", "two.wav" }
  call:hangup { cause = 16 }
end)""")
    audio.write_wav(nightjar.folder / "sounds/one.wav", audio.tone(600, 0.6))
    import math
    audio.write_wav(nightjar.folder / "sounds/two.wav",
                    [round(8000 * math.sin(2 * math.pi * 1500 * i / 16000)) for i in range(9600)], rate=16000)
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("1", here.sdp(formats=(8,)))
    here.talk(a.answered().sdp, None)
    a.expect_bye()
    assert audio.seconds_heard(here.samples(), 600) >= 0.4
    assert audio.seconds_heard(here.samples(), 1500) >= 0.4


@pytest.mark.parametrize("country, frequencies", [("us", (480, 620)), ("de", (425,)), ("gb", (400,)), ("fr", (440,)), ("jp", (400,)), ("cn", (450,))])
def test_busy_tone_of_a_country(server, trusted, rtp, country, frequencies):
    nightjar = server(f"""on.invite(function(call)
  call:answer()
  call:tone("busy", "{country}")
end)""")
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("1", here.sdp())
    here.talk(a.answered().sdp, None)
    until(lambda: audio.seconds_heard(here.samples(), *frequencies) > 0.5, f"{frequencies}", timeout=8)
    a.bye()
