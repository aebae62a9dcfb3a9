"""memif dump --between: two peers talk through it, and tshark sees what they said."""

import unittest

from support import MEMIF, E2ETest
from test_dump_write import capinfos, packets
from test_replay import fields, udp_frame, write_pcap


class BetweenTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.left, self.right = self.dir / "left.sock", self.dir / "right.sock"
        self.capture = self.dir / "passed.pcapng"

    def between(self, *arguments, left="role=server", right="role=client"):
        words = f"memif:{self.left},{left}", f"memif:{self.right},{right}"
        dump = self.start(MEMIF, "dump", "--between", *words, "-w", self.capture, "--json", *arguments)
        return self.listening(dump, self.left)

    def replay(self, source, *arguments, socket, role="client"):
        return self.memif("replay", "--json", "--topspeed", *arguments, source, socket=socket, role=role)

    def test_ping_through_it(self):
        self.respond("192.168.7.2/24", role="server", socket=self.right)
        dump = self.between()
        ping = self.memif(
            "ping", "--source", "192.168.7.1/24", "-c", "20", "-i", "0.01", "--json", "192.168.7.2", socket=self.left
        )
        self.assert_all_answered(ping, 20)
        report = self.report(dump)  # the pinger's end is the end of it
        self.assertEqual(report["ended_by"], "link_down")
        self.assertEqual([side["not_passed_on"] for side in report["interfaces"]], [0, 0])

        self.assertIn("Number of interfaces in file: 2", capinfos(self.capture))
        only_echoes = ("-Y", "icmp")
        got = fields(self.capture, "icmp.type", "icmp.seq", "frame.interface_id", "frame.packet_flags_direction",
                     options=only_echoes)  # fmt: skip
        self.assertEqual(len(got), 40)
        # On a busy machine the next request may come before the last one's reply.
        requests, replies = ([row for row in got if row[0] == kind] for kind in ("8", "0"))
        self.assertEqual([row[1] for row in requests], [row[1] for row in replies])
        self.assertEqual(({row[2] for row in requests}, {row[2] for row in replies}), ({"0"}, {"1"}))
        self.assertEqual({int(row[3], 16) for row in got}, {1})  # inbound

    def test_nothing_is_lost_when_the_other_side_is_slower(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 300) for i in range(1000)])
        got = self.dir / "got.pcapng"
        sink = self.memif("dump", "-c", "20000", "-w", got, socket=self.right, role="server")
        self.listening(sink, self.right)
        # A ring of 16 towards the sink, and one of 1024 from the source: it is full most of the time.
        dump = self.between(right="role=client,ring=16,buffer=256")
        replay = self.replay(source, "--loop", "20", socket=self.left)
        self.assert_exit(sink, 0)
        self.assertEqual(self.report(replay)["sent"], 20_000)
        report = self.report(dump)
        self.assertEqual([side["passed_on"] for side in report["interfaces"]], [20_000, 0])
        self.assertEqual((packets(got), packets(self.capture)), (20_000, 20_000))
        self.assertEqual(fields(got, "udp.srcport")[-1000:], fields(source, "udp.srcport"))

    def test_what_comes_while_the_other_side_is_down_is_dropped_and_counted(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(30)])
        dump = self.between(left="role=server,reconnect", right="role=client,wait=forever")
        self.assertEqual(self.report(self.replay(source, socket=self.left))["sent"], 30)
        self.assertEqual(dump.terminate(), 0, str(dump))
        left = self.report(dump)["interfaces"][0]
        self.assertEqual((left["captured"], left["passed_on"], left["not_passed_on"]), (30, 0, 30))
        self.assertEqual(packets(self.capture), 30)

    def test_peers_may_come_and_go(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(10)])
        sink = self.listening(self.memif("dump", "-q", "--json", socket=self.right, role="server"), self.right)
        dump = self.between(left="role=server,reconnect,wait=forever", right="role=client,reconnect,wait=forever")
        for _ in range(3):
            self.assertEqual(self.report(self.replay(source, socket=self.left))["sent"], 10)
        self.assertEqual(dump.terminate(), 0)
        left = self.report(dump)["interfaces"][0]
        self.assertEqual((left["passed_on"] + left["not_passed_on"], left["received"]), (30, 30))
        self.assertEqual(self.report(sink)["captured"], left["passed_on"])

    def test_a_frame_that_can_never_fit_is_dropped(self):
        frames = [udp_frame(0, 1500), udp_frame(1)]
        source = write_pcap(self.dir / "in.pcap", frames)
        sink = self.listening(self.memif("dump", "-c", "1", "-q", socket=self.right, role="server"), self.right)
        dump = self.between(right="role=client,ring=4,buffer=256")
        self.replay(source, socket=self.left)
        self.assert_exit(sink, 0)
        left = self.report(dump)["interfaces"][0]
        self.assertEqual((left["passed_on"], left["not_passed_on"]), (1, 1))

    def test_wrong_usage(self):
        words = f"memif:{self.left},role=server", f"memif:{self.right},mode=ip"
        for arguments in (words, (words[0], words[0]), words[:1], (*words, "-r", "x.pcap")):
            self.assert_exit(self.start(MEMIF, "dump", "--between", *arguments), 2)


if __name__ == "__main__":
    unittest.main()
