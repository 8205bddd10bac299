"""The Lua in README and docs: every fenced block loads, and runs without a script error."""
import re
import shutil

import pytest

from harness.message import make_sdp
from harness.server import ROOT
from harness.wait import until

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page):
    """(line, text) of each fenced Lua block."""
    text = page.read_text()
    found = re.finditer(r"^```lua\n(.*?)^```$", text, re.M | re.S)
    return [(text.count("\n", 0, m.start()) + 1, m.group(1)) for m in found]


def dialplan(text: str) -> str:
    """A block without a handler is what a handler does."""
    return text if re.search(r"^on\.invite", text, re.M) else f"on.invite(function(call)\n{text}end)\n"


EXAMPLES = [pytest.param(text, id=f"{page.name}:{line}") for page in PAGES for line, text in blocks(page)]


def test_there_are_examples():
    assert len(EXAMPLES) > 30


def test_every_example_loads(server):
    nightjar = server("standard", start=False)
    nightjar.settings["trunks"] = [{"name": name, "host": "127.0.0.1:9"} for name in ("alpha", "beta")]
    nightjar.write_config()
    for sound in (ROOT / "Config/sounds").glob("*.wav"):
        shutil.copy(sound, nightjar.folder / "sounds")
    for example in EXAMPLES:
        nightjar.write_dialplan(dialplan(example.values[0]))
        try:
            nightjar.run("check")
        except AssertionError as error:
            pytest.fail(f"{example.id}: {error}")


def is_over(nightjar, dialog) -> bool:
    """The script may have hung up first: its BYE wants an answer."""
    try:
        bye = dialog.phone.next(lambda m: not m.is_response and m.method == "BYE", "BYE", timeout=0)
        dialog.reply(200, "OK", to=bye)
    except AssertionError:
        pass
    return nightjar.json("calls") == []


def test_every_example_runs(server, trusted):
    """Each is called; nobody is registered and there is no trunk, so what follows a failed dial runs too."""
    nightjar = server(dialplan(EXAMPLES[0].values[0]))
    for sound in (ROOT / "Config/sounds").glob("*.wav"):
        shutil.copy(sound, nightjar.folder / "sounds")
    caller, sdp = trusted(nightjar), make_sdp("127.0.0.9", 40000)
    for example in EXAMPLES:
        text = example.values[0]
        nightjar.write_dialplan(dialplan(text))
        nightjar.run("reload")
        for number in ["1001", *(["600"] if '"600"' in text else []), *(["9001"] if '"^9' in text else [])]:
            one = caller.call(number, sdp, headers=[("X-Account", "acme"), ("Subject", "hello")])
            answer = one.expect(200, 302, 403, 404, 480, 486, 500, 503, skip=(100, 180, 181, 182, 183), timeout=8)
            if answer.status == 200:
                one.ack(answer)
                caller.drain(0.15)
                one.request("BYE")
            until(lambda: is_over(nightjar, one), f"the call of {example.id} to end", interval=0.05)
        counters = nightjar.json("status")["counters"]
        assert counters["scriptErrors"] == counters["scriptLimits"] == 0, f"{example.id}:\n{nightjar.log[-3000:]}"
        assert "ended without an answer" not in nightjar.log, example.id
