"""The registrar (RFC 3261 §10.3) and its digest (RFC 8760), message by message."""
import re

import pytest

from harness.message import parse_challenge
from harness.server import DOMAIN


@pytest.fixture
def nightjar(server):
    return server(registrar={"min_expires": 60, "max_expires": 3600, "max_contacts": 10})


def contacts(answer) -> list[str]:
    return [part.strip() for value in answer.all("contact") for part in re.split(r",(?=\s*<)", value)]


def bare_register(phone, **options):
    return phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<{phone.aor}>", from_=f"<{phone.aor}>;tag=x",
                         call_id=phone.registration_call_id, **options)


def test_challenge_has_one_header_an_algorithm_in_order(nightjar, phone):
    answer = bare_register(phone(nightjar))
    assert answer.status == 401
    challenges = [parse_challenge(v) for v in answer.all("www-authenticate")]
    assert [c["algorithm"] for c in challenges] == ["MD5", "SHA-256"]
    assert all(c["realm"] == DOMAIN and c["qop"] == "auth" and c["nonce"] for c in challenges)


def test_the_order_of_algorithms_is_configurable(server, phone):
    nightjar = server(sip={"auth": {"algorithms": ["SHA-256"]}})
    answer = bare_register(phone(nightjar))
    assert [parse_challenge(v)["algorithm"] for v in answer.all("www-authenticate")] == ["SHA-256"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_register_and_fetch(nightjar, phone, algorithm, transport):
    one = phone(nightjar, transport=transport)
    answer = one.register(expires=600, algorithm=algorithm)
    assert len(contacts(answer)) == 1 and one.contact in contacts(answer)[0]
    expires = int(re.search(r"expires=(\d+)", contacts(answer)[0]).group(1))
    assert 590 <= expires <= 600
    assert contacts(one.register(expires=None, contact="")) and one.contact in contacts(one.register(None, ""))[0]


def test_wrong_password_and_unknown_user_get_the_same_403(nightjar, phone):
    wrong = phone(nightjar, "1000").register(secret="no", expect=403)
    unknown = phone(nightjar, "4711").register(expect=403)
    assert wrong.phrase == unknown.phrase


def test_expires_too_brief_is_423_with_min_expires(nightjar, phone):
    answer = phone(nightjar).register(expires=10, expect=423)
    assert answer.get("min-expires") == "60"


def test_expires_is_cut_to_the_greatest(nightjar, phone):
    answer = phone(nightjar).register(expires=100_000)
    assert int(re.search(r"expires=(\d+)", contacts(answer)[0]).group(1)) <= 3600


def test_star_removes_all(nightjar, phone):
    one, two = phone(nightjar), phone(nightjar)
    one.register()
    assert len(contacts(two.register())) == 2
    assert contacts(one.register(expires=0, contact="*")) == []
    assert contacts(two.register(expires=None, contact="")) == []


@pytest.mark.parametrize("expires", [None, 600])
def test_star_with_another_expires_is_400(nightjar, phone, expires):
    one = phone(nightjar)
    one.register()
    one.register(expires=expires, contact="*", expect=400)
    assert len(contacts(one.register(None, ""))) == 1


def test_star_beside_another_contact_is_400(nightjar, phone):
    one = phone(nightjar)
    one.register(expires=0, contact="*", headers=[("Contact", f"<{one.contact}>")], expect=400)


def test_several_contacts_with_q(nightjar, phone):
    one = phone(nightjar)
    one.register(contact=f"<{one.contact}>;q=0.5, <sip:1000@127.0.0.3:5077>;q=1.0;expires=300")
    found = contacts(one.register(None, ""))
    assert len(found) == 2
    second = next(c for c in found if "127.0.0.3" in c)
    assert re.search(r"q=1(\.0*)?\b", second)
    assert int(re.search(r"expires=(\d+)", second).group(1)) <= 300


def test_expires_zero_removes_one_contact(nightjar, phone):
    one = phone(nightjar)
    one.register(contact=f"<{one.contact}>, <sip:1000@127.0.0.3:5077>")
    answer = one.register(expires=None, contact="<sip:1000@127.0.0.3:5077>;expires=0")
    assert len(contacts(answer)) == 1 and one.contact in contacts(answer)[0]


def test_an_older_cseq_of_the_same_call_changes_nothing(nightjar, phone):
    """RFC 3261 §10.3 step 7: same Call-ID and a CSeq that is not greater: the update fails as a whole."""
    one = phone(nightjar)
    challenge = bare_register(one, cseq=50)
    header = one.authorized("REGISTER", f"sip:{DOMAIN}", challenge)
    ok = bare_register(one, cseq=51, headers=[("Expires", "600"), ("Contact", f"<{one.contact}>"), header])
    assert ok.status == 200
    challenge = bare_register(one, cseq=20)
    header = one.authorized("REGISTER", f"sip:{DOMAIN}", challenge)
    old = bare_register(one, cseq=21, headers=[("Expires", "0"), ("Contact", f"<{one.contact}>"), header])
    assert old.status >= 400
    fetched = phone(nightjar).register(None, "")
    assert len(contacts(fetched)) == 1


def test_a_replayed_authorization_is_challenged_anew_with_stale(nightjar, phone):
    one = phone(nightjar)
    challenge = bare_register(one)
    header = one.authorized("REGISTER", f"sip:{DOMAIN}", challenge)
    assert bare_register(one, headers=[header]).status == 200
    again = bare_register(one, headers=[header])
    assert again.status == 401
    assert all(parse_challenge(v).get("stale", "").lower() == "true" for v in again.all("www-authenticate"))


def test_nonce_counts_may_come_out_of_order(nightjar, phone):
    one = phone(nightjar)
    challenge = bare_register(one)
    for nc in (1, 5, 3, 2, 4):
        header = one.authorized("REGISTER", f"sip:{DOMAIN}", challenge, nc=nc)
        assert bare_register(one, headers=[header]).status == 200, nc
    assert bare_register(one, headers=[one.authorized("REGISTER", f"sip:{DOMAIN}", challenge, nc=3)]).status == 401


def test_a_nonce_of_somebody_else_is_stale(nightjar, phone):
    one = phone(nightjar)
    challenge = bare_register(one)
    name, value = one.authorized("REGISTER", f"sip:{DOMAIN}", challenge)
    forged = re.sub(r'nonce="[^"]*"', 'nonce="deadbeefdeadbeefdeadbeefdeadbeef"', value)
    assert bare_register(one, headers=[(name, forged)]).status == 401


def test_a_user_cannot_register_for_another(nightjar, phone):
    one = phone(nightjar, "1000")
    uri = f"sip:{DOMAIN}"
    to = {"to": f"<sip:1001@{DOMAIN}>", "call_id": "other", "headers": [("Contact", f"<{one.contact}>")]}
    challenge = one.request("REGISTER", uri, **to)
    header = one.authorized("REGISTER", uri, challenge)
    to["headers"] = to["headers"] + [header]
    assert one.request("REGISTER", uri, **to).status == 403


def test_no_access_rule_spares_register_its_digest(nightjar, trusted):
    assert bare_register(trusted(nightjar)).status == 401


def test_registrations_are_listed(nightjar, phone):
    one = phone(nightjar)
    one.register()
    listed = nightjar.json("registrations")
    assert one.contact in str(listed)


def test_a_binding_is_reached_where_it_came_from(nightjar, phone, trusted):
    """NAT: the Contact says one address, the request came from another; calls go to the latter."""
    callee = phone(nightjar, "1001")
    callee.register(contact="<sip:1001@192.0.2.77:5060>")
    caller = trusted(nightjar, "1000")
    dialog = caller.call("1001", "")
    leg = callee.incoming()
    assert "192.0.2.77" in leg.invite.uri
    leg.reply(486, "Busy Here")
    leg.expect_request("ACK")
    dialog.expect(486)
