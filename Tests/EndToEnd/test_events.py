"""Subscriptions, presence and voice-message lamps over real sockets: sipp, scripted phones, pjsua2."""
import re
import xml.etree.ElementTree as ElementTree

import pytest

from harness.message import make_sdp
from harness.server import DOMAIN
from harness.wait import until

SDP = make_sdp("127.0.0.9", 40000)
DIALOG = "{urn:ietf:params:xml:ns:dialog-info}"
REG = "{urn:ietf:params:xml:ns:reginfo}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
SCRIPT = """
on.invite(function(call)
  if call.ruri.user == "600" then
    assert(mwi.set("1000", { new = 3, old = 1 }))
    return call:reject { status = 486 }
  end
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180" })
  if not r.ok then call:reject { from = r } end
end)
"""


class Watch:
    """One subscription of a scripted phone."""

    def __init__(self, phone, user: str, package: str, expires: int = 600):
        self.phone, self.uri = phone, f"sip:{user}@{DOMAIN}"
        headers = [("Event", package), ("Expires", str(expires))]
        options = {"call_id": f"watch-{package}-{user}-{phone.port}", "from_": f"<{phone.aor}>;tag=w{phone.port}"}
        answer = phone.request("SUBSCRIBE", self.uri, headers=headers, **options)
        if answer.status == 407:
            answer = phone.request(
                "SUBSCRIBE", self.uri, headers=headers + [phone.authorized("SUBSCRIBE", self.uri, answer)], **options)
        self.answer, self.options = answer, options

    def notify(self, timeout: float = 8):
        """The next NOTIFY, answered."""
        found = self.phone.next(lambda m: not m.is_response and m.method == "NOTIFY" and m.call_id == self.options["call_id"],
                                "a NOTIFY", timeout)
        lines = ["SIP/2.0 200 OK", *(f"Via: {v}" for v in found.all("via")), f"From: {found.get('from')}",
                 f"To: {found.get('to')}", f"Call-ID: {found.call_id}", f"CSeq: {found.get('cseq')}", "Content-Length: 0"]
        self.phone.send("\r\n".join(lines) + "\r\n\r\n", getattr(found, "stream", None))
        return found

    def document(self, timeout: float = 8):
        return ElementTree.fromstring(self.notify(timeout).body)

    def until(self, wanted, timeout: float = 15):
        """Documents until one of which `wanted` is true."""
        for _ in range(20):
            document = self.document(timeout)
            if wanted(document):
                return document
        raise AssertionError("twenty notifications, none as wanted")


@pytest.mark.parametrize("package", ["reg", "dialog", "presence", "message-summary"])
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_sipp_subscribes(server, run_sipp, package, transport):
    nightjar = server(SCRIPT)
    caller = run_sipp("subscribe", "127.0.0.2", to=f"127.0.0.1:{nightjar.port}", calls=40, rate=20, limit=20,
                      transport=transport, keys={"watched": "1001"}, fill={"PACKAGE": package})
    caller.wait()
    until(lambda: nightjar.json("status")["counters"]["subscriptions"] == 0, "no subscription to be left")


def test_sipp_publishes(server, run_sipp):
    nightjar = server(SCRIPT)
    run_sipp("publish", "127.0.0.2", to=f"127.0.0.1:{nightjar.port}", calls=30, rate=20).wait()


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_busy_lamp(server, phone, shards, transport):
    nightjar = server(SCRIPT, sip={"shards": shards})
    watcher = phone(nightjar, "1000", transport=transport)
    caller, callee = phone(nightjar, "1002", ip="127.0.0.3"), phone(nightjar, "1001", ip="127.0.0.4")
    callee.register()
    watch = Watch(watcher, "1001", "dialog")
    assert watch.answer.status == 200
    first = watch.notify()
    assert first.get("subscription-state").startswith("active;expires=")
    assert not ElementTree.fromstring(first.body).findall(f"{DIALOG}dialog")
    one = caller.call("1001", SDP)
    other = callee.incoming()
    other.reply(180, "Ringing")
    state = lambda d: [s.text for s in d.iter(f"{DIALOG}state")]  # noqa: E731
    watch.until(lambda d: state(d) == ["early"])
    other.reply(200, "OK", body=SDP)
    one.ack(one.expect(200, skip=(100, 180, 183)))
    talking = watch.until(lambda d: state(d) == ["confirmed"])
    assert talking.get("entity") == f"sip:1001@{DOMAIN}"
    assert [i.text for i in talking.iter(f"{DIALOG}identity")] == [f"sip:1001@{DOMAIN}", f"sip:1002@{DOMAIN}"]
    one.bye()
    watch.until(lambda d: state(d) in (["terminated"], []))


def test_registrations_are_told(server, phone):
    nightjar = server(SCRIPT)
    watcher, watched = phone(nightjar, "1000"), phone(nightjar, "1001", ip="127.0.0.3", transport="tcp")
    watch = Watch(watcher, "1001", "reg")
    assert watch.document().find(f"{REG}registration").get("state") == "init"
    watched.register()
    document = watch.document(timeout=10)
    assert document.get("state") == "partial" and document.find(f".//{REG}contact").get("event") == "created"
    watched.uplink().close()  # the connection that the binding lives by
    watched._streams.clear()
    watched._uplink = None
    document = watch.document(timeout=10)
    assert document.find(f"{REG}registration").get("state") == "terminated"


def test_shutdown_ends_subscriptions(server, phone):
    nightjar = server(SCRIPT)
    nightjar.expected_to_end = True
    watch = Watch(phone(nightjar, "1000"), "1001", "presence")
    watch.notify()
    nightjar.process.terminate()
    assert watch.notify().get("subscription-state") == "terminated;reason=probation;retry-after=10"
    assert nightjar.process.wait(15) == 0


def test_a_reload_keeps_subscriptions(server, phone):
    nightjar = server(SCRIPT)
    watcher = phone(nightjar, "1000")
    watch = Watch(watcher, "1000", "message-summary")
    assert b"Messages-Waiting: no" in watch.notify().body
    nightjar.run("reload")
    watcher.call("600", SDP).expect(486)
    assert re.search(rb"Messages-Waiting: yes\r\n.*\r\nVoice-Message: 3/1 \(0/0\)", watch.notify().body)
    until(lambda: nightjar.query("select * from mailbox"), "the mailbox to be written", timeout=3)
    nightjar.kill()
    nightjar.start()
    again = Watch(phone(nightjar, "1000"), "1000", "message-summary")
    assert b"Voice-Message: 3/1" in again.notify().body


def test_pjsua_watches_a_buddy(server, pjsua_phone):
    nightjar = server(SCRIPT)
    one = pjsua_phone(nightjar, "1000")
    one.watch(f"sip:1001@{DOMAIN}")
    one.event("buddy", status=2)  # offline
    other = pjsua_phone(nightjar, "1001", publish=True)
    one.event("buddy", status=1, timeout=20)
    other.publish(False)
    one.event("buddy", status=2, timeout=20)
    other.publish(True, "back")
    one.event("buddy", status=1, timeout=20)
    other.dial(f"sip:1000@{DOMAIN}")
    one.event("incoming")
    one.event("buddy", status=1, activity=2, timeout=20)  # busy: on the phone
    other.hang_up()


def test_pjsua_has_a_lamp_for_voice_messages(server, pjsua_phone, trusted):
    nightjar = server(SCRIPT)
    one = pjsua_phone(nightjar, "1000", mwi=True)
    assert "Messages-Waiting: no" in one.event("mwi")["text"]
    trusted(nightjar).call("600", SDP).expect(486)
    assert "Voice-Message: 3/1" in one.event("mwi")["text"]
