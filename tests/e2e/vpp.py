"""VPP as the peer, where somebody has built it: MEMIF_VPP is its binary. vppctl is beside it, or is MEMIF_VPPCTL; plugins are
where VPP looks for them, or in MEMIF_VPP_PLUGINS. All it makes is in the test's directory."""

import os
import re
import subprocess
import unittest
from pathlib import Path

from support import MEMIF, PATIENCE, E2ETest, wait_until

VPP = os.environ.get("MEMIF_VPP", "")
VPPCTL = os.environ.get("MEMIF_VPPCTL") or str(Path(VPP).with_name("vppctl") if VPP else "")
PLUGINS = os.environ.get("MEMIF_VPP_PLUGINS", "")

OURS, THEIRS = "192.168.7.1", "192.168.7.2"
OURS6, THEIRS6 = "fd00:7::1", "fd00:7::2"
INTERFACE = "memif1/0"  # VPP's name of the interface of socket 1, id 0
OTHER = {"server": "client", "client": "server"}

STARTUP = """
unix { nodaemon nobanner nosyslog runtime-dir %(dir)s cli-listen %(dir)s/cli.sock log %(dir)s/vpp.log poll-sleep-usec 100 }
statseg { socket-name %(dir)s/stats.sock size 16M }
memory { main-heap-size 128M }
buffers { buffers-per-numa 8192 page-size 4K }
logging { default-log-level info }
plugins { %(path)s plugin default { disable } plugin memif_plugin.so { enable } plugin ping_plugin.so { enable } }
"""


class Vpp:
    """One VPP; `command` speaks to it as an operator does."""

    def __init__(self, test, directory):
        self.test, self.dir = test, directory
        directory.mkdir(exist_ok=True)
        self.cli = directory / "cli.sock"
        self.configuration = directory / "startup.conf"
        path = f"path {PLUGINS}" if PLUGINS else ""
        self.configuration.write_text(STARTUP % {"dir": directory, "path": path}, encoding="ascii")
        self.start()

    def start(self):
        self.cli.unlink(missing_ok=True)
        self.process = self.test.start(VPP, "-c", self.configuration)
        self.test.listening(self.process, self.cli)

    def run(self, command):
        result = subprocess.run([VPPCTL, "-s", self.cli, *command.split()], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=3 * PATIENCE, check=False)  # fmt: skip
        self.test.assertEqual(result.returncode, 0, f"{command}: {result.stdout} {result.stderr} {self.process}")
        return result.stdout.replace("\r", "").strip()

    def configure(self, *commands):
        """Commands that print nothing unless something is wrong."""
        for command in commands:
            self.test.assertEqual(self.run(command), "", command)

    def create(self, role, socket, *, settings="", number=1, id=0, addresses=(f"{THEIRS}/24",)):  # pylint: disable=redefined-builtin
        """An interface that is up, with addresses; returns VPP's name of it."""
        name = f"memif{number}/{id}"
        kind = "master" if role == "server" else "slave"
        if f"\n  {number} " not in self.run("show memif"):
            self.configure(f"create memif socket id {number} filename {socket}")
        self.configure(f"create interface memif id {id} socket-id {number} {kind} {settings}")
        for address in addresses:
            self.configure(f"set interface ip address {name} {address}")
        self.configure(f"set interface state {name} up")
        return name

    def show(self, name=INTERFACE):
        return self.run(f"show memif {name}")

    def connected(self, name=INTERFACE):
        return bool(re.search(r"flags.* connected", self.show(name)))

    def wait_connected(self, name=INTERFACE):
        wait_until(lambda: self.connected(name), f"VPP's link: {self.show(name)}")

    def wait_disconnected(self, name=INTERFACE):
        wait_until(lambda: not self.connected(name), f"the end of VPP's link: {self.show(name)}")

    def rings(self, name=INTERFACE):
        """Numbers of rings to the server and to the client."""
        shown = self.show(name)
        return tuple(len(re.findall(f"{way} ring", shown)) for way in ("slave-to-master", "master-to-slave"))

    def packets(self, name, counter):
        """VPP's counter `rx packets` or `tx packets`."""
        found = re.search(rf"{counter}\s+(\d+)", self.run(f"show interface {name}"))
        return int(found.group(1)) if found else 0

    def ping(self, address, count=5):
        """Echo requests that VPP sends, of which the first may be lost to the neighbour's resolution."""
        self.run(f"ping {address} repeat 1 interval 0.1")
        output = self.run(f"ping {address} repeat {count} interval 0.05")
        self.test.assertIn(f"{count} sent, {count} received", output)


@unittest.skipUnless(VPP, "MEMIF_VPP names no VPP binary")
class VppTest(E2ETest):
    """A VPP without interfaces; our other end has the same socket."""

    def setUp(self):
        super().setUp()
        self.vpp = Vpp(self, self.dir / "vpp")

    def tearDown(self):
        self.assertTrue(self.vpp.process.running(), f"VPP died: {self.vpp.process}")

    def ours(self, role, subcommand, *arguments):
        """Our end, of the role that VPP's is not. A server of ours is there before VPP's client looks for it."""
        process = self.memif(subcommand, *arguments, role=role)
        return self.listening(process) if role == "server" else process

    def both_ways(self, role, *, settings="", port=(), ping=(), count=200, prepare=()):
        """VPP in `role` answers our pings, then pings us."""
        common = ("--wait", "20s", "-c", count, "-i", "0.001", "--json", "--source", f"{OURS}/24")
        if role == "server":
            self.vpp.create(role, self.socket, settings=settings)
        pinger = self.ours(OTHER[role], "ping", *port, *common, *ping, THEIRS)
        if role == "client":
            self.vpp.create(role, self.socket, settings=settings)
        self.vpp.configure(*prepare)
        report = self.assert_all_answered(pinger, count, timeout=60)
        self.vpp.wait_disconnected()
        responder = self.ours(OTHER[role], "respond", *port, f"{OURS}/24")
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        return report, responder

    def answered(self, role, *arguments, count=50, timeout=60):
        """Our pings reach VPP, whose interface is there already."""
        pinger = self.ours(OTHER[role], "ping", "--wait", "20s", "-c", count, "-i", "0.001", "--json", "--source",
                           f"{OURS}/24", *arguments, THEIRS)  # fmt: skip
        return self.assert_all_answered(pinger, count, timeout)

    def across(self, roles, *arguments, rate="20kpps", time="2s", ports=("", ""), settings=("", "")):
        """What one `memif perf` sends and receives through two interfaces that VPP connects like a wire."""
        sockets = [self.dir / "left.sock", self.dir / "right.sock"]
        words = [f"memif:{s},role={OTHER[r]}{p}" for s, r, p in zip(sockets, roles, ports)]
        names = []
        for number, (role, socket, setting) in enumerate(zip(roles, sockets, settings), 1):
            names.append(self.vpp.create(role, socket, settings=setting, number=number, addresses=()))
        self.vpp.configure(f"set interface l2 xconnect {names[0]} {names[1]}",
                           f"set interface l2 xconnect {names[1]} {names[0]}")  # fmt: skip
        perf = self.start(MEMIF, "perf", "--port", words[0], "--port", words[1], "--wait", "20s", "--rate", rate,
                          "--time", time, "--json", *arguments)  # fmt: skip
        report = self.report(perf, timeout=60)
        self.assertGreater(report["sent"], 0)
        self.assertEqual((report["received"], report["lost"]), (report["sent"], 0), str(perf))
        self.assertEqual((report["foreign"], report["out_of_order"]), (0, 0), str(perf))
        return names, report
