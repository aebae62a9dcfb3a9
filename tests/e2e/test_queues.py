"""Queues that are not as many one way as the other, and servers that take as many as their client brings."""

import json
import os
import unittest
from pathlib import Path

from support import MEMIF, E2ETest, wait_until
from test_replay import udp_frame, write_pcap

PING = ("--source", "192.168.7.1/24", "-c", "20", "-i", "0.005", "--json")
TARGET = "192.168.7.2"
UNEVEN = ("--rx-queues", "1", "--tx-queues", "3")  # as OVS-DPDK has them, and one more


class QueuesTest(E2ETest):
    def uneven_replay(self, *arguments, count=300):
        """A client that sends `count` packets on three queues in turn, and has one to receive from."""
        capture = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(count)])
        return self.memif("replay", "--topspeed", *UNEVEN, "--wait", "20s", *arguments, "--json", capture)

    def assert_spread(self, replay, count=300):
        report = self.report(replay)
        self.assertEqual((report["sent"], len(report["sent_by_queue"])), (count, 3))
        self.assertGreater(min(report["sent_by_queue"]), 0)

    def test_dump_takes_all_that_come(self):
        dump = self.listening(self.memif("dump", "-c", "300", "-w", self.dir / "out.pcapng", role="server"))
        self.assert_spread(self.uneven_replay())
        self.assert_exit(dump, 0)

    def test_a_server_with_fewer_says_so_and_the_client_settles(self):
        dump = self.memif("dump", "--rx-queues", "2", "-c", "300", "-w", self.dir / "out.pcapng", role="server")
        self.listening(dump)
        replay = self.uneven_replay()
        self.assertEqual(len(self.report(replay)["sent_by_queue"]), 2)
        self.assertIn("takes 2 of our 3 queues", replay.stderr)
        self.assert_exit(dump, 0)

    def test_respond_answers_on_the_queue_there_is(self):
        responder = self.respond("--reflect", "--count", "300", role="server")
        self.assert_spread(self.uneven_replay())
        self.assert_exit(responder, 0)
        self.assertIn("300 packets received, 300 reflected", responder.stdout)

    def test_perf_receives_all(self):
        perf = self.listening(
            self.memif("perf", "--receive", "--time", "2s", "-i", "0", "--json", role="server")
        )
        self.assert_spread(self.uneven_replay())
        report = self.report(perf)
        self.assertEqual(report["received"], 300)

    def test_perf_reflects_all_on_the_queue_there_is(self):
        self.listening(self.memif("perf", "--reflect", "--time", "10s", "-i", "0", role="server"))
        report = self.report(
            self.memif("perf", *UNEVEN, "--rate", "3kpps", "--time", "500ms", "-i", "0", "--size", "64", "--json")
        )
        self.assertEqual(report["lost"], 0, report)

    def test_ping_and_respond(self):
        self.respond(TARGET, role="server")
        self.assert_all_answered(self.memif("ping", *PING, *UNEVEN, TARGET), 20)

    def test_bridge_takes_all_that_come(self):
        out = self.dir / "out.pcapng"
        bridge = self.start(MEMIF, "bridge", f"memif:{self.socket},role=server", f"pcap:out={out}")
        self.listening(bridge)
        self.assert_spread(self.uneven_replay())
        wait_until(lambda: out.exists() and out.stat().st_size > 300 * 60, "the packets")
        self.assertEqual(bridge.terminate(), 0)

    def test_queues_in_a_word(self):
        dump = self.listening(self.memif("dump", "-c", "300", "-w", self.dir / "out.pcapng", role="server"))
        capture = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(300)])
        replay = self.start(
            MEMIF, "replay", "--topspeed", "--json", "--port", f"memif:{self.socket},rx-queues=1,tx-queues=3", capture
        )
        self.assert_spread(replay)
        self.assert_exit(dump, 0)

    def test_a_server_shows_only_queues_that_were_used(self):
        os.environ["MEMIF_PUBLISH"] = "1"
        self.addCleanup(os.environ.pop, "MEMIF_PUBLISH")
        server = self.respond(TARGET, role="server")
        client = self.memif("ping", "--source", "192.168.7.1/24", "-c", "100000", "-i", "0.005", *UNEVEN, TARGET)
        client.wait_for_output("seq=1 ")
        info = self.start(MEMIF, "info", "--pid", server.pid, "--json")
        self.assert_exit(info, 0)
        seen = json.loads(info.stdout)["interfaces"][0]
        self.assertEqual((len(seen["rx"]), len(seen["tx"])), (3, 1))


class IdleTest(E2ETest):
    def test_queues_without_a_ring_cost_next_to_nothing(self):
        """A server that waits for a client does not look at 256 queues all the time, nor has it buffers for them."""
        server = self.respond(TARGET, role="server")
        status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
        resident = int(status.split("VmRSS:")[1].split()[0])
        self.assertLess(resident, 64 * 1024)  # KiB


if __name__ == "__main__":
    unittest.main()
