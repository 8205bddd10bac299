"""100rel, UPDATE, offers in odd places and session timers, with sipp as both phones, and with pjsua2."""
import pytest

from harness.message import make_sdp
from harness.pjsua import missing as no_pjsua
from harness.server import DOMAIN, TRUSTED
from harness.wait import until

CALLEE = "127.0.0.8"


def route(uas, options: str) -> str:
    return f"""on.invite(function(call)
  local r = call:dial("sip:uas@{uas.ip}:{uas.port}", {{ {options} }})
  if not r.ok then call:reject {{ from = r }} end
end)"""


def call(server, run_sipp, caller: str, callee: str, options: str = 'ringback = "180"', calls: int = 5,
         pause: int = 100, rings: int = 0, **configuration):
    uas = run_sipp(callee, CALLEE, calls=calls, arguments=["-d", str(rings)], seconds=90)
    nightjar = server(route(uas, options), **configuration)
    uac = run_sipp(caller, TRUSTED, to=f"127.0.0.1:{nightjar.port}", calls=calls, arguments=["-d", str(pause)], seconds=90)
    stats = uac.succeed()
    uas.succeed()
    assert int(stats["SuccessfulCall(C)"]) == calls
    assert int(stats["Retransmissions(C)"]) == 0 and uas.count("Retransmissions(C)") == 0
    until(lambda: nightjar.json("calls") in ([], {"calls": []}), "no call to be left")
    return nightjar


def test_prack_and_update_on_both_legs(server, run_sipp):
    """RFC 3262 §3, §4, RFC 3311 §5: a reliable 183 of the callee through the relay, an UPDATE of each before the answer."""
    call(server, run_sipp, "uac_100rel", "uas_100rel", 'ringback = "passthrough"', pause=50)


def test_prack_towards_the_caller_alone(server, run_sipp):
    """RFC 3262 §3: the server's own tone in a reliable 183; the callee knows nothing of it."""
    call(server, run_sipp, "uac_100rel", "uas_ring", 'ringback = "tone"', rings=1000)


def test_prack_towards_the_callee_alone(server, run_sipp):
    """RFC 3262 §4: the caller knows nothing of it."""
    call(server, run_sipp, "uac", "uas_100rel")


def test_an_offer_in_the_200(server, run_sipp):
    """RFC 3261 §13.2.1, RFC 6337 §2: ours where the caller made none."""
    call(server, run_sipp, "uac_delayed", "uas")


def test_no_answer_in_the_ack_ends_the_call(server, run_sipp):
    call(server, run_sipp, "uac_delayed_silent", "uas")


def test_an_update_is_passed_on(server, run_sipp):
    """RFC 3311 §5: hold, by UPDATE on both legs."""
    call(server, run_sipp, "uac_update", "uas_update")


def test_a_callee_wants_a_longer_session(server, run_sipp):
    """RFC 4028 §7.3."""
    call(server, run_sipp, "uac", "uas_422")


def test_a_caller_wants_too_short_a_session(server, run_sipp):
    """RFC 4028 §9, then his own refresh."""
    call(server, run_sipp, "uac_422", "uas", sip={"min_se": 120})


def test_the_server_refreshes_both_legs(server, run_sipp):
    """RFC 4028 §7.4: at half of 90 s, by UPDATE to who has it, by re-INVITE to who has not."""
    call(server, run_sipp, "uac_refreshed", "uas_refreshed", calls=1)


# -- pjsua2


@pytest.mark.skipif(no_pjsua() is not None, reason=str(no_pjsua()))
@pytest.mark.parametrize("use", ["mandatory", "optional"])
def test_pjsua_with_100rel_and_timers(server, pjsua_phone, use):
    """Mandatory 100rel and session timers in the caller (Require: 100rel, timer) and in the callee."""
    nightjar = server("""on.invite(function(call)
      local r = call:dial("user/" .. call.ruri.user, { timeout = 20, ringback = "tone" })
      if not r.ok then call:reject { from = r } end
    end)""")
    one = pjsua_phone(nightjar, "1000", tone=700, prack=use, timer=use)
    other = pjsua_phone(nightjar, "1001", tone=1200, prack=use, timer=use)
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("incoming")
    other.accept(180)
    one.until_hears(440, 480)
    other.accept()
    one.until_state("CONFIRMED")
    other.until_state("CONFIRMED")
    one.until_hears(1200)
    other.until_hears(700)
    one.hold()
    one.event("media", status="holding")
    one.resume()
    one.until_hears(1200)
    other.hang_up()
    one.until_state("DISCONNECTED")


# -- one phone, octet by octet


@pytest.fixture
def nightjar(server):
    return server("""on.invite(function(call)
      local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20 })
      if not r.ok then call:reject { from = r } end
    end)""")


def test_a_message_within_a_call(nightjar, phone):
    """RFC 3428 §4: to the other phone, and his answer back."""
    callee = phone(nightjar, "1001", ip=CALLEE)
    callee.register()
    a = phone(nightjar, "1000").call("1001", make_sdp("127.0.0.2", 40000))
    b = callee.incoming()
    b.reply(200, "OK", body=make_sdp(CALLEE, 40002))
    a.answered()
    b.expect_request("ACK")
    for method in ("MESSAGE", "OPTIONS"):
        a.request(method, body="hello", content_type="text/plain")
        seen = b.expect_request(method)
        assert seen.body in ("hello", b"hello") and seen.get("content-type") == "text/plain"
        b.reply(202, "Accepted", to=seen)
        a.expect(202, method=method)
    a.bye()
    b.expect_bye()
