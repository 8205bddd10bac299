"""Real phones transfer each other: REFER blind and attended, audio heard after it."""
import re

import pytest

from harness.baresip import SETTINGS
from harness.message import make_sdp
from harness.server import DOMAIN, TRUSTED
from harness.wait import until

SCRIPT = """on.invite(router {
  { "600", function(call) call:answer() call:echo() end },
  { "^(10%d%d)$", function(call, extension)
      local r = call:dial("user/" .. extension, { timeout = 20, ringback = "180" })
      if not r.ok then call:reject { from = r } end
    end },
  default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
})"""


@pytest.fixture
def nightjar(server):
    return server(SCRIPT, **SETTINGS)


def no_calls(nightjar):
    until(lambda: nightjar.json("calls") in ([], {"calls": []}), "no call to be left")


def talk(one, other, user):
    """pjsua calls pjsua."""
    one.dial(f"sip:{user}@{DOMAIN}")
    other.event("incoming")
    other.accept()
    one.until_state("CONFIRMED")
    other.until_state("CONFIRMED")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_pjsua_transfers_blind(nightjar, pjsua_phone, who):
    a, b, c = (pjsua_phone(nightjar, user, tone=tone) for user, tone in (("1002", 700), ("1003", 1200), ("1004", 1700)))
    talk(a, b, "1003")
    a.until_hears(1200)
    gone, stays, tone = (a, b, 1200) if who == "caller" else (b, a, 700)
    gone.transfer(f"sip:1004@{DOMAIN}")
    assert "<sip:1004@" not in c.event("incoming")["from"]
    c.accept(180)
    stays.until_hears(440, 480)  # the server's ringing tone, as he is answered already
    c.accept()
    gone.event("transfer", status=200)
    gone.until_state("DISCONNECTED")
    c.until_state("CONFIRMED")
    stays.until_hears(1700)
    c.until_hears(tone)
    c.hang_up()
    stays.until_state("DISCONNECTED")
    no_calls(nightjar)


def test_pjsua_transfers_to_nobody_and_talks_on(nightjar, pjsua_phone):
    a, b = pjsua_phone(nightjar, "1002", tone=700), pjsua_phone(nightjar, "1003", tone=1200)
    talk(a, b, "1003")
    b.transfer(f"sip:99@{DOMAIN}")
    b.event("transfer", status=404)
    before = len(a.heard())
    until(lambda: len(a.heard()) > before + 8000, "a second of audio after it")
    a.until_hears(1200)
    b.until_hears(700)
    b.hang_up()
    a.until_state("DISCONNECTED")
    no_calls(nightjar)


def test_pjsua_transfers_to_the_server_itself(nightjar, pjsua_phone):
    a, b = pjsua_phone(nightjar, "1002", tone=700), pjsua_phone(nightjar, "1003", tone=1200)
    talk(a, b, "1003")
    a.until_hears(1200)
    b.transfer(f"sip:600@{DOMAIN}")
    b.until_state("DISCONNECTED")
    a.until_hears(700)  # itself
    a.hang_up()
    no_calls(nightjar)


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("hold", [False, True])
def test_pjsua_transfers_attended(server, pjsua_phone, shards, hold):
    settings = {"sip": {**SETTINGS["sip"], "shards": shards}}
    nightjar = server(SCRIPT, **settings)
    a, b, c = (pjsua_phone(nightjar, user, tone=tone) for user, tone in (("1002", 700), ("1003", 1200), ("1004", 1700)))
    talk(a, b, "1003")
    if hold:
        b.hold()
        a.event("media", status="held")
    talk(b, c, "1004")
    b.until_hears(1700)
    b.transfer_attended()
    b.event("transfer", status=200)
    b.until_state("DISCONNECTED")  # the first call; the second one has gone at once
    a.until_hears(1700)
    c.until_hears(700)
    a.hang_up()
    c.until_state("DISCONNECTED")
    no_calls(nightjar)


def test_baresip_transfers_blind(nightjar, bare):
    a, b, c = (bare(nightjar, user, tone=tone) for user, tone in (("1000", 700), ("1001", 1200), ("1002", 1700)))
    a.dial(f"sip:1001@{DOMAIN}")
    b.event("CALL_INCOMING")
    b.accept()
    a.event("CALL_ESTABLISHED")
    b.event("CALL_ESTABLISHED")
    b.transfer(f"sip:1002@{DOMAIN}")
    c.event("CALL_INCOMING")
    c.accept()
    c.event("CALL_ESTABLISHED")
    b.event("CALL_CLOSED")
    a.until_hears(1700)
    c.until_hears(700)
    a.hang_up()
    c.event("CALL_CLOSED")
    no_calls(nightjar)


def test_a_phone_is_told_and_the_records_agree(nightjar, phone, trusted):
    """Byte for byte what the one who transferred gets."""
    callee, target = phone(nightjar, "1001", ip="127.0.0.8"), phone(nightjar, "1002", ip="127.0.0.7")
    callee.register()
    target.register()
    a = trusted(nightjar).call("1001", make_sdp(TRUSTED, 40000))
    b = callee.incoming()
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    a.answered()
    b.expect_request("ACK")
    b.request("REFER", headers=[("Refer-To", f"<sip:1002@{DOMAIN}>")])
    b.expect(202, method="REFER")
    notify = b.expect_request("NOTIFY")
    assert notify.body.decode() == "SIP/2.0 100 Trying\r\n" and notify.get("event") == "refer"
    assert notify.get("subscription-state").startswith("active")
    b.reply(200, "OK", to=notify)
    c = target.incoming()
    assert c.invite.get("referred-by") == f"<sip:1001@{DOMAIN}>"
    c.reply(200, "OK", body=make_sdp("127.0.0.7", 40004))
    c.expect_request("ACK")
    notify = b.expect_request("NOTIFY")
    assert notify.body.decode() == "SIP/2.0 200 OK\r\n"
    assert re.match(r"terminated;reason=noresource", notify.get("subscription-state"))
    b.reply(200, "OK", to=notify)
    b.expect_bye()
    a.bye()
    c.expect_bye()
    rows = until(lambda: (found := nightjar.query(
        "select caller, callee, transferred_by, transfer_target from call order by start_ms")) and len(found) == 2 and found,
        "two records")
    assert [tuple(r.values()) for r in rows] == [("1000", "1001", "1001", "1002"), ("1000", "1002", "1001", None)]


def test_sipp_transfers_blind(server, run_sipp):
    """A callee of another make: REFER, 202, NOTIFY 100 and 200, BYE; five times at once."""
    uas = run_sipp("uas_refer", "127.0.0.8", calls=5, fill={"TARGET": "2000", "STATUS": "200"})
    target = run_sipp("uas", "127.0.0.7", calls=5)
    nightjar = server(f"""on.invite(router {{
  {{ "1001", function(call) call:dial("sip:uas@{uas.ip}:{uas.port}", {{ ringback = "180" }}) end }},
  {{ "2000", function(call) call:dial("sip:uas@{target.ip}:{target.port}") end }},
}})""", access=[{"source": "127.0.0.0/8", "context": "internal", "authenticate": False}])
    uac = run_sipp("uac", TRUSTED, to=f"127.0.0.1:{nightjar.port}", calls=5, arguments=["-d", "1500"])
    uac.succeed()
    uas.succeed()
    target.succeed()
    no_calls(nightjar)
    assert len(until(lambda: len(r := nightjar.query("select * from call")) == 10 and r, "ten records")) == 10


def test_a_call_that_rings_is_picked_up(nightjar, phone, trusted):
    """INVITE with Replaces of the dialog that rings, as a busy lamp names it."""
    callee, other = phone(nightjar, "1001", ip="127.0.0.8"), phone(nightjar, "1002", ip="127.0.0.7")
    callee.register()
    other.register()
    a = trusted(nightjar).call("1001", make_sdp(TRUSTED, 40000))
    b = callee.incoming()
    b.reply(180, "Ringing")
    a.expect(180)
    tag = re.search(r";tag=([^;>]+)", b.invite.get("from"))[1]
    mine = re.search(r";tag=([^;>]+)", b.local)[1]
    replaces = f"{b.call_id};to-tag={tag};from-tag={mine}"
    d = other.call("1001", make_sdp("127.0.0.7", 40004), headers=[("Replaces", replaces)])
    d.answered()
    a.answered()
    assert "cause=200" in b.expect_cancel().get("reason")
    d.bye()
    a.expect_bye()
