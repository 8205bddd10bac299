"""Carriers as a trunk sees them: Kamailio (Debian's) as registrar and proxy with digest, and one whose every answer the
test writes."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

from . import ports
from .message import Message, make_sdp
from .process import tied
from .wait import PATIENCE, until

MODULES = next((p for p in ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/aarch64-linux-gnu/kamailio/modules")
                if os.path.isdir(p)), "")
USER, PASSWORD = "4930", "carrier-Pw"

# The server must prove itself for REGISTER, INVITE and BYE; what it dials goes to the gateway. Everybody else is the
# telephone network, whose calls go to whoever has registered.
CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:@IP@:@PORT@
listen=tcp:@IP@:@PORT@
tcp_children=1
mpath="@MODULES@/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "max_expires", @EXPIRES@)
modparam("auth", "qop", "auth")
modparam("auth", "algorithm", "@ALGORITHM@")
modparam("auth", "nonce_count", 1)
modparam("auth", "nonce_expire", 300)

request_route {
  if (is_method("OPTIONS") && !has_totag()) { sl_send_reply("200", "OK"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("@REALM@", "@PASSWORD@", "0") || $au != "@USER@") { www_challenge("@REALM@", "1"); exit; }
    xlog("L_ALERT", "SAVED $ci $hdr(CSeq) $hdr(Expires) $hdr(Contact) $au\\n");
    save("location");
    exit;
  }
  if (has_totag()) {
    if (is_method("BYE") && $si == "@SERVER_IP@") {
      if (!pv_proxy_authenticate("@REALM@", "@PASSWORD@", "0")) { proxy_challenge("@REALM@", "1"); exit; }
      xlog("L_ALERT", "PROVEN BYE $hdr(CSeq)\\n");
      consume_credentials();
    }
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "No Route");
    exit;
  }
  t_check_trans();
  if (is_method("INVITE") && $si == "@SERVER_IP@") {
    if (!pv_proxy_authenticate("@REALM@", "@PASSWORD@", "0")) { proxy_challenge("@REALM@", "1"); exit; }
    xlog("L_ALERT", "PROVEN INVITE $hdr(CSeq) $rU\\n");
    consume_credentials();
    record_route();
    $du = "sip:@GATEWAY@";
    t_relay();
    exit;
  }
  if (!lookup("location")) { sl_send_reply("404", "Not registered"); exit; }
  record_route();
  t_relay();
}
"""


def missing() -> str | None:
    return None if shutil.which("kamailio") and MODULES else "kamailio is not installed"


class Kamailio:
    """A carrier at an address of its own; it can be stopped and started again. `gateway` is where calls to it end."""

    def __init__(self, folder: Path, gateway: str, ip: str = "127.0.0.20", realm: str = "carrier.test",
                 expires: int = 600, algorithm: str = "MD5"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ip, self.port = ip, ports.port()
        text = CONFIG
        for word, value in {"IP": ip, "PORT": self.port, "MODULES": MODULES, "REALM": realm, "USER": USER,
                            "PASSWORD": PASSWORD, "EXPIRES": expires, "ALGORITHM": algorithm, "GATEWAY": gateway,
                            "SERVER_IP": "127.0.0.1"}.items():
            text = text.replace(f"@{word}@", str(value))
        self.config = self.folder / "kamailio.cfg"
        self.config.write_text(text)
        self.log_file = self.folder / "kamailio.log"
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def lines(self, word: str) -> list[str]:
        """What it logged behind that word, a line each."""
        return [line.split(word + " ", 1)[1] for line in self.log.splitlines() if word + " " in line]

    def start(self) -> "Kamailio":
        with self.log_file.open("ab") as out:
            self.process = subprocess.Popen(
                tied("kamailio", "-DD", "-E", "-f", self.config, "-Y", self.folder, "-w", self.folder, "-m", "32"),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        until(self._answers, "kamailio to answer OPTIONS", timeout=20, interval=0.05)
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"kamailio ended with {self.process.returncode}:\n{self.log[-3000:]}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.30", 0))
            s.settimeout(0.2)
            tag = os.urandom(8).hex()
            s.sendto((
                f"OPTIONS sip:{self.address} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.30:{s.getsockname()[1]};branch=z9hG4bK{tag}\r\n"
                f"From: <sip:probe@127.0.0.30>;tag={tag}\r\nTo: <sip:{self.address}>\r\nCall-ID: {tag}\r\n"
                f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").encode(), (self.ip, self.port))
            try:
                return b" 200 " in s.recv(4096)
            except OSError:
                return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Its workers are processes of their own, and may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Answerer:
    """A UDP peer that answers each request as `answer(message)` says: (status, header lines, body), or None. It keeps
    every request that came."""

    def __init__(self, answer, ip: str = "127.0.0.20"):
        self.answer, self.requests = answer, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ip, self.port = ip, ports.port()
        self.socket.bind((ip, self.port))
        self.socket.settimeout(0.1)
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    def of(self, method: str) -> list[Message]:
        return [m for m in list(self.requests) if m.method == method]

    def _run(self) -> None:
        while not self.closing:
            try:
                data, source = self.socket.recvfrom(65536)
            except OSError:
                continue
            message = Message(data)
            if message.is_response or not message.start.strip():
                continue
            self.requests.append(message)
            said = None if message.method == "ACK" else self.answer(message)
            if said:
                self.socket.sendto(self._response(message, *said), source)

    def _response(self, message: Message, status: int, lines=(), body: str = "") -> bytes:
        to = message.get("to")
        if ";tag=" not in to:
            to += ";tag=answerer"
        head = [f"SIP/2.0 {status} As Told", *(f"Via: {v}" for v in message.all("via")),
                *(f"Record-Route: {v}" for v in message.all("record-route")), f"From: {message.get('from')}",
                f"To: {to}", f"Call-ID: {message.call_id}", f"CSeq: {message.get('cseq')}", *lines]
        if body:
            head.append("Content-Type: application/sdp")
        return ("\r\n".join([*head, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()

    def accept(self, message: Message, contact: str | None = None):
        """200 to an INVITE, and to what follows."""
        if message.method != "INVITE":
            return 200, ()
        return 200, (f"Contact: <sip:gw@{contact or self.address}>",), make_sdp(self.ip, 40000)

    def close(self) -> None:
        self.closing = True
        self.thread.join(2)
        self.socket.close()
