"""A NAT of the test's own: three network namespaces, made by root and gone with the test.

    public 198.51.100.1 (the server, callers) ── 198.51.100.2 NAT 10.99.0.1 ── 10.99.0.5 inside (the phone)

The NAT is Linux' masquerade with random ports; it forgets a UDP mapping after `timeout` seconds."""
import contextlib
import ctypes
import os
import shutil
import subprocess

SERVER, OUTSIDE, INSIDE, PHONE = "198.51.100.1", "198.51.100.2", "10.99.0.1", "10.99.0.5"
_libc = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000


def missing() -> str | None:
    """Why there can be no NAT here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "iptables", "sysctl"):
        if not shutil.which(tool):
            return f"{tool} is not installed (Debian: iproute2, iptables, procps)"
    probe = f"njprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    nat = subprocess.run(["ip", "netns", "exec", probe, "iptables", "-t", "nat", "-L"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return f"no NAT in this kernel: {nat.stderr.strip()}" if nat.returncode else None


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(descriptor, _NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)


class Nat:
    def __init__(self, timeout: int = 8):
        stem = f"nj{os.getpid()}"
        self.public, self.router, self.inner = (f"{stem}{n}" for n in ("pub", "nat", "in"))
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._made: list[str] = []
        try:
            self._build(timeout)
        except BaseException:
            self.close()
            raise

    def _run(self, *command: str, inside: str | None = None) -> None:
        prefix = ["ip", "netns", "exec", inside] if inside else []
        done = subprocess.run([*prefix, *command], capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def _link(self, one: str, one_ip: str, other: str, other_ip: str, names: tuple[str, str]) -> None:
        self._run("ip", "link", "add", names[0], "netns", one, "type", "veth", "peer", "name", names[1], "netns", other)
        for space, name, ip in ((one, names[0], one_ip), (other, names[1], other_ip)):
            self._run("ip", "addr", "add", f"{ip}/24", "dev", name, inside=space)
            self._run("ip", "link", "set", name, "up", inside=space)

    def _build(self, timeout: int) -> None:
        for name in (self.public, self.router, self.inner):
            self._run("ip", "netns", "add", name)
            self._made.append(name)
            self._run("ip", "link", "set", "lo", "up", inside=name)
        self._link(self.public, SERVER, self.router, OUTSIDE, ("uplink", "wan"))
        self._link(self.router, INSIDE, self.inner, PHONE, ("lan", "phone"))
        self._run("ip", "route", "add", "default", "via", INSIDE, inside=self.inner)
        self._run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE", "--random-fully",
                  inside=self.router)
        self._run("sysctl", "-qw", "net.ipv4.ip_forward=1", inside=self.router)
        self.forget_after(timeout)
        _enter(f"/run/netns/{self.public}")

    def forget_after(self, seconds: int) -> None:
        self._run("sysctl", "-qw", f"net.netfilter.nf_conntrack_udp_timeout={seconds}",
                  f"net.netfilter.nf_conntrack_udp_timeout_stream={seconds}", inside=self.router)

    @contextlib.contextmanager
    def inside(self):
        """Sockets that are opened here are the phone's."""
        _enter(f"/run/netns/{self.inner}")
        try:
            yield
        finally:
            _enter(f"/run/netns/{self.public}")

    def close(self) -> None:
        _libc.setns(self._home, _NEWNET)
        os.close(self._home)
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)
