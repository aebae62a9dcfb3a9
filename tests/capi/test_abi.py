"""The binary interface: as the reference says, and open to newer builds."""
import os
import shutil
import subprocess

from support import CC, LIBDIR, PREFIX, SOURCE, Installed, program_environment, run

ABI = SOURCE / "packaging" / "abi.sh"


class AbiRelease(Installed):
    def compare(self, reference, *names):
        return subprocess.run([ABI, PREFIX / LIBDIR, *names], env=dict(os.environ, ABI_REFERENCE=str(reference)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def test_abi_is_that_of_the_reference(self):
        done = self.compare(ABI.parent / "abi")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_abi_changes_are_found(self):
        """A structure of another size, and a function that is gone."""
        for name, before, after in (
                ("libmemif", "size-in-bits='640'", "size-in-bits='704'"),
                ("libmemif2", "memif_cleanup", "memif_vanished")):
            with self.subTest(name):
                reference = self.scratch / name
                shutil.copytree(ABI.parent / "abi", reference)
                text = (reference / f"{name}.abi").read_text()
                self.assertIn(before, text)
                (reference / f"{name}.abi").write_text(text.replace(before, after))
                self.assertNotEqual(self.compare(reference, name).returncode, 0)

    def test_a_program_runs_against_a_newer_build(self):
        """One with a function more, of a newer version."""
        program = self.compile(SOURCE / "examples" / "c" / "loopback.c", "libmemif", "-std=gnu11")
        newer = self.scratch / "newer"
        newer.mkdir()
        (newer / "more.c").write_text("int memif_newer (void);\nint memif_newer (void) { return 41; }\n")
        versions = (SOURCE / "capi" / "v4" / "libmemif.map").read_text()
        (newer / "map").write_text(versions + "LIBMEMIF_4.1 {\n  global:\n    memif_newer;\n} LIBMEMIF_4.0;\n")
        run(*CC, "-shared", "-fPIC", newer / "more.c", "-Wl,--whole-archive", PREFIX / LIBDIR / "libmemif.a",
            "-Wl,--no-whole-archive", f"-Wl,--version-script={newer / 'map'}", "-Wl,-soname,libmemif.so.4", "-lstdc++",
            "-lpthread", "-o", newer / "libmemif.so.4")
        self.assertIn("memif_newer@@LIBMEMIF_4.1", run("nm", "-D", newer / "libmemif.so.4"))
        environment = dict(program_environment(), LD_LIBRARY_PATH=str(newer))
        self.assertIn(str(newer), run("ldd", program, env=environment))
        self.assertIn("5000 packets", run(program, self.scratch / "s.sock", "5000", env=environment))
