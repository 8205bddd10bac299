"""Scripted phones over TLS (Python's ssl) and over WebSockets (the package websockets)."""
import os
import socket
import ssl

from . import ports
from .phone import Phone


class Encrypted(Phone):
    """What TLS has decrypted waits where select does not see it."""

    def _read_stream(self, stream) -> None:
        try:
            super()._read_stream(stream)
            while stream in self._streams and stream.pending():
                super()._read_stream(stream)
        except ssl.SSLWantReadError:
            pass


class TLSPhone(Encrypted):
    """Everything goes over the one connection that it opens."""

    def __init__(self, server, user: str = "1000", port: int = 0, context: ssl.SSLContext | None = None,
                 name: str | None = "sip.example.com", scheme: str = "sip", **options):
        super().__init__(server, user, transport="tls", **options)
        self.tls_port, self.context, self.name, self.scheme = port, context, name, scheme

    @property
    def contact(self) -> str:
        suffix = ";transport=tls" if self.scheme == "sip" else ""
        return f"{self.scheme}:{self.user}@{self.host}:{self.port}{suffix}"

    def uplink(self) -> ssl.SSLSocket:
        if self._uplink is None:
            plain = socket.socket(self._family, socket.SOCK_STREAM)
            plain.settimeout(10)
            plain.bind((self.ip, 0))
            plain.connect((self.server_ip, self.tls_port))
            self._uplink = self.context.wrap_socket(plain, server_hostname=self.name)
            self._watch(self._uplink)
        return self._uplink


class WebSocketPhone(Phone):
    """A phone in a browser, but for its media: `contact` leads nowhere (RFC 7118 §5.2.1)."""

    def __init__(self, server, user: str = "1000", url: str = "", context: ssl.SSLContext | None = None,
                 origin: str | None = None, binary: bool = False, **options):
        super().__init__(server, user, transport="ws", **options)
        self.url, self.context, self.origin, self.binary = url, context, origin, binary
        self._name = os.urandom(6).hex() + ".invalid"

    @property
    def contact(self) -> str:
        return f"sip:{self.user}@{self._name};transport=ws"

    def via(self, branch: str | None = None) -> str:
        token = "WSS" if self.url.startswith("wss") else "WS"
        return f"SIP/2.0/{token} {self._name};branch={branch or 'z9hG4bK' + os.urandom(8).hex()}"

    def uplink(self):
        if self._uplink is None:
            from websockets.sync.client import connect
            opening = connect(self.url, subprotocols=["sip"], origin=self.origin, ssl=self.context, compression=None,
                              server_hostname="sip.example.com" if self.context else None,
                              source_address=(self.ip, 0), close_timeout=2, ping_interval=None)
            self._uplink = opening.__enter__()
            assert self._uplink.subprotocol == "sip"
        return self._uplink

    def send(self, data: bytes | str, stream=None) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.uplink().send(data if self.binary else data.decode())

    def _read(self, seconds: float) -> None:
        from websockets.exceptions import ConnectionClosed
        if self._uplink is None:
            return
        try:
            data = self._uplink.recv(timeout=max(seconds, 0.001))
        except TimeoutError:
            return
        except ConnectionClosed:
            self._uplink = None
            return
        self._take(data.encode() if isinstance(data, str) else data, None)

    def close(self) -> None:
        if self._uplink is not None:
            self._uplink.close()
        super().close()


class TLSCarrier(Encrypted):
    """The other end of a trunk over TLS: it listens, and answers on the connection that the server opens."""

    def __init__(self, server, user: str, context: ssl.SSLContext, **options):
        super().__init__(server, user, transport="tls", **options)
        self.context, self.connections = context, 0

    @property
    def contact(self) -> str:
        return f"sip:{self.user}@{self.host}:{self.port};transport=tls"

    def _watch(self, stream) -> None:
        stream.setblocking(True)
        stream.settimeout(5)
        try:
            wrapped = self.context.wrap_socket(stream, server_side=True)
        except (ssl.SSLError, OSError):
            stream.close()
            return
        self.connections += 1
        super()._watch(wrapped)

    def send(self, data: bytes | str, stream=None) -> None:
        super().send(data, stream or next(iter(self._streams)))


def listen(server, *transports: str) -> dict[str, int]:
    """Adds a listener of each transport to a server that has not started; their ports."""
    added = {transport: ports.port() for transport in transports}
    server.settings["sip"]["listen"] += [f"{transport}:127.0.0.1:{port}" for transport, port in added.items()]
    server.write_config()
    return added
