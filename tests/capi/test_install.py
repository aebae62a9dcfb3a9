"""The installed tree: what is exported, what headers say, and how other build systems find it."""
import os
import re
import shutil
import subprocess

from support import BUILD, CXX, GENERATIONS, LIBDIR, PREFIX, PROGRAMS, SANITIZE, SOURCE, STRICT, Installed, pkg_config, program_environment, run

PACKAGES = {"libmemif": ("4", "4.0"), "libmemif3": ("3", "3.1"), "libmemif21": ("2", "2.1"), "libmemif2": ("2", "2.0")}


def header(package):
    directory = PREFIX / "include" / ("" if package == "libmemif" else package)
    return directory / "libmemif.h"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared_functions(package):
    text = without_comments(header(package).read_text())
    return set(re.findall(r"^(?:const char \*|char \*|[a-z_0-9]+ )(memif_\w+) \(", text, re.M))


class Libraries(Installed):
    def test_exports_are_the_declared_functions_and_nothing_else(self):
        for package, (_, version) in PACKAGES.items():
            library = PREFIX / LIBDIR / f"{package}.so"
            exported = set()
            for line in run("nm", "-D", "--defined-only", library).splitlines():
                _, kind, name = line.split()
                if kind == "A":  # the version's own name
                    self.assertEqual(name, f"LIBMEMIF_{version}")
                    continue
                self.assertEqual(kind, "T", line)
                name, _, of = name.partition("@@")
                self.assertEqual(of, f"LIBMEMIF_{version}")
                exported.add(name)
            self.assertEqual(exported, declared_functions(package))
            self.assertGreater(len(exported), 15)

    def test_sonames(self):
        for package, (major, _) in PACKAGES.items():
            dynamic = run("readelf", "-d", PREFIX / LIBDIR / f"{package}.so")
            self.assertIn(f"soname: [{package}.so.{major}]", dynamic)
            self.assertTrue((PREFIX / LIBDIR / f"{package}.so.{major}").exists())
            self.assertNotIn("memifpp", dynamic)
            self.assertIn("NODELETE", dynamic)  # a signal handler may stay behind: test_a_program_may_close_the_library


class CxxHeaders(Installed):
    def setUp(self):
        super().setUp()
        self.headers = sorted((PREFIX / "include" / "memif").glob("*.hpp"))
        self.assertGreater(len(self.headers), 8)

    def compile_header(self, header, standard):
        return subprocess.run([*CXX, f"-std={standard}", *STRICT, "-I", PREFIX / "include", "-fsyntax-only", "-x", "c++", "-"],
                              input=f"#include <memif/{header.name}>\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=400, check=False)

    def test_each_compiles_alone(self):
        for header in self.headers:
            done = self.compile_header(header, "c++20")
            self.assertEqual((done.returncode, done.stdout), (0, ""), header.name)

    def test_an_older_standard_is_told_in_one_line(self):
        for header in self.headers:
            done = self.compile_header(header, "c++17")
            errors = [line for line in done.stdout.splitlines() if "error:" in line]
            self.assertNotEqual(done.returncode, 0, header.name)
            self.assertEqual(len(errors), 1, done.stdout)
            self.assertIn("memifpp needs C++20: -std=c++20", errors[0])

    def test_a_program_of_another_variant_does_not_link(self):
        source = self.scratch / "main.cpp"
        source.write_text("""
            #include <array>
            #include <memif/memif.hpp>
            int main() {
              memif::Context context;
              std::array<memif::Buffer, 4> buffers;
              return static_cast<int>(context.add({.socket = "@variant"}).rx(0).receive(buffers).size());
            }""")
        self.compile(source, "memifpp", language="c++")
        for variant in ("-DMEMIF_UNCHECKED", "-DMEMIF_ON_SHARED_LOAD(address)=static_cast<void>(address)"):
            with self.assertRaisesRegex(AssertionError, "undefined reference"):
                self.compile(source, "memifpp", variant, language="c++")


class StaticRelease(Installed):
    def test_static_archives_define_the_api_only(self):
        for package in PACKAGES:
            names = set()
            for line in run("nm", "-g", "--defined-only", PREFIX / LIBDIR / f"{package}.a").splitlines():
                if len(words := line.split()) == 3 and words[1] not in "uVWvw":
                    names.add(words[2])
            self.assertEqual(names, declared_functions(package))

    def test_programs_link_statically(self):
        for package, (major, _) in PACKAGES.items():
            archive = PREFIX / LIBDIR / f"{package}.a"
            target = self.scratch / package
            program = PROGRAMS / ("v4_calls.c" if major == "4" else f"v{major}.c")
            run("cc", "-std=c99", f"-DGENERATION={GENERATIONS[package]}", *pkg_config("--cflags", package), program, archive, "-lstdc++",
                "-lpthread", "-lrt", "-lm", "-o", target)
            self.assertNotIn("memif", run("ldd", target))
            run(target)

    def test_a_program_may_have_the_c_and_the_cpp_api(self):
        (self.scratch / "main.cpp").write_text("""
            #include <libmemif.h>
            #include <memif/memif.hpp>
            int main() {
              memif::Context context;
              context.poll(std::chrono::milliseconds(0));
              return memif_get_version() == 0x0200 && memif_strerror(0)[0] != 0 ? 0 : 1;
            }""")
        target = self.scratch / "main"
        run("c++", "-std=c++20", "-I", PREFIX / "include", self.scratch / "main.cpp", PREFIX / LIBDIR / "libmemif.a",
            PREFIX / LIBDIR / "libmemifpp.a", "-lpthread", "-o", target)
        run(target)


class Headers(Installed):
    def test_text_is_what_build_systems_look_for(self):
        for package, (_, version) in PACKAGES.items():
            text = header(package).read_text()
            self.assertEqual(re.findall(r'LIBMEMIF_VERSION "(\d+\.\d+)"', text), [version])
            for name in declared_functions(package):
                self.assertRegex(text, rf"\b{name} \(")
            self.assertRegex(text, r"int memif_create \(memif_conn_handle_t \*conn, memif_conn_args_t \*args,")
            self.assertRegex(text, r"#define MEMIF_HAVE_CANCEL_POLL_EVENT 1\n")
            for included in ("inttypes.h", "sys/types.h") + (() if version == "2.0" else ("sys/timerfd.h",)):
                self.assertIn(f"#include <{included}>", text)

    def test_both_spellings_find_the_package_s_own_header(self):
        for package, (_, version) in PACKAGES.items():
            for spelling in ("libmemif.h", "memif/libmemif.h"):
                source = self.scratch / "include.c"
                source.write_text(f"#include <{spelling}>\n#include <libmemif.h>\n#include <stdio.h>\n"
                                  "int main (void) { puts (LIBMEMIF_VERSION); return memif_get_version () != 0x200; }\n")
                self.assertEqual(self.run_program(self.compile(source, package)).strip(), version)
                shutil.copy(source, self.scratch / "include.cpp")
                program = self.compile(self.scratch / "include.cpp", package, language="c++")
                self.assertEqual(self.run_program(program).strip(), version)

    def test_headers_are_strict_c99_and_old_cpp(self):
        for package in PACKAGES:
            run("cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c", header(package))
            run("c++", "-std=c++98", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", header(package))


class BuildSystemsRelease(Installed):
    PROJECT = """
        cmake_minimum_required(VERSION 3.16)
        project(user LANGUAGES C CXX)
        find_package(memifpp REQUIRED)
        add_executable(from_cpp main.cpp)
        target_link_libraries(from_cpp PRIVATE memifpp::memifpp)
        foreach(name libmemif libmemif3 libmemif21 libmemif2)
          add_executable(from_${name} main.c)
          target_link_libraries(from_${name} PRIVATE memifpp::${name})
        endforeach()
        """

    def build_user(self, prefix):
        (self.scratch / "CMakeLists.txt").write_text(self.PROJECT)
        (self.scratch / "main.c").write_text("#include <libmemif.h>\n#include <stdio.h>\n"
                                             "int main (void) { puts (LIBMEMIF_VERSION); return *memif_strerror (0) == 0; }\n")
        (self.scratch / "main.cpp").write_text("#include <memif/memif.hpp>\n"
                                               "int main() { return memif::Context().fd() < 0; }\n")
        run("cmake", "-S", self.scratch, "-B", self.scratch / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
        run("cmake", "--build", self.scratch / "build")
        run(self.scratch / "build" / "from_cpp", env=program_environment(prefix))
        for package, (major, version) in PACKAGES.items():
            program = self.scratch / "build" / f"from_{package}"
            self.assertEqual(run(program, env=program_environment(prefix)).strip(), version)
            self.assertIn(f"[{package}.so.{major}]", run("readelf", "-d", program))

    def test_find_package(self):
        self.build_user(PREFIX)

    def test_the_tree_can_be_moved(self):
        moved = self.scratch / "elsewhere" / "tree"
        shutil.copytree(PREFIX, moved, symlinks=True)
        for path in moved.rglob("*"):
            if path.suffix in (".pc", ".cmake"):
                self.assertNotIn(str(PREFIX), path.read_text(), path)
        self.build_user(moved)
        for package in (*PACKAGES, "memifpp"):
            self.assertIn(str(moved), " ".join(pkg_config("--cflags", "--libs", package, prefix=moved)))
        source = self.scratch / "moved.c"
        source.write_text("#include <libmemif.h>\nint main (void) { return memif_get_version () != 0x200; }\n")
        self.run_program(self.compile(source, "libmemif", prefix=moved), prefix=moved)

    def test_build_files_that_say_memif_get_an_older_generation(self):
        (self.scratch / "main.c").write_text("#include <libmemif.h>\n#include <stdio.h>\n"
                                             "int main (void) { puts (LIBMEMIF_VERSION); return memif_cleanup () == 0; }\n")
        (self.scratch / "Makefile").write_text("main: main.c\n\t$(CC) $< -lmemif -o $@\n")
        for package in ("libmemif3", "libmemif21", "libmemif2"):
            generation, version = PACKAGES[package]
            place = PREFIX / LIBDIR / package
            environment = dict(program_environment(), CPATH=str(PREFIX / "include" / package), LIBRARY_PATH=str(place))
            run("make", "-B", "-C", self.scratch, env=environment)
            self.assertEqual(run(self.scratch / "main", env=environment).strip(), version)
            self.assertIn(f"[{package}.so.{generation}]", run("readelf", "-d", self.scratch / "main"))
            self.assertTrue((place / "libmemif.a").exists())
            asked = dict(os.environ, PKG_CONFIG_PATH=str(place / "pkgconfig"))
            flags = run("pkg-config", "--cflags", "--libs", "libmemif", env=asked).split()
            run("cc", self.scratch / "main.c", *flags, "-o", self.scratch / "asked")
            self.assertEqual(run(self.scratch / "asked", env=program_environment()).strip(), version)

    def test_pkg_config_versions(self):
        for package, (_, version) in PACKAGES.items():
            self.assertEqual(pkg_config("--modversion", package), [version])
