"""MESSAGE over real sockets: delivered, kept over a restart, decided by a script, from pjsua2 to pjsua2."""
import os

import pytest

from harness.message import make_sdp
from harness.server import DOMAIN
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)
SCRIPT = "on.invite(function(call) call:reject { status = 486 } end)\n"


def send(phone, user: str, body: bytes, content_type: str = "text/plain", headers=(), timeout: float = 12):
    uri = user if ":" in user else f"sip:{user}@{DOMAIN}"
    options = {"body": body, "content_type": content_type, "contact": False}
    answer = phone.request("MESSAGE", uri, headers=list(headers), timeout=timeout, **options)
    if answer.status == 407:
        more = [*headers, phone.authorized("MESSAGE", uri, answer)]
        answer = phone.request("MESSAGE", uri, headers=more, timeout=timeout, **options)
    return answer


def receive(phone, status: int = 200, timeout: float = 8):
    """The next MESSAGE, answered."""
    found = phone.next(lambda m: not m.is_response and m.method == "MESSAGE", "a MESSAGE", timeout)
    lines = [f"SIP/2.0 {status} Status", *(f"Via: {v}" for v in found.all("via")), f"From: {found.get('from')}",
             f"To: {found.get('to')};tag=m", f"Call-ID: {found.call_id}", f"CSeq: {found.get('cseq')}", "Content-Length: 0"]
    phone.send("\r\n".join(lines) + "\r\n\r\n", getattr(found, "stream", None))
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_kept_over_kill_9_and_delivered_once(server, phone, transport):
    nightjar = server(SCRIPT)
    sender = phone(nightjar, "1000")
    bodies = [bytes(range(256)), os.urandom(900), "später".encode()]
    for body in bodies:
        assert send(sender, "1001", body, "application/octet-stream", [("Subject", "s")]).status == 202
    until(lambda: len(nightjar.query("select * from message")) == 3, "the messages to be written", timeout=3)
    nightjar.kill()
    nightjar.start()
    late = phone(nightjar, "1001", ip="127.0.0.3", transport=transport)
    late.register()
    for body in bodies:
        message = receive(late)
        assert message.body == body and message.get("content-type") == "application/octet-stream"
        assert message.get("subject") == "s" and f"sip:1000@{DOMAIN}" in message.get("from")
    until(lambda: not nightjar.query("select * from message"), "the messages to leave the database", timeout=3)
    late.register()
    late.quiet(0.5, lambda m: not m.is_response and m.method == "MESSAGE")
    assert nightjar.json("status")["counters"]["messages.waiting"] == 0


def test_a_stranger_and_a_relay(server, phone, trusted):
    nightjar = server(SCRIPT)
    stranger = phone(nightjar, "1000", secret="wrong")
    assert send(stranger, "1001", b"x").status == 403
    assert send(phone(nightjar, "1001"), "sip:1000@192.0.2.1", b"x").status == 403
    assert send(phone(nightjar, "1001"), "nobody", b"x").status == 404


def test_the_script_decides(server, phone):
    nightjar = server(SCRIPT + """
on.message(function(req)
  if req.ruri.user == "sms" then return req:deliver { to = "user/1001" } end
  if req.body:find("spam", 1, true) then return req:reject { status = 603 } end
end)
""")
    sender, other = phone(nightjar, "1000"), phone(nightjar, "1001", ip="127.0.0.3")
    other.register()
    assert send(sender, "1001", b"spam!").status == 603
    sender.send(sender.compose("MESSAGE", f"sip:sms@{DOMAIN}", body=b"hi", content_type="text/plain", call_id="sms"))
    challenge = sender.next(lambda m: m.is_response and m.call_id == "sms" and m.status == 407, "407")
    header = sender.authorized("MESSAGE", f"sip:sms@{DOMAIN}", challenge)
    sender.send(sender.compose("MESSAGE", f"sip:sms@{DOMAIN}", headers=[header], body=b"hi", content_type="text/plain",
                               call_id="sms"))
    assert receive(other).body == b"hi"
    sender.next(lambda m: m.is_response and m.call_id == "sms" and m.status == 200, "200 to the sender")


def test_pjsua_writes_to_pjsua(server, pjsua_phone):
    nightjar = server(SCRIPT)
    one, other = pjsua_phone(nightjar, "1000"), pjsua_phone(nightjar, "1001")
    one.message(f"sip:1001@{DOMAIN}", "hello <&> you")
    got = other.event("message")
    assert got["text"] == "hello <&> you" and "1000" in got["from"]
    one.event("message_status", code=200)
    one.message(f"sip:1002@{DOMAIN}", "later")
    one.event("message_status", code=202)
    late = pjsua_phone(nightjar, "1002")
    assert late.event("message")["text"] == "later"
