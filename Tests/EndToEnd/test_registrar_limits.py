"""What nobody may register: another's address of record, thousands of contacts, ways that lead nowhere."""
import time

import pytest

from harness.server import DOMAIN

ROUTE = "on.invite(function(call) call:reject { status = 404 } end)"


@pytest.fixture
def nightjar(server):
    return server(ROUTE)


def register(phone, headers, to=None):
    """REGISTER with digest, its headers as they are; the final response."""
    uri, to = f"sip:{DOMAIN}", to or f"<{phone.aor}>"
    options = {"to": to, "from_": f"{to};tag=x", "contact": False}
    challenge = phone.request("REGISTER", uri, headers=headers, **options)
    assert challenge.status == 401
    return phone.request("REGISTER", uri, headers=[*headers, phone.authorized("REGISTER", uri, challenge)], **options)


def test_another_users_address_of_record(nightjar, phone):
    """RFC 3261 §10.3 step 4: who 1000 is does not matter to 1001, whatever the spelling."""
    thief = phone(nightjar, "1000")
    for to in (f"<sip:1001@{DOMAIN}>", f"<sip:%31001@{DOMAIN}>", f'"1000" <sip:1001@{DOMAIN};user=1000>',
               f"<sip:1000%00@{DOMAIN}>"):
        answer = register(thief, [("Contact", f"<{thief.contact}>"), ("Expires", "600")], to)
        assert answer.status == 403, to
        assert register(thief, [("Contact", "*"), ("Expires", "0")], to).status == 403
    assert nightjar.json("registrations") == []


@pytest.mark.parametrize("count", [41, 700])
def test_thousands_of_contacts_are_refused_at_once(nightjar, phone, count):
    one = phone(nightjar, "1000")
    contacts = ",".join(f"<sip:1000@127.0.0.3:{5000 + n};x={n}>" for n in range(count))
    started = time.monotonic()
    assert register(one, [("Contact", contacts), ("Expires", "600")]).status == 403
    assert time.monotonic() - started < 2
    assert nightjar.json("registrations") == []
    assert one.register().status == 200


@pytest.mark.parametrize("headers", [
    [("Contact", "<sip:1000@127.0.0.3:0>")],
    [("Contact", "<sip:1000@127.0.0.3>"), ("Path", "<>")],
    [("Contact", "<sip:1000@127.0.0.3>"), ("Path", "<sip:127.0.0.3>")],
    [("Contact", "<sip:1000@127.0.0.3>;+sip.instance=\"<urn:uuid:1>\";reg-id=1, <sip:1000@127.0.0.4>")],
], ids=["port-0", "empty-path", "strict-path", "reg-id-and-another"])
def test_ways_that_lead_nowhere_are_400(nightjar, phone, headers):
    assert register(phone(nightjar, "1000"), [*headers, ("Expires", "600")]).status == 400
    assert nightjar.json("registrations") == []


def test_outbound_is_served(nightjar, phone):
    one = phone(nightjar, "1000")
    contact = f"<{one.contact}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1"
    answer = register(one, [("Contact", contact), ("Expires", "600"), ("Supported", "path, outbound, gruu")])
    assert answer.status == 200 and answer.get("require") == "outbound" and answer.get("flow-timer") == "29"
    assert "reg-id=1" in answer.get("contact") and "gruu" not in answer.raw.decode()
