"""Runs Tests/Cost, once by itself (allocations, memory) and once under callgrind (instructions), and judges the counts."""
import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LIMITS = json.loads((ROOT / "Tests/Cost/limits.json").read_text())
COUNTED = 300
# A call more or less falls into the table's growth: hashing by a fixed seed makes the count the same each time.
ENVIRONMENT = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"}


def run(binary: Path, *arguments) -> dict:
    done = subprocess.run([binary, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"Cost {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(lines[-1])


def instructions(binary: Path, kind: str, profile: bool) -> int:
    out = ROOT / f".build/cost/callgrind.{kind}"
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*Meter*counted*", binary, kind, "400",
         str(COUNTED)], env=ENVIRONMENT, capture_output=True, text=True, timeout=900)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"callgrind of {kind} ended with {done.returncode}: {done.stderr[-2000:]}")
    if profile:
        text = subprocess.run(["callgrind_annotate", "--inclusive=yes", out], capture_output=True, text=True).stdout
        text = subprocess.run(["swift", "demangle", "--compact"], input=text, capture_output=True, text=True).stdout
        for line in text.splitlines():
            if part := re.match(r" *([\d,]+) \( *[\d.]+%\) +\S*?:(.*)", line):
                each = int(part[1].replace(",", "")) // COUNTED
                if each >= 1000:
                    print(f"{each:9,d}  {part[2][:150]}")
    return int(found[1]) // COUNTED


def main() -> int:
    parser = argparse.ArgumentParser(prog="Scripts/cost")
    parser.add_argument("binary", type=Path)
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(LIMITS)}")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path, default=ROOT / ".build/cost/results.json")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(LIMITS):
        parser.error(f"unknown kind {', '.join(unknown)}: one of {', '.join(LIMITS)}")
    results, over = {}, []
    for kind in options.kinds or LIMITS:
        limits = LIMITS[kind]
        found = run(options.binary, kind)
        if "instructions" in limits:
            found["instructions"] = instructions(options.binary, kind, options.profile)
        results[kind] = found
        for what, limit in limits.items():
            value = found[what]
            verdict = "" if value <= limit else "  OVER THE LIMIT"
            print(f"{kind:10} {what:22} {value:12,.6g} of {limit:,}{verdict}", flush=True)
            if value > limit:
                over.append(f"{kind} {what}")
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    for what in over:
        print(f"over its limit: {what}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
