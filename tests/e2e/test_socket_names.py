"""Sockets that have no file: abstract ones, in other network namespaces."""

import unittest

from support import MEMIF, wait_until
from test_bridge import REASON, NamespaceTest, sh

TARGET = "192.168.7.2"
PING = ("--source", "192.168.7.1/24", "-c", "20", "-i", "0.001", "--json", "--wait", "15s", TARGET)


@unittest.skipIf(REASON, REASON)
class SocketInNamespace(NamespaceTest):
    def setUp(self):
        super().setUp()
        self.inside = self.namespace("s")
        self.here = f"abstract:{self.tag}"
        self.by_path = f"{self.here},netns_name=/run/netns/{self.inside}"

    def respond_inside(self):
        responder = self.memif("respond", TARGET, role="server", socket=self.by_path)

        def named():
            self.assertTrue(responder.running(), str(responder))
            return f"@{self.tag}\n" in sh("ip", "netns", "exec", self.inside, "cat", "/proc/net/unix").stdout

        wait_until(named, f"{self.by_path} of {responder}")

    def test_a_namespace_by_its_path(self):
        self.respond_inside()
        for socket in (self.by_path, f"{self.here},netns_name={self.inside}", f"@{self.tag},netns_name={self.inside}"):
            self.assert_all_answered(self.memif("ping", *PING, socket=socket), 20)
        self.assert_no_peer(self.start(MEMIF, "info", "--socket", self.here), "nobody listens there")

    def test_it_is_the_one_that_those_inside_know(self):
        self.respond_inside()
        ping = self.start("ip", "netns", "exec", self.inside, MEMIF, "ping", "--socket", self.here, "--role", "client", *PING)
        self.assert_all_answered(ping, 20)

    def test_in_the_one_word_of_a_port(self):
        ports = [f"memif:{self.by_path},role={role},id=3" for role in ("server", "client")]
        report = self.report(self.start(MEMIF, "perf", "--port", ports[0], "--port", ports[1], "--time", "300ms", "--json"))
        self.assertGreater(report["received"], 0)


if __name__ == "__main__":
    unittest.main()
