"""The five ringback policies: what the caller's SIP says and what his ear hears, before the answer and at it."""
import re

import pytest

from harness import audio
from harness.message import make_sdp
from harness.rtp import Rtp
from harness.server import TRUSTED
from harness.wait import until

US = (440, 480)


@pytest.fixture
def ring(server, phone, own):
    """ring(policy): a call that rings at a scripted callee: (a, b, caller's RTP, callee's RTP)."""

    def make(policy: str, formats=(0, 8, 101), callees: int = 1, default: str | None = None, prepare=None, body=True):
        options = f"ringback = {policy}, " if policy else ""
        nightjar = server(f"""on.invite(function(call)
  local r = call:dial("user/1001", {{ {options}timeout = 30 }})
  if not r.ok then call:reject {{ from = r }} end
end)""", **({"dialplan": {"script": "dialplan.lua", "sounds": "sounds", "ringback": default}} if default else {}))
        make.server = nightjar
        if prepare:
            prepare(nightjar)
        phones = [phone(nightjar, "1001", ip=f"127.0.0.{21 + n}") for n in range(callees)]
        for one in phones:
            one.register()
        here = own.keep(Rtp(TRUSTED))
        a = phone(nightjar, "1000", ip=TRUSTED).call("1001", here.sdp(formats=formats) if body else None)
        legs = [one.incoming() for one in phones]
        ends = [own.keep(Rtp(one.ip)) for one in phones]
        return (a, legs[0], here, ends[0]) if callees == 1 else (a, legs, here, ends)

    return make


def finish(a, b, here, there, early=None):
    """The callee answers; both talk; the caller hangs up. The 200 says what the 183 said."""
    b.reply(200, "OK", body=there.sdp(formats=(0, 101)))
    ok = a.answered()
    b.expect_request("ACK")
    if early is not None:
        assert ok.body == early.body, "the SDP of 183 and of 200 must be the same bytes"
    assert len(a.to_tags) == 1, "one To-tag in every 18x and 2xx"
    here.talk(ok.sdp, 700)
    there.talk(b.invite.sdp, 1200)
    here.until_hears(1200)
    there.until_hears(700)
    if len({p.ssrc for p in here.packets}) > 0:
        here.check_stream()
    a.bye()
    b.expect_bye()


def test_180_is_only_180(ring):
    a, b, here, there = ring('"180"')
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    there.talk(b.invite.sdp, 1900)
    early = a.expect(180)
    assert not early.body
    a.phone.quiet(0.3, lambda m: m.is_response)
    assert not here.packets, "the callee's early media was passed on"
    there.hush()
    finish(a, b, here, there)


def test_passthrough_of_180_is_180(ring):
    a, b, here, there = ring('"passthrough"')
    b.reply(180, "Ringing")
    assert not a.expect(180).body
    finish(a, b, here, there)


def test_passthrough_of_early_media(ring):
    a, b, here, there = ring('"passthrough"')
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    early = a.expect(183)
    assert early.sdp.port in ring_range(a)
    there.talk(b.invite.sdp, 1900)
    here.talk(early.sdp, None)
    here.until_hears(1900)
    b.reply(180, "Ringing")
    a.expect(180)
    finish(a, b, here, there, early)


def ring_range(dialog):
    return dialog.phone.server.media_range


def test_tone_is_heard_before_the_answer(ring):
    a, b, here, there = ring('"tone"')
    b.reply(180, "Ringing")
    early = a.expect(183)
    assert early.sdp.formats[0] in (0, 8)
    here.until_hears(*US)
    there.talk(b.invite.sdp, 1900)
    until(lambda: len(here.packets) > 60, "more of the tone")
    assert not here.hears(1900), "policy tone does not take the callee's early media"
    there.hush()
    finish(a, b, here, there, early)


def test_cadence_of_the_us_tone(ring):
    """Two seconds of tone, four of silence; the stream goes on through both."""
    a, b, here, there = ring('"tone"')
    b.reply(180, "Ringing")
    a.expect(183)
    until(lambda: len(here.packets) >= 6.4 * 50, "one period of the tone", timeout=12)
    pieces = [audio.hears(p, *US) for _, p in audio.windows(here.samples(), 0.1)]
    first = pieces.index(True)
    on = pieces[first:].index(False)
    off = pieces[first + on:].index(True)
    assert 18 <= on <= 21, f"{on / 10} s of tone"
    assert 38 <= off <= 42, f"{off / 10} s of silence"
    here.check_stream()
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    b.expect_cancel()


def test_tone_until_media_is_the_default(ring):
    a, b, here, there = ring("")
    b.reply(180, "Ringing")
    early = a.expect(183)
    here.until_hears(*US)
    finish(a, b, here, there, early)


def test_the_default_is_configurable(ring):
    a, b, here, there = ring("", default="180")
    b.reply(180, "Ringing")
    assert not a.expect(180).body
    finish(a, b, here, there)


def test_early_media_takes_over_and_the_tone_comes_back(ring):
    a, b, here, there = ring('"tone_until_media"')
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    early = a.expect(183)
    here.until_hears(*US)
    there.talk(b.invite.sdp, 1900)
    here.until_hears(1900)
    assert not here.hears(*US)
    there.hush()
    here.until_hears(*US, timeout=14)  # 6 s without packets, and up to 4 s of the cadence's silence
    here.check_stream()
    markers = [p for p in here.packets[1:] if p.marker]
    assert markers, "a marker bit at each switch"
    finish(a, b, here, there, early)


def test_silence_does_not_take_over(ring):
    a, b, here, there = ring('"tone_until_media"')
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    a.expect(183)
    here.until_hears(*US)
    before = len(here.packets)
    there.talk(b.invite.sdp, None)
    until(lambda: len(here.packets) > before + 50, "a second of more")
    sounding = audio.seconds_heard(here.samples(), *US)
    assert sounding > 0.3
    # After the cadence's silence the tone is there again: nothing took its place.
    until(lambda: audio.seconds_heard(here.samples(), *US) > sounding + 0.5, "the tone again", timeout=8)
    finish(a, b, here, there)


def test_two_packets_are_not_enough(ring):
    a, b, here, there = ring('"tone_until_media"')
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    a.expect(183)
    here.until_hears(*US)
    there.remote = (b.invite.sdp.ip, b.invite.sdp.port)
    frame = audio.encode(audio.tone(1900, 0.02))
    there.send_packet(frame, 0)
    there.send_packet(frame, 0)
    before = len(here.packets)
    until(lambda: len(here.packets) > before + 25, "half a second")
    assert not audio.seconds_heard(here.samples(), 1900)
    finish(a, b, here, there)


def test_colour_ringback_and_takeover(ring):
    def sound(nightjar):
        audio.write_wav(nightjar.folder / "sounds/summer.wav", audio.tone(850, 0.5))

    a, b, here, there = ring('{ play = "summer.wav", loop = true, until_media = true }', prepare=sound)
    b.reply(180, "Ringing")
    early = a.expect(183)
    here.until_hears(850)
    until(lambda: audio.seconds_heard(here.samples(), 850) > 1.2, "the file to be repeated")
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    there.talk(b.invite.sdp, 1900)
    here.until_hears(1900)
    finish(a, b, here, there, early)


def test_colour_ringback_without_until_media_keeps_playing(ring):
    def sound(nightjar):
        audio.write_wav(nightjar.folder / "sounds/summer.wav", audio.tone(850, 0.5))

    a, b, here, there = ring('{ play = "summer.wav", loop = true }', prepare=sound)
    b.reply(183, "Session Progress", body=there.sdp(formats=(0, 101)))
    a.expect(183)
    here.until_hears(850)
    there.talk(b.invite.sdp, 1900)
    before = len(here.packets)
    until(lambda: len(here.packets) > before + 50, "a second of more")
    assert not audio.seconds_heard(here.samples(), 1900)
    finish(a, b, here, there)


def test_of_several_legs_no_early_media_is_taken(ring):
    a, legs, here, ends = ring('"tone_until_media"', callees=2)
    legs[0].reply(180, "Ringing")
    a.expect(183)
    legs[1].reply(183, "Session Progress", body=ends[1].sdp(formats=(0, 101)))
    ends[1].talk(legs[1].invite.sdp, 1900)
    here.until_hears(*US)
    before = len(here.packets)
    until(lambda: len(here.packets) > before + 50, "a second of more")
    assert not audio.seconds_heard(here.samples(), 1900)
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    for leg in legs:
        leg.expect_cancel()


def test_the_callee_is_offered_the_promised_codec_first(ring):
    a, b, here, there = ring('"tone"', formats=(111, 8, 0, 101))
    assert b.invite.sdp.formats[0] in (0, 8)
    assert b.invite.sdp.rtpmap.get(b.invite.sdp.formats[0], "PCM").startswith("PCM")
    b.reply(180, "Ringing")
    early = a.expect(183)
    assert [f for f in early.sdp.formats if early.sdp.rtpmap.get(f) != "TELEPHONE-EVENT/8000"] == [b.invite.sdp.formats[0]]
    b.reply(486, "Busy")
    b.expect_request("ACK")
    a.expect(486)


@pytest.mark.parametrize("policy", ['"tone"', '"tone_until_media"'])
def test_without_a_codec_that_we_can_make_it_becomes_180(ring, policy):
    a, b, here, there = ring(policy, formats=(111, 101))
    b.reply(180, "Ringing")
    assert not a.expect(180).body
    b.reply(486, "Busy")
    b.expect_request("ACK")
    a.expect(486)


def test_without_an_offer_it_becomes_180(ring):
    a, b, here, there = ring('"tone"', body=False)
    b.reply(180, "Ringing")
    assert not a.expect(180).body
    b.reply(486, "Busy")
    b.expect_request("ACK")
    a.expect(486)


def test_another_codec_in_the_answer_brings_a_reinvite(ring):
    """183 promised one codec, the callee answers with the other: 200 as promised, then a re-INVITE to the caller."""
    a, b, here, there = ring('"tone"', formats=(0, 8, 101))
    b.reply(180, "Ringing")
    early = a.expect(183)
    promised = early.sdp.formats[0]
    other = 8 if promised == 0 else 0
    b.reply(200, "OK", body=there.sdp(formats=(other, 101)))
    ok = a.answered()
    assert ok.body == early.body
    b.expect_request("ACK")
    offer = a.expect_request("INVITE")
    assert other in offer.sdp.formats
    a.reply(200, "OK", body=here.sdp(formats=(other, 101), version=2))
    a.expect_request("ACK")
    here.talk(offer.sdp, 700, payload_type=other)
    there.talk(b.invite.sdp, 1200, payload_type=other)
    here.until_hears(1200)
    there.until_hears(700)
    a.bye()
    b.expect_bye()


def test_progress_with_a_file_before_dialling(server, trusted, rtp):
    nightjar = server("""on.invite(function(call)
  call:progress { play = "hello.wav" }
  sleep(1.2)
  call:reject { status = 486 }
end)""")
    audio.write_wav(nightjar.folder / "sounds/hello.wav", audio.tone(850, 0.8))
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("1", here.sdp())
    a.expect(183)
    a.expect(486)
    assert audio.seconds_heard(here.samples(), 850) >= 0.5


def test_ring_and_answer_by_the_script(server, trusted, rtp):
    nightjar = server("""on.invite(function(call)
  call:ring()
  call:progress { tone = "ringing" }
  call:answer()
  call:echo()
end)""")
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("1", here.sdp())
    assert not a.expect(180).body
    early = a.expect(183)
    ok = a.answered()
    assert ok.body == early.body and re.search(rb"m=audio", ok.body)
    a.bye()


def test_after_answer_the_tone_is_played(server, phone, own):
    """dial after answer(): no 18x any more, the tone comes over RTP."""
    nightjar = server("""on.invite(function(call)
  call:answer()
  local r = call:dial("user/1001", { ringback = "180", timeout = 20 })
  if not r.ok then call:hangup { cause = r.cause } end
end)""")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    here, there = own.keep(Rtp(TRUSTED)), own.keep(Rtp("127.0.0.8"))
    a = phone(nightjar, "1000", ip=TRUSTED).call("1001", here.sdp())
    ok = a.answered()
    b = callee.incoming()
    b.reply(180, "Ringing")
    here.until_hears(*US)
    a.phone.quiet(0.1, lambda m: m.is_response and m.status < 200)
    b.reply(200, "OK", body=make_sdp(there.ip, there.port, formats=(0, 101)))
    b.expect_request("ACK")
    here.talk(ok.sdp, 700)
    there.talk(b.invite.sdp, 1200)
    here.until_hears(1200)
    there.until_hears(700)
    here.check_stream()
    a.bye()
    b.expect_bye()
