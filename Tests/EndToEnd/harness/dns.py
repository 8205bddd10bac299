"""A DNS server on loopback for one test: a zone of records that can change while it runs, and the ways in which servers
fail. UDP, and TCP on the same port."""
import socket
import struct
import threading

from . import ports

A, CNAME, SOA, AAAA, SRV, NAPTR = 1, 5, 6, 28, 33, 35


def name(text: str) -> bytes:
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


class DNS:
    def __init__(self, ip: str = "127.0.0.1"):
        self.ip, self.port = ip, ports.port()
        self.zone: dict[tuple[str, int], list[tuple[int, bytes]]] = {}
        # Questions as they came: ("srv.example", 33); copies of one that was not answered included.
        self.queries: list[tuple[str, int]] = []
        self.silent = self.truncates = False
        self.code = 0
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for one in (self._udp, self._tcp):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((ip, self.port))
        self._tcp.listen(8)
        for body in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=body, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    def close(self) -> None:
        for one in (self._udp, self._tcp):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    # -- records; each call replaces those of its name and kind

    def _set(self, host: str, kind: int, ttl: int, values: list[bytes]) -> None:
        self.zone[(host.lower(), kind)] = [(ttl, value) for value in values]

    def a(self, host: str, *addresses: str, ttl: int = 300) -> None:
        self._set(host, A, ttl, [socket.inet_aton(a) for a in addresses])

    def aaaa(self, host: str, *addresses: str, ttl: int = 300) -> None:
        self._set(host, AAAA, ttl, [socket.inet_pton(socket.AF_INET6, a) for a in addresses])

    def cname(self, host: str, target: str, ttl: int = 300) -> None:
        self._set(host, CNAME, ttl, [name(target)])

    def srv(self, host: str, *records: tuple[int, int, int, str], ttl: int = 300) -> None:
        """(priority, weight, port, target) each."""
        self._set(host, SRV, ttl, [struct.pack("!HHH", *r[:3]) + name(r[3]) for r in records])

    def naptr(self, host: str, *records: tuple[int, int, str, str], ttl: int = 300) -> None:
        """(order, preference, service, replacement) each."""
        self._set(host, NAPTR, ttl, [
            struct.pack("!HH", order, preference) + text("s") + text(service) + text("") + name(replacement)
            for order, preference, service, replacement in records])

    # -- the wire

    def _serve_udp(self) -> None:
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
                if not query:  # closed
                    return
                answer = self._answer(query, self.truncates)
                if answer:
                    self._udp.sendto(answer, peer)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                stream, _ = self._tcp.accept()
            except OSError:
                return
            with stream:
                head = stream.recv(2)
                if len(head) == 2:
                    answer = self._answer(stream.recv(struct.unpack("!H", head)[0]), False)
                    stream.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query: bytes, truncated: bool) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        host = ".".join(labels)
        self.queries.append((host, kind))
        if self.silent:
            return b""
        records, seen = b"", 0
        owner = host
        while (owner, CNAME) in self.zone and (owner, kind) not in self.zone and seen < 8:
            ttl, value = self.zone[(owner, CNAME)][0]
            records += name(owner) + struct.pack("!HHIH", CNAME, 1, ttl, len(value)) + value
            labels = []
            while value[0]:
                labels.append(value[1:1 + value[0]].decode())
                value = value[1 + value[0]:]
            owner = ".".join(labels).lower()
            seen += 1
        for ttl, value in self.zone.get((owner, kind), []):
            records += name(owner) + struct.pack("!HHIH", kind, 1, ttl, len(value)) + value
            seen += 1
        exists = any(host == owner for host, _ in self.zone)
        code = self.code or (0 if exists or seen else 3)
        if truncated or self.code:
            records, seen = b"", 0
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        return query[:2] + struct.pack("!HHHHH", flags, 1, seen, 0, 0) + query[12:at + 5] + records
