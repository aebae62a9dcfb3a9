#!/usr/bin/env python3
"""Finds, for each packet size, the highest rate without loss, as RFC 2544 does, by `memif perf --json`.

    rfc2544.py [--time 2s] [--sizes 64,512,1518] [--plot rates.png] PORT [PORT]

A PORT is what `memif perf --port` takes: memif:/run/lab.sock,role=server. With two, packets go from the first to the
second; with one, to a peer that returns them. The picture needs matplotlib.
"""

import argparse
import json
import os
import subprocess

MEMIF = os.environ.get("MEMIF_BIN", "memif")


def measure(ports, size, time, rate=None):
    """The report of one trial."""
    command = [MEMIF, "perf", "--json", "--time", time, "--size", str(size)]
    for port in ports:
        command += ["--port", port]
    if rate:
        command += ["--rate", f"{rate}pps"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def search(ports, size, time, precision=0.02):
    """Packets per second: bisects between a rate that loses nothing and one that does, or is not reached."""
    passed, failed = 0, int(measure(ports, size, time)["sent_pps"] * 1.05)
    while failed - passed > precision * failed:
        rate = (passed + failed) // 2
        report = measure(ports, size, time, rate)
        if report["lost"] == 0 and report["sent_pps"] > 0.97 * rate:
            passed = rate
        else:
            failed = rate
    return passed


def plot(rates, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.bar([str(size) for size in rates], [rate / 1e6 for rate in rates.values()])
    pyplot.xlabel("bytes a packet")
    pyplot.ylabel("million packets a second without loss")
    pyplot.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ports", nargs="+", metavar="PORT")
    parser.add_argument("--time", default="2s")
    parser.add_argument("--sizes", default="64,512,1518")
    parser.add_argument("--precision", type=float, default=0.02)
    parser.add_argument("--plot")
    options = parser.parse_args()
    rates = {}
    for size in map(int, options.sizes.split(",")):
        rates[size] = search(options.ports, size, options.time, options.precision)
        print(f"{size:6} bytes  {rates[size]:>12,} packets/s", flush=True)
    if options.plot:
        plot(rates, options.plot)


if __name__ == "__main__":
    main()
