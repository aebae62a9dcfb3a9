"""Programs in other languages against the installed tree: each has the interface from the header or from its documented
layout, joins a master and a slave of its own, and moves a packet each way. What needs a compiler that is not here is
skipped."""
import shutil
import subprocess
import sys
import unittest

from support import CC, LIBDIR, PREFIX, SOURCE, Installed, pkg_config, program_environment, run

PROGRAMS = SOURCE / "tests" / "capi" / "bindings"


class BindingsRelease(Installed):
    """Not sanitized: the checkers want to be in a program from its start."""

    def run_binding(self, *command):
        output = run(*command, env=program_environment(SOCKET=str(self.scratch / "s.sock")),
                     cwd=self.scratch)
        self.assertIn("packets both ways", output)

    def test_python_ctypes(self):
        self.run_binding(sys.executable, PROGRAMS / "with_ctypes.py", PREFIX / LIBDIR / "libmemif.so.4")

    def test_python_cffi_from_the_header(self):
        """The header as a preprocessor leaves it, with system headers cut out, is what cffi's parser takes."""
        if subprocess.run([sys.executable, "-c", "import cffi"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise unittest.SkipTest("no cffi here")
        lines = run(*CC, "-E", *pkg_config("--cflags", "libmemif"), PREFIX / "include" / "libmemif.h").splitlines()
        own, kept = False, []
        for line in lines:
            if line.startswith("#"):
                own = "libmemif.h" in line
            elif own:
                kept.append(line)
        (self.scratch / "declarations.h").write_text("\n".join(kept))
        self.run_binding(sys.executable, PROGRAMS / "with_cffi.py", PREFIX / LIBDIR / "libmemif.so.4",
                         self.scratch / "declarations.h")

    def test_cpp_with_the_header_in_extern_c(self):
        """As bindings do it: the header inside a second extern "C", and callbacks that are static members."""
        program = self.compile(PROGRAMS / "with_cpp.cpp", "libmemif", language="c++")
        self.run_binding(program)

    def test_rust(self):
        if shutil.which("rustc") is None:
            raise unittest.SkipTest("no rustc here")
        run("rustc", "--edition", "2021", "-D", "warnings", "-L", PREFIX / LIBDIR, PROGRAMS / "with_rust.rs", "-o",
            self.scratch / "rust")
        self.run_binding(self.scratch / "rust")
