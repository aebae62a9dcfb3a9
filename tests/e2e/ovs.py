"""OVS-DPDK in a private directory: its own database, run directory and network namespace; ended by process id."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from support import PATIENCE, E2ETest, wait_until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
# Debian's package has two daemons of that name and an alternative between them; only this one is built with DPDK.
DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"


class OvsTest(E2ETest):
    """A switch, br0, that learns addresses. Each port of it is a memif whose socket is named like the port."""

    switch = None  # the daemon
    servers = frozenset()  # its ports that are

    def setUp(self):
        super().setUp()
        self.assertTrue(Path(DAEMON).exists(), f"{DAEMON} is missing: scripts/install-deps.sh test")
        self.environment({"OVS_RUNDIR": self.dir, "OVS_LOGDIR": self.dir, "OVS_DBDIR": self.dir})
        self.prefix = f"memif{os.getpid()}-{self.dir.name}"
        self.addCleanup(shutil.rmtree, Path("/var/run/dpdk") / self.prefix, ignore_errors=True)
        subprocess.run(["ovsdb-tool", "create", self.dir / "conf.db", SCHEMA], check=True)
        database = self.start("ovsdb-server", self.dir / "conf.db", f"--remote=punix:{self.dir / 'db.sock'}",
                              f"--unixctl={self.dir / 'db.ctl'}")  # fmt: skip
        self.listening(database, self.dir / "db.sock")
        cpu = min(os.sched_getaffinity(0))
        self.vsctl(
            "--no-wait", "--", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
            f"other_config:dpdk-extra=--no-huge --legacy-mem -m 256 --no-pci --file-prefix={self.prefix}",
            "other_config:per-port-memory=true", f"other_config:pmd-cpu-mask={1 << cpu:#x}",
            "--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
        )  # fmt: skip
        self.run_switch()

    def environment(self, values):
        for name, value in values.items():
            os.environ[name] = str(value)
            self.addCleanup(os.environ.pop, name, None)

    def run_switch(self):
        """Starts the daemon; it then has the ports that the database has."""
        self.switch = self.start("unshare", "-n", DAEMON, f"unix:{self.dir / 'db.sock'}",
                                 f"--unixctl={self.dir / 'vswitchd.ctl'}")  # fmt: skip
        self.switch.wait_for_output("ovs-vswitchd-dpdk (Open vSwitch)", 3 * PATIENCE)

    def restart_switch(self):
        """As after a crash. DPDK refuses sockets that exist: they are removed, as an operator would have to."""
        self.switch.kill()
        for port in self.servers:
            self.path(port).unlink(missing_ok=True)
        self.run_switch()

    def supervise(self):
        """From now on the switch is started again if it dies of DPDK's own fault: when a peer goes, one thread of it unmaps
        the memory that another may be reading (docs/peers.md)."""
        over = threading.Event()

        def watch():
            while not over.wait(0.05):
                if self.switch.popen.poll() == -signal.SIGSEGV:
                    self.restart_switch()

        thread = threading.Thread(target=watch)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)

    def vsctl(self, *arguments):
        command = ["ovs-vsctl", f"--db=unix:{self.dir / 'db.sock'}", f"--timeout={3 * PATIENCE}", *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""), f"{' '.join(command)}: {self.switch}")
        return result.stdout

    def path(self, port):
        return self.dir / f"{port}.sock"

    def add_port(self, name, role, *settings):
        """A client connects once, now: the other end must listen already."""
        if role == "server":
            self.servers |= {name}
        arguments = f"net_memif-{name},role={role},socket={self.path(name)},socket-abstract=no,id=0"
        self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk",
                   f"options:dpdk-devargs=\"{arguments}\"", *settings)  # fmt: skip
        self.assertEqual(self.vsctl("get", "Interface", name, "error").strip(), "[]", str(self.switch))
        if role == "server":
            wait_until(self.path(name).is_socket, f"the socket of {name}: {self.switch}")

    def replace_port(self, name, role, *settings):
        self.vsctl("del-port", "br0", name)
        self.add_port(name, role, *settings)
