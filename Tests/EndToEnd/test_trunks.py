"""Trunks: a real Kamailio as the carrier, sipp as the telephone network behind it, and peers that must not get a
password."""
import re
import time

import pytest

from harness import carrier
from harness.carrier import PASSWORD, USER, Answerer, Kamailio
from harness.message import make_sdp
from harness.server import CommandError
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)
DIALPLAN = """
on.trunk(function(name, up) log.info("told of a trunk", { name = name, up = up }) end)
on.invite(function(call)
  if call.source.trunk then
    log.info("call from a trunk", { name = call.source.trunk, context = call.context, dialled = call.ruri.user })
    call:answer()
    call:wait { timer = 20 }
    return call:hangup()
  end
  local r = call:dial(seq { "trunk/alpha/" .. call.ruri.user, "trunk/beta/" .. call.ruri.user },
    { timeout = 60, ringback = "180" })
  if not r.ok then call:reject { from = r } end
end)
"""


@pytest.fixture
def kamailio(own, tmp_path):
    if reason := carrier.missing():
        pytest.skip(reason)

    def make(gateway: str, **options) -> Kamailio:
        one = Kamailio(tmp_path / f"kamailio{len(own.things)}", gateway, **options)
        return own.keep(one, logged=True).start()

    return make


@pytest.fixture
def answerer(own):
    return lambda answer, **options: own.keep(Answerer(answer, **options))


def trunk(name: str, address: str, **more) -> dict:
    return {"name": name, "host": address, "ping": 0.5, "context": "pstn", **more}


def account(**more) -> dict:
    return {"username": USER, "password": PASSWORD, "register": True, **more}


def with_trunks(server, *trunks: dict) -> None:
    server.settings["trunks"] = list(trunks)
    server.write_config()


def state(server, name: str = "alpha") -> dict:
    return next(t for t in server.json("trunks") if t["name"] == name)


@pytest.mark.parametrize("algorithm, transport", [("MD5", "udp"), ("SHA-256", "udp"), ("MD5", "tcp")])
def test_register_and_calls_both_ways(server, kamailio, run_sipp, trusted, algorithm, transport):
    """RFC 3261 §10.2, §22.2, RFC 7616: registered with digest; INVITE and BYE prove themselves; the carrier's call comes
    to the Contact that was registered; the Contact is taken away at the end."""
    nightjar = server(DIALPLAN, start=False)
    gateway = run_sipp("uas", "127.0.0.21")
    operator = kamailio(f"127.0.0.21:{gateway.port}", algorithm=algorithm)
    with_trunks(nightjar, trunk("alpha", operator.address, transport=transport, **account(contact_user="+4930555")))
    nightjar.start()
    until(lambda: state(nightjar).get("registered") and state(nightjar).get("round_trip_milliseconds"), "the registration")
    assert state(nightjar)["up"] is True
    assert 500 < state(nightjar)["registration_expires_in"] <= 600
    assert "yes" in nightjar.run("trunks") and "up" in nightjar.run("trunks")
    saved = operator.lines("SAVED")
    assert len(saved) == 1 and saved[0].endswith(USER) and "2 REGISTER" in saved[0]
    parameter = ";transport=tcp" if transport == "tcp" else ""
    assert re.search(rf"<sip:\+4930555@127\.0\.0\.1:\d+{parameter};line=[0-9a-f]{{32}}>", saved[0])

    dialog = trusted(nightjar).call("100", SDP)
    dialog.answered()
    assert operator.lines("PROVEN INVITE") == ["2 INVITE 100"]
    until(lambda: state(nightjar)["calls"] == 1, "the call to be counted")
    dialog.bye()
    gateway.succeed()
    until(lambda: operator.lines("PROVEN BYE") == ["4 BYE"], "the BYE with credentials")
    until(lambda: state(nightjar)["calls"] == 0, "the call to be over")

    # From the network: to the number that the carrier knows us by, from an address that no `sources` names.
    caller = run_sipp("uac", "127.0.0.22", to=operator.address, user=USER, arguments=["-d", "200"])
    caller.succeed()
    assert "lua.name=alpha" in nightjar.log and "lua.context=pstn" in nightjar.log
    assert "lua.dialled=+4930555" in nightjar.log

    nightjar.expected_to_end = True
    assert nightjar.stop() == 0
    last = operator.lines("SAVED")[-1]
    assert " 0 <" in last and last.split(" ")[0] == saved[0].split(" ")[0]


def test_a_stranger_cannot_use_the_registration(server, kamailio, run_sipp, phone):
    """Whoever knows our number, but not the token that only the carrier was given, is asked for a password."""
    nightjar = server(DIALPLAN, start=False)
    operator = kamailio("127.0.0.21:9")
    with_trunks(nightjar, trunk("alpha", operator.address, **account()))
    nightjar.start()
    until(lambda: state(nightjar).get("registered"), "the registration")
    stranger = phone(nightjar, ip="127.0.0.23")
    for line in ("", ";line=" + "0" * 32, ";line="):
        dialog = stranger.call(USER, SDP, uri=f"sip:{USER}@127.0.0.1:{nightjar.port}{line}", challenged=False)
        dialog.expect(407)


def test_wrong_password_is_said_once(server, kamailio):
    nightjar = server(DIALPLAN, start=False)
    operator = kamailio("127.0.0.21:9")
    with_trunks(nightjar, trunk("alpha", operator.address, **account(password="wrong")))
    nightjar.start()
    until(lambda: "401" in (state(nightjar).get("problem") or ""), "the refusal")
    assert state(nightjar)["registered"] is False and operator.lines("SAVED") == []
    until(lambda: nightjar.log.count("not registered with a trunk") == 1, "the log line")


def test_down_and_up_and_failover(server, kamailio, run_sipp, trusted):
    """A carrier is stopped and started again: on.trunk is told, and meanwhile calls go to the next trunk at once."""
    nightjar = server(DIALPLAN, start=False)
    gateways = [run_sipp("uas", f"127.0.0.2{n}", calls=None) for n in (1, 2)]
    operators = [kamailio(f"{g.ip}:{g.port}", ip=f"127.0.0.2{n}") for n, g in enumerate(gateways, start=5)]
    with_trunks(nightjar, *(trunk(name, one.address, **account(register=False))
                            for name, one in zip(("alpha", "beta"), operators)))
    nightjar.start()
    until(lambda: state(nightjar).get("round_trip_milliseconds"), "the first ping")

    def call() -> float:
        started = time.monotonic()
        dialog = trusted(nightjar).call("100", SDP)
        dialog.answered()
        took = time.monotonic() - started
        dialog.bye()
        return took

    call()
    assert [len(o.lines("PROVEN INVITE")) for o in operators] == [1, 0]
    operators[0].stop()
    until(lambda: state(nightjar)["up"] is False, "the trunk to be down", timeout=30)
    assert state(nightjar)["problem"] and "down" in nightjar.run("trunks")
    assert call() < 2
    assert [len(o.lines("PROVEN INVITE")) for o in operators] == [1, 1]
    assert "lua.name=alpha lua.up=false" in nightjar.log

    operators[0].start()
    until(lambda: state(nightjar)["up"] is True, "the trunk to be up again", timeout=30)
    until(lambda: "lua.name=alpha lua.up=true" in nightjar.log, "on.trunk")
    call()
    assert [len(o.lines("PROVEN INVITE")) for o in operators] == [2, 1]


@pytest.mark.parametrize("status", [503, 407])
def test_failover_from_what_a_trunk_refuses(server, answerer, trusted, status):
    """503, and a challenge for a realm that we have nothing for, lead to the next trunk."""
    challenge = ('Proxy-Authenticate: Digest realm="elsewhere", nonce="1", qop="auth"',) if status == 407 else ()
    alpha = answerer(lambda m: (status, challenge) if m.method == "INVITE" else (200, ()))
    beta = answerer(lambda m: beta.accept(m), ip="127.0.0.24")
    nightjar = server(DIALPLAN, trunks=[trunk("alpha", alpha.address, **account(register=False, realm="carrier.test")),
                                        trunk("beta", beta.address)])
    dialog = trusted(nightjar).call("100", SDP)
    dialog.answered()
    dialog.bye()
    assert len({m.get("cseq") for m in alpha.of("INVITE")}) == 1
    assert not any(m.get("proxy-authorization") for m in alpha.requests)


def test_credentials_are_never_sent_to_a_second_host(server, answerer, trusted):
    """The trunk's 200 names another host, and its 302 too; that one asks for a password in the trunk's own realm."""
    challenge = 'Digest realm="carrier.test", nonce="0123456789", qop="auth"'
    thief = answerer(lambda m: (407, (f"Proxy-Authenticate: {challenge}",)), ip="127.0.0.66")

    def answer(message):
        if message.method != "INVITE":
            return 200, ()
        if not message.get("authorization"):
            return 401, (f"WWW-Authenticate: {challenge}",)
        if "302" in message.uri:
            return 302, (f"Contact: <sip:{message.uri.split('@')[0][4:]}@{thief.address}>",)
        return alpha.accept(message, contact=thief.address)

    alpha = answerer(answer)
    nightjar = server(DIALPLAN, trunks=[trunk("alpha", alpha.address, **account(register=False))])
    caller = trusted(nightjar)
    dialog = caller.call("100", SDP)
    dialog.answered()
    dialog.bye()
    until(lambda: thief.of("BYE"), "the BYE at the second host")
    redirected = caller.call("302", SDP)
    redirected.expect(*range(300, 700))
    assert any(m.get("authorization") for m in alpha.of("INVITE")), "the trunk itself got them"
    for message in thief.requests:
        assert message.get("authorization") is None and message.get("proxy-authorization") is None
        assert b"carrier.test" not in message.raw and USER.encode() not in message.raw


def test_limits_of_a_trunk(server, answerer, trusted):
    """max_calls: the call that is too many goes to the next trunk, or fails with cause 34."""
    alpha = answerer(lambda m: alpha.accept(m))
    nightjar = server(DIALPLAN, trunks=[trunk("alpha", alpha.address, max_calls=1)])
    first = trusted(nightjar).call("100", SDP)
    first.answered()
    assert state(nightjar)["calls"] == 1 and "1/1" in nightjar.run("trunks")
    second = trusted(nightjar, "1001").call("100", SDP)
    refusal = second.expect(503)
    assert refusal.q850 in (34, 38)
    first.bye()
    until(lambda: state(nightjar)["calls"] == 0, "the place to be free")
    third = trusted(nightjar, "1001").call("100", SDP)
    third.answered()
    third.bye()


def test_reload_changes_only_what_changed(server, kamailio):
    """An unchanged trunk is not registered anew; one that is gone is taken away, a new one is registered."""
    nightjar = server(DIALPLAN, start=False)
    operators = [kamailio("127.0.0.21:9", ip=f"127.0.0.2{n}") for n in (5, 6)]
    one, two = (trunk(name, o.address, **account()) for name, o in zip(("alpha", "beta"), operators))
    with_trunks(nightjar, one)
    nightjar.start()
    until(lambda: len(operators[0].lines("SAVED")) == 1, "the registration")
    with_trunks(nightjar, {**one, "max_calls": 5, "context": "other"}, two)
    nightjar.run("reload")
    until(lambda: len(operators[1].lines("SAVED")) == 1, "the second registration")
    assert state(nightjar)["max_calls"] == 5 and len(operators[0].lines("SAVED")) == 1
    with_trunks(nightjar, {**one, "max_calls": 5, "context": "other"})
    nightjar.run("reload")
    until(lambda: len(operators[1].lines("SAVED")) == 2, "the second one to be taken away")
    assert " 0 <" in operators[1].lines("SAVED")[1] and len(operators[0].lines("SAVED")) == 1
    assert [t["name"] for t in nightjar.json("trunks")] == ["alpha"]


def test_mistakes_in_the_configuration(server):
    nightjar = server(DIALPLAN, start=False, trunks=[{"name": "alpha", "host": "127.0.0.20", "register": True}])
    with pytest.raises(CommandError, match="register needs a username and a password"):
        nightjar.run("check")
