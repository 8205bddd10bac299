"""SIP over WebSockets (RFC 7118, RFC 6455), with the Python package websockets as the peer. Media is plain RTP."""
import socket

import pytest

from harness.certificates import Authority
from harness.secure import WebSocketPhone, listen
from harness.server import DOMAIN
from harness.wait import until

pytest.importorskip("websockets")
SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\n"


def sdp(phone) -> str:
    return SDP.format(ip=phone.ip, port=phone.port)


@pytest.fixture
def nightjar(server):
    one = server(start=False)
    one.ws_port = listen(one, "ws")["ws"]
    return one.start()


@pytest.fixture
def ws_phone(own):
    def make(server, user="1000", **options):
        options = {"url": f"ws://127.0.0.1:{server.ws_port}/", **options}
        return own.keep(WebSocketPhone(server, user, **options))
    return make


def raw(nightjar, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", nightjar.ws_port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(4096):
            answer += part
        return answer


@pytest.mark.parametrize("binary", [False, True])
def test_a_call_between_a_websocket_phone_and_a_udp_phone(nightjar, ws_phone, phone, binary):
    browser, desk = ws_phone(nightjar, "1000", binary=binary), phone(nightjar, "1001", ip="127.0.0.3")
    browser.register()
    desk.register()
    call = browser.call("1001", sdp(browser))
    ring = desk.incoming()
    assert ring.invite.get("via").startswith("SIP/2.0/UDP ")
    ring.accept(sdp(desk))
    answer = call.answered()
    assert f"127.0.0.1:{nightjar.ws_port};transport=ws" in answer.get("contact")
    call.bye()
    ring.expect_bye()
    # And the other way: by the browser's own connection, as its Contact leads nowhere.
    call = desk.call("1000", sdp(desk))
    ring = browser.incoming()
    assert ring.invite.get("via").startswith(f"SIP/2.0/WS 127.0.0.1:{nightjar.ws_port};")
    ring.accept(sdp(browser))
    call.answered()
    call.bye()
    ring.expect_bye()


def test_a_secure_websocket(server, own, tmp_path):
    authority = Authority(tmp_path / "certificates")
    one = server(start=False, sip={"tls": authority.make("server", "sip.example.com")})
    port = listen(one, "wss")["wss"]
    one.start()
    browser = own.keep(WebSocketPhone(one, "1000", url=f"wss://127.0.0.1:{port}/", context=authority.client()))
    browser.register()
    call = browser.call("600", sdp(browser))
    call.answered()
    call.bye()


def test_a_binding_goes_with_its_websocket(nightjar, ws_phone):
    browser = ws_phone(nightjar, "1001")
    browser.register()
    assert "1001" in nightjar.run("registrations")
    browser.uplink().close()
    until(lambda: "1001" not in nightjar.run("registrations"), "the binding to go")


def test_ping_keep_alive_and_close(nightjar, ws_phone):
    browser = ws_phone(nightjar)
    connection = browser.uplink()
    assert browser.request("OPTIONS").status == 200
    assert connection.ping().wait(5)
    connection.send("\r\n\r\n")  # RFC 5626 §3.5.1
    assert connection.recv(timeout=5) == "\r\n"
    connection.send(iter(["OPTIONS sip:nightjar.test SIP/2.0\r\n", f"Via: {browser.via()}\r\nMax-Forwards: 70\r\n",
                          "From: <sip:a@b>;tag=1\r\nTo: <sip:nightjar.test>\r\nCall-ID: fragments\r\n",
                          "CSeq: 1 OPTIONS\r\n\r\n"]))
    assert "SIP/2.0 200" in connection.recv(timeout=5)
    connection.close()
    assert connection.close_code == 1000


@pytest.mark.parametrize("request_, status", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"OPTIONS sip:nightjar.test SIP/2.0\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 8200, 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400),
])
def test_a_bad_request_gets_an_http_error(nightjar, request_, status):
    assert raw(nightjar, request_).startswith(f"HTTP/1.1 {status} ".encode())


def test_origins_can_be_limited(server, own):
    from websockets.exceptions import InvalidStatus
    one = server(start=False, sip={"websocket": {"origins": ["https://phone.example.com"]}})
    url = f"ws://127.0.0.1:{listen(one, 'ws')['ws']}/"
    one.start()
    own.keep(WebSocketPhone(one, "1000", url=url, origin="https://phone.example.com")).register()
    with pytest.raises(InvalidStatus) as refused:
        own.keep(WebSocketPhone(one, "1001", url=url, origin="https://evil.example.com")).register()
    assert refused.value.response.status_code == 403


def test_nobody_is_connected_to_by_websocket(server, trusted):
    """RFC 7118 §5: the client's connection only."""
    script = """on.invite(function(call)
      local r = call:dial("sip:x@127.0.0.1:9;transport=ws", { timeout = 3, ringback = "180" })
      call:reject { from = r }
    end)"""
    one = server(script, start=False)
    listen(one, "ws")
    one.start()
    caller = trusted(one)
    call = caller.call("1", sdp(caller))
    assert call.expect(480, 500, 502, 503, 404, skip=(100, 180)).status
