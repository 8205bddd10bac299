"""Kamailio (Debian's) as the proxy at the edge: between the phones and the server, with Path and Record-Route."""
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from . import ports
from .process import tied
from .wait import PATIENCE, until

MODULES = next((p for p in ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/aarch64-linux-gnu/kamailio/modules")
                if os.path.isdir(p)), "")

# What comes from the server goes where the Route says, the rest to the server. A Route that a phone has preloaded is
# dropped (RFC 3261 §26.3): this is nobody's relay either.
CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:@IP@:@PORT@
mpath="@MODULES@/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "path.so"
modparam("rr", "enable_full_lr", 1)
modparam("path", "use_received", 1)

request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "No Route"); exit;
  }
  t_check_trans();
  if ($si == "@SERVER_IP@" && $sp == @SERVER_PORT@) {
    if (!is_present_hf("Route")) { sl_send_reply("404", "No Route"); exit; }
    # False for the last Route of a request outside a dialog, which it has followed all the same.
    loose_route();
  } else {
    remove_hf("Route");
    if (is_method("REGISTER")) { add_path_received(); }
    $du = "sip:@SERVER_IP@:@SERVER_PORT@";
  }
  if (is_method("INVITE|SUBSCRIBE")) { record_route(); }
  t_relay();
}
"""


def missing() -> str | None:
    if not shutil.which("kamailio"):
        return "kamailio is not installed"
    return None if MODULES else "kamailio's modules were not found"


class Kamailio:
    user = "edge"

    def __init__(self, folder: Path, server_port: int, ip: str = "127.0.0.20", server_ip: str = "127.0.0.1"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ip, self.port = ip, ports.port()
        text = CONFIG
        for word, value in {"IP": ip, "PORT": self.port, "MODULES": MODULES, "SERVER_IP": server_ip,
                            "SERVER_PORT": server_port}.items():
            text = text.replace(f"@{word}@", str(value))
        self.config = self.folder / "kamailio.cfg"
        self.config.write_text(text)
        self.log_file = self.folder / "kamailio.log"
        self.process: subprocess.Popen | None = None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> "Kamailio":
        with self.log_file.open("wb") as out:
            self.process = subprocess.Popen(
                tied("kamailio", "-f", self.config, "-DD", "-E", "-m", "32", "-M", "8", "-Y", self.folder, "-w",
                     self.folder), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        until(lambda: self.process.poll() is not None or self._answers(), "kamailio to answer", timeout=20)
        assert self.process.poll() is None, f"kamailio ended:\n{self.log[-3000:]}"
        return self

    def _answers(self) -> bool:
        """An ACK would be dropped; a request of an unknown dialog is answered by the proxy itself."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((self.ip, 0))
            s.settimeout(0.2)
            tag = os.urandom(6).hex()
            s.sendto((f"OPTIONS sip:{self.ip} SIP/2.0\r\nVia: SIP/2.0/UDP {self.ip}:{s.getsockname()[1]};branch=z9hG4bK{tag}\r\n"
                      f"From: <sip:p@x>;tag={tag}\r\nTo: <sip:p@x>;tag=none\r\nCall-ID: {tag}\r\nCSeq: 1 OPTIONS\r\n"
                      "Max-Forwards: 9\r\nContent-Length: 0\r\n\r\n").encode(), (self.ip, self.port))
            try:
                return b"404" in s.recv(65536)
            except OSError:
                return False

    def stop(self) -> None:
        """Its main process ends its children."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(5 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            time.sleep(0)
