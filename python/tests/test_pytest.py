"""The fixtures, as pytest runs them."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/python-pytest.md"


class Fixtures(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)

    def pytest(self, tests):
        (self.dir / "test_it.py").write_text(textwrap.dedent(tests))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "memif.pytest_plugin", "-p", "no:cacheprovider", "-q", "--strict-markers",
             "--basetemp", self.dir / "temp", self.dir],
            capture_output=True, text=True, timeout=120, cwd=self.dir, check=False,
        )  # fmt: skip

    def test_the_page(self):
        tests = PAGE.read_text().split("```python\n")[1].split("```")[0]
        done = self.pytest(tests)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"[1-9]\d* passed")

    def test_a_failure_shows_peer_and_capture(self):
        done = self.pytest("""
            import sys, memif
            def test_fails(memif_interface, memif_peer, memif_recorder):
                program = "print('the peer speaks', flush=True); import time; time.sleep(60)"
                peer = memif_peer([sys.executable, "-c", program])
                open("pid", "w").write(str(peer.pid))
                server, client = memif_interface(role="server"), memif_interface()
                client.wait_connected(5.0)
                port = memif_recorder(client)
                port.send([b"x" * 60])
                port.receive(timeout=0.5)
        """)
        self.assertEqual(done.returncode, 1, done.stdout)
        for text in ("the peer speaks", "received 0 of 1 packets within 0.5 s", "1 packets: "):
            self.assertIn(text, done.stdout)
        capture = Path(done.stdout.split("1 packets: ")[1].split()[0])
        self.assertEqual(capture.stat().st_size, 24 + 16 + 60)
        with self.assertRaises(ProcessLookupError):
            os.kill(int((self.dir / "pid").read_text()), 0)

    def test_the_marker_and_success_leave_no_capture(self):
        done = self.pytest("""
            import pytest, memif
            @pytest.mark.memif(mode="ip", ring_size=64)
            def test_ip(memif_pair, memif_recorder, memif_socket):
                a, b = memif_pair
                assert (a.mode, a.tx[0].room) == ("ip", 64) and len(memif_socket) < 100
                port, other = memif_recorder(a), memif_recorder(b)
                port.send([b"x" * 20, b"y" * 20])
                assert other.receive(2) == [b"x" * 20, b"y" * 20]
        """)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(list(self.dir.glob("temp/**/*.pcap")), [])


if __name__ == "__main__":
    unittest.main()
