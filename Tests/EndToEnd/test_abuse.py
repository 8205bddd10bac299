"""Strangers over real sockets: floods, guesses, malformed framing, and what they would like to write into our logs."""
import contextlib
import json
import os
import re
import socket
import struct

import pytest

from harness.message import Message, make_sdp
from harness.server import DOMAIN, CommandError
from harness.wait import Deadline, until

STRANGER = "127.0.0.66"
SDP = make_sdp("127.0.0.9", 40000)
METHODS = ["REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS", "MESSAGE"]


def send_flood(nightjar, method: str, count: int, vias: int = 20) -> None:
    """That many requests, each a new one, each with Vias that its answer has to repeat."""
    uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:1001@{DOMAIN}"
    more = "".join(f"Via: SIP/2.0/UDP 10.0.0.{i};branch=z9hG4bK{'x' * 300}\r\n" for i in range(vias))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.bind((STRANGER, 0))
        for i in range(count):
            s.sendto((
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};rport;branch=z9hG4bK{method}{i}\r\n{more}"
                f"From: <sip:x@{DOMAIN}>;tag=1\r\nTo: <sip:1001@{DOMAIN}>\r\nCall-ID: {method}{i}\r\n"
                f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:x@{STRANGER}>\r\nContent-Length: 0\r\n\r\n"
            ).encode(), ("127.0.0.1", nightjar.port))
            if i % 100 == 99:  # as fast as it is read, or the system would drop most
                nightjar.answers()


@pytest.mark.parametrize("method", METHODS)
def test_a_flood_takes_no_memory_and_nobody_waits_for_it(server, phone, method):
    """10,000 requests whose answers are 6 KB each: kept for 32 s they would be 60 MB."""
    nightjar = server()
    send_flood(nightjar, method, 500)
    before = nightjar.rss_kib()
    send_flood(nightjar, method, 10_000)
    phone(nightjar).register()
    grown = nightjar.rss_kib() - before
    assert grown < 16_000, f"{grown} KiB more after the flood"
    counters = nightjar.json("status")["counters"]
    assert counters["abuse.refused"] > 0 and counters["abuse.dropped"] > 1000
    assert nightjar.json("calls") == []


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_without_a_limit_a_challenge_takes_no_memory_either(server, method):
    nightjar = server(limits={"requests_per_second": 0})
    send_flood(nightjar, method, 500)
    before = nightjar.rss_kib()
    send_flood(nightjar, method, 10_000)
    grown = nightjar.rss_kib() - before
    assert grown < 16_000, f"{grown} KiB more after the flood"
    status = nightjar.json("status")["counters"]
    assert status["challenges"] >= 9000 and status["transactions"] < 300


def test_guessing_is_banned_and_the_ban_can_be_ended(server, phone):
    nightjar = server(limits={"ban": {"failures": 5, "window": 60, "duration": 600}})
    other = phone(nightjar, "1001", ip="127.0.0.3")
    guesser = phone(nightjar, ip=STRANGER)
    for i in range(5):
        guesser.register(secret=f"guess{i}", expect=403)
    uri = f"sip:{DOMAIN}"
    guesser.send(guesser.compose("OPTIONS", uri))
    guesser.quiet(0.5)
    other.register()
    assert [ban["source"] for ban in nightjar.json("bans")] == [STRANGER]
    assert STRANGER in nightjar.run("bans") and "banned for wrong credentials" in nightjar.log
    status = nightjar.json("status")["counters"]
    assert status["abuse.bans"] == 1 and status["transport.banned"] >= 1
    # A stream of the banned is closed at once.
    with socket.create_connection(("127.0.0.1", nightjar.port), timeout=3, source_address=(STRANGER, 0)) as s:
        with contextlib.suppress(ConnectionError):
            assert s.recv(1) == b""
    with pytest.raises(CommandError, match="not banned"):
        nightjar.run("bans", "remove", "127.0.0.3")
    assert "heard again" in nightjar.run("bans", "remove", STRANGER)
    guesser.drain()
    assert guesser.request("OPTIONS", uri).status == 200
    assert nightjar.json("bans") == []


def test_a_ban_ends_by_itself_and_a_reload_frees_who_must_not_be_banned(server, phone):
    nightjar = server(limits={"ban": {"failures": 2, "duration": 2}})
    for ip in (STRANGER, "127.0.0.67"):
        guesser = phone(nightjar, ip=ip)
        for _ in range(2):
            guesser.register(secret="guess", expect=403)
    assert len(nightjar.json("bans")) == 2
    nightjar.settings["limits"]["ban"]["never"] = ["127.0.0.67"]
    nightjar.write_config()
    nightjar.run("reload")
    assert "127.0.0.67" not in [ban["source"] for ban in nightjar.json("bans")]
    for _ in range(4):
        guesser.register(secret="guess", expect=403)
    until(lambda: nightjar.json("bans") == [], "the ban to end")
    phone(nightjar, ip=STRANGER).register()


def test_connections_opened_and_closed_in_bursts_leave_nothing(server):
    nightjar = server()

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{nightjar.process.pid}/fd"))

    before = descriptors()
    for burst in range(10):
        streams = []
        for i in range(200):
            s = socket.create_connection(("127.0.0.1", nightjar.port), timeout=5)
            if i % 3 == 0:
                s.sendall(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n")
            if i % 2 == 0:  # gone with a reset
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            streams.append(s)
        for s in streams:
            s.close()
        assert nightjar.answers(), f"burst {burst}"
    until(lambda: descriptors() <= before + 2, "the descriptors to be given back")
    memory = nightjar.rss_kib()
    for _ in range(2000):
        socket.create_connection(("127.0.0.1", nightjar.port), timeout=5).close()
    until(lambda: descriptors() <= before + 2, "the descriptors to be given back")
    assert nightjar.rss_kib() - memory < 8_000


def raw(nightjar, data: bytes, transport: str, seconds: float = 1.0) -> tuple[bytes, bool]:
    """What the server says to these octets, and whether it closed the stream."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((STRANGER, 0))
        s.connect(("127.0.0.1", nightjar.port))
        s.sendall(data)
        got, deadline = b"", Deadline(seconds)
        while not deadline.over:
            s.settimeout(deadline.left + 0.001)
            try:
                piece = s.recv(65536)
            except (TimeoutError, ConnectionError):
                break
            if not piece:
                return got, True
            got += piece
            if transport == "udp":
                break
    return got, False


def message(start: str = "OPTIONS sip:x SIP/2.0", transport: str = "udp", change=lambda text: text) -> bytes:
    branch = os.urandom(6).hex()
    return change(
        f"{start}\r\nVia: SIP/2.0/{transport.upper()} {STRANGER};rport;branch=z9hG4bK{branch}\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:a@b>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    from harness.server import Server
    one = Server(tmp_path_factory.mktemp("abuse"), "on.invite(function(call) call:reject { status = 486 } end)").start()
    yield one
    assert one.alive, one.log[-4000:]
    one.stop()


LENGTHS = ["-1", "4294967296", "99999999999999999999", "0x10", "1 2", "", "5"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_content_length_that_is_none(shared, length, transport):
    """RFC 3261 §18.3, §20.14: 400 that says so; a stream cannot be followed any more and ends."""
    data = message(transport=transport, change=lambda t: t.replace("Content-Length: 0", f"Content-Length: {length}"))
    got, closed = raw(shared, data, transport)
    if transport == "tcp" and length == "5":
        assert got == b"", "the rest of the body is waited for"
    else:
        assert re.match(rb"SIP/2\.0 (400 Content-Length|513 )", got), got[:100]
        assert transport == "udp" or closed
    assert shared.answers()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("second", ["Content-Length: 0", "l: 4", "Content-Length: 17"])
def test_two_content_lengths(shared, second, transport):
    data = message(transport=transport, change=lambda t: t.replace("\r\n\r\n", f"\r\n{second}\r\n\r\n"))
    got, closed = raw(shared, data, transport)
    assert got.startswith(b"SIP/2.0 400 Content-Length is there more than once"), got[:100]
    assert transport == "udp" or closed


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("line,status", [
    ("Subject : x", 200), ("Subject\t: x", 200),  # RFC 3261 §7.3.1 allows these two
    ("Sub\x00ject: x", 400), ("Subject\x0b: x", 400), ("Sub ject: x", 400), (": x", 400), ("Subject", 400),
    ("\x7fSubject: x", 400), ("Content-Length : 7", 400), ("Subject: a\rb", 400), ("Subject: a\nb", 400),
])
def test_blanks_and_control_octets_in_a_header_name(shared, line, status, transport):
    data = message(transport=transport, change=lambda t: t.replace("Max-Forwards", f"{line}\r\nMax-Forwards"))
    got, _ = raw(shared, data, transport)
    assert got.startswith(b"SIP/2.0 %d " % status), got[:100]
    if status == 400:
        phrase = got.split(b"\r\n")[0]
        assert len(phrase) > len(b"SIP/2.0 400 Bad Request") and not re.search(rb"[\x00-\x1f\x7f]", phrase)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", ["To", "From", "Via", "Call-ID", "CSeq"])
@pytest.mark.parametrize("start", ["OPTIONS sip:x SIP/2.0", "SIP/2.0 200 OK"])
def test_a_mandatory_header_is_missing(shared, start, name, transport):
    """RFC 3261 §8.1.1: 400 that names it; nobody is there to answer to without a Via, and a response is never answered."""
    data = message(start, transport, lambda t: re.sub(rf"\n{name}:[^\r]*\r", "", t))
    got, _ = raw(shared, data, transport, 0.4 if name == "Via" or start.startswith("SIP") else 1)
    if start.startswith("SIP") or name == "Via":
        assert got == b""
    else:
        assert got.startswith(f"SIP/2.0 400 {name} is missing".encode()), got[:100]
    assert shared.answers()


def test_nobody_writes_control_octets_into_our_logs_tables_and_records(server, trusted, phone):
    """Terminals obey ESC, and a line end makes a second line of a log."""
    evil = "\x1b[2J\x1b]0;x\x07\x7f\u0085\u2028"
    nightjar = server("on.invite(function(call) log.warn('from ' .. (call.from.display or '?')) call:answer() call:wait() end)",
                      records={"csv": "r.csv", "json": "r.json"})
    phone(nightjar).register(headers=[("User-Agent", f"evil{evil}phone")])
    caller = trusted(nightjar)
    name = f'"a\\\r\n b{evil}\\\x00c"'.replace("\\\r\n b", "b")
    dialog = caller.call("evil%0d%0aX:%20y%1b%00", SDP, from_=f"{name} <sip:12%0d%0a34@x>;tag={os.urandom(4).hex()}")
    dialog.answered()
    shown = nightjar.run("calls") + nightjar.run("registrations") + json.dumps(nightjar.json("calls"))
    dialog.bye()
    until(lambda: nightjar.query("select * from call"), "the record")
    until(lambda: (nightjar.folder / "r.json").exists() and (nightjar.folder / "r.json").read_text(), "the JSON record")
    until(lambda: (nightjar.folder / "r.csv").exists() and len((nightjar.folder / "r.csv").read_text().splitlines()) > 1, "CSV")
    control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029]")
    for what, text in [("tables", shown), ("log", nightjar.log), ("JSON", (nightjar.folder / "r.json").read_text())]:
        assert not control.search(text), f"{what}: {control.search(text)!r} in {text!r}"
    assert len((nightjar.folder / "r.json").read_text().splitlines()) == 1
    assert sum("from " in line for line in nightjar.log.splitlines()) == 1


def test_thousands_of_contacts_and_stars(server, phone):
    """RFC 3261 §10.3: all or none of them; refused in no time."""
    nightjar = server()
    one = phone(nightjar, transport="tcp")
    many = ", ".join(f"<sip:{i}@127.0.0.2>" for i in range(1200))
    assert len(many) < 32_000
    before = nightjar.cpu_seconds()
    assert one.register(contact=many, expect=403)
    assert nightjar.cpu_seconds() - before < 1
    lines = "\r\n".join(f"Contact: <sip:{i}@127.0.0.2>" for i in range(2000))[9:]
    refused = raw(nightjar, message("REGISTER sip:x SIP/2.0", "tcp", lambda t: t.replace("OPTIONS", "REGISTER").replace(
        "Max-Forwards", f"Contact: {lines}\r\nMax-Forwards")), "tcp")[0]
    assert refused.startswith(b"SIP/2.0 513 "), refused[:80]
    for bad in ("*, <sip:1@127.0.0.2>", "<sip:1@127.0.0.2>, *", "*;expires=0"):
        assert one.request("REGISTER", f"sip:{DOMAIN}", headers=[("Contact", bad), ("Expires", "0")],
                           to=f"<{one.aor}>", from_=f"<{one.aor}>;tag=x", contact=False).status in (400, 401)
    one.register(contact="*", expires=600, expect=400)
    assert nightjar.json("registrations") == []
    one.register()
    one.register(contact="*", expires=0)
    assert nightjar.json("registrations") == []


def test_answers_to_nothing_are_dropped(shared):
    """RFC 3261 §18.1.2: a response that belongs to no request of ours."""
    for vias in (f"Via: SIP/2.0/UDP 127.0.0.1:{shared.port};branch=z9hG4bK{'0' * 32}\r\n", ""):
        data = (f"SIP/2.0 200 OK\r\n{vias}Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n"
                "To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n").encode()
        assert raw(shared, data, "udp", 0.3) == (b"", False)
    assert Message(raw(shared, message(), "udp")[0]).status == 200
