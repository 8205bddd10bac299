"""RFC 5626 at the registrar, over TCP: two flows of one phone, of which one rings; when it is gone the other does."""
import socket

import pytest

from harness.message import make_sdp
from harness.wait import until

ROUTE = """on.invite(function(call)
  local r = call:dial("user/" .. call.ruri.user, { ringback = "180", timeout = 20 })
  if not r.ok then call:reject { from = r } end
end)"""


@pytest.fixture
def nightjar(server):
    return server(ROUTE)


@pytest.fixture
def flow(nightjar, phone):
    """One of the connections of phone 1001, registered."""
    def make(number: int, expires: int):
        one = phone(nightjar, "1001", ip=f"127.0.0.{20 + number}", transport="tcp")
        contact = f"<{one.contact};ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id={number}"
        answer = one.register(contact=contact, expires=expires, headers=[("Supported", "path, outbound")])
        assert answer.get("require") == "outbound" and answer.get("flow-timer") == "120"
        return one
    return make


def test_one_flow_rings_and_the_other_when_it_is_gone(nightjar, flow, phone):
    old, new = flow(1, 600), flow(2, 1200)
    caller = phone(nightjar, "1000")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = new.incoming()
    b.reply(486, "Busy Here")
    a.expect(486)
    old.quiet(0.3)
    new.uplink().shutdown(socket.SHUT_RDWR)
    until(lambda: len(nightjar.json("registrations")) == 1, "the binding of the lost connection to go")
    a = caller.call("1001", make_sdp("127.0.0.2", 40000))
    b = old.incoming()
    b.reply(200, "OK", body=make_sdp("127.0.0.21", 40002))
    a.answered()
    b.expect_request("ACK")
    # Mid-dialog requests come over the same flow, although the Contact names a port of its own.
    a.bye()
    assert b.expect_bye().stream is old.uplink()


def test_the_same_reg_id_replaces(nightjar, flow):
    flow(1, 600)
    flow(1, 600)
    assert len(nightjar.json("registrations")) == 1
