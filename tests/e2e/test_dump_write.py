"""memif dump from interfaces: files and their ring, several ports, JSON, and ends that lose nothing. The captures are read
by capinfos, tshark and tcpdump."""

import json
import subprocess
import unittest

from support import MEMIF, E2ETest, wait_until
from test_replay import fields, udp_frame, write_pcap


def capinfos(capture, *options, check=True):
    return subprocess.run(["capinfos", *options, str(capture)], capture_output=True, text=True, check=check).stdout


def packets(capture):
    """The number of packets of a file that capinfos finds whole."""
    return int(capinfos(capture, "-M", "-c").split(":")[-1])


class DumpCase(E2ETest):
    def capture_port(self):
        return "--socket", self.socket, "--role", "server"

    def dump(self, *arguments, sockets=()):
        """A dump that listens."""
        process = self.start(MEMIF, "dump", *(self.capture_port() if not sockets else ()), *arguments)
        for socket in sockets or (self.socket,):
            self.listening(process, socket)
        return process

    def source(self, count, size=64):
        return write_pcap(self.dir / "in.pcap", [udp_frame(i, size) for i in range(count)])

    def send(self, source, *arguments, **port):
        """Replays to the dump; returns when all of it was taken."""
        self.assertEqual(self.report(self.memif("replay", "--json", "--topspeed", *arguments, source, **port))["not_sent"], 0)

    def files(self, pattern="*.pcapng"):
        return sorted(self.dir.glob(pattern))


class DumpWriteTest(DumpCase):
    def test_nothing_is_lost_at_a_signal(self):
        capture = self.dir / "out.pcapng"
        dump = self.dump("-w", capture)
        self.send(self.source(1000), "--loop", "20")
        self.assertEqual(dump.terminate(), 0, str(dump))
        self.assertEqual(packets(capture), 20_000)
        self.assertIn("20000 packets captured, 0 dropped", dump.stderr)

    def test_snapshot_length(self):
        capture = self.dir / "out.pcapng"
        dump = self.dump("-s", "60", "-c", "5", "-w", capture, "udp port 9")
        self.send(self.source(5, 1000))
        self.assert_exit(dump, 0)
        self.assertEqual(fields(capture, "frame.cap_len", "frame.len"), [("60", "1000")] * 5)

    def test_two_ports_are_two_interfaces(self):
        capture, other = self.dir / "out.pcapng", self.dir / "other.sock"
        words = [f"memif:{self.socket},role=server", f"memif:{other},role=server,id=7"]
        dump = self.dump("-w", capture, "--port", words[0], "--port", words[1], sockets=(self.socket, other))
        self.send(self.source(3))
        self.send(self.source(5), socket=other, id=7)
        # Both ports have had their peers, so that nothing is left to wait for.
        self.assert_exit(dump, 0)
        names = [f"{self.socket} id 0", f"{other} id 7"]
        got = fields(capture, "frame.interface_name")
        self.assertEqual(got, [(names[0],)] * 3 + [(names[1],)] * 5)
        self.assertIn("Number of interfaces in file: 2", capinfos(capture))

    def test_standard_output(self):
        dump = self.dump("-c", "4", "-w", "-")
        self.send(self.source(4))
        self.assert_exit(dump, 0)
        capture = self.dir / "copy.pcapng"
        capture.write_bytes(dump.collected("stdout"))
        self.assertEqual(packets(capture), 4)

    def test_json_lines_and_summary(self):
        dump = self.dump("--json", "-x", "-c", "2")
        self.send(self.source(2))
        self.assert_exit(dump, 0)
        lines = [json.loads(line) for line in dump.stdout.splitlines()]
        self.assertEqual([line["schema"] for line in lines], ["memif-dump-packet/1"] * 2 + ["memif-dump/1"])
        self.assertEqual(bytes.fromhex(lines[1]["bytes"]), udp_frame(1))
        self.assertIn("10.0.0.1.1025 > 10.0.0.2.9: UDP", lines[1]["description"])
        self.assertEqual((lines[2]["captured"], lines[2]["ended_by"]), (2, "packets"))
        self.assertEqual(lines[2]["interfaces"][0]["name"], f"{self.socket} id 0")

    def test_statistics_block(self):
        capture = self.dir / "out.pcapng"
        dump = self.dump("-w", capture, "udp src port 1025")
        self.send(self.source(10))
        self.assertEqual(dump.terminate(), 0)
        self.assertIn("Number of stat entries = 1", capinfos(capture))
        self.assertIn("10 received by the filter, 1 packets captured", dump.stderr)


class DumpRingTest(DumpCase):
    def test_files_are_named_as_dumpcap_names_them(self):
        dump = self.dump("-w", self.dir / "out.pcapng", "-b", "packets:40", "-a", "packets:100")
        self.send(self.source(100))
        self.assert_exit(dump, 0)
        files = self.files()
        self.assertEqual([packets(file) for file in files], [40, 40, 20])
        for number, file in enumerate(files, 1):
            self.assertRegex(file.name, rf"^out_{number:05}_20\d{{12}}\.pcapng$")

    def test_only_the_last_files_are_kept(self):
        dump = self.dump("-w", self.dir / "out.pcapng", "-b", "filesize:4KiB", "-b", "files:2", "--json")
        self.send(self.source(1000))
        dump.terminate()
        report = self.report(dump)
        self.assertEqual([str(file) for file in self.files()], report["files"])
        self.assertEqual(len(report["files"]), 2)
        self.assertEqual(fields(self.files()[-1], "udp.srcport")[-1], (str(1024 + 999),))

    def test_autostop_after_files(self):
        dump = self.dump("-w", self.dir / "out.pcapng", "-b", "packets:10", "-a", "files:3", "--json")
        self.memif("replay", "--topspeed", self.source(100))
        report = self.report(dump)
        self.assertEqual((report["captured"], report["ended_by"]), (30, "files"))
        self.assertEqual([packets(file) for file in self.files()], [10, 10, 10])

    def test_a_file_whose_time_is_over_is_complete_while_the_capture_goes_on(self):
        dump = self.dump("-w", self.dir / "out.pcapng", "-b", "duration:200ms")
        self.send(self.source(10))

        def complete():
            return [file for file in self.files() if "Number of stat entries = 1" in capinfos(file, check=False)]

        # On a busy machine the first file's time may be over before the first packet comes.
        wait_until(lambda: sum(map(packets, complete())) == 10, "files that are complete with all ten packets")
        self.assertTrue(dump.running() or dump.wait() == 0)

    def test_autostop_by_size(self):
        dump = self.dump("-w", self.dir / "out.pcapng", "-a", "filesize:10kB", "--json")
        self.memif("replay", "--topspeed", self.source(1000))
        report = self.report(dump)
        self.assertEqual(report["ended_by"], "filesize")
        self.assertLess(report["file_bytes"], 11_000)

    def test_autostop_by_time(self):
        self.listening(self.memif("replay", "--pps", "100", "--loop", "0", self.source(10), role="server"))
        dump = self.memif("dump", "-q", "--json", "-a", "duration:300ms")
        self.assertEqual(self.report(dump)["ended_by"], "duration")

    def test_wrong_conditions_are_wrong_usage(self):
        out = str(self.dir / "out.pcapng")
        for arguments in (
            ("-b", "packets:5"), ("-w", out, "-b", "files:5"), ("-w", "-", "-b", "packets:5"), ("-a", "filesize:5"),
            ("-w", out, "-a", "files:2"), ("-a", "size:5"), ("-w", "-", "--json"),
        ):  # fmt: skip
            self.assert_exit(self.memif("dump", *arguments, role="server"), 2)
        self.assertEqual(self.files(), [])


class DumpFailureTest(DumpCase):
    def test_full_disk(self):
        dump = self.memif("dump", "-w", "/dev/full", role="server")
        self.assert_exit(dump, 1)
        self.assertIn("cannot write to /dev/full: No space left on device", dump.stderr)

    def test_full_disk_leaves_a_readable_file(self):
        capture = self.dir / "out.pcapng"
        command = f'ulimit -f 200; exec {MEMIF} dump --socket {self.socket} --role server -w {capture}'
        dump = self.listening(self.start("bash", "-c", command))
        replay = self.memif("replay", "--topspeed", "--loop", "30", self.source(100, 300))
        self.assert_exit(dump, 1)
        replay.wait()
        self.assertIn("File too large", dump.stderr)
        self.assertGreater(packets(capture), 100)

    def test_no_such_directory(self):
        dump = self.memif("dump", "-w", self.dir / "none" / "out.pcapng", role="server")
        self.assert_exit(dump, 1)
        self.assertIn("No such file or directory", dump.stderr)

    def test_closed_pipe(self):
        command = f"{MEMIF} dump --socket {self.socket} --role server --wait 20s -w - | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        shell = self.start("bash", "-c", command)
        self.assert_exit(shell, 0)
        self.assertEqual(shell.stdout.strip(), "1")
        self.assertIn("Broken pipe", shell.stderr)

    def test_nobody_comes(self):
        capture = self.dir / "out.pcapng"
        self.assert_no_peer(self.memif("dump", "-w", capture, "--wait", "200ms", role="server"), "no peer")

    def test_what_one_port_gave_is_kept_when_nobody_comes_to_the_other(self):
        capture, other = self.dir / "out.pcapng", self.dir / "other.sock"
        words = [f"memif:{self.socket},role=server,reconnect", f"memif:{other},role=server,wait=3s"]
        dump = self.dump("-w", capture, "--port", words[0], "--port", words[1], sockets=(self.socket, other))
        self.send(self.source(7))
        self.assert_no_peer(dump, "other.sock")
        self.assertEqual(packets(capture), 7)

    def test_mode_mismatch(self):
        self.dump("-q", "--mode", "ip")
        self.assert_no_peer(self.memif("dump", "-q", "--wait", "1s"), "mode")


if __name__ == "__main__":
    unittest.main()
