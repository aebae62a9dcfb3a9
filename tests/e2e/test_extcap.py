"""memif-extcap: memif as an interface of Wireshark, by Debian's tshark and by hand."""

import os
import shutil
import unittest
from pathlib import Path

from support import E2ETest, wait_until
from test_dump_write import packets
from test_replay import fields, udp_frame, write_pcap

EXTCAP = Path(os.environ.get("MEMIF_EXTCAP", "memif-extcap"))


class TsharkTest(E2ETest):
    """tshark looks for such programs where it is told only if it does not run as root, so it runs as nobody. An abstract
    socket is for all users."""

    def setUp(self):
        super().setUp()
        self.socket = f"@{self.dir.name}"
        self.dir.chmod(0o777)
        self.programs = self.dir / "extcap"
        self.programs.mkdir(0o755)
        shutil.copy(EXTCAP, self.programs)

    def endless(self):
        """A server that sends a hundred frames over and over; it ends when its peer does."""
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(100)])
        return self.memif("replay", "--wait", "20s", "--pps", "2000", "--loop", "0", source, role="server")

    def tshark(self, *arguments):
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups") if os.geteuid() == 0 else ()
        places = f"WIRESHARK_EXTCAP_DIR={self.programs}", f"HOME={self.dir}", f"XDG_CONFIG_HOME={self.dir}"
        return self.start(*nobody, "env", *places, "tshark", "-n", *arguments)

    def capture(self, *arguments):
        return self.tshark("-i", "memif", "-o", f"extcap.memif.socket:{self.socket}", *arguments)

    def test_lists_the_interface(self):
        tshark = self.tshark("-D")
        self.assert_exit(tshark, 0)
        self.assertRegex(tshark.stdout, r"(?m)^\d+\. memif \(memif: packets of VPP")

    def test_lists_the_link_types(self):
        tshark = self.tshark("-i", "memif", "-L")
        self.assert_exit(tshark, 0)
        self.assertIn("EN10MB (Ethernet (mode ethernet))", tshark.stdout + tshark.stderr)

    def test_captures(self):
        capture = self.dir / "out.pcapng"
        replay = self.endless()
        tshark = self.capture("-c", "150", "-w", capture)
        self.assert_exit(tshark, 0)
        self.assertEqual(packets(capture), 150)
        ports = [int(port) for (port,) in fields(capture, "udp.srcport")]
        start = ports[0] - 1024
        self.assertEqual(ports, [1024 + (start + i) % 100 for i in range(150)])
        # The program that captured for tshark has ended with it.
        self.assert_exit(replay, 1)
        self.assertIn("is down", replay.stderr)

    def test_capture_filter(self):
        capture = self.dir / "out.pcapng"
        self.endless()
        tshark = self.capture("-f", "udp src port 1031", "-c", "3", "-w", capture)
        self.assert_exit(tshark, 0)
        self.assertEqual(fields(capture, "udp.srcport"), [("1031",)] * 3)

    def test_options_reach_the_port(self):
        self.memif("respond", "--secret", "sesame", "192.168.7.2/24", role="server", id=5)
        secret = self.dir / "secret"
        secret.write_text("sesame", encoding="ascii")
        secret.chmod(0o644)
        options = [f"extcap.memif.{option}" for option in ("id:5", f"secretfile:{secret}", "role:client")]
        # Nothing comes from a responder that is asked nothing; that the capture runs shows that it was let in.
        tshark = self.capture(*(word for option in options for word in ("-o", option)), "-a", "duration:2", "-q")
        self.assert_exit(tshark, 0)
        self.assertNotIn("Error by extcap", tshark.stderr)


class ExtcapTest(E2ETest):
    def extcap(self, *arguments):
        return self.start(EXTCAP, *arguments)

    def answer(self, *arguments):
        process = self.extcap(*arguments)
        self.assert_exit(process, 0)
        return process.stdout.splitlines()

    def test_interfaces(self):
        lines = self.answer("--extcap-interfaces", "--extcap-version=4.0")
        self.assertRegex(lines[0], r"^extcap \{version=[0-9.]+\}")
        self.assertRegex(lines[1], r"^interface \{value=memif\}\{display=.+\}$")

    def test_config_asks_for_all_that_a_port_needs(self):
        lines = self.answer("--extcap-interface", "memif", "--extcap-config")
        calls = [line.split("{call=")[1].split("}")[0] for line in lines if line.startswith("arg ")]
        self.assertEqual(calls[:6], ["--socket", "--id", "--role", "--mode", "--secret", "--secret-file"])

    def test_filters_are_checked(self):
        check = ("--extcap-interface", "memif", "--extcap-capture-filter")
        self.assertEqual(self.answer(*check, "udp port 53"), [])
        self.assertIn("filter 'no filter'", self.answer(*check, "no filter")[0])

    def test_wrong_usage(self):
        for arguments in ((), ("--capture",), ("--extcap-interface", "eth0", "--extcap-dlts"), ("--nonsense",)):
            self.assert_exit(self.extcap(*arguments), 2)

    def start_capture(self, *arguments):
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        process = self.extcap(
            "--capture", "--extcap-interface", "memif", "--fifo", fifo, "--socket", self.socket, *arguments
        )
        reader = os.open(fifo, os.O_RDONLY)
        os.set_blocking(reader, False)
        return process, reader

    def test_sigterm_ends_it_with_a_whole_file(self):
        process, reader = self.start_capture("--role", "server")
        self.addCleanup(os.close, reader)
        self.listening(process)
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(50)])
        self.assertEqual(self.report(self.memif("replay", "--json", "--topspeed", source))["not_sent"], 0)
        self.assertEqual(process.terminate(), 0, str(process))
        self.assertEqual(process.stderr.count("\n"), 1, str(process))
        capture = self.dir / "got.pcapng"
        capture.write_bytes(os.read(reader, 1 << 20))
        self.assertEqual(packets(capture), 50)

    def test_a_closed_fifo_ends_it_though_nothing_comes(self):
        process, reader = self.start_capture("--role", "server")
        self.listening(process)
        os.close(reader)
        self.assert_exit(process, 0)

    def test_sigterm_before_anyone_reads(self):
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        process = self.extcap("--capture", "--extcap-interface", "memif", "--fifo", fifo, "--socket", self.socket)
        signals = Path(f"/proc/{process.pid}/status")
        # Bit 14 of the caught signals is SIGTERM: then it waits for a reader.
        wait_until(
            lambda: int(signals.read_text().split("SigCgt:")[1].split()[0], 16) >> 14 & 1, "a handler for SIGTERM"
        )
        self.assertEqual(process.terminate(), 0, str(process))

    def test_no_such_fifo(self):
        process = self.extcap("--capture", "--extcap-interface", "memif", "--fifo", self.dir / "none")
        self.assert_exit(process, 1)
        self.assertIn("No such file or directory", process.stderr)

    def test_no_peer(self):
        process, reader = self.start_capture("--wait", "200ms")
        self.addCleanup(os.close, reader)
        self.assert_no_peer(process, str(self.socket).lower())


if __name__ == "__main__":
    unittest.main()
