"""Every release of libmemif: a program of each, compiled, linked and found by the loader as that release's programs are."""
import os
import re
import shutil
import signal
import subprocess
import unittest

from support import (CC, CXX, LIBDIR, PREFIX, PROGRAMS, SANITIZER_FLAGS, SANITIZER_LIBRARIES, SOURCE, STRICT, Installed,
                     pkg_config, program_environment, run)

MEMIF = os.environ.get("MEMIF_BIN", "memif")
PER_THREAD = {f"memif_per_thread_{name}" for name in
              ("init", "cleanup", "control_fd_handler", "poll_event", "cancel_poll_event", "create_socket",
               "set_connection_request_timer", "register_external_region")}
# Release: the library that serves it, and which of that library's functions it has not.
RELEASES = {
    "1804": ("libmemif2", set()),
    "1810": ("libmemif21", {"memif_set_connection_request_timer", "memif_request_connection"}),
    "1904": ("libmemif21", set()),
    "1908": ("libmemif3", PER_THREAD | {"memif_get_socket_filename", "memif_buffer_requeue", "memif_set_next_free_buffer"}),
    "2001": ("libmemif3", {"memif_buffer_requeue", "memif_set_next_free_buffer"}),
    "2106": ("libmemif3", set()),
    "2202": ("libmemif", set()),
}
OLDER = ("libmemif2", "libmemif21", "libmemif3")


def include(package):
    return PREFIX / "include" / ("" if package == "libmemif" else package)


def place(package):
    """The directory that serves linker and loader."""
    return PREFIX / LIBDIR / ("" if package == "libmemif" else package)


def names_in(file, *options):
    return {line.split()[-1].partition("@")[0] for line in run("nm", *options, file).splitlines() if "memif_" in line}


class OfReleases(Installed):
    def build(self, source, package, *flags, compiler=(*CC, "-std=c99", "-Wpedantic"), output="program"):
        """As a Makefile does that knows nothing of generations: -lmemif, and an rpath to where it was found."""
        target = self.scratch / output
        run(*compiler, *STRICT, *SANITIZER_FLAGS, f"-I{include(package)}", source, *flags, f"-L{place(package)}",
            f"-Wl,-rpath,{place(package)}", "-lmemif", *SANITIZER_LIBRARIES, "-o", target)
        return target

    def run_alone(self, program, *arguments):
        """Without a path from the environment."""
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        return run(program, *arguments, env=environment, cwd=self.scratch)


class Releases(OfReleases):
    def test_a_program_of_each_release(self):
        for release, (package, missing) in RELEASES.items():
            with self.subTest(release):
                program = self.build(PROGRAMS / "release.c", package, f"-DRELEASE={release}")
                self.run_alone(program)
                library = names_in(PREFIX / LIBDIR / f"{package}.so", "-D", "--defined-only")
                self.assertEqual({name for name in names_in(program, "-u") if name.startswith("memif_")},
                                 {name for name in library if name.startswith("memif_")} - missing)

    def test_a_program_of_each_release_in_the_dialects_of_its_day(self):
        for release, (package, _) in RELEASES.items():
            for standard in ("gnu99", "gnu11", "gnu17"):
                with self.subTest(release=release, standard=standard):
                    self.run_alone(self.build(PROGRAMS / "release.c", package, f"-DRELEASE={release}",
                                              compiler=(*CC, f"-std={standard}")))

    def test_the_table_has_every_member_of_every_structure(self):
        table = (PROGRAMS / "release.h").read_text()
        for package in (*OLDER, "libmemif"):
            header = re.sub(r"/\*.*?\*/|^#.*?$", "", (include(package) / "libmemif.h").read_text(), flags=re.S | re.M)
            structures = re.findall(r"typedef struct\s*\w*\s*\{(.*?)\n\} (\w+);", header, re.S)
            self.assertGreater(len(structures), 3)
            for body, name in structures:
                for member in re.findall(r"(\w+)(?:\[\d+\])?;", body):
                    if (name, member) != ("memif_conn_args_t", "8"):  # mode: a bit-field has no offset
                        self.assertIn(f"AT ({name}, {member}, ", table)

    def test_each_release_compiles_as_its_programs_do(self):
        """autotools and CMake of those days: GNU C of the compiler's choice; and the oldest that programs ask for."""
        for release, (package, _) in RELEASES.items():
            for standard in ("gnu89", "gnu99", "gnu11", "gnu17"):
                source = self.scratch / "old.c"
                source.write_text("#include <libmemif.h>\n#include <memif.h>\n"
                                  f"#include \"{PROGRAMS}/release.h\"\nint main (void) {{ return codes[0]; }}\n")
                with self.subTest(release=release, standard=standard):
                    self.build(source, package, f"-DRELEASE={release}", compiler=(*CC, f"-std={standard}"))


class Guide(OfReleases):
    """The guide's program: no more than the guide shows."""
    DIALECTS = ((*CC, "-std=c99", "-Wpedantic"), (*CC, "-std=gnu89"), (*CC,), (*CXX, "-xc++", "-std=c++98"),
                (*CXX, "-xc++", "-std=c++20"))

    def build_guide(self, compiler=DIALECTS[0]):
        example = SOURCE / "examples" / "c"
        run(*CC, "-c", *SANITIZER_FLAGS, example / "icmp.c", "-o", self.scratch / "icmp.o")
        run(*compiler, *STRICT, *SANITIZER_FLAGS, f"-I{example}", f"-I{include('libmemif2')}", "-c", PROGRAMS / "guide.c", "-o",
            self.scratch / "guide.o")
        return self.build(self.scratch / "guide.o", "libmemif2", self.scratch / "icmp.o", compiler=CC, output="guide")

    def answer(self, role, loop):
        path = self.scratch / "g.sock"
        guide = subprocess.Popen([self.build_guide(), path, "192.168.7.2", role, loop], stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: guide.poll() is None and guide.kill())
        peer = "server" if role == "slave" else "client"
        ping = subprocess.run([MEMIF, "ping", "--socket", path, "--role", peer, "--id", "0", "--source", "192.168.7.1/24",
                               "--wait", "30s", "-c", "3000", "-i", "0.0005", "192.168.7.2"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        self.assertIn("3000 sent, 3000 received", ping.stdout)  # more than the ring has buffers
        guide.send_signal(signal.SIGINT)
        output, _ = guide.communicate(timeout=60)
        self.assertEqual(guide.returncode, 0, output)
        self.assertGreaterEqual(int(re.search(r"guide: (\d+) answered", output)[1]), 3000)

    def test_as_slave_with_the_library_polling(self):
        self.answer("slave", "library")

    def test_as_slave_with_a_loop_of_its_own(self):
        self.answer("slave", "own")

    def test_as_master_with_the_library_polling(self):
        self.answer("master", "library")

    def test_as_master_with_a_loop_of_its_own(self):
        self.answer("master", "own")

    def test_it_compiles_as_any_c_and_as_cpp(self):
        for compiler in self.DIALECTS:
            with self.subTest(compiler):
                self.build_guide(compiler)

    def test_the_functions_stay_functions_beside_the_shorter_calls(self):
        (self.scratch / "names.c").write_text("""
            #include <libmemif.h>
            struct table { int (*memif_refill_queue) (memif_conn_handle_t, uint16_t, uint16_t, uint16_t); };
            int memif_refill_queue (memif_conn_handle_t conn, uint16_t qid, uint16_t count, uint16_t headroom);
            int main (void) {
              struct table table = { memif_refill_queue };
              int (*alloc) (memif_conn_handle_t, uint16_t, memif_buffer_t *, uint16_t, uint16_t *, uint16_t)
                = &memif_buffer_alloc;
              uint16_t n;
              int sum = table.memif_refill_queue (0, 0, 1, 0) + (memif_refill_queue) (0, 0, 1, 0);
              sum += memif_refill_queue (0, 0, 1) + memif_refill_queue (0, 0, (uint16_t) (1 + 1), 3);
              sum += alloc (0, 0, 0, 1, &n, 0) + (memif_buffer_alloc) (0, 0, 0, 1, &n, 0);
              sum += memif_buffer_alloc (0, 0, 0, 1, &n) + memif_buffer_alloc (0, 0, 0, 1, &n, 64);
              return sum == 8 * MEMIF_ERR_NOCONN ? 0 : 1;
            }\n""")
        for compiler in self.DIALECTS:
            with self.subTest(compiler):
                self.run_alone(self.build(self.scratch / "names.c", "libmemif2", compiler=compiler))


class FoundByLoadersRelease(OfReleases):
    """Programs that were linked with FD.io's library: they ask for libmemif.so, or libmemif.so.0 (2018), and their symbols
    have no version."""

    def test_programs_that_ask_for_libmemif_so(self):
        for release, (package, _) in RELEASES.items():
            stranger = self.scratch / "stranger"
            shutil.rmtree(stranger, ignore_errors=True)
            stranger.mkdir()
            functions = names_in(PREFIX / LIBDIR / f"{package}.so", "-D", "--defined-only")
            (stranger / "lib.c").write_text("".join(f"void {name} (void) {{}}\n" for name in functions if name[0] == "m"))
            name = "libmemif.so.0" if release in ("1804", "1810") else "libmemif.so"
            run(*CC, "-shared", "-fPIC", *(["-Wl,-soname,libmemif.so.0"] if name[-1] == "0" else []), stranger / "lib.c", "-o",
                stranger / "libmemif.so")
            program = self.scratch / "program"
            run(*CC, "-std=c99", f"-I{include(package)}", f"-DRELEASE={release}", PROGRAMS / "release.c", f"-L{stranger}",
                "-lmemif", "-o", program)
            self.assertIn(f"[{name}]", run("readelf", "-d", program))
            with self.subTest(release):
                run(program, env=dict(os.environ, LD_LIBRARY_PATH=str(place(package))))

    def test_pkg_config_in_the_directory_itself(self):
        for package in OLDER:
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmemif"], text=True, capture_output=True, check=True,
                                   env=dict(os.environ, PKG_CONFIG_PATH=str(place(package)))).stdout.split()
            (self.scratch / "main.c").write_text("#include <libmemif.h>\n#include <stdio.h>\n"
                                                 "int main (void) { puts (LIBMEMIF_VERSION); return !memif_get_version (); }\n")
            run(*CC, self.scratch / "main.c", *flags, f"-Wl,-rpath,{place(package)}", "-o", self.scratch / "main")
            self.assertEqual(self.run_alone(self.scratch / "main"), {"libmemif2": "2.0\n", "libmemif21": "2.1\n",
                                                                     "libmemif3": "3.1\n"}[package])

    def test_static_programs_need_no_more_than_pkg_config_says(self):
        for release, (package, _) in RELEASES.items():
            for static in ([], ["-static"]):
                with self.subTest(release=release, static=static):
                    flags = pkg_config("--static", "--cflags", "--libs", package)
                    if not static:  # the archive by name, where a shared library lies beside it
                        name = "l" + package[3:]
                        flags = [str(PREFIX / LIBDIR / f"{package}.a") if flag == f"-{name}" else flag for flag in flags]
                    run(*CC, "-std=c99", f"-DRELEASE={release}", PROGRAMS / "release.c", *static, *flags, "-o",
                        self.scratch / "program")
                    self.run_alone(self.scratch / "program")
                    self.assertNotIn("memif", run("readelf", "-d", self.scratch / "program"))


class ProtocolHeader(OfReleases):
    """memif.h, beside libmemif.h under both of its names."""

    def test_it_has_the_protocol_s_layout(self):
        for package in (*OLDER, "libmemif"):
            for order in (("memif.h", "libmemif.h"), ("libmemif.h", "memif/memif.h")):
                source = self.scratch / "protocol.c"
                source.write_text("".join(f"#include <{name}>\n" for name in order) +
                                  (PROGRAMS / "protocol.h").read_text() + "int main (void) { return 0; }\n")
                with self.subTest(package=package, order=order):
                    self.build(source, package)
                    shutil.copy(source, self.scratch / "protocol.cpp")
                    self.build(self.scratch / "protocol.cpp", package, compiler=(*CXX, "-std=c++11"))

    def test_the_library_s_header_alone_has_the_modes(self):
        source = self.scratch / "modes.c"
        source.write_text("#include <libmemif.h>\nint main (void) { return MEMIF_INTERFACE_MODE_ETHERNET; }\n")
        for package in (*OLDER, "libmemif"):
            self.build(source, package)


class WithMusl(Installed):
    @unittest.skipUnless(shutil.which("musl-gcc"), "no musl-gcc here")
    def test_headers_are_strict_c99_with_musl(self):
        """Whatever came before: that libc shows struct itimerspec only to programs that ask for POSIX in time."""
        source = self.scratch / "musl.c"
        for package in (*OLDER, "libmemif"):
            for before in ("", "#include <time.h>\n", "#define _GNU_SOURCE\n", "#include <sys/stat.h>\n#include <signal.h>\n"):
                source.write_text(f"{before}#include <libmemif.h>\n#include <memif.h>\n#include <time.h>\n" + (
                    "struct itimerspec timer;\n" if package != "libmemif2" else ""))
                with self.subTest(package=package, before=before):
                    run("musl-gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{include(package)}",
                        "-fsyntax-only", source)
