"""The program's commands, with the server running and without."""
import json
import os
import re
import stat
import subprocess

import pytest

from harness import ports
from harness.baresip import SETTINGS
from harness.message import make_sdp
from harness.server import BINARY, DOMAIN, ROOT, CommandError
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)


@pytest.fixture
def stopped(server):
    """Files of a server that is not started."""
    return server("standard", start=False)


def test_check_says_good(stopped):
    stopped.run("check")


@pytest.mark.parametrize("line, words", [
    ("spi: {}", ["unknown", "sip"]),
    ('media2: {}', ["unknown", "media"]),
    ('log: {level: shout}', ["level"]),
])
def test_check_names_file_line_and_the_nearest_key(stopped, line, words):
    stopped.settings.pop("log", None)
    stopped.write_config()
    number = stopped.config.read_text().count("\n") + 1
    stopped.config.write_text(stopped.config.read_text() + line + "\n")
    with pytest.raises(CommandError) as error:
        stopped.run("check")
    assert error.value.code == 1
    assert f"nightjar.yaml:{number}:" in error.value.output
    for word in words:
        assert word in error.value.output


def test_check_names_every_fault_of_a_script(stopped):
    stopped.write_dialplan("on.invite(function(call)\n  call:dial(\nend)")
    with pytest.raises(CommandError) as error:
        stopped.run("check")
    assert re.search(r"dialplan\.lua:[23]:", error.value.output)


def test_check_reads_what_it_does_not_run(stopped):
    stopped.write_dialplan("""local calls = require "calls"
on.invite(router {
  { "^1%d%d$", function(call) call:dail("user/1") end },
  { "^15%d$", function(call) call:dial("trunk/nowhere/1", { timout = 5 }) call:play "none.wav" end },
  default = calls.other,
})""")
    (stopped.folder / "calls.lua").write_text("return { other = function(call) call:answer() count = 1 end }\n")
    with pytest.raises(CommandError) as error:
        stopped.run("check")
    for fault in ["dialplan.lua:3:36: call has no verb 'dail' (did you mean 'dial'?)",
                  "dialplan.lua:4:5: router:", "dialplan.lua:4:40: there is no trunk 'nowhere'",
                  "unknown option 'timout' (did you mean 'timeout'?)", "there is no sound file 'none.wav'",
                  "calls.lua:1:47: global 'count' cannot be assigned in a call"]:
        assert fault in error.value.output, error.value.output


def test_check_opens_no_socket(server):
    nightjar = server("standard")
    nightjar.run("check")  # the same ports are taken by the running server


def test_a_bad_configuration_is_one_clear_line_and_1(stopped):
    stopped.config.write_text("sip: {listen: [udp:nowhere:5060]}\n")
    done = subprocess.run([BINARY, "serve", "--config", stopped.config], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert len(lines) == 1 and "nightjar.yaml:1" in lines[0]


def test_an_address_in_use_is_said(server, tmp_path):
    nightjar = server("standard")
    other = tmp_path / "other.yaml"
    other.write_text(f"sip: {{listen: ['udp:127.0.0.1:{nightjar.port}']}}\nmedia: {{address: 127.0.0.1}}\n")
    done = subprocess.run([BINARY, "serve", "--config", other], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and str(nightjar.port) in done.stdout + done.stderr


def test_a_second_server_on_the_same_control_socket_is_refused(server):
    nightjar = server("standard")
    text = nightjar.config.read_text().replace(str(nightjar.port), str(ports.port()))
    other = nightjar.folder / "other.yaml"
    other.write_text(text)
    done = subprocess.run([BINARY, "serve", "--config", other], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    nightjar.json("status")


def test_status(server):
    nightjar = server("standard")
    status = nightjar.json("status")
    assert status["process"] == nightjar.process.pid and status["calls"] == 0 and status["generation"] >= 1
    assert f"udp:127.0.0.1:{nightjar.port}" in status["listen"]
    assert "listening" in nightjar.run("status")


def test_calls_and_hangup(server, trusted):
    nightjar = server("standard")
    dialog = trusted(nightjar).call("600", SDP)
    dialog.answered()
    one, = nightjar.json("calls")
    assert one["from"] == "1000" and one["to"] == "600"
    assert one["id"] in nightjar.run("calls")
    nightjar.run("hangup", one["id"])
    assert dialog.expect_bye().reason
    until(lambda: nightjar.json("calls") == [], "no call to be left")
    with pytest.raises(CommandError):
        nightjar.run("hangup", one["id"])


def test_users_come_and_go_at_once(server, phone):
    nightjar = server("standard")
    nightjar.run("user", "add", "1700", "--password", "first")
    phone(nightjar, "1700", secret="first").register()
    nightjar.run("user", "passwd", "1700", "--password", "second")
    phone(nightjar, "1700", secret="first").register(expect=403)
    phone(nightjar, "1700", secret="second").register()
    listed = nightjar.json("user", "list")
    assert "1700" in [u["name"] for u in listed] and "1000" in [u["name"] for u in listed]
    assert "second" not in json.dumps(listed) and "ha1" not in json.dumps(listed).lower()
    nightjar.run("user", "remove", "1700")
    phone(nightjar, "1700", secret="second").register(expect=403)


def test_users_without_a_running_server(stopped, phone):
    stopped.run("user", "add", "1701", "--password", "before")
    assert "1701" in [u["name"] for u in stopped.json("user", "list")]
    stopped.start()
    phone(stopped, "1701", secret="before").register()
    assert not any("before" in str(row) for row in stopped.query("select * from user"))


def test_a_made_password_is_printed_once_and_works(server, phone):
    nightjar = server("standard")
    printed = nightjar.run("user", "add", "1702")
    secret = re.search(r"password: (\S+)", printed).group(1)
    phone(nightjar, "1702", secret=secret).register()


def test_a_changed_domain_names_the_users_that_it_makes_invalid(stopped):
    stopped.run("user", "add", "1703", "--password", "x")
    stopped.settings["sip"]["domain"] = "elsewhere.test"
    stopped.write_config()
    done = subprocess.run([BINARY, "serve", "--config", stopped.config], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "1703" in done.stdout + done.stderr


def test_the_control_socket_is_private(server):
    nightjar = server("standard")
    mode = os.stat(nightjar.folder / "run/nightjar.sock").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_without_a_server_a_command_says_so(stopped):
    with pytest.raises(CommandError) as error:
        stopped.run("status")
    assert error.value.code == 1 and len(error.value.output.strip().splitlines()) == 1


def test_an_empty_configuration_is_a_working_server(tmp_path, server):
    """Its ports are the well-known ones, which may be taken here: what is checked is that nothing is missing."""
    (tmp_path / "empty.yaml").write_text("")
    done = subprocess.run([BINARY, "check", "--config", tmp_path / "empty.yaml"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_script_every_call_is_404(server, trusted):
    nightjar = server("standard", start=False)
    del nightjar.settings["dialplan"]["script"]
    nightjar.write_config()
    nightjar.start()
    trusted(nightjar).call("600", SDP).expect(404)


def test_trace_shows_both_legs(server, phone, trusted, own):
    nightjar = server("standard")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    output = nightjar.folder / "trace.txt"
    with output.open("w") as out:
        trace = subprocess.Popen([BINARY, "trace", "--config", nightjar.config], stdout=out, stderr=subprocess.STDOUT)
    try:
        caller = trusted(nightjar)

        def traced() -> bool:
            """Calls until the trace, which connects in its own time, has seen a whole one."""
            a = caller.call("1001", SDP)
            b = callee.incoming()
            b.reply(180, "Ringing")
            b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
            a.answered()
            b.expect_request("ACK")
            a.bye()
            b.expect_bye()
            return output.read_text().count("INVITE") >= 2 and "BYE" in output.read_text()

        until(traced, "the ladder of both legs", timeout=10, interval=0.2)
        text = output.read_text()
        for word in ("180", "200", "ACK", "BYE"):
            assert word in text
    finally:
        trace.terminate()
        trace.wait(5)


def test_log_lines_as_json(server, trusted):
    nightjar = server("on.invite(function(call) log.warn('careful', { n = 1 }) call:reject { status = 486 } end)",
                      log={"level": "info", "format": "json"})
    trusted(nightjar).call("1", SDP).expect(486)
    until(lambda: "careful" in nightjar.log, "the line")
    line = next(json.loads(text) for text in nightjar.log.splitlines() if "careful" in text)
    assert any("call" in key for key in line) and any("generation" in key for key in line)
    assert "dialplan.lua:1" in json.dumps(line)


def test_systemd_is_told(server, tmp_path):
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = str(tmp_path / "n")
        notify.bind(path)
        notify.settimeout(10)
        server("standard", environment={"NOTIFY_SOCKET": path})
        assert b"READY=1" in notify.recv(4096)


def test_the_shipped_configuration_is_good():
    """Config/nightjar.yaml and its dialplan, as they are in the repository."""
    done = subprocess.run([BINARY, "check", "--config", ROOT / "Config/nightjar.yaml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shipped_dialplan_works(server, phone, bare):
    nightjar = server((ROOT / "Config/dialplan.lua").read_text(), **SETTINGS)
    for file in (ROOT / "Config/sounds").glob("*.wav"):
        (nightjar.folder / "sounds" / file.name).write_bytes(file.read_bytes())
    caller, callee = phone(nightjar, "1000"), phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    caller.call("99", SDP).expect(404)
    for policy, first in (("1", 180), ("2", 180), ("3", 183), ("4", 183), ("5", 183)):
        a = caller.call(f"7{policy}1001", SDP)
        b = callee.incoming()
        b.reply(180, "Ringing")
        a.expect(first)
        b.reply(480, "Away")
        b.expect_request("ACK")
        assert a.expect(480).reason
    a = caller.call("1001", SDP)  # busy: answered, the file, and the true cause
    b = callee.incoming()
    b.reply(486, "Busy Here")
    b.expect_request("ACK")
    a.answered()
    assert a.expect_bye(timeout=8).q850 == 17
    one = bare(nightjar, "1002", tone=700)
    one.dial(f"sip:600@{DOMAIN}")
    one.until_hears(700)
    one.hang_up()
