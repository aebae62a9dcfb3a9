#!/usr/bin/env python3
"""Measures the Python package: packets per second, round trips of Scapy, import, leaks. Results as JSON on stdout.

    PYTHONPATH=build/release/python /usr/bin/python3 bench/python.py [--seconds S] [--links N] [--tap MEMIF]

--links N: references and descriptors before and after N links. --tap MEMIF (root): the round trip of Scapy's sr1 to
`MEMIF respond`, through a MemifSocket and through a TAP of `MEMIF bridge`; MEMIF is the memif command.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import memif

BURST = 256
PACKET = bytes(range(64))


def rate(step, seconds):
    """Packets per second of step(), which moves packets and returns how many; the best of five."""
    best = 0.0
    for _ in range(5):
        packets, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds / 5:
            for _ in range(20):
                packets += step()
        best = max(best, packets / (time.perf_counter() - started))
    return round(best)


def throughput(seconds):
    """A burst goes round: each packet is received and sent once a turn, in this thread."""
    results = {}
    with memif.pair(rx_mode="polling") as (a, b):
        a.tx[0].send([PACKET] * BURST)
        rx, tx = b.rx[0], a.tx[0]

        def views():
            with rx.receive(BURST) as burst:
                return tx.send([packet for packet in burst])

        ways = {
            "views": views,
            "bytes": lambda: tx.send(rx.receive_bytes(BURST)),
            "burst": lambda: tx.send(rx.receive(BURST)),
        }
        for name, step in ways.items():
            results[name + "_pps"] = rate(step, seconds)
    return results


def importing():
    def milliseconds(program):
        times = []
        for _ in range(15):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append((time.perf_counter() - started) * 1000)
        return statistics.median(times)

    return {"import_ms": round(milliseconds("import memif") - milliseconds("pass"), 1)}


def links(count):
    def once():
        with memif.pair(ring_size=16) as (a, b):
            a.tx[0].send([b"one"])
            bytes(b.rx[0].receive(timeout=5.0)[0])

    def state():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), len(gc.get_objects()), sys.getallocatedblocks()

    for _ in range(100):
        once()
    before = state()
    for _ in range(count):
        once()
    after = state()
    grown = (b - a for a, b in zip(before, after))
    return {"links": count, "leaked": dict(zip(("descriptors", "objects", "blocks"), grown))}


def round_trips(command):
    import scapy.all as scapy

    from memif.scapy import MemifSocket

    scapy.conf.verb = 0

    def median(socket, source):
        arp = scapy.ARP(hwsrc=source, psrc="192.168.7.1", pdst="192.168.7.2")
        mac = socket.sr1(scapy.Ether(src=source, dst="ff:ff:ff:ff:ff:ff") / arp, timeout=10)[scapy.ARP].hwsrc
        echo = scapy.Ether(src=source, dst=mac) / scapy.IP(src="192.168.7.1", dst="192.168.7.2") / scapy.ICMP()
        times = []
        for i in range(100):
            echo[scapy.ICMP].seq = i
            started = time.perf_counter()
            assert socket.sr1(echo, timeout=10) is not None
            times.append(time.perf_counter() - started)
        return round(statistics.median(times) * 1e6)

    with tempfile.TemporaryDirectory() as directory:
        processes = []

        def start(*arguments):
            processes.append(subprocess.Popen([command, *arguments], stderr=subprocess.DEVNULL))

        try:
            path = f"{directory}/memif.sock"
            start("respond", "--socket", path, "--role", "server", "192.168.7.2/24")
            socket = MemifSocket(path)
            ours = median(socket, "02:00:00:00:00:01")
            socket.close()
            start("bridge", f"memif:{path}", "tap:memifbench,address=192.168.7.1/24")
            while not os.path.exists("/sys/class/net/memifbench/address"):
                time.sleep(0.05)
            time.sleep(1)
            with open("/sys/class/net/memifbench/address", encoding="ascii") as address:
                mac = address.read().strip()
            tap = median(scapy.conf.L2socket(iface="memifbench"), mac)
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    return {"sr1_us": ours, "sr1_tap_us": tap}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--links", type=int, default=0)
    parser.add_argument("--tap", metavar="MEMIF")
    options = parser.parse_args()
    results = throughput(options.seconds) | importing()
    if options.links:
        results |= links(options.links)
    if options.tap:
        results |= round_trips(options.tap)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
