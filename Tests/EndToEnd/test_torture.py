"""RFC 4475 and RFC 5118 over UDP and TCP, against a table of what a server may answer. The messages are not part of this
repository: NIGHTJAR_TORTURE names their folder, or it stands beside the repository as ../shared/torture."""
import contextlib
import csv
import os
import re
import select
import socket
from pathlib import Path

import pytest

from harness.message import Message
from harness.server import ROOT, Server
from harness.wait import Deadline

FOLDER = Path(os.environ.get("NIGHTJAR_TORTURE", ROOT.parent / "shared/torture"))
# Who must authenticate, and whom an access rule lets in.
STRANGER, FRIEND = "127.0.0.77", "127.0.0.78"
# What a stranger is asked first (RFC 3261 §8.2.1: a method is looked at once its sender is authenticated): docs/sip.md.
CHALLENGED = {"invut.dat", "sdp01.dat"}
# Over a stream it has no end, so its rest is waited for.
ENDLESS = {"baddn.dat"}
INDEX = FOLDER / "INDEX.tsv"
CASES = list(csv.DictReader(INDEX.open(), delimiter="\t")) if INDEX.exists() else []
pytestmark = pytest.mark.skipif(not CASES, reason=f"no torture messages: {INDEX} is not there (set NIGHTJAR_TORTURE)")


def path_of(case) -> Path | None:
    for folder in (FOLDER, FOLDER / "rfc5118-wire"):
        if (folder / case["file"]).exists():
            return folder / case["file"]
    return None


def named(parametrized):
    return [pytest.param(c, id=c["file"].replace(".dat", "").replace("/", "-")) for c in parametrized]


def true_transport(data: bytes, name: bytes) -> bytes:
    """Says in the top Via how the message is sent: else the answer may go elsewhere, as RFC 3261 §18.2.2 has it."""
    gap = rb"(?:\r\n[ \t]+|[ \t])*"
    pattern = rb"(?im)^((?:via|v)" + gap + rb":" + gap + rb"SIP" + gap + rb"/" + gap + rb"[\d.]+" + gap + rb"/" + gap + rb")(?:UDP|TCP)"
    return re.sub(pattern, lambda m: m[1] + name, data, count=1)


def with_rport(data: bytes) -> bytes:
    """Asks for the answer where the message came from (RFC 3581): adds ;rport to the top Via."""
    pattern = rb"(?ims)^((?:via|v)[ \t]*:(?:[^\r\n]|\r\n[ \t])*?)(;\s*branch|;;|\r\n(?![ \t]))"
    return re.sub(pattern, rb"\1;rport\2", data, count=1)


def preferred(case, status: int | None, sender: str, is_stream: bool = False) -> bool:
    """Whether it is what INDEX.tsv would rather have; the exceptions are those above."""
    if sender == STRANGER and case["file"] in CHALLENGED:
        return status == 407
    if is_stream and case["file"] in ENDLESS:
        return status is None
    said = "none" if status is None else str(status)

    def matches(rule: str) -> bool:
        rule = rule.strip()
        return rule == said or (rule.endswith("xx") and said[:1] == rule[:1] and said != "none")

    wanted = case["preferred"].strip()
    if wanted.startswith("!"):
        return not any(matches(r) for r in wanted[1:].split(","))
    return any(matches(r) for r in wanted.split(","))


def _rounds() -> dict[str, int]:
    """For each case how many earlier ones have the same top branch: such a one would be taken for a retransmission."""
    seen: dict[bytes, int] = {}
    rounds = {}
    for case in CASES:
        file = path_of(case)
        found = re.search(rb"branch\s*=\s*([^;,\s]+)", file.read_bytes()) if file else None
        branch = found[1] if found else b""
        rounds[case["file"]] = seen.get(branch, 0)
        seen[branch] = rounds[case["file"]] + 1
    return rounds


@pytest.fixture(scope="module")
def one_way(tmp_path_factory):
    """A server for each way of sending and each repetition of a branch."""
    made: dict[tuple, Server] = {}
    rounds = _rounds()

    def make(way: str, case=None) -> Server:
        key = way, rounds[case["file"]] if case else 0
        if key not in made:
            script = (Path(__file__).parent / "dialplans/standard.lua").read_text()
            settings = {"sip": {"domain": "example.com"},
                        "access": [{"source": f"{FRIEND}/32", "context": "internal", "authenticate": False}]}
            made[key] = Server(tmp_path_factory.mktemp("torture"), script, settings, media_ports=40).start()
        return made[key]

    yield make
    for one in made.values():
        assert one.alive, one.log[-4000:]
        one.stop()


def final_status(receive, deadline: Deadline) -> int | None:
    """The status of the first final response; None where none comes."""
    while not deadline.over:
        data = receive(deadline.left)
        if data is None:
            return None
        if data.startswith(b"SIP/2.0 ") and int(data.split(b" ", 2)[1]) >= 200:
            return int(data.split(b" ", 2)[1])
    return None


def wait_for(case) -> float:
    """Nothing is to be waited for long; a short while where something is expected."""
    return 0.4 if case["preferred"].strip() == "none" else 2.0


@pytest.mark.parametrize("sender", [STRANGER, FRIEND])
@pytest.mark.parametrize("case", named(CASES))
def test_over_udp(one_way, case, sender):
    nightjar = one_way(f"udp {sender}", case)
    file = path_of(case)
    if file is None:
        pytest.skip(f"{case['file']} is not in {FOLDER}")
    # Where the Via cannot be read, the answer goes to the port that it would name: a phone of the well-known port listens.
    with contextlib.ExitStack() as stack:
        sockets = []
        for port in (0, 5060, 5050, 5070):
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                one.bind((sender, port))
                sockets.append(one)
            except OSError:
                continue
        sockets[0].sendto(with_rport(true_transport(file.read_bytes(), b"UDP")), ("127.0.0.1", nightjar.port))

        def receive(seconds):
            ready = select.select(sockets, [], [], seconds)[0]
            return ready[0].recv(65536) if ready else None

        status = final_status(receive, Deadline(wait_for(case)))
    assert nightjar.answers(), "no answer to OPTIONS afterwards"
    assert preferred(case, status, sender), f"{status}: {case['expected_behaviour_of_a_server']}"


@pytest.mark.parametrize("case", named([c for c in CASES if c["method"] != "RESPONSE"]))
@pytest.mark.parametrize("sender", [STRANGER, FRIEND])
@pytest.mark.parametrize("split", ["whole", "bytes"])
def test_over_tcp(one_way, case, split, sender):
    """Over a stream a framing error must end in a closed connection; every cut between two bytes is equal."""
    nightjar = one_way(f"{split} {sender}", case)
    file = path_of(case)
    if file is None:
        pytest.skip(f"{case['file']} is not in {FOLDER}")
    data = true_transport(file.read_bytes(), b"TCP")
    framing = _length_is_wrong(data) and case["file"] not in ENDLESS
    closed = False
    with socket.create_connection(("127.0.0.1", nightjar.port), timeout=5, source_address=(sender, 0)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if split == "whole":
                s.sendall(data)
            else:
                for index in range(len(data)):
                    s.sendall(data[index:index + 1])
        except OSError:
            closed = True
        buffer = b""
        status = None
        deadline = Deadline(0.4 if case["preferred"].strip() == "none" or framing or case["file"] in ENDLESS else 2)
        while not deadline.over and not closed and status is None:
            s.settimeout(deadline.left + 0.001)
            try:
                got = s.recv(65536)
            except TimeoutError:
                break
            except OSError:
                closed = True
                break
            closed = not got
            buffer += got
            for start in re.findall(rb"SIP/2\.0 (\d\d\d) ", buffer):
                if int(start) >= 200:
                    status = int(start)
    assert nightjar.answers(), "no answer to OPTIONS afterwards"
    if framing:
        assert closed or status is None or status >= 400
    else:
        assert preferred(case, status, sender, is_stream=True) or (closed and status == 400), \
            f"{status}, closed {closed}: {case['expected_behaviour_of_a_server']}"


@pytest.mark.parametrize("file,within", [("ncl.dat", 2), ("mcl01.dat", 2), ("clerr.dat", 15)])
def test_a_stream_with_a_wrong_content_length_is_closed(one_way, file, within):
    """RFC 4475 §3.1.2.2, §3.1.2.3, §3.3.9: what cannot be followed is answered where that can be, and ended."""
    if not (FOLDER / file).exists():
        pytest.skip(f"{file} is not in {FOLDER}")
    nightjar = one_way(f"closing {file}")
    with socket.create_connection(("127.0.0.1", nightjar.port), timeout=5, source_address=(STRANGER, 0)) as s:
        s.sendall(true_transport((FOLDER / file).read_bytes(), b"TCP"))
        deadline, got = Deadline(within), b""
        while True:
            assert not deadline.over, "the connection is still open"
            s.settimeout(deadline.left + 0.001)
            data = s.recv(65536)
            if not data:
                break
            got += data
    assert file == "clerr.dat" or got.startswith(b"SIP/2.0 400 Content-Length"), got[:80]
    assert nightjar.answers()


def _length_is_wrong(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    length = Message(head + b"\r\n\r\n").get("content-length")
    return length is None or not length.strip().isdigit() or int(length) != len(body)


def test_the_whole_corpus_on_one_connection_after_another_leaves_it_alive(one_way):
    nightjar = one_way("all")
    for case in CASES:
        if file := path_of(case):
            with socket.create_connection(("127.0.0.1", nightjar.port), timeout=5) as s:
                try:
                    s.sendall(file.read_bytes())
                except OSError:
                    pass
    assert nightjar.answers()
