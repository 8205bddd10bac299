"""What the server says to requests that it cannot or must not serve."""
import re

import pytest

from harness.message import make_sdp, parse_challenge
from harness.server import DOMAIN, TRUSTED, TRUSTED_PUBLIC
from harness.wait import until

SDP = make_sdp("127.0.0.2", 40000)


@pytest.fixture
def nightjar(server):
    return server("standard")


def test_options_to_the_server(nightjar, phone):
    answer = phone(nightjar).request("OPTIONS", f"sip:127.0.0.1:{nightjar.port}")
    assert answer.status == 200
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"} <= set(re.split(r"[,\s]+", answer.get("allow")))
    assert "application/sdp" in answer.get("accept")
    assert answer.get("supported") is not None


def test_unknown_method_is_501(nightjar, trusted):
    answer = trusted(nightjar).request("FROBNICATE", f"sip:1001@{DOMAIN}")
    assert answer.status == 501 and "INVITE" in answer.get("allow")


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_without_an_event_it_is_489(nightjar, trusted, method):
    """RFC 6665 §4.2.1.1, RFC 3903 §6: the packages that there are stand in Allow-Events."""
    answer = trusted(nightjar).request(method, f"sip:1001@{DOMAIN}")
    assert answer.status == 489 and "presence" in answer.get("allow-events")


def test_a_message_to_a_stranger_is_404(nightjar, trusted):
    assert trusted(nightjar).request("MESSAGE", f"sip:nobody@{DOMAIN}").status == 404


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY"])
def test_a_request_of_no_dialog_is_481(nightjar, trusted, method):
    answer = trusted(nightjar).request(method, f"sip:1001@127.0.0.1:{nightjar.port}", to=f"<sip:1001@{DOMAIN}>;tag=nobody")
    assert answer.status == 481


def test_cancel_of_nothing_is_481(nightjar, trusted):
    assert trusted(nightjar).request("CANCEL", f"sip:1001@{DOMAIN}").status == 481


def test_ack_of_nothing_is_not_answered(nightjar, trusted):
    one = trusted(nightjar)
    one.send(one.compose("ACK", f"sip:1001@{DOMAIN}", to=f"<sip:1001@{DOMAIN}>;tag=x"))
    one.quiet(0.3)


@pytest.mark.parametrize("header, value", [("Require", "frobnication"), ("Proxy-Require", "sec-agree")])
def test_an_unknown_extension_is_420(nightjar, trusted, header, value):
    dialog = trusted(nightjar).call("1001", SDP, headers=[(header, value)])
    assert value in dialog.expect(420).get("unsupported")


def test_no_hops_left_is_483(nightjar, trusted):
    one = trusted(nightjar)
    data = one.compose("INVITE", f"sip:1001@{DOMAIN}", body=SDP).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    one.send(data)
    assert one.next(lambda m: m.is_response and m.status > 100, "a refusal").status == 483


def test_a_merged_request_is_482(nightjar, trusted):
    """RFC 3261 §8.2.2.2: the same request by another way has another branch."""
    one = trusted(nightjar)
    options = {"call_id": "merged", "cseq": 7, "from_": f"<{one.aor}>;tag=merged", "body": SDP}
    one.send(one.compose("INVITE", f"sip:600@{DOMAIN}", **options))
    assert one.next(lambda m: m.is_response and m.status == 200, "200").call_id == "merged"
    one.send(one.compose("INVITE", f"sip:600@{DOMAIN}", **options))
    assert one.next(lambda m: m.is_response and m.status >= 300, "482").status == 482


def test_invite_without_credentials_is_407_with_both_algorithms(nightjar, phone):
    one = phone(nightjar)
    answer = one.call("1001", SDP, challenged=False).expect(407)
    assert [parse_challenge(v)["algorithm"] for v in answer.all("proxy-authenticate")] == ["MD5", "SHA-256"]


@pytest.mark.parametrize("user, secret", [("1000", "wrong"), ("4711", "whatever")])
def test_bad_credentials_for_a_fresh_nonce_are_403(nightjar, phone, user, secret):
    phone(nightjar, user, secret=secret).call("600", SDP).expect(403)


def test_a_stranger_reaches_nothing(nightjar, phone):
    """No open relay: not our users, and not the world either."""
    stranger = phone(nightjar, "stranger", ip="127.0.0.66")
    for uri in (f"sip:1001@{DOMAIN}", "sip:someone@127.0.0.8:5060", f"sip:600@127.0.0.1:{nightjar.port}"):
        stranger.call("", SDP, uri=uri, challenged=False).expect(407)


def test_a_rule_without_a_context_means_public(server, phone):
    nightjar = server('on.invite(function(call) call:reject { status = 480, text = call.context } end)')
    assert phone(nightjar, "1000", ip=TRUSTED_PUBLIC).call("1", SDP).expect(480).phrase == "public"
    assert phone(nightjar, "1000", ip=TRUSTED).call("1", SDP).expect(480).phrase == "internal"


def test_trying_comes_before_the_script(server, trusted):
    nightjar = server("on.invite(function(call) sleep(0.3) call:reject { status = 480 } end)")
    dialog = trusted(nightjar).call("1", SDP)
    dialog.expect(100)
    dialog.expect(480)


def test_an_unknown_user_is_404_and_an_unregistered_one_480(nightjar, trusted):
    unknown = trusted(nightjar).call("1099", SDP).expect(404)
    assert unknown.q850 == 1
    absent = trusted(nightjar).call("1005", SDP).expect(480)
    assert absent.q850 == 20


def test_only_encrypted_media_is_488_with_a_warning(nightjar, trusted):
    answer = trusted(nightjar).call("600", make_sdp("127.0.0.9", 40000, protocol="RTP/SAVP")).expect(488)
    assert answer.get("warning") and "302" in answer.get("warning")


def test_a_body_that_is_not_sdp_is_415(nightjar, trusted):
    answer = trusted(nightjar).call("600", "hello", content_type="text/plain").expect(415)
    assert "application/sdp" in answer.get("accept")


@pytest.mark.parametrize("lua, status, cause", [
    ("return", 480, 31),
    ("call:reject { status = 403 }", 403, 21),
    ("call:reject { cause = 'USER_BUSY' }", 486, 17),
    ("call:reject { cause = 21 }", 603, 21),
    ("call:reject { cause = 1 }", 404, 1),
    ("call:reject { cause = 'NO_ANSWER' }", 480, 19),
    ("call:reject { status = 404, cause = 'UNALLOCATED_NUMBER' }", 404, 1),
    ("call:hangup { cause = 'USER_BUSY' }", 486, 17),
    ("call:reject { status = 503 }", 503, None),
    ("error 'oh'", 500, None),
    ("local x = nil; x.y = 1", 500, None),
])
def test_ends_of_a_script(server, trusted, lua, status, cause):
    nightjar = server(f"on.invite(function(call)\n  {lua}\nend)")
    answer = trusted(nightjar).call("1", SDP).expect(status)
    assert answer.reason is not None, "every final response has a Reason (RFC 3326)"
    if cause is not None:
        assert answer.q850 == cause


def test_an_error_is_logged_with_file_and_line(server, trusted):
    nightjar = server("on.invite(function(call)\n\n  error 'the sky is falling'\nend)")
    trusted(nightjar).call("1", SDP).expect(500)
    until(lambda: "the sky is falling" in nightjar.log and "dialplan.lua:3" in nightjar.log, "file:line in the log")


def test_an_unknown_verb_suggests_the_nearest(server, trusted):
    nightjar = server("on.invite(function(call)\n  call:anwser()\nend)")
    trusted(nightjar).call("1", SDP).expect(500)
    until(lambda: "dialplan.lua:2" in nightjar.log and "answer" in nightjar.log, "the nearest name in the log")


def test_redirect_with_contacts(server, trusted):
    nightjar = server("on.invite(function(call) call:reject { status = 302, contacts = { 'sip:1@192.0.2.1' } } end)")
    answer = trusted(nightjar).call("1", SDP).expect(302)
    assert "sip:1@192.0.2.1" in answer.get("contact")


def test_garbage_does_no_harm(nightjar, trusted):
    one = trusted(nightjar)
    for data in (b"\0" * 100, b"\r\n\r\n", b"INVITE\r\n\r\n", b"\xff" * 1500, b"SIP/2.0 200 OK\r\n\r\n", b"A" * 65000):
        one.send(data)
    assert nightjar.answers()
