"""The commands with testpmd at the other end; what testpmd, the kernel's ping and Prometheus' parser say of it."""

import json
import os
import re
import signal
import struct
import subprocess
import unittest

from support import MEMIF, E2ETest, wait_until
from test_bridge import REASON, NamespaceTest
from test_observe import parse
from test_replay import udp_frame, write_pcap


def received(testpmd):
    """Packets that testpmd has counted."""
    return max([int(n) for n in re.findall(r"RX-packets: (\d+)", testpmd.stdout)], default=0)


class TestpmdTools(E2ETest):
    def test_it_gets_what_respond_reflects(self):
        self.respond("--reflect", role="server")
        testpmd = self.dpdk("flowgen", "client")
        wait_until(lambda: received(testpmd) > 0, "a packet that came back to testpmd")

    def test_it_gets_all_that_is_replayed(self):
        testpmd = self.dpdk("rxonly", "server")
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(1000)], gap_ns=100_000)
        with open(source, "ab") as capture:  # a minute later: testpmd's statistics end with the link
            capture.write(struct.pack("<IIII", 1700000060, 0, 60, 60) + bytes(60))
        replay = self.memif("replay", "--json", source)
        wait_until(lambda: received(testpmd) == 1000, "1000 packets in testpmd's statistics")
        replay.popen.send_signal(signal.SIGINT)
        self.assertEqual(self.report(replay)["sent"], 1000)

    def test_it_counts_what_perf_sends(self):
        testpmd = self.dpdk("rxonly", "server")
        sender = self.memif("perf", "--rate", "1kpps", "--time", "60s", "--json")
        counted = wait_until(lambda: received(testpmd) if received(testpmd) > 1000 else 0, "1000 packets in testpmd")
        sender.popen.send_signal(signal.SIGINT)
        sent = self.report(sender)["sent"]
        self.assertGreaterEqual(sent, counted)
        # What testpmd prints is up to a second old, and older on a busy machine.
        self.assertGreater(received(testpmd), sent / 10)

    def test_it_is_what_info_shows(self):
        testpmd = self.dpdk("rxonly", "server")
        listener = self.report(self.memif("info", "--json"))["listener"]
        self.assertEqual(listener["process"]["pid"], testpmd.pid)
        self.assertRegex(listener["app_name"], "^DPDK")
        seen = self.report(self.memif("info", "--connect", "--json"))
        self.assertEqual(seen["peer"]["process"]["pid"], testpmd.pid)
        self.assertEqual([ring["ring_size"] for ring in seen["rx"] + seen["tx"]], [1024, 1024])

    def test_it_gets_what_metrics_and_top_count(self):
        testpmd = self.dpdk("rxonly", "server")
        os.environ["MEMIF_PUBLISH"] = "1"
        self.addCleanup(os.environ.pop, "MEMIF_PUBLISH", None)
        sender = self.memif("perf", "--rate", "1kpps", "--time", "60s")

        def sent():
            text = subprocess.run([MEMIF, "metrics", "--once", "--pid", str(sender.pid)], capture_output=True,
                                  text=True, check=False).stdout  # fmt: skip
            return sum(value for (name, _), value in parse(text).items() if name == "memif_tx_packets_total")

        count = wait_until(lambda: sent() if sent() > 100 else 0, "metrics of more than 100 packets")
        wait_until(lambda: received(testpmd) >= count, f"{count} packets in testpmd's statistics")
        self.assertLessEqual(received(testpmd), sent())
        top = self.start(MEMIF, "top", "--once", "--json", "--pid", sender.pid)
        self.assert_exit(top, 0)
        (seen,) = json.loads(top.stdout)["interfaces"]
        self.assertEqual(seen["peer"]["process"]["pid"], testpmd.pid)
        self.assertGreater(seen["tx"][0]["packets_per_s"], 0)
        self.assertEqual(sender.terminate(), 0, str(sender))


@unittest.skipIf(REASON, REASON)
class TestpmdBridge(NamespaceTest):
    def test_the_kernel_pings_it_through_a_tap(self):
        namespace = self.namespace("a")
        self.dpdk("icmpecho", "server")
        self.bridge(f"tap:t0,address=192.168.7.1/24,netns={namespace}", f"memif:{self.socket}")
        self.ping(namespace, "192.168.7.2", 10)


if __name__ == "__main__":
    unittest.main()
