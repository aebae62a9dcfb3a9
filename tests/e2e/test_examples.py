"""Every example in the help texts runs, and does what it is an example of.

A method test_NAME stands for the subcommand NAME and gives its examples what they need: their peer, and their files, in
a directory of the test's own, which is where they run. What differs from the text that a user reads: "memif" is the one
under test, and each address of a socket (/run/..., /tmp/..., @...) is a socket of the test's; --time is cut short. A subcommand without an
example, or without a method here, fails the first test."""

import os
import re
import shlex
import subprocess
import unittest
import unittest.mock

from support import MEMIF, E2ETest, help_text, subcommands, wait_until
from test_bridge import REASON as NO_NAMESPACES
from test_replay import udp_frame, write_pcap

SOCKET = re.compile(r"(?<![\w.])(/run/[\w/.-]+\.sock|/tmp/[\w/.-]+\.sock|@\w+)")


class ExamplesTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.dir)

    def examples(self, name):
        """The command lines, as lists of words."""
        texts = re.findall(r"^Example: (.*)$", help_text(name), re.MULTILINE)
        texts += re.findall(rf"^Example: (memif {name} .*)$", help_text(), re.MULTILINE)
        self.assertTrue(texts, f"the help of {name} has no example")
        for text in texts:
            words = shlex.split(SOCKET.sub(str(self.socket), text))
            self.assertEqual(words[:2], ["memif", name])
            yield [MEMIF, *words[1:]]

    @staticmethod
    def other_role(words):
        """Of the peer of an example."""
        return "client" if "server" in " ".join(words) else "server"

    def test_each_subcommand_has_an_example_and_a_method_here(self):
        for name in subcommands():
            self.assertTrue(list(self.examples(name)))
            self.assertTrue(hasattr(self, f"test_{name}"), f"nothing here runs the examples of {name}")

    def test_respond(self):
        for words in self.examples("respond"):
            ping = self.listening(self.memif("ping", "--source", "192.168.1.1/24", "-c", "3", "-i", "10ms", "--json",
                                             "--wait", "20s", "192.168.1.2", role=self.other_role(words)))  # fmt: skip
            respond = self.start(*words)
            self.assert_all_answered(ping, 3)
            self.assertEqual(respond.terminate(), 0, str(respond))

    def test_ping(self):
        for words in self.examples("ping"):
            respond = self.respond("192.168.1.2/24", role=self.other_role(words))
            if "-c" not in words:
                words += ["-c", "3"]
            ping = self.start(*words)
            self.assert_exit(ping, 0)
            self.assertIn(" 0% lost", ping.stdout)
            self.assertEqual(respond.terminate(), 0, str(respond))

    def test_dump(self):
        dns = write_pcap(self.dir / "dns.pcap", [udp_frame(i)[:36] + b"\0\x35" + udp_frame(i)[38:] for i in range(100)])
        for words in self.examples("dump"):
            replay = self.memif("replay", "--loop", "0", "--pps", "20000", dns, role=self.other_role(words))
            dump = self.start(*words)
            self.assert_exit(dump, 0)
            replay.terminate()
            shown = subprocess.run(["tcpdump", "-nr", "out.pcapng"], capture_output=True, text=True, check=True).stdout
            self.assertEqual(len(shown.splitlines()), int(words[words.index("-c") + 1]))

    def test_info(self):
        for words in self.examples("info"):
            respond = self.respond("192.168.1.2/24", role=self.other_role(words))
            self.assertEqual(self.report(self.start(*words))["schema"], "memif-info/1")
            self.assertEqual(respond.terminate(), 0, str(respond))

    def test_replay(self):
        write_pcap(self.dir / "in.pcapng", [udp_frame(i) for i in range(500)])
        for words in self.examples("replay"):
            peer = self.listening(self.memif("dump", "-q", "-w", "got.pcapng", role=self.other_role(words)))
            replay = self.start(*words)
            self.assert_exit(replay, 0)
            self.assertIn("5000 packets sent", replay.stdout)
            self.assertEqual(peer.wait(), 0, str(peer))

    def test_perf(self):
        for words in self.examples("perf"):
            self.assertEqual(words.count("--port"), 2)  # both ends are in it
            words[words.index("--time") + 1] = "500ms"
            self.assertGreater(self.report(self.start(*words))["received"], 0)

    def test_top(self):
        self.publisher()
        for words in self.examples("top"):
            top = self.start(*words)
            self.assert_exit(top, 0)
            self.assertIn("memif/0", top.stdout)

    def test_metrics(self):
        self.publisher()
        for words in self.examples("metrics"):
            metrics = self.start(*words)
            self.assert_exit(metrics, 0)
            self.assertIn("memif_rx_packets_total{", metrics.stdout)

    def publisher(self):
        """A program that can be observed."""
        with unittest.mock.patch.dict(os.environ, MEMIF_PUBLISH="1"):
            self.respond("192.168.1.2/24", role="server")

    @unittest.skipIf(NO_NAMESPACES, NO_NAMESPACES)
    def test_bridge(self):
        for words in self.examples("bridge"):
            respond = self.respond("10.0.0.2/24", role=self.other_role(words), id=3)
            bridge = self.start("unshare", "-n", *words)  # becomes the bridge, in a namespace of its own
            bridge.wait_for_output("joining")
            inside = ["nsenter", "-t", str(bridge.pid), "-n", "ping", "-c", "1", "-W", "1", "10.0.0.2"]
            wait_until(lambda: subprocess.run(inside, capture_output=True, check=False).returncode == 0, "a ping")
            self.assertEqual(bridge.terminate(), 0, str(bridge))
            self.assertEqual(respond.terminate(), 0, str(respond))


if __name__ == "__main__":
    unittest.main()
