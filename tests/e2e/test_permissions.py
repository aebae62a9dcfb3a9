"""What users are told who may not: the commands as another user, without capabilities."""

import os
import shutil
import unittest

from support import MEMIF, E2ETest
from test_replay import udp_frame, write_pcap

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PING = ("--source", "192.168.7.1/24", "192.168.7.2")


@unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
class PermissionTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.dir.chmod(0o755)
        shutil.copy(MEMIF, self.dir / "memif-copy")  # where others may run it

    def nobody(self, *arguments):
        return self.start(*NOBODY, self.dir / "memif-copy", *arguments)

    def refused(self, code, words, *arguments):
        process = self.nobody(*arguments)
        self.assert_exit(process, code)
        for word in words:
            self.assertIn(word, process.stderr, str(process))

    def closed(self):
        """A directory that only root may look into."""
        path = self.dir / "closed"
        path.mkdir(mode=0o700)
        return path

    def clients(self, path):
        """Each command that connects, to the socket `path`."""
        port, word = ("--socket", path, "--wait", "200ms"), f"memif:{path},wait=200ms"
        capture = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        return (
            ("ping", *port, *PING), ("respond", *port, "192.168.7.1/24"), ("dump", *port), ("info", *port),
            ("info", *port, "--connect"), ("replay", *port, capture), ("perf", *port),
            ("bridge", word, f"memif:@{self.dir.name},role=server"),
            ("dump", "--between", word, f"memif:@{self.dir.name},role=server"),
        )  # fmt: skip

    def test_a_socket_of_another_user(self):
        self.respond("192.168.7.2/24", role="server")
        self.socket.chmod(0o755)
        for client in self.clients(self.socket):
            self.refused(3, (f"cannot connect to {self.socket}: permission denied", "write permission"), *client)

    def test_a_directory_that_may_not_be_searched(self):
        path = self.closed() / "memif.sock"
        for client in self.clients(path):
            self.refused(3, (f"cannot connect to {path}: permission denied", "search permission"), *client)

    def test_a_directory_that_may_not_be_written(self):
        where = f"no permission to create a file in {self.dir}"
        for arguments in (("ping", *PING), ("respond", "192.168.7.2/24"), ("dump",), ("perf",)):
            command, *rest = arguments
            self.refused(1, (f"cannot listen on {self.socket}", where), command, "--socket", self.socket, "--role",
                         "server", *rest)  # fmt: skip
        self.refused(1, (where,), "bridge", f"memif:{self.socket},role=server", "tap:nobody0")

    def test_whoever_waits_for_long_is_told_why(self):
        path = self.closed() / "memif.sock"
        for arguments in (
            ("ping", "--socket", path, "--wait", "forever", *PING),
            ("respond", "--socket", path, "192.168.7.1/24"),
            ("dump", "--socket", path, "--wait", "forever"),
            ("bridge", f"memif:{path}", f"memif:@{self.dir.name},role=server"),
        ):
            process = self.nobody(*arguments)
            process.wait_for_output(f"cannot connect to {path}: permission denied")
            self.assertIn("still waiting", process.stderr)
            self.assertEqual(process.terminate(), 0, str(process))

    def test_files(self):
        secret = self.dir / "in.pcap"
        secret.write_bytes(b"")
        secret.chmod(0o600)
        self.refused(1, (str(secret), "Permission denied"), "dump", "-r", secret)
        self.refused(1, (str(secret), "Permission denied"), "replay", "--socket", self.socket, secret)
        self.refused(2, (str(secret), "Permission denied"), "ping", "--secret-file", secret, *PING)
        out = self.dir / "out"
        self.refused(1, (str(out), "Permission denied"), "dump", "--socket", self.socket, "-w", out)
        self.refused(1, (str(out), "Permission denied"), "metrics", "--once", "--file", out)
        self.refused(1, (str(out), "Permission denied"), "bridge", f"pcap:out={out}", f"memif:@{self.dir.name}")

    def test_no_capabilities(self):
        self.refused(1, ("nobody0", "CAP_NET_ADMIN"), "bridge", "tap:nobody0", f"memif:@{self.dir.name}")
        self.refused(1, ("lo queue 0", "CAP_NET_ADMIN"), "bridge", "xdp:lo", f"memif:@{self.dir.name}")
        self.refused(1, ("127.0.0.1:80", "Permission denied"), "metrics", "--listen", "127.0.0.1:80")


if __name__ == "__main__":
    unittest.main()
