"""Free loopback ports, outside the kernel's ephemeral range (32768–60999), where any client socket may land, and outside
10000–31999, all of which a server with the default configuration on the same machine may hold."""
import random
import socket

SINGLE = (61000, 65534)
BLOCKS = (2000, 9998)
LARGE = (10000, 31998)  # for load, which needs thousands at once
_given: set[int] = set()


def _free(port: int, kinds=(socket.SOCK_DGRAM, socket.SOCK_STREAM), hosts=("127.0.0.1", "::1")) -> bool:
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # A port must be free on every address of loopback, as phones here use 127.0.0.2 and so on.
        any_host = "::" if ":" in host else "0.0.0.0"
        for kind in kinds:
            try:
                with socket.socket(family, kind) as s:
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((any_host, port))
            except OSError:
                return False
    return True


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def _hosts() -> tuple[str, ...]:
    return ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)


def port() -> int:
    """One port, free for UDP and TCP."""
    for _ in range(500):
        candidate = random.randrange(*SINGLE, 2)
        if candidate not in _given and _free(candidate, hosts=_hosts()):
            _given.add(candidate)
            return candidate
    raise RuntimeError("no free port")


def block(count: int) -> tuple[int, int]:
    """A range of `count` UDP ports that begins with an even one: (first, last). For RTP."""
    for _ in range(200):
        low, high = BLOCKS if count <= 1000 else LARGE
        first = random.randrange(low, high - count, 2)
        ports = range(first, first + count)
        # Somebody else's socket among thousands is no matter: the server passes over a port that it cannot bind.
        held = sum(not _free(p, (socket.SOCK_DGRAM,), _hosts()) for p in ports) if _given.isdisjoint(ports) else count
        if held <= (count // 100 if count > 1000 else 0):
            _given.update(ports)
            return first, first + count - 1
    raise RuntimeError("no free block of ports")


def give_back(ports: range) -> None:
    """The ports of a server that has ended may be another's."""
    _given.difference_update(ports)
