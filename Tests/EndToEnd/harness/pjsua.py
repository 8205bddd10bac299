"""A second make of real phone: pjsua2, where its Python package is installed. One library instance a process, so all the
phones of a test are accounts of it, each with a transport and a port of its own."""
import itertools
import os
import threading
import time
from pathlib import Path

from . import audio, ports
from .wait import until

try:
    import pjsua2 as pj
except ImportError:
    pj = None


def missing() -> str | None:
    return None if pj else "the Python package pjsua2 is not installed"


if pj:

    class _Call(pj.Call):
        def __init__(self, account, call_id=pj.PJSUA_INVALID_ID):
            super().__init__(account, call_id)
            self.account = account
            self.states: list[tuple[str, int, str]] = []
            self.media_active = False
            self.recorder = self.player = None
            self.recording = account.phone.folder / f"heard-{next(account.phone.numbers)}.wav"

        def onCallState(self, prm):
            info = self.getInfo()
            self.states.append((info.stateText, info.lastStatusCode, info.lastReason))

        def onCallMediaState(self, prm):
            info = self.getInfo()
            for index, media in enumerate(info.media):
                if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in (
                        pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                    stream = self.getAudioMedia(index)
                    if self.recorder is None:
                        self.recorder = pj.AudioMediaRecorder()
                        self.recorder.createRecorder(str(self.recording))
                        self.player = pj.AudioMediaPlayer()
                        self.player.createPlayer(str(self.account.phone.voice))
                    stream.startTransmit(self.recorder)
                    self.player.startTransmit(stream)
                    self.media_active = True

    class _Account(pj.Account):
        def __init__(self, phone):
            super().__init__()
            self.phone = phone

        def onRegState(self, prm):
            self.phone.registration = prm.code

        def onIncomingCall(self, prm):
            self.phone.calls.append(_Call(self, prm.callId))


class Library:
    """Start once; phones are made from it."""

    def __init__(self):
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = int(os.environ.get("PJSUA_LOG", "0"))
        config.logConfig.consoleLevel = config.logConfig.level
        config.medConfig.clockRate = audio.RATE
        config.medConfig.sndClockRate = audio.RATE
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(config)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        self.thread = threading.get_ident()
        self.phones: list["Pjsua"] = []

    def poll(self) -> None:
        self.endpoint.libHandleEvents(5)

    def until(self, condition, what: str, timeout: float = 10):
        def polled():
            self.poll()
            return condition()
        return until(polled, what, timeout, interval=0.001)

    def close(self) -> None:
        for phone in self.phones:
            phone.shut()
        # Calls end and accounts unregister in the event loop; give it the turns it needs.
        end = time.monotonic() + 1
        while time.monotonic() < end and any(c.isActive() for p in self.phones for c in p.calls):
            self.poll()
        for phone in self.phones:
            for call in phone.calls:
                # A test may still hold the call, and its destructor must not run once the library is gone.
                for thing in (call, call.recorder, call.player):
                    if thing is not None:
                        thing.thisown = False
            phone.account.shutdown()
        self.endpoint.libDestroy()


class Pjsua:
    def __init__(self, library: Library, folder: Path, user: str, password: str, server: str, domain: str,
                 tone: int = 1000, codecs: tuple = ("PCMU", "PCMA"), ip: str = "127.0.0.1"):
        self.library, self.folder, self.user = library, Path(folder), user
        self.folder.mkdir(parents=True, exist_ok=True)
        self.numbers = itertools.count()
        self.voice = self.folder / "voice.wav"
        audio.write_wav(self.voice, audio.tone(tone, 2))
        self.registration = 0
        self.calls: list = []
        transport = pj.TransportConfig()
        transport.port = ports.port()
        transport.boundAddress = ip
        transport.publicAddress = ip
        identifier = library.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        for codec in library.endpoint.codecEnum2():
            wanted = any(codec.codecId.startswith(c) for c in codecs)
            library.endpoint.codecSetPriority(codec.codecId, 200 if wanted else 0)
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@{domain}"
        config.regConfig.registrarUri = f"sip:{domain}"
        config.regConfig.timeoutSec = 600
        config.sipConfig.transportId = identifier
        config.sipConfig.proxies.append(f"sip:{server};lr")
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        media = pj.TransportConfig()
        media.boundAddress = ip
        media.publicAddress = ip
        media.port = ports.block(20)[0]
        config.mediaConfig.transportConfig = media
        self.account = _Account(self)
        self.account.create(config)
        library.phones.append(self)

    def registered(self) -> None:
        self.library.until(lambda: self.registration, f"pjsua {self.user} to register")
        assert self.registration == 200, f"REGISTER of pjsua {self.user}: {self.registration}"

    def dial(self, uri: str):
        call = _Call(self.account)
        call.makeCall(uri, pj.CallOpParam(True))
        self.calls.append(call)
        return call

    def incoming(self, timeout: float = 10):
        known = len(self.calls)
        return self.library.until(lambda: self.calls[-1] if len(self.calls) > 0 and len(self.calls) >= known else None,
                                  f"a call for pjsua {self.user}", timeout)

    def accept(self, call, status: int = 200) -> None:
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        call.answer(parameters)

    def hang_up(self, call, status: int = 0) -> None:
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        call.hangup(parameters)

    def until_state(self, call, state: str, timeout: float = 10) -> tuple:
        """CALLING, INCOMING, EARLY, CONNECTING, CONFIRMED, DISCONNECTED."""
        return self.library.until(lambda: next((s for s in call.states if s[0] == state), None),
                                  f"pjsua {self.user} to see {state}; saw {call.states}", timeout)

    def heard(self, call) -> list[int]:
        return audio.read_wav(call.recording)[0] if call.recording.exists() else []

    def until_hears(self, call, *frequencies: float, timeout: float = 10) -> None:
        size = int(0.3 * audio.RATE)

        def now():
            heard = self.heard(call)[-4 * size:]
            return any(audio.hears(heard[i:i + size], *frequencies) for i in range(0, len(heard) - size + 1, size // 3))

        self.library.until(now, f"pjsua {self.user} to hear {frequencies} Hz", timeout)

    def shut(self) -> None:
        for call in self.calls:
            if call.isActive():
                call.hangup(pj.CallOpParam())
