"""Two real phones call through a Lua dialplan: the main job."""
import time

import pytest

from harness.baresip import SETTINGS
from harness.server import DOMAIN
from harness.wait import until

US = (440, 480)
SCRIPT = """on.invite(router {
  { "600", function(call) call:answer() call:echo() end },
  { "^(10%d%d)$", function(call, extension)
      local r = call:dial("user/" .. extension, { timeout = 20 })
      if not r.ok then call:reject { from = r } end
    end },
  default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
})"""


@pytest.fixture
def nightjar(server):
    return server(SCRIPT, **SETTINGS)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_baresip_calls_baresip(nightjar, bare, who):
    one, other = bare(nightjar, "1000", tone=700), bare(nightjar, "1001", tone=1200)
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    one.event("CALL_PROGRESS")
    one.until_hears(*US)  # the server's ringing tone, over RTP, before the answer
    other.accept()
    one.event("CALL_ESTABLISHED")
    other.event("CALL_ESTABLISHED")
    one.until_hears(1200)
    other.until_hears(700)
    (one if who == "caller" else other).hang_up()
    one.event("CALL_CLOSED")
    other.event("CALL_CLOSED")
    until(lambda: nightjar.json("calls") in ([], {"calls": []}), "no call to be left")


def test_baresip_over_tcp(nightjar, bare):
    one, other = bare(nightjar, "1000", tone=700, transport="tcp"), bare(nightjar, "1001", tone=1200)
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    other.accept()
    one.event("CALL_ESTABLISHED")
    one.until_hears(1200)
    other.until_hears(700)
    other.hang_up()
    one.event("CALL_CLOSED")


def test_baresip_hears_itself(nightjar, bare):
    one = bare(nightjar, "1000", tone=700)
    one.dial(f"sip:600@{DOMAIN}")
    one.event("CALL_ESTABLISHED")
    one.until_hears(700)
    one.hang_up()
    one.event("CALL_CLOSED")


def test_baresip_is_told_that_nobody_is_there(nightjar, bare):
    one = bare(nightjar, "1000")
    one.dial(f"sip:99@{DOMAIN}")
    assert "404" in one.event("CALL_CLOSED")["param"]


def test_baresip_gives_up_while_it_rings(nightjar, bare):
    one, other = bare(nightjar, "1000"), bare(nightjar, "1001")
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    one.event("CALL_PROGRESS")
    one.hang_up()
    other.event("CALL_CLOSED")


def test_baresip_declines(nightjar, bare):
    one, other = bare(nightjar, "1000"), bare(nightjar, "1001")
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    other.hang_up()
    assert "486" in one.event("CALL_CLOSED")["param"]


def test_pjsua_calls_baresip_and_back(nightjar, bare, pjsua_phone):
    """Phones of two makes, each once the caller."""
    one, other = pjsua_phone(nightjar, "1002", tone=700), bare(nightjar, "1003", tone=1200)
    one.dial(f"sip:1003@{DOMAIN}")
    other.event("CALL_INCOMING")
    one.until_state("EARLY")
    one.until_hears(*US)
    other.accept()
    one.until_state("CONFIRMED")
    one.until_hears(1200)
    other.until_hears(700)
    one.hang_up()
    one.until_state("DISCONNECTED")
    other.event("CALL_CLOSED")

    other.dial(f"sip:1002@{DOMAIN}")
    one.event("incoming")
    one.accept(180)
    other.event("CALL_PROGRESS")
    one.accept()
    other.event("CALL_ESTABLISHED")
    one.until_state("CONFIRMED")
    one.until_hears(1200)
    other.hang_up()
    one.until_state("DISCONNECTED")


def test_pjsua_hold_and_resume(nightjar, pjsua_phone):
    one, other = pjsua_phone(nightjar, "1002", tone=700), pjsua_phone(nightjar, "1003", tone=1200)
    one.dial(f"sip:1003@{DOMAIN}")
    other.event("incoming")
    other.accept()
    one.until_state("CONFIRMED")
    one.until_hears(1200)
    one.hold()
    other.event("media", status="held")
    one.event("media", status="holding")
    one.resume()
    other.event("media", status="active")
    one.event("media", status="active")
    before = len(one.heard())
    until(lambda: len(one.heard()) > before + 8000, "a second of audio after it")
    one.until_hears(1200)
    other.until_hears(700)
    other.hang_up()
    one.until_state("DISCONNECTED")


def test_pjsua_with_both_digest_algorithms(server, pjsua_phone):
    """The default: MD5 and SHA-256 are offered, the phone takes what it likes."""
    nightjar = server(SCRIPT)
    one = pjsua_phone(nightjar, "1002", tone=700)
    one.dial(f"sip:600@{DOMAIN}")
    one.until_state("CONFIRMED")
    one.until_hears(700)
    one.hang_up()
    one.until_state("DISCONNECTED")


def test_the_script_is_reloaded_under_a_call(nightjar, bare):
    one, other = bare(nightjar, "1000", tone=700), bare(nightjar, "1001", tone=1200)
    one.dial(f"sip:1001@{DOMAIN}")
    other.event("CALL_INCOMING")
    other.accept()
    one.event("CALL_ESTABLISHED")
    nightjar.write_dialplan("on.invite(function(call) call:reject { status = 486 } end)")
    nightjar.run("reload")
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 0.5, "half a second")
    one.until_hears(1200)
    other.until_hears(700)
    other.hang_up()
    one.event("CALL_CLOSED")
    one.dial(f"sip:1001@{DOMAIN}")
    assert "486" in one.event("CALL_CLOSED")["param"]
