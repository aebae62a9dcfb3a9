"""scripts/bench.py: one step from the program that measures to the report and the picture."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

SCRIPT = Path(__file__).parent.parent / "scripts" / "bench.py"
BUILD = Path(os.environ.get("MEMIF_BENCH_DIR", ".")).parent


class Report(unittest.TestCase):
    def bench(self, directory, *arguments, build=BUILD):
        command = [sys.executable, SCRIPT, build, directory, "--quick", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    def test_a_step_ends_up_in_the_table_the_json_file_and_the_picture(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "waiting")
            self.assertEqual(done.returncode, 0, done.stderr)
            data = json.loads((Path(directory) / "results.json").read_text(encoding="utf-8"))
            self.assertEqual(data["schema"], "memif-bench/1")
            modes = {result["mode"] for result in data["steps"]["waiting"]["results"]}
            self.assertEqual(modes, {"polling", "interrupt", "adaptive"})
            self.assertIn("eventfd writes", (Path(directory) / "report.md").read_text(encoding="utf-8"))
            picture = ElementTree.parse(Path(directory) / "waiting.svg").getroot()
            self.assertEqual(len(picture.findall(".//{*}polyline[@stroke-width='2.5']")), 6)

    @unittest.skipUnless((BUILD / "bench" / "bench_calls").exists(), "built without Google Benchmark")
    def test_the_calls_have_a_row_each_with_both_apis_by_burst(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "calls")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = (Path(directory) / "report.md").read_text(encoding="utf-8")
        self.assertIn("| call | direction | nothing | 1 | 4 | 8 | 32 | 256 |", report)
        both = r"( [\d.]+ / [\d.]+ \|){6}$"
        for call in ("allocate and send", "receive and release"):
            for direction in ("client → server", "server → client"):
                self.assertRegex(report, re.compile(rf"^\| {call} \| {direction} \|{both}", re.MULTILINE))
        self.assertRegex(report, r"\| decode a control message \| both \|  \| [\d.]+ \|")

    def test_many_interfaces_have_a_row_for_each_way_to_wait(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "many")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = (Path(directory) / "report.md").read_text(encoding="utf-8")
        self.assertIn("| one thread | 1 interface | 10 interfaces |", report)
        for how in ("WaitSet", "memif_poll_event", "polling"):
            self.assertRegex(report, re.compile(rf"^\| {how} \|( [\d.]+ \|){{2}}$", re.MULTILINE))

    def test_throughput_has_its_goals_and_two_pictures(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "throughput")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = (Path(directory) / "report.md").read_text(encoding="utf-8")
            pictures = {
                name: ElementTree.parse(Path(directory) / f"{name}.svg").getroot() for name in ("throughput", "sizes")
            }
        for size in ("64 bytes as programs write them", "1500 bytes copied in and out", "64, 570 and 1518 bytes"):
            self.assertRegex(report, rf"(?m)^\| {size}.* \| client → server \d+ %; server → client \d+ % \|$")
        self.assertEqual(report.count("| 64, 570, 1518 | 32 | 1024 | 1 | mixed |"), 2)
        # Two lines, of the library and of the limit, with a point for each size.
        self.assertEqual(len(pictures["sizes"].findall(".//{*}polyline[@stroke-width='2.5']")), 2)
        self.assertEqual(len(pictures["sizes"].findall(".//{*}circle")), 4)
        self.assertIn("64, 570, 1518 B, copied", [text.text for text in pictures["throughput"].findall(".//{*}text")])

    def test_ends_have_a_row_for_each_direction(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "ends")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = (Path(directory) / "report.md").read_text(encoding="utf-8")
        for direction in ("client → server", "server → client"):
            self.assertRegex(report, re.compile(rf"^\| {direction} \|( [\d.]+ \|){{4}}$", re.MULTILINE))

    def test_a_step_that_fails_is_shown_as_missing_and_leaves_nothing_of_an_earlier_run(self):
        with tempfile.TemporaryDirectory() as directory:
            directory = Path(directory)
            self.assertEqual(self.bench(directory, "--only", "waiting").returncode, 0)
            broken = directory / "build" / "bench"  # the programs that print nothing, nonsense, a failure; and none
            broken.mkdir(parents=True)
            for name, script in (("waiting", "exit 0"), ("ends", "echo nonsense"), ("control", "exit 3")):
                (broken / f"bench_{name}").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
                (broken / f"bench_{name}").chmod(0o755)
            steps = ("waiting", "ends", "control", "checks")
            only = [word for step in steps for word in ("--only", step)]
            done = self.bench(directory, *only, build=directory / "build")
            self.assertEqual(done.returncode, 1, done.stderr)
            data = json.loads((directory / "results.json").read_text(encoding="utf-8"))
            self.assertEqual((data["steps"], set(data["failed"])), ({}, set(steps)))
            report = (directory / "report.md").read_text(encoding="utf-8")
            for step in steps:
                self.assertRegex(done.stderr, f"(?m)^{step} is missing: ")
                self.assertIn(f"**{step} is missing**: ", report)
            self.assertIn(f"there is no {broken / 'bench_checks'}", report)
            self.assertFalse((directory / "waiting.svg").exists())

            # Measured again, it is there; what still fails stays told.
            self.assertEqual(self.bench(directory, "--only", "waiting").returncode, 1)
            report = (directory / "report.md").read_text(encoding="utf-8")
            self.assertIn("eventfd writes", report)
            self.assertRegex(report, r"\| cost of all checks \| [^|]+ \| missing \|")
            self.assertNotIn("waiting is missing", report)

    def test_an_unknown_step_is_refused_with_the_names_of_all(self):
        with tempfile.TemporaryDirectory() as directory:
            done = self.bench(directory, "--only", "nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("throughput, ends, forward, latency, many, control", done.stderr)


if __name__ == "__main__":
    unittest.main()
