"""A callee's 3xx over real sockets: by default the script's affair, followed where it says so, never in a circle."""
import pytest

from harness.message import make_sdp
from harness.server import DOMAIN

ROUTE = """on.invite(function(call)
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20, redirects = %d })
  if r.status == 302 then
    return call:reject { status = 404, headers = { ["X-Contacts"] = table.concat(r.contacts, " ") } }
  end
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def world(server, phone):
    def make(redirects: int):
        nightjar = server(ROUTE % redirects)
        phones = [phone(nightjar, user, ip=f"127.0.0.{n}") for user, n in (("1001", 8), ("1002", 12))]
        for one in phones:
            one.register()
        return (phone(nightjar, "1000"), *phones)
    return make


def redirect(phone, *contacts):
    dialog = phone.incoming()
    dialog.reply(302, "Moved Temporarily", [("Contact", c) for c in contacts])
    dialog.expect_request("ACK")
    return dialog


def test_not_followed_by_default(world):
    caller, one, two = world(0)
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    redirect(one, f"<sip:1002@{DOMAIN}>;q=0.5", "<sip:x@192.0.2.1>")
    refused = a.expect(404)
    assert refused.get("x-contacts") == f"sip:x@192.0.2.1 sip:1002@{DOMAIN}" and not refused.all("contact")
    two.quiet()


def test_followed_to_a_user_of_ours(world):
    caller, one, two = world(1)
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    redirect(one, "<sip:x@192.0.2.1>", f"<sip:1002@{DOMAIN}>")
    b = two.incoming()
    assert b.invite.get("diversion") == f"<sip:1001@{DOMAIN}>;reason=unconditional;counter=1"
    assert len(b.invite.get("history-info").split(",")) + len(b.invite.all("history-info")) >= 2
    b.reply(200, "OK", body=make_sdp("127.0.0.12", 40002))
    a.answered()
    b.expect_request("ACK")
    a.bye()
    b.expect_bye()


def test_two_phones_that_send_each_other_the_call(world):
    caller, one, two = world(10)
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    redirect(one, f"<sip:1002@{DOMAIN}>")
    redirect(two, f"<sip:1001@{DOMAIN}>", f"<sip:1002@{DOMAIN}>")
    a.expect(404)
    one.quiet(0.5, lambda m: m.method == "INVITE" and not m.is_response)
