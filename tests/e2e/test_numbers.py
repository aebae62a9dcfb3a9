"""Options that are whole numbers: decimal, and within their limits."""

import unittest

from support import MEMIF, E2ETest


class Numbers(E2ETest):
    def test_options_that_are_numbers_take_decimal_ones_within_their_limits(self):
        ping = (MEMIF, "ping", "--source", "10.0.0.1/24", "10.0.0.2", "--wait", "10ms")
        perf = (MEMIF, "perf", "--wait", "10ms")
        for command in (
            (*ping, "-c", "-5"),
            (*ping, "-c", "99999999999999999999"),
            (*ping, "-c", "0x10"),
            (MEMIF, "dump", "-c", "-1", "--wait", "10ms"),
            (MEMIF, "respond", "--count", "-1", "--wait", "10ms", "10.0.0.2"),
            (MEMIF, "replay", "--loop", "-1", "file"),
            (MEMIF, "top", "--count", "-1"),
            (MEMIF, "info", "--pid", "99999999999"),
            (*perf, "--burst", "0"),
            (*perf, "--cpus", "0,4096"),
            (*ping, "-W", "0"),
        ):
            with self.subTest(command[1:]):
                process = self.start(*command)
                self.assert_exit(process, 2)
                self.assertRegex(process.stderr, r"(is not a number from \d+ to \d+|none that this may|more than 0)")

    def test_a_leading_zero_does_not_make_a_number_octal(self):
        self.respond("192.168.7.2/24", role="server")
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-i", "1ms", "-c", "010", "--json", "192.168.7.2")
        self.assert_all_answered(ping, 10)


if __name__ == "__main__":
    unittest.main()
