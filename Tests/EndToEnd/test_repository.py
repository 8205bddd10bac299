"""The repository itself: what the README names is there, and the scripts can be read. Needs no server."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if p.exists()]
FOLDERS = ("Sources/", "Tests/", "Scripts/", "Config/", "docs/", ".ci/")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_path_that_a_page_names_exists(page):
    text = page.read_text()
    words = re.findall(r"`([^`\s]+)`", text) + re.findall(r"\]\(([^)#\s]+)", text)
    missing = []
    for word in words:
        word = word.rstrip(".,:")
        if not (word.startswith(FOLDERS) or (word.endswith((".swift", ".lua", ".md", ".c")) and "/" in word)):
            continue
        if word.startswith("Config/data") or word.startswith("Config/run"):
            continue  # made by the first run
        candidates = [ROOT / word, page.parent / word, ROOT / "Sources" / word]
        if not any(c.exists() for c in candidates) and not list(ROOT.glob(word)):
            missing.append(word)
    assert not missing, f"{page.name} names what is not there: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_have_lines_of_120_columns_at_most_and_links_that_lead_somewhere(page):
    text = page.read_text()
    assert not [f"{n}: {len(line)}" for n, line in enumerate(text.splitlines(), 1) if len(line) > 120]
    # GitHub's anchors: lower case, blanks to hyphens, punctuation but hyphens and underscores dropped.
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    assert not [a for a in re.findall(r"\]\(#([^)]+)\)", text) if a not in anchors]


@pytest.mark.parametrize("script", ["Scripts/run", "Scripts/test", "Scripts/demo", "Scripts/bench", "Scripts/cost", "Scripts/lib.sh",
                                    ".ci/run", ".ci/sanitize"])
def test_shell_scripts_parse(script):
    assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0
    if not script.endswith(".sh"):
        assert (ROOT / script).stat().st_mode & 0o100, f"{script} is not executable"


def test_the_sum_of_a_run(tmp_path):
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite><testcase classname="A" name="x"/><testcase classname="A" name="y"><failure/></testcase>'
        '<testcase name="z"><skipped message="no"/></testcase></testsuite></testsuites>')
    (tmp_path / "swift-build-failed.xml").touch()
    done = subprocess.run([sys.executable, ROOT / "Scripts/test.d/sum.py", tmp_path], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1 passed, 2 failed" and done.returncode == 1


def test_no_password_and_no_foreign_path_in_the_repository():
    """The shipped configuration has no default password."""
    text = (ROOT / "Config/nightjar.yaml").read_text()
    assert not [line for line in text.splitlines() if "password:" in line and not line.lstrip().startswith("#")]


def test_the_shipped_files_are_lua():
    luac = next((c for c in ("luac5.4", "luac") if subprocess.run(["which", c], capture_output=True).returncode == 0), None)
    if luac is None:
        pytest.skip("no luac here")
    for file in (ROOT / "Config/dialplan.lua", *sorted((ROOT / "Tests/EndToEnd/dialplans").glob("*.lua"))):
        assert subprocess.run([luac, "-p", file]).returncode == 0, file


def test_every_row_of_the_rfc_table_names_a_test_that_exists():
    table = (ROOT / "docs/sip.md").read_text().split("| RFC | what of it | proved by |\n")[1].split("\n\n")[0]
    suites = set(re.findall(r"\b(?:struct|class|enum) (\w+)", "\n".join(p.read_text() for p in (ROOT / "Tests").rglob("*.swift"))))
    wrong = []
    for row in table.splitlines()[1:]:
        _, what, proof = (cell.strip() for cell in row.strip("|").split(" | ", 2))
        names = re.findall(r"`([^`]+)`", proof)
        if not names and not what.startswith("left out"):
            wrong.append(f"no test: {row}")
        wrong += [f"{n}: {row}" for n in names if n not in suites and not (ROOT / "Tests/EndToEnd" / n).exists()]
    assert not wrong, "\n".join(wrong)
