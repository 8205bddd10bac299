"""A scripted phone: a test says what it sends and what it expects, message by message. For races and refusals, where a
real phone cannot be told what to do; real ones are in baresip.py and pjsua.py.

Retransmissions are recognised by their bytes, counted in `retransmissions`, and never handed out twice."""
import os
import selectors
import socket
import time

from . import ports
from .message import Message, credentials, parse_challenge
from .server import DOMAIN, TRUSTED, TRUSTED_PUBLIC, Server, password
from .wait import Deadline

Headers = list[tuple[str, str]] | tuple[tuple[str, str], ...]


class Phone:
    def __init__(self, server: Server, user: str = "1000", ip: str = "127.0.0.2", transport: str = "udp",
                 secret: str | None = None):
        self.server, self.user, self.ip, self.transport = server, user, ip, transport
        self.secret = password(user) if secret is None else secret
        self.port = ports.port()
        self.server_ip = "::1" if ":" in ip else "127.0.0.1"
        self.challenged = ip not in (TRUSTED, TRUSTED_PUBLIC, "::1")
        self.retransmissions = 0
        self._seen: dict[bytes, int] = {}
        self._backlog: list[Message] = []
        self._selector = selectors.DefaultSelector()
        self._streams: dict[socket.socket, bytearray] = {}
        self._family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self._uplink: socket.socket | None = None
        if transport == "udp":
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._socket.bind((ip, self.port))
        else:
            self._socket = socket.socket(self._family, socket.SOCK_STREAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((ip, self.port))
            self._socket.listen(16)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._cseq = 0
        self.registration_call_id = os.urandom(8).hex()

    def __enter__(self) -> "Phone":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for stream in list(self._streams):
            stream.close()
        self._socket.close()
        self._selector.close()

    @property
    def host(self) -> str:
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    @property
    def contact(self) -> str:
        suffix = ";transport=tcp" if self.transport == "tcp" else ""
        return f"sip:{self.user}@{self.host}:{self.port}{suffix}"

    @property
    def aor(self) -> str:
        return f"sip:{self.user}@{DOMAIN}"

    def via(self, branch: str | None = None) -> str:
        branch = branch or "z9hG4bK" + os.urandom(8).hex()
        return f"SIP/2.0/{self.transport.upper()} {self.host}:{self.port};branch={branch};rport"

    # -- the wire

    def send(self, data: bytes | str, stream: socket.socket | None = None) -> None:
        data = data.encode() if isinstance(data, str) else data
        if self.transport == "udp":
            self._socket.sendto(data, (self.server_ip, self.server.port))
            return
        stream = stream or self.uplink()
        stream.setblocking(True)
        stream.sendall(data)
        stream.setblocking(False)

    def uplink(self) -> socket.socket:
        """The connection that this phone opened to the server."""
        if self._uplink is None:
            self._uplink = socket.socket(self._family, socket.SOCK_STREAM)
            self._uplink.bind((self.ip, 0))
            self._uplink.connect((self.server_ip, self.server.port))
            self._watch(self._uplink)
        return self._uplink

    def _watch(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._streams[stream] = bytearray()
        self._selector.register(stream, selectors.EVENT_READ)

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._socket and self.transport == "udp":
                self._take(self._socket.recv(65536), None)
            elif key.fileobj is self._socket:
                self._watch(self._socket.accept()[0])
            else:
                self._read_stream(key.fileobj)

    def _read_stream(self, stream: socket.socket) -> None:
        try:
            data = stream.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(stream)
            del self._streams[stream]
            if stream is self._uplink:
                self._uplink = None
            stream.close()
            return
        buffer = self._streams[stream]
        buffer += data
        while True:
            while buffer[:2] == b"\r\n":
                del buffer[:2]
            head, separator, _ = bytes(buffer).partition(b"\r\n\r\n")
            if not separator:
                return
            length = int(Message(head + b"\r\n\r\n").get("content-length") or 0)
            total = len(head) + 4 + length
            if len(buffer) < total:
                return
            self._take(bytes(buffer[:total]), stream)
            del buffer[:total]

    def _take(self, data: bytes, stream: socket.socket | None) -> None:
        if not data.strip(b"\r\n\0"):
            return
        if data in self._seen:
            self._seen[data] += 1
            self.retransmissions += 1
            return
        self._seen[data] = 1
        message = Message(data)
        message.stream, message.received_at = stream, time.monotonic()
        self._backlog.append(message)

    def times_seen(self, message: Message) -> int:
        """How often this very message has come, the first time included."""
        self.drain()
        return self._seen.get(message.raw, 0)

    def drain(self, seconds: float = 0) -> None:
        deadline = Deadline(seconds)
        self._read(0)
        while not deadline.over:
            self._read(min(0.02, deadline.left))

    def next(self, wanted, what: str, timeout: float = 5) -> Message:
        """The next message for which `wanted` is true; others stay in line."""
        deadline = Deadline(timeout)
        while True:
            for index, message in enumerate(self._backlog):
                if wanted(message):
                    return self._backlog.pop(index)
            if deadline.over:
                raise AssertionError(f"{self.user} waited {timeout} s in vain for {what}; has {self._backlog}")
            self._read(min(0.05, deadline.left + 0.001))

    def quiet(self, seconds: float = 0.3, wanted=lambda m: True) -> None:
        """Fails where something matching arrives in this time."""
        self.drain(seconds)
        found = [m for m in self._backlog if wanted(m)]
        assert not found, f"{self.user} did not expect {found}"

    # -- requests outside a dialog

    def compose(self, method: str, uri: str, headers: Headers = (), body: str | bytes = "", to: str | None = None,
                call_id: str | None = None, cseq: int | None = None, branch: str | None = None,
                from_: str | None = None, content_type: str = "application/sdp", contact: bool = True) -> bytes:
        if cseq is None:
            self._cseq += 1
            cseq = self._cseq
        body = body.encode() if isinstance(body, str) else body
        lines = [f"{method} {uri} SIP/2.0", f"Via: {self.via(branch)}",
                 f"From: {from_ or f'<{self.aor}>;tag={os.urandom(6).hex()}'}", f"To: {to or f'<{uri}>'}",
                 f"Call-ID: {call_id or os.urandom(8).hex()}", f"CSeq: {cseq} {method}", "Max-Forwards: 70"]
        if contact and method not in ("ACK", "CANCEL", "BYE") and not any(n.lower() == "contact" for n, _ in headers):
            lines.append(f"Contact: <{self.contact}>")
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def request(self, method: str, uri: str | None = None, timeout: float = 5, **options) -> Message:
        """Sends a request and returns its final response, whatever it is."""
        data = self.compose(method, uri or f"sip:{DOMAIN}", **options)
        call_id, cseq = Message(data).call_id, Message(data).cseq
        self.send(data)
        return self.next(lambda m: m.is_response and m.call_id == call_id and m.cseq == cseq and m.status >= 200,
                         f"a final response to {method}", timeout)

    def authorized(self, method: str, uri: str, challenge: Message, algorithm: str | None = None, nc: int = 1,
                   user: str | None = None, secret: str | None = None) -> tuple[str, str]:
        """The header that answers a 401 or 407."""
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        values = challenge.all("www-authenticate" if challenge.status == 401 else "proxy-authenticate")
        offered = [parse_challenge(v) for v in values]
        chosen = next((c for c in offered if algorithm is None or c.get("algorithm", "MD5") == algorithm), None)
        assert chosen, f"no challenge for {algorithm} in {values}"
        return name, credentials(chosen, method, uri, user or self.user, secret or self.secret, nc)

    def register(self, expires: int | None = 600, contact: str | None = None, headers: Headers = (),
                 algorithm: str | None = None, secret: str | None = None, expect: int = 200) -> Message:
        """REGISTER with its digest; `contact` may be "*" or "" (a fetch)."""
        uri = f"sip:{DOMAIN}"
        contact = f"<{self.contact}>" if contact is None else contact
        more = list(headers) + ([("Contact", contact)] if contact else [])
        more += [("Expires", str(expires))] if expires is not None else []
        options = {"to": f"<{self.aor}>", "call_id": self.registration_call_id, "contact": False,
                   "from_": f"<{self.aor}>;tag={os.urandom(6).hex()}"}
        answer = self.request("REGISTER", uri, headers=more, **options)
        if answer.status == 401:
            header = self.authorized("REGISTER", uri, answer, algorithm, secret=secret)
            answer = self.request("REGISTER", uri, headers=more + [header], **options)
        assert answer.status == expect, f"REGISTER of {self.user}: {answer.start}"
        return answer

    # -- calls

    def call(self, target: str, sdp: str | None = None, headers: Headers = (), from_: str | None = None,
             uri: str | None = None, content_type: str = "application/sdp", challenged: bool | None = None) -> "Dialog":
        """Sends INVITE, with its 407 where this phone's address must authenticate; the rest is for the test to expect."""
        uri = uri or f"sip:{target}@{DOMAIN}"
        dialog = Dialog(self, f"<{self.aor}>;tag={os.urandom(6).hex()}" if from_ is None else from_, f"<{uri}>")
        dialog.target = uri
        dialog.body, dialog.content_type = sdp or "", content_type
        dialog.send_invite(headers)
        if self.challenged if challenged is None else challenged:
            challenge = dialog.expect(407)
            dialog.to_tags.clear()
            dialog.send_invite([*headers, self.authorized("INVITE", uri, challenge)])
        return dialog

    def incoming(self, timeout: float = 5) -> "Dialog":
        invite = self.next(lambda m: not m.is_response and m.method == "INVITE" and m.tag("to") is None,
                           "an INVITE", timeout)
        dialog = Dialog(self, f"{invite.get('to')};tag={os.urandom(6).hex()}", invite.get("from"), invite.call_id)
        dialog.invite, dialog.incoming = invite, True
        dialog.target = _address(invite.get("contact"))
        dialog.routes = invite.all("record-route")
        dialog.remote_tag = invite.tag("from")
        return dialog


def _address(value: str | None) -> str:
    value = value or ""
    return value.partition("<")[2].partition(">")[0] if "<" in value else value.partition(";")[0]


class Dialog:
    """One call as one phone sees it."""

    def __init__(self, phone: Phone, local: str, remote: str, call_id: str | None = None):
        self.phone, self.local, self.remote = phone, local, remote
        self.call_id = call_id or os.urandom(8).hex()
        self.cseq, self.routes, self.incoming = 0, [], False
        self.target, self.remote_tag = "", None
        self.invite: Message | None = None
        self.body, self.content_type = "", "application/sdp"
        self.to_tags: list[str] = []

    # -- sending

    def send_invite(self, headers: Headers = ()) -> None:
        self.cseq += 1
        data = self.phone.compose("INVITE", self.target, headers=headers, body=self.body, to=self.remote,
                                  from_=self.local, call_id=self.call_id, cseq=self.cseq,
                                  content_type=self.content_type)
        self.invite = Message(data)
        self.phone.send(data)

    def request(self, method: str, headers: Headers = (), body: str = "", cseq: int | None = None,
                content_type: str = "application/sdp") -> Message:
        """A request in this dialog; returns what was sent."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        routes = [("Route", r) for r in self.routes]
        data = self.phone.compose(method, self.target, headers=[*routes, *headers], body=body, to=self.remote,
                                  from_=self.local, call_id=self.call_id, cseq=cseq, content_type=content_type)
        self.phone.send(data)
        sent = Message(data)
        if method == "INVITE":
            self.invite = sent
        return sent

    def ack(self, response: Message | None = None, body: str = "") -> None:
        """ACK to a 2xx (a request of its own); the one to a refusal is sent by `expect`."""
        self.request("ACK", cseq=response.cseq if response else self.invite.cseq, body=body)

    def cancel(self, headers: Headers = ()) -> None:
        via = self.invite.get("via")
        branch = via.partition("branch=")[2].partition(";")[0]
        self.phone.send(self.phone.compose("CANCEL", self.invite.uri, to=self.remote_of_invite, from_=self.local,
                                           call_id=self.call_id, cseq=self.invite.cseq, branch=branch, headers=headers))

    @property
    def remote_of_invite(self) -> str:
        return self.invite.get("to")

    def reply(self, status: int, phrase: str = "", headers: Headers = (), body: str = "",
              to: Message | None = None, contact: str | None = None) -> str:
        """A response to the INVITE, or to another request of this dialog."""
        request = to or self.invite
        lines = [f"SIP/2.0 {status} {phrase or 'Status'}"]
        lines += [f"Via: {v}" for v in request.all("via")]
        lines += [f"Record-Route: {v}" for v in request.all("record-route")]
        lines += [f"From: {request.get('from')}"]
        to_value = request.get("to")
        if ";tag=" not in to_value and status > 100:
            to_value = self.local if self.incoming else f"{to_value};tag={os.urandom(6).hex()}"
        lines += [f"To: {to_value}", f"Call-ID: {request.call_id}", f"CSeq: {request.get('cseq')}"]
        if request.method in ("INVITE", "UPDATE") and 100 < status < 300:
            lines.append(f"Contact: {contact or f'<{self.phone.contact}>'}")
        lines += [f"{n}: {v}" for n, v in headers]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body.encode())}")
        data = "\r\n".join(lines) + "\r\n\r\n" + body
        self.phone.send(data, getattr(request, "stream", None))
        return data

    # -- receiving

    def _mine(self, message: Message) -> bool:
        return message.call_id == self.call_id

    def expect(self, *statuses: int, method: str | None = None, skip: tuple = (100,), timeout: float = 5) -> Message:
        """The next response must have one of these statuses, those of `skip` aside. A refusal of INVITE is ACKed."""
        while True:
            names = "/".join(map(str, statuses))
            message = self.phone.next(lambda m: self._mine(m) and m.is_response and (
                method is None or m.method == method), f"{names} to {method or 'a request'}", timeout)
            if message.status in statuses:
                break
            assert message.status in skip, f"{self.phone.user} expected {names}, got: {message.start} {message.reason}"
        tag = message.tag("to")
        if message.method == "INVITE":
            if message.status > 100 and tag and tag not in self.to_tags:
                self.to_tags.append(tag)
            if message.status >= 300:
                branch = self.invite.get("via").partition("branch=")[2].partition(";")[0]
                self.phone.send(self.phone.compose(
                    "ACK", self.invite.uri, to=message.get("to"), from_=self.local, call_id=self.call_id,
                    cseq=message.cseq, branch=branch))
            elif message.status > 100:
                if not self.incoming:
                    self.remote = message.get("to")
                if message.get("contact"):
                    self.target = _address(message.get("contact"))
                self.routes = list(reversed(message.all("record-route"))) or self.routes
        return message

    def expect_request(self, method: str, timeout: float = 5) -> Message:
        """The next request of this dialog must be this one."""
        message = self.phone.next(lambda m: self._mine(m) and not m.is_response, f"{method}", timeout)
        assert message.method == method, f"{self.phone.user} expected {method}, got: {message.start}"
        if method == "INVITE":
            self.invite = message
            self.target = _address(message.get("contact")) or self.target
        return message

    # -- whole steps

    def answered(self, timeout: float = 5, skip: tuple = (100, 180, 183)) -> Message:
        """Waits for the 200, acknowledges it."""
        response = self.expect(200, skip=skip, timeout=timeout)
        self.ack(response)
        return response

    def accept(self, body: str = "", headers: Headers = (), timeout: float = 5) -> Message:
        """Sends 200 and waits for the ACK."""
        self.reply(200, "OK", headers, body)
        return self.expect_request("ACK", timeout)

    def bye(self, headers: Headers = ()) -> Message:
        sent = self.request("BYE", headers)
        return self.expect(200, method="BYE") if sent else sent

    def expect_bye(self, timeout: float = 5) -> Message:
        message = self.expect_request("BYE", timeout)
        self.reply(200, "OK", to=message)
        return message

    def expect_cancel(self, timeout: float = 5) -> Message:
        """CANCEL, answered with 200, 487 to the INVITE, and the ACK to that."""
        message = self.expect_request("CANCEL", timeout)
        self.reply(200, "OK", to=message)
        self.reply(487, "Request Terminated")
        self.expect_request("ACK", timeout)
        return message
