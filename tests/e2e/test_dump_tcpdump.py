"""memif dump's options that tcpdump has, beside tcpdump: what is shown of a packet, and files in turn; and compressed files."""

import gzip
import os
import subprocess
import unittest

from packets import PACKETS
from support import MEMIF, E2ETest, run_on_full_disk, wait_until
from test_dump_write import capinfos, packets
from test_replay import fields, read_capture, udp_frame, write_pcap



class TcpdumpCase(E2ETest):
    def dump(self, *arguments):
        dump = self.start(MEMIF, "dump", *arguments)
        self.assert_exit(dump, 0)
        return dump.stdout

    def tcpdump(self, *arguments):
        command = ["tcpdump", "-nS", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class DumpAsTcpdump(TcpdumpCase):
    def setUp(self):
        super().setUp()
        self.capture = write_pcap(
            self.dir / "in.pcap", [udp_frame(i, 43 + i) for i in range(40)], gap_ns=1_234_567_891
        )

    def test_the_same_bytes(self):
        for option in "-x", "-xx", "-X", "-XX", "-A", "-AA":
            with self.subTest(option):
                self.assertEqual(self.dump("-n", "-r", self.capture, option), self.tcpdump("-r", self.capture, option))

    def test_the_same_times(self):
        for option in "-t", "-tt", "-ttt", "-tttt", "-ttttt":
            with self.subTest(option):
                self.assertEqual(self.dump("-n", "-r", self.capture, option), self.tcpdump("-r", self.capture, option))

    def test_the_same_headers(self):
        """All of the first line, but for what tcpdump says of a checksum and of options there."""
        path = write_pcap(self.dir / "all.pcap", [frame for _, frame in PACKETS])
        ours, theirs = self.dump("-tv", "-r", path), self.tcpdump("-tv", "-r", path)
        headers = [line for line in theirs.splitlines() if line.startswith("IP (tos") and line.endswith(")")]
        self.assertGreater(len(headers), 10)
        for header in headers:
            head = header.split(", bad cksum")[0].split(", options")[0].rstrip(")")
            self.assertIn(head, ours)
        six = [line.split(") ")[0] for line in theirs.splitlines() if line.startswith("IP6 (")]
        self.assertGreater(len(six), 3)
        for head in six:
            self.assertIn(head + ") ", ours)


class DumpRotation(TcpdumpCase):
    def rotated(self, *options):
        """The names that dump and tcpdump give, and the packets in dump's files in their order."""
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 1500) for i in range(3000)])
        for program, name in ([MEMIF, "dump", "-F", "pcap"], "ours"), (["tcpdump", *(("-Z", "root") if os.geteuid() == 0 else ())], "theirs"):
            (self.dir / name).mkdir()
            command = [*program, "-r", source, "-w", self.dir / name / "out.pcap", *options]
            subprocess.run([str(word) for word in command], capture_output=True, check=True)
        return [sorted(path.name for path in (self.dir / name).iterdir()) for name in ("ours", "theirs")]

    def test_by_size(self):
        ours, theirs = self.rotated("-C", "1")
        self.assertEqual(ours, ["out.pcap", "out.pcap1", "out.pcap2", "out.pcap3", "out.pcap4"])
        self.assertEqual(ours, theirs)
        sent = [frame for name in ours for frame in read_capture(self.dir / "ours" / name)]
        self.assertEqual(sent, [udp_frame(i, 1500) for i in range(3000)])

    def test_by_size_in_turn(self):
        ours, theirs = self.rotated("-C", "1", "-W", "3")
        self.assertEqual(ours, ["out.pcap0", "out.pcap1", "out.pcap2"])
        self.assertEqual(ours, theirs)
        last = read_capture(self.dir / "ours" / "out.pcap1")  # the fifth
        self.assertEqual(last[-1], udp_frame(2999, 1500))

    def test_by_time_until_there_are_so_many(self):
        dump = self.listening(self.memif("dump", "-G", "1", "-W", "2", "-w", self.dir / "out-%Y%s.pcapng", role="server"))
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        self.memif("replay", "--pps", "100", "--loop", "100000", source)
        self.assert_exit(dump, 0)
        files = list(self.dir.glob("out-2*.pcapng"))
        self.assertEqual(len(files), 2)
        for file in files:
            self.assertGreater(packets(file), 0)

    def test_a_command_for_each_file(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 1500) for i in range(1500)])
        self.dump("-r", source, "-C", "1", "-w", self.dir / "out.pcapng", "-z", "gzip")
        wait_until(lambda: len(list(self.dir.glob("out*.gz"))) == 3 and not list(self.dir.glob("out.pcapng*[!z]")), "gzip")
        whole = gzip.decompress((self.dir / "out.pcapng.gz").read_bytes())
        (self.dir / "again.pcapng").write_bytes(whole)
        self.assertEqual(read_capture(self.dir / "again.pcapng")[0], udp_frame(0, 1500))

    def test_options_that_contradict_each_other(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        for wrong, word in (
            (("-W", "2"), "-C or -G"), (("-z", "gzip"), "-C or -G"), (("-C", "1"), "-w"), (("-G", "1", "-w", "x"), "%H"),
            (("-C", "1", "-w", "x", "-b", "filesize:1"), "-b"), (("-F", "pcap"), "-w"), (("--compress", "lzma"), "none of"),
        ):  # fmt: skip
            dump = self.start(MEMIF, "dump", "-r", source, *wrong)
            self.assert_exit(dump, 2)
            self.assertIn(word, dump.stderr)


class DumpFormats(TcpdumpCase):
    def setUp(self):
        super().setUp()
        self.sent = [udp_frame(i, 60 + i % 1000) for i in range(3000)]
        self.source = write_pcap(self.dir / "in.pcap", self.sent, gap_ns=1_000_007)

    def test_pcap_has_all_and_nanoseconds(self):
        out = self.dir / "out.pcap"
        self.dump("-r", self.source, "-F", "pcap", "-w", out)
        self.assertEqual(out.read_bytes()[24:], self.source.read_bytes()[24:])

    def test_pcap_of_a_snapshot(self):
        out = self.dir / "out.pcap"
        self.dump("-r", self.source, "-F", "pcap", "-s", "70", "-c", "500", "-w", out)
        self.assertIn("70", capinfos(out, "-l"))
        self.assertEqual(fields(out, "frame.cap_len", "frame.len")[499], ("70", "559"))

    def test_compressed_files_are_read_by_us_and_others(self):
        for name in "out.pcapng.gz", "out.pcapng.zst", "out.pcap.gz":
            with self.subTest(name):
                out, back = self.dir / name, self.dir / "back.pcapng"
                self.dump("-r", self.source, "-w", out, *(("-F", "pcap") if ".pcap." in name else ()))
                self.assertLess(out.stat().st_size, self.source.stat().st_size / 3)
                self.assertEqual(len(fields(out, "frame.len")), 3000)
                self.dump("-r", out, "-w", back)
                self.assertEqual(read_capture(back), self.sent)

    def test_compressed_through_pipes(self):
        for kind in "gzip", "zstd":
            command = f"{MEMIF} dump -r {self.source} -w - --compress {kind} | {MEMIF} dump -r - -w - | tcpdump -r - 2>/dev/null"
            lines = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.splitlines()
            self.assertEqual(len(lines), 3000)

    def test_a_compressed_file_in_the_making_can_be_read(self):
        out = self.dir / "out.pcapng.gz"
        dump = self.listening(self.memif("dump", "-w", out, role="server"))
        self.memif("replay", "--pps", "1000", self.source)
        wait_until(lambda: out.stat().st_size > 2000, "packets in the file")
        dump.kill()
        self.assertGreater(len(read_gzip(out)), 0)

    def test_truncated_and_damaged_ones_are_refused_in_words(self):
        out = self.dir / "out.pcapng.zst"
        self.dump("-r", self.source, "-w", out)
        whole = out.read_bytes()
        for name, data, word in (("cut", whole[:-100], "truncated"), ("bad", whole[:1000] + b"\xff" * 50 + whole[1050:], "cannot read")):
            (self.dir / name).write_bytes(data)
            dump = self.start(MEMIF, "dump", "-q", "-r", self.dir / name)
            self.assert_exit(dump, 1)
            self.assertIn(word, dump.stderr)

    def test_a_full_disk_leaves_whole_pieces(self):
        out = self.dir / "out.pcapng.gz"
        noise = write_pcap(self.dir / "noise.pcap", [udp_frame(i * 7919, 1000 + i % 400) for i in range(60000)])
        result = run_on_full_disk(300_000, "dump", "-r", noise, "-w", out)
        self.assertEqual(result.returncode, 1, result)
        self.assertGreater(len(read_gzip(out)), 0)


def read_gzip(path):
    """All that gzip makes of a file, which must be whole."""
    return subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True).stdout


if __name__ == "__main__":
    unittest.main()
