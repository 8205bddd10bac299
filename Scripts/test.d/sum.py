"""Adds up the JUnit files of a test run and prints `N passed, N failed` as the last line.

A part that could not be built, or that left no results, counts as one failure: silence is never a success.
"""
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main() -> int:
    passed = failed = skipped = 0
    files = sorted(Path(sys.argv[1]).glob("*.xml"))
    for file in files:
        if file.stat().st_size == 0:
            print(f"{file.stem.replace('-', ' ')}")
            failed += 1
            continue
        for case in ET.parse(file).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {case.get('classname')} {case.get('name')}")
            elif case.find("skipped") is not None:
                skipped += 1
                print(f"skipped: {case.get('name')}: {case.find('skipped').get('message') or ''}")
            else:
                passed += 1
    if not files:
        print("no results were written")
        failed += 1
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
