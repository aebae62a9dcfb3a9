"""What the tests of the installed C API share: where things are, and how programs are made from them."""
import os
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["CAPI_SOURCE"])
BUILD = Path(os.environ["CAPI_BUILD"])
PREFIX = Path(os.environ["CAPI_PREFIX"])
WORK = Path(os.environ["CAPI_WORK"])
LIBDIR = os.environ["CAPI_LIBDIR"]
SANITIZE = os.environ.get("CAPI_SANITIZE", "")
PROGRAMS = SOURCE / "tests" / "capi" / "c"
CC = [os.environ.get("CC", "cc")]
CXX = [os.environ.get("CXX", "c++")]
# A sanitized C++ library needs its checkers' C++ part from the program, also where that is in C.
SANITIZER_FLAGS = [f"-fsanitize={SANITIZE}", "-fsanitize-link-c++-runtime"] if SANITIZE else []
SANITIZER_LIBRARIES = ["-lstdc++", "-lm"] if SANITIZE else []
# Packages, and ten times the number of each.
GENERATIONS = {"libmemif2": 20, "libmemif21": 21, "libmemif3": 30, "libmemif": 40}
STRICT = ["-Wall", "-Wextra", "-Werror", "-g", "-O1"]


def run(*command, timeout=400, **options):
    """Runs a command to its end; its output, or a failure that shows it."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def pkg_config(*arguments, prefix=PREFIX):
    environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / LIBDIR / "pkgconfig"))
    return shlex.split(run("pkg-config", *arguments, env=environment))


def library_path(prefix=PREFIX):
    return str(prefix / LIBDIR)


def program_environment(prefix=PREFIX, **more):
    return dict(os.environ, LD_LIBRARY_PATH=library_path(prefix), **more)


class Installed(unittest.TestCase):
    """A test with a scratch directory and compilers that see only the installed tree."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="capi-")
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def compile(self, sources, package, *flags, output="program", language="c", prefix=PREFIX):
        target = self.scratch / output
        compiler = [*CC, "-std=c99"] if language == "c" else [*CXX, "-std=c++20"]
        if not isinstance(sources, list):
            sources = [sources]
        run(*compiler, *STRICT, *SANITIZER_FLAGS, *pkg_config("--cflags", package, prefix=prefix), *sources, "-o", target,
            *flags, *pkg_config("--libs", package, prefix=prefix), "-lpthread", *SANITIZER_LIBRARIES)
        return target

    def run_program(self, program, *arguments, prefix=PREFIX, **options):
        return run(program, *arguments, env=program_environment(prefix), cwd=self.scratch, **options)

    def run_in_every_generation(self, source):
        for package, generation in GENERATIONS.items():
            with self.subTest(package):
                self.run_program(self.compile(PROGRAMS / source, package, f"-DGENERATION={generation}"))
