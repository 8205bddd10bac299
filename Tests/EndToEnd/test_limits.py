"""A script that misbehaves ends its own call, and its neighbours do not notice (LUA-API: Sandbox and limits)."""
import time

import pytest

from harness.message import make_sdp
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)
GOOD = """on.invite(function(call)
  if call.ruri.user == "good" then return call:reject {{ status = 486 }} end
  {}
end)"""


@pytest.mark.parametrize("body", [
    "while true do end",
    "local function f() return f() end f()",
    "while true do pcall(error) end",
    "while true do pcall(function() while true do end end) end",
    "local c = coroutine.wrap(function() while true do end end) c()",
    "xpcall(function() while true do end end, function() while true do end end)",
    "setmetatable({}, { __close = function() while true do end end })",
])
def test_endless_work_is_ended_and_hurts_nobody(server, trusted, body):
    nightjar = server(GOOD.format(body))
    caller = trusted(nightjar)
    bad = caller.call("bad", SDP)
    begin = time.monotonic()
    for _ in range(5):
        caller.call("good", SDP).expect(486)
    assert time.monotonic() - begin < 2, "the neighbours waited"
    if "setmetatable" not in body:
        bad.expect(500, timeout=10)
        until(lambda: "dialplan.lua:" in nightjar.log, "file:line in the log")
    assert nightjar.answers()


@pytest.mark.parametrize("body", [
    "local t = {} for i = 1, 1e9 do t[i] = {} end",
    "local s = 'x' while true do s = s .. s end",
    "local s = string.rep('x', 1 << 30)",
    "local t = {} while true do t[#t + 1] = string.rep('y', 1000) end",
])
def test_endless_memory_is_ended_and_hurts_nobody(server, trusted, body):
    nightjar = server(GOOD.format(body))
    caller = trusted(nightjar)
    bad = caller.call("bad", SDP)
    bad.expect(500, timeout=10)
    caller.call("good", SDP).expect(486)
    for _ in range(5):
        caller.call("bad", SDP).expect(500, timeout=10)
    caller.call("good", SDP).expect(486)
    assert nightjar.rss_kib() < 400_000


@pytest.mark.parametrize("body", [
    "io.open('/etc/passwd')", "os.execute('true')", "debug.getinfo(1)", "load('return 1', 'x', 'b')()", "require 'socket'",
    "string.dump(print)", "leak = 1", "package.loadlib('x', 'y')", "dofile 'x'", "os.exit()",
])
def test_what_is_outside_the_sandbox_is_not_there(server, trusted, body):
    nightjar = server(GOOD.format(body))
    caller = trusted(nightjar)
    caller.call("bad", SDP).expect(500)
    caller.call("good", SDP).expect(486)


def test_a_suspended_script_does_not_wait_for_others(server, trusted):
    nightjar = server(GOOD.format("sleep(0.8) call:reject { status = 480 }"))
    caller = trusted(nightjar)
    slow = [caller.call("slow", SDP) for _ in range(50)]
    caller.call("good", SDP).expect(486, timeout=1)
    for dialog in slow:
        dialog.expect(480, timeout=5)


def test_a_caller_who_goes_ends_the_script_quietly(server, trusted):
    nightjar = server("""on.invite(function(call)
  call:on_hangup(function(info) log.warn("gone by " .. info.side) end)
  call:answer()
  local ok, err = call:play("none.wav")
  call:wait()
  for i = 1, 200 do call:play("none.wav") end
  log.warn "too far"
end)""")
    dialog = trusted(nightjar).call("1", SDP)
    dialog.answered()
    dialog.bye()
    until(lambda: "gone by caller" in nightjar.log, "the hang-up hook")
    assert "too far" not in nightjar.log
