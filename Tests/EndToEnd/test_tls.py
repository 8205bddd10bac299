"""SIP over TLS: RFC 3261 §26.3.1, RFC 5922, RFC 8446; with Python's ssl and with pjsua2 as the peers."""
import signal
import socket
import ssl
import time

import pytest

from harness import pjsua
from harness.certificates import Authority
from harness.secure import TLSCarrier, TLSPhone, listen
from harness.server import DOMAIN, CommandError, password
from harness.wait import until

SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\n"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


@pytest.fixture
def secure(server, authority):
    """secure(…): a server with a TLS listener; its certificate is of sip.example.com and 127.0.0.1."""
    def make(script: str = "standard", start: bool = True, tls: dict | None = None, **options):
        certificate = authority.make("server", "sip.example.com", "127.0.0.1")
        one = server(script, start=False, sip={"tls": {**certificate, "trust": str(authority.file), **(tls or {})}},
                     **options)
        one.tls_port = listen(one, "tls")["tls"]
        return one.start() if start else one
    return make


@pytest.fixture
def tls_phone(own, authority):
    def make(server, user="1000", context=None, **options):
        phone = TLSPhone(server, user, server.tls_port, context or authority.client(), **options)
        return own.keep(phone)
    return make


def sdp(phone) -> str:
    return SDP.format(ip=phone.ip, port=phone.port)


def names(connection: ssl.SSLSocket) -> list[str]:
    return [value for kind, value in connection.getpeercert()["subjectAltName"] if kind == "DNS"]


def test_a_call_between_two_tls_phones_over_their_own_connections(secure, tls_phone):
    nightjar = secure()
    caller, callee = tls_phone(nightjar, "1000"), tls_phone(nightjar, "1001", ip="127.0.0.3")
    caller.register()
    callee.register()
    assert caller.uplink().version() == "TLSv1.3"
    call = caller.call("1001", sdp(caller))
    ring = callee.incoming()
    assert ring.invite.get("via").startswith(f"SIP/2.0/TLS 127.0.0.1:{nightjar.tls_port};")
    assert f"127.0.0.1:{nightjar.tls_port};transport=tls" in ring.invite.get("contact")
    ring.reply(180)
    call.expect(180)
    ring.accept(sdp(callee))
    answer = call.answered()
    assert f"sip:127.0.0.1:{nightjar.tls_port};transport=tls" in answer.get("contact")
    call.bye()
    ring.expect_bye()
    # Requests to both came by the connection that each had opened.
    assert len(callee._streams) == 1


def test_sips_gets_a_sips_contact(secure, tls_phone):
    """RFC 3261 §12.1.1: a dialog that sips makes has a sips Contact."""
    nightjar = secure()
    caller = tls_phone(nightjar, "1000", scheme="sips")
    call = caller.call("600", sdp(caller), uri=f"sips:600@{DOMAIN}")
    answer = call.answered(skip=(100, 180, 183))
    assert f"<sips:127.0.0.1:{nightjar.tls_port}>" in answer.get("contact")
    call.bye()


def test_a_binding_goes_with_its_connection(secure, tls_phone):
    nightjar = secure()
    phone = tls_phone(nightjar, "1001")
    phone.register()
    assert "1001" in nightjar.run("registrations")
    phone.uplink().close()
    until(lambda: "1001" not in nightjar.run("registrations"), "the binding to go")


@pytest.mark.skipif(pjsua.missing() is not None, reason="needs pjsua2")
def test_pjsua_over_tls(own, secure, tmp_path, authority):
    nightjar = secure()
    phones = [own.keep(pjsua.Pjsua(tmp_path / f"pjsua-{user}", user, password(user), f"127.0.0.1:{nightjar.tls_port}",
                                   DOMAIN, tone=tone, authority=str(authority.file)), logged=True)
              for user, tone in (("1000", 700), ("1001", 1200))]
    for phone in phones:
        phone.registered()
    one, other = phones
    one.dial(f"sip:1001@{DOMAIN};transport=tls")
    other.until_state("INCOMING")
    other.accept()
    one.until_state("CONFIRMED")
    one.until_hears(1200)
    other.until_hears(700)
    other.hang_up()
    one.until_state("DISCONNECTED")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(secure, authority):
    """RFC 8996: TLS 1.0 and 1.1 are not spoken."""
    nightjar = secure()
    for newest, is_good in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = authority.client(newest=newest)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", nightjar.tls_port), timeout=5) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="sip.example.com") as connection:
                    assert is_good and connection.version() == "TLSv1.2" and "ECDHE" in connection.cipher()[0]
            except (ssl.SSLError, ConnectionError):
                assert not is_good


def test_sni_chooses_among_certificates(secure, authority):
    """RFC 6066 §3."""
    other = authority.make("other", "other.example.com")
    named = {**authority.make("wild", "a.wild.example.com"), "names": ["*.wild.example.com"]}
    nightjar = secure(tls={"certificates": [other, named]})
    context = authority.client()
    context.check_hostname = False
    for asked, shown in (("sip.example.com", "sip.example.com"), ("other.example.com", "other.example.com"),
                         ("b.wild.example.com", "a.wild.example.com"), ("unknown.example.com", "sip.example.com"),
                         (None, "sip.example.com")):
        with socket.create_connection(("127.0.0.1", nightjar.tls_port), timeout=5) as plain, \
                context.wrap_socket(plain, server_hostname=asked) as connection:
            assert names(connection) == [shown]


def test_a_client_certificate_can_be_required(secure, authority, tls_phone):
    nightjar = secure(tls={"client_certificates": "required", "ca": str(authority.file)})
    good = tls_phone(nightjar, context=authority.client(authority.make("phone", "phone.example.com")))
    good.register()
    bad = tls_phone(nightjar, "1001")
    with pytest.raises((OSError, AssertionError)):
        bad.register()
    assert "1001" not in nightjar.run("registrations")


def test_reload_takes_new_certificates_for_new_connections_only(secure, authority, tls_phone):
    nightjar = secure()
    phone = tls_phone(nightjar, "1000")
    phone.register()
    renewed = authority.make("server", "sip.example.com", "renewed.example.com")
    assert renewed["certificate"] == nightjar.settings["sip"]["tls"]["certificate"]
    nightjar.run("reload")
    later = tls_phone(nightjar, "1001")
    assert "renewed.example.com" in names(later.uplink())
    phone.register()  # by its old connection, which lives
    assert "renewed.example.com" not in names(phone.uplink())
    # SIGHUP does the same.
    authority.make("server", "sip.example.com", "again.example.com")
    nightjar.signal(signal.SIGHUP)
    until(lambda: nightjar.log.count("reloaded") >= 2, "the reload")
    assert "again.example.com" in names(tls_phone(nightjar, "1002").uplink())


def test_a_reload_with_a_bad_certificate_is_refused_with_file_and_line(secure, authority, tls_phone):
    nightjar = secure()
    path = nightjar.settings["sip"]["tls"]["key"]
    authority.make("another", "x.example.com")
    with open(path, "w") as key:
        key.write((authority.folder / "another.key").read_text())
    with pytest.raises(CommandError) as error:
        nightjar.run("reload")
    assert f"{nightjar.config.name}:1: {path}: is not the key of" in error.value.output.replace(str(nightjar.folder) + "/", "")
    assert names(tls_phone(nightjar).uplink()) == ["sip.example.com"]  # the old one stays
    with pytest.raises(CommandError):
        nightjar.run("check")


def test_a_tls_listener_without_certificate_does_not_start(server):
    nightjar = server(start=False)
    listen(nightjar, "tls")
    with pytest.raises(CommandError) as error:
        nightjar.run("check")
    assert "TLS needs a certificate: give sip.tls.certificate and sip.tls.key" in error.value.output
    assert ":1: sip.listen[" in error.value.output


# -- trunks


def trunk(secure, authority, own, certificate_of: tuple[str, ...], host: str = "127.0.0.1", **options):
    """A server with a trunk over TLS, the carrier behind it, and a caller."""
    from harness import ports
    script = """on.invite(function(call)
      local r = call:dial("trunk/carrier/" .. call.to.user, { ringback = "180", timeout = 5 })
      if not r.ok then call:reject { from = r } end
    end)"""
    nightjar = secure(script, start=False)
    carrier = own.keep(TLSCarrier(nightjar, "carrier", authority.server(authority.make("carrier", *certificate_of)),
                                  ip="127.0.0.7"))
    nightjar.settings["trunks"] = [{"name": "carrier", "host": f"127.0.0.7:{carrier.port}", "transport": "tls",
                                    "ping": 0, **options}]
    nightjar.write_config()
    return nightjar.start(), carrier


def test_a_trunk_that_proves_its_address_is_called(secure, authority, own, trusted):
    nightjar, carrier = trunk(secure, authority, own, ("127.0.0.7",))
    caller = trusted(nightjar)
    for _ in range(3):
        call = caller.call("5551234", sdp(caller))
        ring = carrier.incoming()
        assert ring.invite.get("via").startswith("SIP/2.0/TLS ")
        ring.accept(sdp(carrier))
        call.answered()
        call.bye()
        ring.expect_bye()
    assert carrier.connections == 1  # one for all


@pytest.mark.parametrize("certificate_of", [("other.example.com",), ("127.0.0.9",)])
def test_a_trunk_that_is_somebody_else_is_not_called(secure, authority, own, trusted, certificate_of):
    """RFC 5922 §7.4."""
    nightjar, carrier = trunk(secure, authority, own, certificate_of)
    caller = trusted(nightjar)
    call = caller.call("5551234", sdp(caller))
    until(lambda: carrier.drain(0.05) or "not who it should be" in nightjar.log, "the server to say why")
    call.expect(500, 502, 503, skip=(100, 180, 183), timeout=10)
    carrier.quiet(0.1)


def test_tls_verify_false_takes_anybody(secure, authority, own, trusted):
    nightjar, carrier = trunk(secure, authority, own, ("other.example.com",), tls_verify=False)
    caller = trusted(nightjar)
    call = caller.call("5551234", sdp(caller))
    ring = carrier.incoming()
    ring.accept(sdp(carrier))
    call.answered()
    call.bye()
    ring.expect_bye()


# -- abuse


def test_slow_handshakes_delay_nobody(secure, phone):
    nightjar = secure()
    held = []
    for n in range(200):
        plain = socket.create_connection(("127.0.0.1", nightjar.tls_port), timeout=5)
        if n % 2:
            plain.sendall(bytes([0x16, 3, 1, 2, 0, 1]))
        held.append(plain)
    other = phone(nightjar)
    begin = time.monotonic()
    for _ in range(20):
        assert other.request("OPTIONS").status == 200
    assert time.monotonic() - begin < 2
    for plain in held:
        plain.close()
    assert nightjar.answers()


def test_a_tls_peer_that_never_reads_is_dropped_and_slows_nobody(secure, authority, phone):
    nightjar = secure()
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(10)
    plain.connect(("127.0.0.1", nightjar.tls_port))
    deaf = authority.client().wrap_socket(plain, server_hostname="sip.example.com")
    deaf.settimeout(1)
    padding = "x" * 2000  # a 400 says it again
    other = phone(nightjar)

    def dropped():
        try:
            for _ in range(200):
                deaf.sendall((
                    f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK{time.monotonic_ns()};x={padding}"
                    f"\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: deaf\r\n"
                    f"CSeq: 1 NONSENSE\r\nContent-Length: 0\r\n\r\n").encode())
        except OSError:
            pass
        assert other.request("OPTIONS", timeout=2).status == 200
        return nightjar.json("status")["counters"]["transport.slowReaders"]

    assert until(dropped, "the server to drop it", timeout=30) == 1
    deaf.close()


def test_connections_have_limits_of_the_configuration(server, authority):
    certificate = authority.make("server", "sip.example.com")
    limits = {"per_address": 3, "first_message": 1}
    nightjar = server(start=False, sip={"tls": certificate, "connections": limits})
    port = listen(nightjar, "tls")["tls"]
    nightjar.start()
    held = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(3)]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as beyond:
        assert beyond.recv(1) == b""  # at once
    context = authority.client()
    held[0] = context.wrap_socket(held[0], server_hostname="sip.example.com")
    begin = time.monotonic()
    for connection in held:  # with a handshake or without, but no message
        try:
            assert connection.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            pass
        connection.close()
    assert time.monotonic() - begin < 5
    counters = nightjar.json("status")["counters"]
    assert counters["transport.connectionsRefused"] == 1 and counters["transport.idleTimeouts"] == 3
