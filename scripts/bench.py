#!/usr/bin/env python3
"""Runs the benchmarks and collects what they print. Called by scripts/bench.sh; needs the standard library only."""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_report

BURST = 32
DIRECTIONS = ("client_to_server", "server_to_client")
TESTPMD_SIZES = (64, 128, 512, 1500)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, build):
        self.build = Path(build)
        self.results = []

    def program(self, name):
        return str(self.build / "bench" / f"bench_{name}")

    def run(self, name, *arguments):
        """A program that prints one JSON object a line."""
        say(f"bench_{name} {' '.join(map(str, arguments))}")
        command = [self.program(name), *map(str, arguments)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout
        self.results += [json.loads(line) for line in output.splitlines()]

    def calls(self, repetitions, seconds):
        """Medians of Google Benchmark's repetitions, which come in a random order: no case has a bad moment to itself."""
        say("calls")
        command = [
            self.program("calls"), "--benchmark_format=json", f"--benchmark_min_time={seconds}",
            f"--benchmark_repetitions={repetitions}", "--benchmark_enable_random_interleaving",
        ]  # fmt: skip
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout
        for case in json.loads(output)["benchmarks"]:
            if case.get("error_occurred"):
                raise RuntimeError(f"{case['name']}: {case['error_message']}")
            if case.get("aggregate_name") == "median":
                call, direction, api, burst = case["run_name"].split("/")[:4]
                self.results.append(
                    {
                        "bench": "calls", "call": call, "direction": direction, "api": api, "burst": int(burst),
                        "ns": round(1e9 / case["items_per_second"], 2),
                    }
                )  # fmt: skip

    def checks(self, pairs):
        """The same program with and without the library's checks, in turns."""
        say(f"the checks' cost, {pairs} pairs of runs")
        ratios = {direction: [] for direction in DIRECTIONS}
        for _ in range(pairs):
            rates = [
                json.loads(subprocess.check_output([self.program(name), "60"])) for name in ("checks", "unchecked")
            ]
            for direction, values in ratios.items():
                values.append(rates[0][direction] / rates[1][direction])
        for direction, values in ratios.items():
            self.results.append({"bench": "checks", "direction": direction, "ratio": round(statistics.median(values), 3)})

    def other_libmemif(self, library, rounds, milliseconds):
        """The C API's cases with another libmemif of release 4 in the place of ours, in turns: the same program."""
        rates = {}
        with tempfile.TemporaryDirectory(prefix="memif-bench-") as directory:
            (Path(directory) / "libmemif.so.4").symlink_to(Path(library).resolve(strict=True))
            others = {**os.environ, "LD_LIBRARY_PATH": directory}
            for turn in range(rounds):
                say(f"libmemif: ours and {library}, turn {turn + 1} of {rounds}")
                for whose, environment in (("ours", None), ("other", others)):
                    output = subprocess.run(
                        [self.program("capi"), "alone", str(milliseconds)],
                        check=True, stdout=subprocess.PIPE, text=True, timeout=300, env=environment,
                    ).stdout  # fmt: skip
                    for case in map(json.loads, output.splitlines()):
                        key = case["direction"], case["size"], case["burst"], case["touch"]
                        rates.setdefault(key, {}).setdefault(whose, []).append(case["mpps"])
        for (direction, size, burst, touch), case in rates.items():
            ratios = [ours / other for ours, other in zip(case["ours"], case["other"]) if ours and other]
            self.results.append(
                {
                    "bench": "libmemif", "direction": direction, "size": size, "burst": burst, "touch": touch,
                    "mpps": round(statistics.median(case["ours"]), 2),
                    "other_mpps": round(statistics.median(case["other"]), 2),
                    "ratio": round(statistics.median(ratios), 2) if ratios else None,
                }
            )  # fmt: skip

    def instructions(self):
        say("instructions a packet")
        for direction in DIRECTIONS:
            for function in ("receive_and_release", "allocate_and_send"):
                count = instructions_per_packet(self.program("instructions"), direction, function)
                self.results.append(
                    {"bench": "instructions", "direction": direction, "function": function, "per_packet": count}
                )

    def testpmd(self, seconds):
        """memif perf at one end in testpmd's place, as fractions of testpmd at both ends in the same run."""
        if shutil.which("dpdk-testpmd") is None:
            raise RuntimeError("there is no dpdk-testpmd (scripts/install-deps.sh dpdk)")
        for direction in DIRECTIONS:
            say(f"testpmd, {direction}")
            to_server = direction == "client_to_server"
            sender, receiver = ("client", "server") if to_server else ("server", "client")
            with tempfile.TemporaryDirectory(prefix="memif-bench-") as directory:
                ends = Testpmd(directory, self.build / "tools" / "memif", seconds)
                base = ends.both(sender, receiver)
                self.results.append(
                    {
                        "bench": "testpmd",
                        "direction": direction,
                        "testpmd_mpps": round(base / 1e6, 2),
                        "sending_ratio": round(ends.send(sender, receiver) / base, 2),
                        "receiving_ratio": round(ends.receive(sender, receiver) / base, 2),
                    }
                )
        for size in TESTPMD_SIZES:
            say(f"testpmd, {size} bytes")
            with tempfile.TemporaryDirectory(prefix="memif-bench-") as directory:
                ends = Testpmd(directory, self.build / "tools" / "memif", seconds)
                rate = ends.both("client", "server", size)
                self.results.append({"bench": "testpmd_sizes", "size": size, "mpps": round(rate / 1e6, 2)})


def instructions_per_packet(program, direction, function, bursts=20_000):
    """By callgrind, which counts the same every time."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect=*{function}*"]
    done = subprocess.run([*command, program, direction, str(bursts)], check=True, capture_output=True, text=True)
    return round(int(re.search(r"Collected : (\d+)", done.stderr).group(1)) / bursts / BURST, 1)


class Testpmd:
    """Runs with testpmd on one CPU and the other end on another."""

    def __init__(self, directory, memif, seconds):
        self.directory, self.memif, self.seconds = Path(directory), memif, seconds
        self.runs = 0

    def start(self, mode, role, cpu, size=64):
        prefix = f"memif-bench-{os.getpid()}-{self.runs}-{role}"
        command = [
            "dpdk-testpmd", "--lcores", f"0@{cpu},2@{cpu}", "--no-huge", "-m", "128", "--no-pci",
            "--file-prefix", prefix, f"--vdev=net_memif0,role={role},socket={self.socket()},socket-abstract=no,id=0",
            "--", f"--forward-mode={mode}", f"--txpkts={size}", "--stats-period", "1", "--no-mlockall",
            "--total-num-mbufs=4096", "-a",
        ]  # fmt: skip
        log = open(self.directory / f"{prefix}.log", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return process, log

    def socket(self):
        return self.directory / f"{self.runs}.sock"

    def await_socket(self):
        deadline = time.monotonic() + 20
        while not self.socket().is_socket():
            if time.monotonic() > deadline:
                raise RuntimeError("a server did not listen within 20 s")
            time.sleep(0.05)

    @staticmethod
    def end(process):
        process.kill()
        process.wait()

    def both(self, sender, receiver, size=64):
        """Packets a second between two testpmds, as the receiver tells."""
        self.runs += 1
        modes = {sender: "txonly", receiver: "rxonly"}
        server, server_log = self.start(modes["server"], "server", 0, size)
        try:
            self.await_socket()
            client, client_log = self.start(modes["client"], "client", 1, size)
            try:
                time.sleep(self.seconds + 3)
            finally:
                self.end(client)
        finally:
            self.end(server)
        log = server_log if receiver == "server" else client_log
        log.seek(0)
        rates = [int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)", log.read())]
        return statistics.median([rate for rate in rates if rate > 0])

    def perf(self, role, other_role, other_mode, *arguments):
        self.runs += 1
        command = [
            self.memif, "perf", "--socket", self.socket(), "--role", role, "--wait", "20s", "--json",
            "--time", f"{self.seconds}s", "--cpus", "1", "--rx-mode", "polling", *arguments,
        ]  # fmt: skip
        if role == "client":
            peer, _ = self.start(other_mode, other_role, 0)
            try:
                self.await_socket()
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            finally:
                self.end(peer)
            return json.loads(output)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as ours:
            self.await_socket()
            peer, _ = self.start(other_mode, other_role, 0)
            try:
                output = ours.communicate(timeout=60)[0]
            finally:
                ours.kill()  # if it has not ended
                self.end(peer)
        return json.loads(output)

    def send(self, sender, receiver):
        return self.perf(sender, receiver, "rxonly")["sent_pps"]

    def receive(self, sender, receiver):
        return self.perf(receiver, sender, "txonly", "--receive")["received_pps"]


def reason(error):
    """Why a step failed, on one line."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no {error.filename}"
    if isinstance(error, (LookupError, ArithmeticError, ValueError)):
        return f"what was printed makes no sense ({type(error).__name__}: {error})"
    return " ".join(str(error).split())


def machine():
    info = {"kernel": platform.release(), "cpus": os.cpu_count(), "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            info["cpu"] = line.split(":", 1)[1].strip()
            break
    return info


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="the build directory")
    parser.add_argument("output", nargs="?", default="build/bench", type=Path, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="the main cases, about a minute")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md as well")
    parser.add_argument("--libmemif", metavar="FILE", help="the C API's cases also with this libmemif.so of release 4")
    parser.add_argument("--only", action="append", help="this step; the others stay as they are in results.json")
    options = parser.parse_args()
    quick = options.quick
    bench = Bench(options.build)
    steps = {
        "throughput": lambda: bench.run("throughput", *(["--quick", "--rounds", 3] if quick else ["--rounds", 9])),
        "ends": lambda: bench.run("ends", *((3, 10) if quick else (15, 15))),
        "forward": lambda: bench.run("forward", *((3, 20) if quick else (9, 50))),
        "latency": lambda: bench.run("latency", *((3, 10000) if quick else (9, 50000))),
        "many": lambda: bench.run("many", *([50, 1, 10] if quick else [500])),
        "control": lambda: bench.run("control", 1 if quick else 10),
        "waiting": lambda: bench.run("waiting", 50 if quick else 500),
        "capi": lambda: bench.run("capi", *((3, 30) if quick else (9, 50))),
        "calls": lambda: bench.calls(*((3, 0.002) if quick else (9, 0.005))),
        "checks": lambda: bench.checks(3 if quick else 15),
        "instructions": bench.instructions,
        "testpmd": lambda: bench.testpmd(1 if quick else 4),
    }
    if options.libmemif:
        steps["libmemif"] = lambda: bench.other_libmemif(options.libmemif, *((3, 30) if quick else (9, 50)))
    if unknown := set(options.only or []) - set(steps):
        parser.error(f"no step {', '.join(unknown)} (there are: {', '.join(steps)})")
    options.output.mkdir(parents=True, exist_ok=True)
    results = options.output / "results.json"
    data = {"schema": "memif-bench/1", "steps": {}, "failed": {}}
    if options.only and results.exists():
        data |= json.loads(results.read_text(encoding="utf-8"))
    data["machine"] = machine()
    for name in options.only or steps:
        started = time.monotonic()
        bench.results = []
        data["steps"].pop(name, None)
        data["failed"].pop(name, None)
        try:
            steps[name]()
            if not bench.results:
                raise RuntimeError("it printed nothing")
        except (ArithmeticError, LookupError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            data["failed"][name] = reason(error)
            continue
        seconds = round(time.monotonic() - started, 1)
        data["steps"][name] = {"seconds": seconds, "load": os.getloadavg()[0], "quick": quick, "results": bench.results}
    results.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    bench_report.write(data, options.output)
    say(f"written: report.md, results.json and pictures in {options.output}")
    for name, why in data["failed"].items():
        say(f"{name} is missing: {why}")
    if options.docs and data["failed"]:
        say("docs/ stay as they are: not all was measured")
    elif options.docs:
        bench_report.update_docs(data, Path("docs"))
    sys.exit(1 if data["failed"] else 0)


if __name__ == "__main__":
    main()
