"""A second make of real phone: pjsua2, where its Python package is installed. Each phone is a process of its own (this
file, run as a program): the library is one a process, and aborts where its objects outlive it.

Between the two: lines of JSON, commands in, events out."""
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import audio, ports  # noqa: E402
from harness.process import tied  # noqa: E402
from harness.wait import PATIENCE, until  # noqa: E402

SPEAKS = "voice.wav"


def missing() -> str | None:
    """Why there is no pjsua2 here, or None."""
    return None if importlib.util.find_spec("pjsua2") else "the Python package pjsua2 is not installed"


class Pjsua:
    """`tone`: the frequency that this phone speaks. `prack`, `timer`: "off", "optional" or "mandatory"; None: its own.
    `authority`: speak TLS, with a server that it vouches for."""

    def __init__(self, folder: Path, user: str, password: str, server: str, domain: str, tone: int = 1000,
                 ip: str = "127.0.0.1", prack: str | None = None, timer: str | None = None, authority: str | None = None):
        self.user, self.folder = user, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        audio.write_wav(self.folder / SPEAKS, audio.tone(tone, 2))
        self.events: list[dict] = []
        self._buffer = b""
        settings = {"user": user, "password": password, "server": server, "domain": domain, "ip": ip,
                    "port": ports.port(), "media_port": ports.port(), "folder": str(self.folder), "prack": prack, "timer": timer,
                    "authority": authority}
        self._log = (self.folder / "pjsua.log").open("wb")
        self.process = subprocess.Popen(tied(sys.executable, __file__, json.dumps(settings)), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self._log)
        os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def log(self) -> str:
        return "\n".join(map(str, self.events)) + (self.folder / "pjsua.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        if self.process.poll() is None:
            try:
                self._tell("quit")
                self.process.wait(5 * PATIENCE)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self._log.close()

    def _tell(self, command: str, **parameters) -> None:
        self.process.stdin.write(json.dumps({"command": command, **parameters}).encode() + b"\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        while data := self.process.stdout.read(65536):
            self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            if line.startswith(b"{"):
                self.events.append(json.loads(line))

    def event(self, kind: str, timeout: float = 10, **wanted) -> dict:
        """Waits for an event, and takes it and those before it."""

        def found():
            self._read()
            return next((i + 1 for i, e in enumerate(self.events) if e["event"] == kind and all(
                e.get(k) == v for k, v in wanted.items())), 0)

        index = until(found, f"pjsua {self.user} to report {kind} {wanted or ''}", timeout)
        taken = self.events[index - 1]
        del self.events[:index]
        return taken

    # -- what a person does

    def registered(self) -> None:
        code = self.event("registration")["code"]
        assert code == 200, f"REGISTER of pjsua {self.user}: {code}"

    def dial(self, uri: str) -> None:
        self._tell("dial", uri=uri)

    def accept(self, status: int = 200) -> None:
        self._tell("answer", status=status)

    def hang_up(self) -> None:
        self._tell("hangup")

    def hold(self) -> None:
        self._tell("hold")

    def transfer(self, uri: str) -> None:
        """Blind: REFER in its last call."""
        self._tell("xfer", uri=uri)

    def transfer_attended(self) -> None:
        """REFER in its first call that lives, with Replaces of its last one."""
        self._tell("xfer_replaces")

    def resume(self) -> None:
        self._tell("resume")

    def until_state(self, state: str, timeout: float = 10) -> dict:
        """CALLING, INCOMING, EARLY, CONNECTING, CONFIRMED, DISCONNECTED."""
        return self.event("state", timeout, state=state)

    # -- what it hears

    def heard(self) -> list[int]:
        out: list[int] = []
        for file in sorted(self.folder.glob("heard-*.wav")):
            out += audio.read_wav(file)[0]
        return out

    def until_hears(self, *frequencies: float, timeout: float = 10) -> None:
        size = int(0.3 * audio.RATE)

        def now():
            heard = self.heard()[-4 * size:]
            return any(audio.hears(heard[i:i + size], *frequencies) for i in range(0, len(heard) - size + 1, size // 3))

        until(now, f"pjsua {self.user} to hear {frequencies} Hz", timeout, interval=0.1)


# -- the program


def main(settings: dict) -> None:
    import select

    import pjsua2 as pj

    folder = Path(settings["folder"])

    def report(event: str, **what) -> None:
        print(json.dumps({"event": event, **what}), flush=True)

    class Call(pj.Call):
        def __init__(self, account, call_id=pj.PJSUA_INVALID_ID):
            super().__init__(account, call_id)
            self.recorder = self.player = None

        def onCallState(self, prm):
            info = self.getInfo()
            report("state", state=info.stateText, status=info.lastStatusCode, reason=info.lastReason)

        def onCallTransferStatus(self, prm):
            report("transfer", status=prm.statusCode, final=prm.finalNotify)

        def onCallMediaState(self, prm):
            info = self.getInfo()  # kept: what is in it lives only as long
            for index, media in enumerate(info.media):
                if media.type != pj.PJMEDIA_TYPE_AUDIO:
                    continue
                names = {pj.PJSUA_CALL_MEDIA_ACTIVE: "active", pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "holding",
                         pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held"}
                report("media", status=names.get(media.status, "none"))
                if media.status not in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                    continue
                stream = self.getAudioMedia(index)
                if self.recorder is None:
                    self.recorder = pj.AudioMediaRecorder()
                    self.recorder.createRecorder(str(folder / f"heard-{time.monotonic():.3f}.wav"))
                    self.player = pj.AudioMediaPlayer()
                    self.player.createPlayer(str(folder / SPEAKS))
                stream.startTransmit(self.recorder)
                self.player.startTransmit(stream)

    calls: list[Call] = []

    class Account(pj.Account):
        def onRegState(self, prm):
            report("registration", code=prm.code)

        def onIncomingCall(self, prm):
            calls.append(Call(self, prm.callId))
            report("incoming", **{"from": calls[-1].getInfo().remoteUri})

    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.medConfig.clockRate = config.medConfig.sndClockRate = audio.RATE
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port = settings["port"]
    transport.boundAddress = transport.publicAddress = settings["ip"]
    kind = pj.PJSIP_TRANSPORT_UDP
    if settings["authority"]:
        kind = pj.PJSIP_TRANSPORT_TLS
        transport.tlsConfig.CaListFile = settings["authority"]
        transport.tlsConfig.verifyServer = True
    identifier = endpoint.transportCreate(kind, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith("PCM") else 0)
    wanted = pj.AccountConfig()
    wanted.idUri = f"sip:{settings['user']}@{settings['domain']}"
    wanted.regConfig.registrarUri = f"sip:{settings['domain']}"
    wanted.regConfig.timeoutSec = 600
    wanted.sipConfig.transportId = identifier
    suffix = ";transport=tls" if settings["authority"] else ""
    wanted.sipConfig.proxies.append(f"sip:{settings['server']}{suffix};lr")
    wanted.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", settings["user"], 0, settings["password"]))
    wanted.mediaConfig.transportConfig.boundAddress = settings["ip"]
    wanted.mediaConfig.transportConfig.publicAddress = settings["ip"]
    wanted.mediaConfig.transportConfig.port = settings["media_port"]
    if settings["prack"]:
        wanted.callConfig.prackUse = {"off": pj.PJSUA_100REL_NOT_USED, "optional": pj.PJSUA_100REL_OPTIONAL,
                                      "mandatory": pj.PJSUA_100REL_MANDATORY}[settings["prack"]]
    if settings["timer"]:
        wanted.callConfig.timerUse = {"off": pj.PJSUA_SIP_TIMER_INACTIVE, "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
                                      "mandatory": pj.PJSUA_SIP_TIMER_REQUIRED}[settings["timer"]]
    account = Account()
    account.create(wanted)

    def with_status(status: int) -> pj.CallOpParam:
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        return parameters

    running = True
    while running:
        endpoint.libHandleEvents(10)
        while select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            order = json.loads(line) if line else {"command": "quit"}
            match order["command"]:
                case "dial":
                    calls.append(Call(account))
                    calls[-1].makeCall(order["uri"], pj.CallOpParam(True))
                case "answer":
                    calls[-1].answer(with_status(order["status"]))
                case "hangup":
                    calls[-1].hangup(pj.CallOpParam())
                case "hold":
                    calls[-1].setHold(pj.CallOpParam(True))
                case "xfer":
                    calls[-1].xfer(order["uri"], pj.CallOpParam(True))
                case "xfer_replaces":
                    first = next(c for c in calls if c.isActive() and c is not calls[-1])
                    first.xferReplaces(calls[-1], pj.CallOpParam(True))
                case "resume":
                    parameters = pj.CallOpParam(True)
                    parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
                    calls[-1].reinvite(parameters)
                case "quit":
                    running = False
                    break
    endpoint.hangupAllCalls()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        endpoint.libHandleEvents(10)
    os._exit(0)  # without the library's destructors, which want an order that Python does not keep


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
