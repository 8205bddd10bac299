"""A record for every call, in SQLite within two seconds."""
import csv
import json

import pytest

from harness.message import make_sdp
from harness.server import TRUSTED
from harness.wait import until

SDP = make_sdp(TRUSTED, 40000)


def record(nightjar, count: int = 1) -> dict:
    rows = until(lambda: len(r := nightjar.query("select * from call order by end_ms")) >= count and r,
                 "the record in SQLite", timeout=2)
    assert len(rows) == count
    return rows[-1]


def test_an_answered_call(server, phone, trusted):
    nightjar = server("""on.invite(function(call)
  call.vars.account = "acme"
  local r = call:dial("user/1001", { ringback = "180" })
end)""")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    a = trusted(nightjar).call("1001", SDP)
    b = callee.incoming()
    b.reply(180, "Ringing")
    b.reply(200, "OK", body=make_sdp("127.0.0.8", 40002))
    a.answered()
    b.expect_request("ACK")
    b.bye()
    a.expect_bye()
    row = record(nightjar)
    assert (row["caller"], row["callee"], row["context"]) == ("1000", "1001", "internal")
    assert (row["status"], row["cause"], row["ended_by"]) == (200, 16, "callee")
    assert row["start_ms"] <= row["answer_ms"] <= row["end_ms"]
    assert json.loads(row["vars"])["account"] == "acme"
    attempt, = json.loads(row["attempts"])
    assert attempt["target"] == "user/1001" and attempt["status"] == 200 and 180 in attempt["provisional"]
    assert attempt["ip"].startswith("127.0.0.8")


def test_the_authenticated_user_is_in_it(server, phone):
    nightjar = server("on.invite(function(call) call:reject { status = 486 } end)")
    phone(nightjar, "1003").call("1", SDP).expect(486)
    row = record(nightjar)
    assert row["user"] == "1003" and row["source"].startswith("udp:127.0.0.2:")
    assert (row["status"], row["cause"], row["answer_ms"]) == (486, 17, None)


def test_a_cancelled_call(server, phone, trusted):
    nightjar = server("standard")
    callee = phone(nightjar, "1001", ip="127.0.0.8")
    callee.register()
    a = trusted(nightjar).call("1001", SDP)
    b = callee.incoming()
    b.reply(180, "Ringing")
    a.expect(180)
    a.cancel()
    a.expect(200, method="CANCEL")
    a.expect(487)
    b.expect_cancel()
    row = record(nightjar)
    assert (row["status"], row["ended_by"]) == (487, "caller")


def test_every_attempt_of_a_sequence(server, phone, trusted):
    nightjar = server("""on.invite(function(call)
  local r = call:dial(seq { "user/1001", "user/1005", "user/1002" }, { ringback = "180", failover_on = { 480, 503 } })
  if not r.ok then call:reject { from = r } end
end)""")
    one, other = phone(nightjar, "1001", ip="127.0.0.7"), phone(nightjar, "1002", ip="127.0.0.8")
    one.register()
    other.register()
    a = trusted(nightjar).call("1", SDP)
    for callee, status in ((one, 503), (other, 486)):
        b = callee.incoming()
        b.reply(status, "No")
        b.expect_request("ACK")
    a.expect(486)
    attempts = json.loads(record(nightjar)["attempts"])
    assert [(t["target"], t["status"]) for t in attempts] == [("user/1001", 503), ("user/1005", 480), ("user/1002", 486)]


def test_a_script_error_is_in_the_record(server, trusted):
    nightjar = server("on.invite(function(call)\n  error 'boom'\nend)")
    trusted(nightjar).call("1", SDP).expect(500)
    assert "dialplan.lua:2" in record(nightjar)["script_error"]


def test_media_counters(server, trusted, rtp):
    nightjar = server("standard")
    here = rtp(TRUSTED)
    a = trusted(nightjar).call("600", here.sdp())
    here.talk(a.answered().sdp, 900)
    until(lambda: len(here.packets) > 30, "thirty packets back")
    a.bye()
    media, *_ = json.loads(record(nightjar)["media"])
    assert media["packets_in"] >= 30 and media["packets_out"] >= 30 and media["codec"].startswith("PCMU")


def test_the_csv_file(server, trusted):
    nightjar = server("on.invite(function(call) call:reject { status = 486 } end)", records={"csv": "calls.csv"})
    trusted(nightjar).call("4711", SDP).expect(486)
    record(nightjar)
    file = nightjar.folder / "calls.csv"
    rows = until(lambda: file.exists() and list(csv.DictReader(file.open())), "a line in the CSV file", timeout=2)
    assert rows[0]["to"] == "4711" and rows[0]["status"] == "486"


@pytest.mark.load
def test_a_record_for_each_of_a_thousand_calls(server, run_sipp):
    uas = run_sipp("uas", "127.0.0.8", calls=1000)
    nightjar = server(f"""on.invite(function(call)
  call:dial("sip:uas@{uas.ip}:{uas.port}", {{ ringback = "180" }})
end)""", media_ports=3000)
    run_sipp("uac", TRUSTED, to=f"127.0.0.1:{nightjar.port}", calls=1000, rate=200, arguments=["-d", "50"]).succeed()
    count = lambda: nightjar.query("select count(*) n from call where status = 200 and cause = 16")[0]["n"]  # noqa: E731
    until(lambda: count() == 1000, "a thousand records", timeout=2)


def test_no_line_for_an_ordinary_call_at_info(server, trusted):
    nightjar = server("standard")
    before = until(lambda: " serves " in nightjar.log and nightjar.log, "the line that says it serves")
    a = trusted(nightjar).call("600", SDP)
    a.answered()
    a.bye()
    record(nightjar)
    assert nightjar.log == before
