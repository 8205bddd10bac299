"""Fixtures of the end-to-end tests: servers, phones and sipp, all ended with the test that made them."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import baresip, pjsua, sipp  # noqa: E402
from harness.phone import Phone  # noqa: E402
from harness.rtp import Rtp  # noqa: E402
from harness.server import BINARY, DOMAIN, TRUSTED, Server, password  # noqa: E402

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    """Those that start the server need its binary; without it nothing here has a meaning."""
    if any("server" in getattr(i, "fixturenames", ()) for i in items) and not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: build it (swift build -c release) or set NIGHTJAR_BIN", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of the servers and phones of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for thing in getattr(item, "logged", []):
            report.sections.append((f"log of {thing.__class__.__name__} {getattr(thing, 'user', '')}", thing.log[-6000:]))


class Owner:
    """Things that end with the test, last made first ended."""

    def __init__(self, item):
        self.item, self.things = item, []
        item.logged = []

    def keep(self, thing, logged: bool = False):
        self.things.append(thing)
        if logged:
            self.item.logged.append(thing)
        return thing


@pytest.fixture
def own(request):
    owner = Owner(request.node)
    yield owner
    errors = []
    for thing in reversed(owner.things):
        try:
            (thing.stop if hasattr(thing, "stop") else thing.close)()
        except Exception as error:  # each of the others must be ended as well
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def server(own, tmp_path):
    """server(script, **sections) starts one; the script may be a name in dialplans/. It must still live at the end."""
    made: list[Server] = []

    def make(script: str = "standard", start: bool = True, **options) -> Server:
        text = (HERE / "dialplans" / f"{script}.lua").read_text() if script.isidentifier() else script
        keywords = {k: options.pop(k) for k in ("media_ports", "users", "ipv6", "environment") if k in options}
        one = Server(tmp_path / f"server{len(made)}", text, options, **keywords)
        made.append(own.keep(one, logged=True))
        return one.start() if start else one

    yield make
    for one in made:
        assert one.process is None or one.alive or one.expected_to_end, \
            f"the server ended by itself with {one.process.returncode}:\n{one.log[-4000:]}"


@pytest.fixture
def phone(own):
    """phone(server, "1000", ip=…): a scripted phone."""
    return lambda server, user="1000", **options: own.keep(Phone(server, user, **options))


@pytest.fixture
def trusted(phone):
    """A caller whom an access rule lets in without credentials."""
    return lambda server, user="1000", **options: phone(server, user, ip=TRUSTED, **options)


@pytest.fixture
def rtp(own):
    return lambda ip="127.0.0.2", **options: own.keep(Rtp(ip, **options))


@pytest.fixture
def run_sipp(own, tmp_path):
    """run_sipp(scenario, ip, …): a running sipp process."""
    if reason := sipp.missing():
        pytest.skip(reason)

    def make(scenario: str, ip: str, **options):
        options["keys"] = {"caller": "1000", "password": password("1000"), **options.get("keys", {})}
        return own.keep(sipp.Sipp(scenario, ip, folder=tmp_path / "sipp", **options))

    return make


@pytest.fixture
def bare(own, tmp_path):
    """bare(server, "1000", tone=…): a baresip that is registered."""
    if reason := baresip.missing():
        pytest.skip(reason)

    def make(server: Server, user: str, **options) -> baresip.Baresip:
        one = baresip.Baresip(tmp_path / f"baresip-{user}", user, password(user), f"127.0.0.1:{server.port}", DOMAIN, **options)
        own.keep(one, logged=True).start()
        one.registered()
        return one

    return make


@pytest.fixture
def pjsua_phone(own, tmp_path):
    """pjsua_phone(server, "1000", tone=…): a pjsua2 that is registered."""
    if reason := pjsua.missing():
        pytest.skip(reason)

    def make(server: Server, user: str, **options) -> pjsua.Pjsua:
        one = pjsua.Pjsua(tmp_path / f"pjsua-{user}", user, password(user), f"127.0.0.1:{server.port}", DOMAIN, **options)
        own.keep(one, logged=True).registered()
        return one

    return make
