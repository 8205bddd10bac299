"""Whole calls with sipp on both sides: what a load generator of another make says about the ladder."""
import pytest

from harness.ports import has_ipv6
from harness.server import TRUSTED, password

CALLEE = "127.0.0.8"
USER = "127.0.0.2"


def route(uas, options: str = 'ringback = "180"', scheme: str = "") -> str:
    host = f"[{uas.ip}]" if ":" in uas.ip else uas.ip
    return f"""on.invite(function(call)
  local r = call:dial("sip:uas@{host}:{uas.port}{scheme}", {{ {options} }})
  if not r.ok then call:reject {{ from = r }} end
end)"""


def call(server, run_sipp, caller: str, callee: str, *, ip: str = TRUSTED, callee_ip: str = CALLEE, options: str = 'ringback = "180"',
         transport: str = "u1", callee_transport: str | None = None, fill: dict | None = None,
         callee_fill: dict | None = None, calls: int = 5):
    callee_transport = callee_transport or transport
    uas = run_sipp(callee, callee_ip, calls=calls, fill=callee_fill, transport=callee_transport)
    nightjar = server(route(uas, options, ";transport=tcp" if callee_transport[0] == "t" else ""))
    host = f"[::1]:{nightjar.port}" if ":" in ip else f"127.0.0.1:{nightjar.port}"
    uac = run_sipp(caller, ip, to=host, calls=calls, fill=fill, transport=transport, arguments=["-d", "100"])
    caller_stats = uac.succeed()
    uas.succeed()
    assert int(caller_stats["SuccessfulCall(C)"]) == calls
    # Loopback loses nothing and the server answers at once: a retransmission means that something was not answered.
    assert int(caller_stats["Retransmissions(C)"]) == 0
    assert uas.count("Retransmissions(C)") == 0
    return nightjar


def test_basic_call_from_a_trusted_address(server, run_sipp):
    call(server, run_sipp, "uac", "uas")


def test_call_with_407(server, run_sipp):
    call(server, run_sipp, "uac_auth", "uas", ip=USER)


def test_call_with_a_pause_before_the_answer(server, run_sipp):
    call(server, run_sipp, "uac", "uas_ring")


def test_cancel_while_it_rings(server, run_sipp):
    call(server, run_sipp, "uac_cancel", "uas_no_answer", fill={"RINGING": 180})


def test_no_answer_is_480_with_cause_19(server, run_sipp):
    call(server, run_sipp, "uac_refused", "uas_no_answer", options='ringback = "180", timeout = 0.5',
         fill={"STATUS": 480, "CAUSE": 19})


@pytest.mark.parametrize("status, cause", [(486, 17), (603, 21), (404, 1), (480, 18), (503, 41), (410, 22), (484, 28)])
def test_a_refusal_reaches_the_caller_with_its_cause(server, run_sipp, status, cause):
    call(server, run_sipp, "uac_refused", "uas_refuse", calls=1, fill={"STATUS": status, "CAUSE": cause},
         callee_fill={"STATUS": status})


def test_hold_and_resume(server, run_sipp):
    call(server, run_sipp, "uac_hold", "uas_hold")


def test_tcp_on_both_sides(server, run_sipp):
    call(server, run_sipp, "uac", "uas", transport="t1")


def test_tcp_caller_udp_callee(server, run_sipp):
    call(server, run_sipp, "uac", "uas", transport="t1", callee_transport="u1")


@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_ipv6_on_both_sides(server, run_sipp):
    call(server, run_sipp, "uac", "uas", ip="::1", callee_ip="::1")


@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_ipv6_caller_ipv4_callee(server, run_sipp):
    call(server, run_sipp, "uac", "uas", ip="::1")


def test_several_connections_at_once(server, run_sipp):
    call(server, run_sipp, "uac", "uas", transport="tn", callee_transport="u1", calls=20)


def test_register_with_digest(server, run_sipp, tmp_path):
    nightjar = server()
    lines = [f"{u};[authentication username={u} password={password(str(u))}]" for u in range(1000, 1010)]
    (tmp_path / "users.csv").write_text("SEQUENTIAL\n" + "\n".join(lines) + "\n")
    uac = run_sipp("register", USER, to=f"127.0.0.1:{nightjar.port}", calls=20, rate=50,
                   arguments=["-inf", tmp_path / "users.csv"])
    stats = uac.succeed()
    assert int(stats["Retransmissions(C)"]) == 0
