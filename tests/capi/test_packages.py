"""The Debian packages: free of lintian's complaints; they install, work and go away without a trace. Needs root for that,
and skips it where packages of these names are installed already: those are somebody's."""
import os
import subprocess
import unittest

from support import BUILD, CC, CXX, Installed, run

PYTHON = any((BUILD / "python/memif").glob("_memif.*.so"))
NAMES = ("memifpp-libs", "libmemifpp-dev", "memif-tools", "memifpp-doc") + ("python3-memif",) * PYTHON


def installed():
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *NAMES], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return [line.split()[0] for line in shown.splitlines() if "not-installed" not in line]


class PackagesRelease(Installed):
    def build(self):
        run("cpack", "-G", "DEB", "-B", self.scratch / "packages", cwd=BUILD, timeout=300)
        packages = sorted((self.scratch / "packages").glob("*.deb"))
        self.assertEqual(sorted(NAMES), sorted(package.name.split("_")[0] for package in packages))
        symbols = (self.scratch / "packages").glob("*.ddeb")
        wanted = ["memif-tools-dbgsym", "memifpp-libs-dbgsym"] + ["python3-memif-dbgsym"] * PYTHON
        self.assertEqual(wanted, sorted(one.name.split("_")[0] for one in symbols))
        return packages

    def installed_kib(self, package):
        """Of its files. The field Installed-Size has each symbolic link with what it leads to."""
        files = (line.split() for line in run("dpkg-deb", "--contents", package).splitlines() if line.startswith("-"))
        return sum(int(words[2]) for words in files) // 1024

    def test_packages(self):
        packages = self.build()
        for package in packages:
            most = {"memifpp-libs": 4, "libmemifpp-dev": 10}.get(package.name.split("_")[0], 12)  # MiB
            self.assertLess(self.installed_kib(package), most * 1024, package)
        self.assertEqual(run("lintian", "--allow-root", "--fail-on", "error,warning", *packages, timeout=900).strip(), "")
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can install packages")
        if installed():
            raise unittest.SkipTest("packages of these names are installed")
        self.addCleanup(lambda: installed() and run("dpkg", "--purge", *installed()))
        run("dpkg", "--install", *packages)
        self.assertEqual(sorted(installed()), sorted(NAMES))
        self.use()
        strangers = list(self.link_strangers())
        files = [name for package in NAMES for name in run("dpkg", "-L", package).split() if os.path.isfile(name)]
        self.assertGreater(len(files), 20)
        run("dpkg", "--purge", "libmemifpp-dev")
        for program, place in strangers:
            run(program, env=dict(os.environ, LD_LIBRARY_PATH=place))
        run("dpkg", "--purge", *NAMES)
        self.assertEqual(installed(), [])
        self.assertEqual([name for name in files if os.path.exists(name)], [])
        self.assertFalse(os.path.exists("/usr/lib/python3/dist-packages/memif"))

    def link_strangers(self):
        """Programs that were linked elsewhere ask the loader for libmemif.so; and where they find theirs."""
        (self.scratch / "stranger.c").write_text("unsigned short memif_get_version (void) { return 0; }\n")
        run(*CC, "-shared", "-fPIC", self.scratch / "stranger.c", "-o", self.scratch / "libmemif.so")
        libdir = run("pkg-config", "--variable=libdir", "libmemif").strip()
        for package in ("libmemif", "libmemif2", "libmemif21", "libmemif3"):
            program = self.scratch / f"stranger-{package}"
            run(*CC, "-std=c99", *run("pkg-config", "--cflags", package).split(), self.scratch / "main.c", "-o", program,
                f"-L{self.scratch}", "-lmemif")
            yield program, "" if package == "libmemif" else f"{libdir}/{package}"

    def use(self):
        """Nothing but the names that the packages give: no paths."""
        if PYTHON:
            run("/usr/bin/python3", "-c", "import memif\nwith memif.pair() as (a, b): a.tx[0].send([b'x'])", env={"PATH": os.environ["PATH"]})
        self.assertIn("usage", run("memif", "--help").lower())
        self.assertRegex(run("tshark", "-D"), r"(?m)^\d+\. memif \(")
        source = self.scratch / "main.c"
        source.write_text("#include <libmemif.h>\nint main (void) { return memif_get_version () != 0x0200; }\n")
        for package in ("libmemif", "libmemif2", "libmemif21", "libmemif3"):
            flags = run("pkg-config", "--cflags", "--libs", package).split()
            run(*CC, "-std=c99", source, "-o", self.scratch / package, *flags)
            run(self.scratch / package)
        source = self.scratch / "main.cpp"
        source.write_text("#include <memif/memif.hpp>\nint main() { return memif::Context().fd() < 0; }\n")
        run(*CXX, "-std=c++20", source, "-o", self.scratch / "cpp",
            *run("pkg-config", "--cflags", "--libs", "--static", "memifpp").split())
        run(self.scratch / "cpp")
