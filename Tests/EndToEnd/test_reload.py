"""The script is changed under load: not one call fails, a broken script changes nothing (LUA-API: Reload)."""
import signal
import time

import pytest

from harness.message import make_sdp
from harness.server import CommandError, TRUSTED
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)


def script(uas, mark: str = "one") -> str:
    return f"""on.invite(function(call)
  call.vars.mark = "{mark}"
  local r = call:dial("sip:uas@{uas.ip}:{uas.port}", {{ ringback = "180", headers = {{ ["X-Mark"] = "{mark}" }} }})
  if not r.ok then call:reject {{ from = r }} end
end)"""


@pytest.mark.load
def test_reload_under_100_calls_a_second_with_a_broken_script_in_between(server, run_sipp):
    rate, seconds = 100, 12
    calls = rate * seconds
    uas = run_sipp("uas", "127.0.0.8", calls=calls)
    nightjar = server(script(uas), media_ports=3000)
    uac = run_sipp("uac", TRUSTED, to=f"127.0.0.1:{nightjar.port}", calls=calls, rate=rate, arguments=["-d", "100"])

    reached = lambda share: until(  # noqa: E731
        lambda: uac.count("TotalCallCreated") >= calls * share, f"{share:.0%} of the calls", timeout=seconds + 10, interval=0.1)
    reached(0.15)
    nightjar.write_dialplan(script(uas, "two"))
    nightjar.run("reload")
    reached(0.3)
    nightjar.write_dialplan("on.invite(function(call)\n  call:dial(\nend)")
    with pytest.raises(CommandError) as error:
        nightjar.run("reload")
    assert error.value.code == 1 and "dialplan.lua:" in error.value.output
    reached(0.45)
    nightjar.write_dialplan("on.invite(function(call) end)\nerror 'at load'")
    nightjar.signal(signal.SIGHUP)
    until(lambda: "at load" in nightjar.log, "the failed reload in the log")
    reached(0.6)
    nightjar.write_dialplan(script(uas, "three"))
    nightjar.signal(signal.SIGHUP)
    stats = uac.succeed(seconds + 30)
    assert int(stats["SuccessfulCall(C)"]) == calls and int(stats["FailedCall(C)"]) == 0
    marks = until(lambda: _marks(nightjar, calls), "a record of every call", timeout=5)
    assert list(marks) == ["one", "two", "three"], "each good script was in force once, in order, the broken ones never"


def _marks(nightjar, calls: int) -> dict | None:
    """Generations in order, by mark; None while not every call has its record."""
    rows = nightjar.query("select generation, json_extract(vars, '$.mark') as mark, count(*) as n from call "
                          "group by generation, mark order by generation")
    return {r["mark"]: r["n"] for r in rows} if sum(r["n"] for r in rows) == calls else None


def test_a_running_call_keeps_its_script(server, trusted):
    nightjar = server("""on.invite(function(call)
  call:answer()
  call:wait { timer = 1.5 }
  call:hangup { cause = 31 }
end)""")
    caller = trusted(nightjar)
    old = caller.call("1", SDP)
    old.answered()
    nightjar.write_dialplan("on.invite(function(call) call:reject { status = 486 } end)")
    nightjar.run("reload")
    caller.call("1", SDP).expect(486)
    generations = nightjar.json("generations")
    assert len(generations) == 2 and [g["calls"] for g in generations if not g["current"]] == [1]
    assert old.expect_bye(timeout=4).q850 == 31
    until(lambda: len(nightjar.json("generations")) == 1, "the old generation to be freed")


def test_globals_do_not_survive_and_kv_does(server, trusted):
    text = """on.invite(function(call)
  call:reject { status = 480, text = "n" .. kv.incr("count") }
end)"""
    nightjar = server(text)
    caller = trusted(nightjar)
    assert caller.call("1", SDP).expect(480).phrase == "n1"
    nightjar.run("reload")
    assert caller.call("1", SDP).expect(480).phrase == "n2"


def test_users_change_with_the_reload(server, phone):
    nightjar = server("standard")
    nightjar.settings["users"] = [{"name": "1500", "password": "other"}]
    nightjar.write_config()
    nightjar.run("reload")
    phone(nightjar, "1500", secret="other").register()
    phone(nightjar, "1000").register(expect=403)


def test_a_broken_configuration_keeps_everything(server, phone):
    nightjar = server("standard")
    good = nightjar.config.read_text()
    nightjar.config.write_text(good + "\nmediaa: {}\n")
    with pytest.raises(CommandError) as error:
        nightjar.run("reload")
    assert error.value.code == 1
    assert "mediaa" in error.value.output and "media" in error.value.output
    nightjar.config.write_text(good)
    phone(nightjar).register()


def test_a_key_that_needs_a_restart_is_named(server):
    nightjar = server("standard")
    nightjar.settings["media"]["tones"] = "de"
    nightjar.settings["media"]["ports"] = "20000-20100"
    nightjar.write_config()
    nightjar.run("reload")
    until(lambda: "media.ports" in nightjar.log, "the key in the log")


def test_too_many_generations_are_refused(server, trusted):
    nightjar = server("on.invite(function(call) call:answer() call:wait() end)",
                      dialplan={"script": "dialplan.lua", "max_generations": 3})
    caller = trusted(nightjar)
    dialogs = []
    for _ in range(3):
        dialog = caller.call("1", SDP)
        dialog.answered()
        dialogs.append(dialog)
        if len(dialogs) < 3:
            nightjar.run("reload")
    with pytest.raises(CommandError) as error:
        nightjar.run("reload")
    oldest = min(nightjar.json("calls"), key=lambda c: c["generation"])
    assert oldest["id"] in error.value.output, "the refusal names the calls that hold the oldest generation"
    for dialog in dialogs:
        dialog.bye()


def test_a_script_that_never_ends_loading_is_refused(server, trusted):
    nightjar = server("on.invite(function(call) call:reject { status = 486 } end)")
    nightjar.write_dialplan("while true do end")
    begin = time.monotonic()
    with pytest.raises(CommandError):
        nightjar.run("reload")
    assert time.monotonic() - begin < 15
    trusted(nightjar).call("1", SDP).expect(486)
