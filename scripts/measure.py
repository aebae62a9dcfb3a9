#!/usr/bin/env python3
"""Measures the sources as docs/architecture.md has them ("Measures"): python3 scripts/measure.py [--longest N]

Lines of files and of functions (universal-ctags, last line - first line + 1) as median/90 %/99 %/longest, the public
headers, includes that point upward, and the files that a packet passes on each side.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AREAS = ["include", "src", "capi", "tools", "bench", "fuzz", "tests"]
SOURCES = {".hpp", ".cpp", ".h", ".c"}


def sources(area):
    return sorted(path for path in (ROOT / area).rglob("*") if path.suffix in SOURCES)


def functions(area):
    """(lines, where, name) of each function with a body, longest first."""
    command = ["ctags", "--kinds-C=f", "--kinds-C++=f", "--langmap=C++:+.h", "--fields=+ne", "--output-format=json",
               "-f", "-", *map(str, sources(area))]
    tags = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    return sorted(((tag["end"] - tag["line"] + 1, f"{Path(tag['path']).relative_to(ROOT)}:{tag['line']}", tag["name"])
                   for tag in tags if "end" in tag), reverse=True)


def shares(values):
    values = sorted(values)
    at = [values[min(len(values) - 1, int(share * len(values)))] for share in (0.5, 0.9, 0.99)]
    return "/".join(map(str, [*at, values[-1]]))


def packets_way():
    """The files that the tables in "A packet's way" name, each side's."""
    text = (ROOT / "docs/architecture.md").read_text()
    text = text.split("## A packet's way")[1].split("\n## ")[0]
    tables = re.findall(r"(?m)^\| \| (sending|receiving) \|.*\n((?:\|.*\n)+)", text)
    return {side: {name for row in table.splitlines() for name in re.findall(r"`([\w/]+\.[ch]pp)`", row.split("|")[-2])}
            for side, table in tables}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=0, metavar="N", help="also the N longest functions of each area")
    arguments = parser.parse_args()

    print("| | files | their lines | functions | their lines |\n|---|---|---|---|---|")
    longest = {}
    for area in AREAS:
        lines = [len(path.read_text().splitlines()) for path in sources(area)]
        longest[area] = functions(area)
        print(f"| {area} | {len(lines)} | {shares(lines)} | {len(longest[area])} | {shares([one[0] for one in longest[area]])} |")
    public = list((ROOT / "include/memif").glob("*.hpp"))
    upward = subprocess.run([ROOT / "scripts/check-layers.sh"], capture_output=True, text=True)
    print(f"\nPublic headers: {len(public)}. Includes that point upward: {len(upward.stderr.splitlines())}.")
    print("A packet's way: " + ", ".join(f"{side} {len(names)} files" for side, names in packets_way().items()) + ".")
    for area, all_of_it in longest.items() if arguments.longest else []:
        print(f"\n{area}")
        for lines, where, name in all_of_it[:arguments.longest]:
            print(f"{lines:4} {where} {name}")


if __name__ == "__main__":
    sys.exit(main())
