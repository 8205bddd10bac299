"""SIP messages as the scripted phones see them. Deliberately independent of the server's own parser, and lenient:
it is the server that is under test, so what it sends is looked at as text."""
import hashlib
import os
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "c": "content-type",
           "l": "content-length", "k": "supported", "s": "subject", "e": "content-encoding", "o": "event",
           "r": "refer-to", "b": "referred-by", "u": "allow-events", "x": "session-expires"}


class Message:
    def __init__(self, raw: bytes):
        self.raw = raw
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))
        length = self.get("content-length")
        self.body = body[:int(length)] if length and length.isdigit() else body

    @property
    def is_response(self) -> bool:
        return self.start.startswith("SIP/2.0 ")

    @property
    def status(self) -> int:
        return int(self.start.split(" ", 2)[1]) if self.is_response else 0

    @property
    def phrase(self) -> str:
        return self.start.split(" ", 2)[2] if self.is_response else ""

    @property
    def method(self) -> str:
        """Of a response: the method of its CSeq."""
        return self.get("cseq").split()[-1] if self.is_response else self.start.split(" ", 1)[0]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def cseq(self) -> int:
        return int(self.get("cseq").split()[0])

    @property
    def call_id(self) -> str:
        return self.get("call-id") or ""

    @property
    def sdp(self) -> "Sdp | None":
        return Sdp(self.body.decode()) if self.body and "sdp" in (self.get("content-type") or "") else None

    def get(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n == name.lower()]

    def tag(self, name: str) -> str | None:
        found = re.search(r";\s*tag=([^;\s]+)", self.get(name) or "")
        return found.group(1) if found else None

    @property
    def reason(self) -> tuple[str, int] | None:
        """The Reason header's protocol and cause: ("Q.850", 17)."""
        for value in self.all("reason"):
            found = re.match(r"([^;\s]+).*?;\s*cause=(\d+)", value)
            if found:
                return found.group(1), int(found.group(2))
        return None

    @property
    def q850(self) -> int | None:
        for value in self.all("reason"):
            for part in value.split(","):
                found = re.match(r"\s*Q\.850\s*;.*?cause=(\d+)", part)
                if found:
                    return int(found.group(1))
        return None

    def __repr__(self) -> str:
        return f"<{self.start}>"


class Sdp:
    """The session's lines and its audio stream's address, formats and direction."""

    def __init__(self, text: str):
        self.text = text
        self.lines = [line for line in text.split("\r\n") if line]
        self.media = [line[2:] for line in self.lines if line.startswith("m=")]
        audio = next(i for i, line in enumerate(self.lines) if line.startswith("m=audio"))
        end = next((i for i in range(audio + 1, len(self.lines)) if self.lines[i].startswith("m=")), len(self.lines))
        first = next((i for i, line in enumerate(self.lines) if line.startswith("m=")), len(self.lines))
        section, session = self.lines[audio:end], self.lines[:first]
        parts = section[0][2:].split()
        self.port = int(parts[1].split("/")[0])
        self.protocol = parts[2]
        self.formats = [int(p) for p in parts[3:] if p.isdigit()]
        connection = [line for line in section if line.startswith("c=")] or [
            line for line in session if line.startswith("c=")]
        self.ip = connection[0].split()[2] if connection else ""
        names = ("sendrecv", "sendonly", "recvonly", "inactive")
        found = [line[2:] for line in section + session if line.startswith("a=") and line[2:] in names]
        self.direction = found[0] if found else "sendrecv"
        self.rtpmap = {}
        for line in section:
            match = re.match(r"a=rtpmap:(\d+) (\S+)", line)
            if match:
                self.rtpmap[int(match.group(1))] = match.group(2).upper()
        self.origin = next((line[2:] for line in self.lines if line.startswith("o=")), "")

    @property
    def telephone_event(self) -> int | None:
        return next((n for n, name in self.rtpmap.items() if name.startswith("TELEPHONE-EVENT")), None)


def make_sdp(ip: str, port: int, formats=(0, 8, 101), direction: str = "sendrecv", version: int = 1,
             extra: str = "", protocol: str = "RTP/AVP", connection: str | None = None) -> str:
    family = "IP6" if ":" in ip else "IP4"
    maps = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 13: "CN/8000", 96: "telephone-event/8000",
            101: "telephone-event/8000", 111: "opus/48000/2"}
    lines = ["v=0", f"o=phone 42 {version} IN {family} {ip}", "s=-", f"c=IN {family} {connection or ip}", "t=0 0",
             f"m=audio {port} {protocol} {' '.join(map(str, formats))}"]
    lines += [f"a=rtpmap:{f} {maps[f]}" for f in formats if f in maps]
    lines += [f"a=fmtp:{f} 0-15" for f in formats if f in (96, 101)]
    lines += ["a=ptime:20", f"a={direction}"]
    return "\r\n".join(lines) + "\r\n" + extra


def parse_challenge(value: str) -> dict[str, str]:
    pairs = re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', value.partition(" ")[2])
    return {name.lower(): quoted or plain for name, quoted, plain in pairs}


def credentials(challenge: dict[str, str], method: str, uri: str, user: str, password: str, nc: int = 1,
                cnonce: str | None = None) -> str:
    """RFC 8760 / RFC 7616 with qop=auth; the value of Authorization or Proxy-Authorization."""
    algorithm = challenge.get("algorithm", "MD5")
    make = hashlib.sha256 if algorithm.upper() == "SHA-256" else hashlib.md5

    def h(text: str) -> str:
        return make(text.encode()).hexdigest()

    cnonce = cnonce or os.urandom(8).hex()
    ha1 = h(f"{user}:{challenge['realm']}:{password}")
    response = h(f"{ha1}:{challenge['nonce']}:{nc:08x}:{cnonce}:auth:{h(f'{method}:{uri}')}")
    value = (f'Digest username="{user}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", uri="{uri}", '
             f'response="{response}", algorithm={algorithm}, qop=auth, nc={nc:08x}, cnonce="{cnonce}"')
    if "opaque" in challenge:
        value += f', opaque="{challenge["opaque"]}"'
    return value
