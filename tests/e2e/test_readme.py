"""The commands of README.md, as they are there."""

import os
import re
import subprocess
import unittest
from pathlib import Path

from support import DOCUMENTS, MEMIF, E2ETest
from test_bridge import REASON


class ReadmeTest(E2ETest):
    @unittest.skipIf(REASON, REASON)
    def test_the_commands_work_one_after_the_other(self):
        readme = (DOCUMENTS.parent / "README.md").read_text(encoding="utf-8")
        commands = re.search(r"## On the command line\n.*?```sh\n(.*?)```", readme, re.DOTALL)[1]
        self.assertEqual({line.split()[1] for line in commands.splitlines() if line.startswith("memif ")},
                         {"respond", "ping", "dump", "info", "replay", "bridge", "top", "metrics", "perf"})
        commands = commands.replace("sleep 1;", "until ip -4 addr show memif0 | grep -q 192; do sleep 0.1; done;")
        commands = commands.replace("/tmp/", f"{self.dir}/").replace("memif:@a", f"memif:@{self.dir.name}")
        commands = commands.replace("-c 5", "-c 5 -i 0.2").replace("--time 5s", "--time 1s")
        # With job control, as the reader's shell has it.
        script = "set -e -m\nip link set lo up\n" + commands + "wait\n"
        path = f"{Path(MEMIF).resolve().parent}:{os.environ['PATH']}"
        run = self.start("unshare", "-npf", "--kill-child", "--mount-proc", "env", f"PATH={path}", "bash", "-c",
                         f"cd {self.dir}\n{script}")  # fmt: skip
        self.assertEqual(run.wait(50), 0, str(run))
        for words in ("5 sent, 5 received", "5 received, 0% packet loss", "RX/s", "memif_rx_packets_total"):
            self.assertIn(words, run.stdout)
        shown = subprocess.run(["tshark", "-r", self.dir / "out.pcapng", "-Y", "icmp"], capture_output=True, text=True,
                               check=True).stdout.splitlines()  # fmt: skip
        self.assertEqual(len(shown), 10)


if __name__ == "__main__":
    unittest.main()
