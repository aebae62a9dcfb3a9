"""The regression gate: what noise cannot trip. Bounds are in gate.json; benchmarks prove speed, this keeps it."""

import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

BIN = Path(os.environ.get("MEMIF_BENCH_DIR", "."))
BOUNDS = json.loads((Path(__file__).parent / "gate.json").read_text(encoding="utf-8"))
DIRECTIONS = ("client_to_server", "server_to_client")
BURST = 32


def output(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout, done.stderr


class Gate(unittest.TestCase):
    def instructions(self, function):
        """Per packet, by callgrind, which counts the same every time."""
        self.assertIsNotNone(shutil.which("valgrind"), "valgrind is missing: scripts/install-deps.sh test")
        bursts = 4000  # so that the first ones, which find the link and buffers that are alike, count for little
        for direction in DIRECTIONS:
            with self.subTest(direction):
                out, log = output(
                    "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect=*{function}*",
                    BIN / "bench_instructions", direction, bursts,
                )  # fmt: skip
                self.assertEqual(json.loads(out), {"sent": bursts * BURST, "received": bursts * BURST})
                per_packet = int(re.search(r"Collected : (\d+)", log).group(1)) / bursts / BURST
                self.assertGreater(per_packet, 1, "callgrind did not find the function")
                self.assertLessEqual(per_packet, BOUNDS["instructions_per_packet"][direction][function])

    def test_instructions_to_receive_and_release(self):
        self.instructions("receive_and_release")

    def test_instructions_to_allocate_and_send(self):
        self.instructions("allocate_and_send")

    def test_polling_makes_no_system_call(self):
        """However many bursts there are, the number of system calls is the same."""
        self.assertIsNotNone(shutil.which("strace"), "strace is missing: scripts/install-deps.sh test")
        for direction in DIRECTIONS:
            with self.subTest(direction):
                counts = []
                for bursts in (10, 10_000):
                    _, log = output("strace", "-f", "-qq", BIN / "bench_instructions", direction, bursts)
                    counts.append(len(re.findall(r"^(?:\[pid +\d+\] )?\w+\(", log, re.MULTILINE)))
                self.assertGreater(counts[0], 10)
                # The handshake between the two ends may take a turn more or less of their loop.
                self.assertLess(abs(counts[1] - counts[0]), 100)

    def test_throughput_is_not_far_from_the_limit(self):
        """A machine with other work gives poor figures, so the best of some attempts counts."""
        best = {(direction, touch): 0.0 for direction in DIRECTIONS for touch in ("in_place", "written")}
        for _ in range(5):
            out, _ = output(BIN / "bench_throughput", "--quick", "--rounds", 3, "--slice", 20)
            for line in map(json.loads, out.splitlines()):
                if line["size"] == 64 and line["burst"] == BURST:
                    case = line["direction"], line["touch"]
                    best[case] = max(best[case], line["ratio"])
            if min(best.values()) >= BOUNDS["ratio_to_limit"]:
                return
        self.fail(f"ratios to the limit {best}, less than {BOUNDS['ratio_to_limit']}")


if __name__ == "__main__":
    unittest.main()
