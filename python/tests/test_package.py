"""The wheel that pip builds, without a network."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


class Wheel(unittest.TestCase):
    def test_is_built_and_works(self):
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            (place / "setup.cfg").write_text(f"[build]\nbuild_base={place}/build\n[egg_info]\negg_base={place}\n")
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--no-cache-dir"]
            for command in (
                [*pip, "wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w", directory, SOURCE],
                [*pip, "install", "--no-index", "--no-deps", "--target", place / "site"],
            ):
                if "install" in command:
                    command.append(next(place.glob("memif-*.whl")))
                done = subprocess.run(command, env=environment | {"DIST_EXTRA_CONFIG": str(place / "setup.cfg")},
                                      capture_output=True, text=True, timeout=200, check=False)  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            program = "import memif; a, b = memif.pair(); print(memif.__file__, a.tx[0].send([b'x'])); a.close(); b.close()"
            done = subprocess.run([sys.executable, "-c", program], env=environment | {"PYTHONPATH": str(place / "site")},
                                  capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
            self.assertEqual(done.stdout, f"{place}/site/memif/__init__.py 1\n")
            installed = {path.name for path in (place / "site/memif").iterdir()}
            self.assertLess({"py.typed", "__init__.pyi", "_memif.pyi", "aio.py", "scapy.py", "pytest_plugin.py"}, installed)


if __name__ == "__main__":
    unittest.main()
