"""Programs of the C API that are observed from outside."""
import json
import os
import signal
import subprocess
import time

from support import PREFIX, SOURCE, Installed, program_environment

EXAMPLES = SOURCE / "examples" / "c"
MEMIF = PREFIX / "bin" / "memif"


class Publish(Installed):
    def observe(self, **environment):
        """How `memif info --pid` ends, and its output, of the responder of generation 2."""
        program = self.compile([EXAMPLES / "responder.c", EXAMPLES / "burst.c", EXAMPLES / "icmp.c"], "libmemif2",
                               "-std=gnu11")
        responder = subprocess.Popen([program, self.scratch / "p.sock", "192.168.7.2"], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, env=program_environment(**environment))
        try:
            deadline = time.monotonic() + 20
            while True:
                info = subprocess.run([MEMIF, "info", "--json", "--pid", str(responder.pid)], capture_output=True,
                                      text=True, env=dict(os.environ), timeout=60, check=False)
                if info.returncode == 0 or time.monotonic() > deadline or "MEMIF_PUBLISH" not in environment:
                    return info
                time.sleep(0.05)
        finally:
            responder.send_signal(signal.SIGINT)
            responder.wait(20)

    def test_a_program_publishes_when_its_environment_says_so(self):
        info = self.observe(MEMIF_PUBLISH="1")
        self.assertEqual(info.returncode, 0, info.stderr)
        (interface,) = json.loads(info.stdout)["interfaces"]
        self.assertEqual(interface["socket"], str(self.scratch / "p.sock"))
        self.assertFalse(interface["connected"])

    def test_a_program_publishes_nothing_unasked(self):
        info = self.observe()
        self.assertEqual(info.returncode, 3, info.stdout)
        self.assertIn("publishes no interface", info.stderr)
