"""The behaviour that programs depend on: a C program for each generation, compiled as C99 from the installed tree."""
from support import (CC, GENERATIONS, LIBDIR, PREFIX, PROGRAMS, SANITIZER_FLAGS, SANITIZER_LIBRARIES, STRICT, Installed, pkg_config,
                     program_environment, run)


def sources_of_generation_4():
    return sorted(PROGRAMS.glob("v4_*.c"))


def sources_of_generation_3():
    return [PROGRAMS / "v3.c", *sorted(PROGRAMS.glob("v3_*.c"))]


class Generations(Installed):
    def test_generations_2_and_21(self):
        for package in ("libmemif2", "libmemif21"):
            with self.subTest(package):
                self.run_program(self.compile(PROGRAMS / "v2.c", package, f"-DGENERATION={GENERATIONS[package]}"))

    def test_generation_3(self):
        for source in sources_of_generation_3():
            with self.subTest(source.name):
                self.run_program(self.compile(source, "libmemif3", "-DGENERATION=30"))

    def test_generation_4(self):
        self.assertGreater(len(sources_of_generation_4()), 4)
        for source in sources_of_generation_4():
            with self.subTest(source.name):
                self.run_program(self.compile(source, "libmemif", "-lrt"))

    def test_what_programs_depend_on_in_every_generation(self):
        self.run_in_every_generation("behaviour.c")

    def test_packets_in_parts_in_every_generation(self):
        self.run_in_every_generation("parts.c")

    def test_forking_in_every_generation(self):
        self.run_in_every_generation("processes.c")

    def test_names_of_sockets_in_every_generation(self):
        self.run_in_every_generation("names.c")

    def test_waiting_in_every_generation(self):
        self.run_in_every_generation("waiting.c")

    def test_every_error_of_every_generation(self):
        self.run_in_every_generation("errors.c")

    def test_threads_are_cancelled_where_they_sleep(self):
        """Not for ThreadSanitizer, which sees no atomic operation of a thread that was cancelled in a system call."""
        self.run_in_every_generation("cancellation.c")

    def test_a_program_may_close_the_library(self):
        target = self.scratch / "unloading"
        run(*CC, "-std=c99", *STRICT, *SANITIZER_FLAGS, *pkg_config("--cflags", "libmemif"), PROGRAMS / "unloading.c", "-ldl",
            *SANITIZER_LIBRARIES, "-o", target)
        self.run_program(target, PREFIX / LIBDIR / "libmemif.so.4")

    def test_generations_2_and_4_meet_in_one_process(self):
        libdir = PREFIX / LIBDIR
        sides = []
        for side, package in (("two", "libmemif2"), ("four", "libmemif")):
            self.compile(PROGRAMS / "both_side.c", package, "-shared", "-fPIC", f"-DSIDE={side}",
                         f"-Wl,-rpath,{libdir}", output=f"lib{side}.so")
            sides.append(f"-l{side}")
        program = self.compile(PROGRAMS / "both.c", "libmemif", f"-L{self.scratch}", *sides,
                               f"-Wl,-rpath,{self.scratch}", f"-Wl,-rpath,{libdir}", f"-Wl,-rpath-link,{libdir}")
        self.run_program(program)


class Logging(Installed):
    """What MEMIF_LOG makes the library say. Programs of generation 2 have no other way to learn of a refusal."""

    def lines(self, source, case, level):
        program = self.compile(PROGRAMS / source, "libmemif", "-lrt")
        output = run(program, case, env=program_environment(MEMIF_LOG=level), cwd=self.scratch)
        return [line for line in output.splitlines() if line.startswith("libmemif: ")]

    def test_silence_is_the_default(self):
        for level in ("", "nonsense"):
            self.assertEqual(self.lines("v4_links.c", "refusals_tell_why", level), [])

    def test_refusals_are_told_and_secrets_are_not(self):
        for level in ("debug", "info"):
            with self.subTest(level):
                log = "\n".join(self.lines("v4_links.c", "refusals_tell_why", level))
                self.assertRegex(log, "libmemif: info: .*: wrong secret")
                self.assertNotIn("abracadabra", log)
                self.assertNotIn("hocus pocus", log)

    def test_debug_tells_which_call_failed_on_which_path(self):
        log = "\n".join(self.lines("v4_calls.c", "masters_that_cannot_listen", "debug"))
        self.assertRegex(log, r"libmemif: debug: .*/nonexistent/dir/m\.sock.*: No such file or directory")
        self.assertRegex(log, r"libmemif: debug: .*/tmp/memif-capi-.*in use")
        self.assertEqual(self.lines("v4_calls.c", "masters_that_cannot_listen", "error"), [])


class ThreadsOfPrograms(Installed):
    def test_workers_survive_disconnects(self):
        program = self.compile(PROGRAMS / "v4_links.c", "libmemif", "-lrt")
        for case in ("workers_survive_disconnects", "what_a_worker_has_outlives_its_link"):
            self.run_program(program, case)

    def test_control_and_data_calls_of_several_threads(self):
        self.run_program(self.compile(PROGRAMS / "v4_threads.c", "libmemif"))

    def test_cancelling_from_elsewhere(self):
        self.run_program(self.compile(PROGRAMS / "v4_loops.c", "libmemif", "-lrt"), "cancel_wakes_once")


class PollingRelease(Installed):
    def test_polling_makes_no_system_call(self):
        """Between two marks, a receiver and a sender that poll make no system call at all."""
        program = self.compile(PROGRAMS / "polling.c", "libmemif")
        trace = self.scratch / "trace"
        run("strace", "-f", "-o", trace, program, env={"LD_LIBRARY_PATH": str(PREFIX / LIBDIR), "PATH": "/usr/bin:/bin"})
        between = trace.read_text().split("mark-begin")[1].split("mark-end")[0].splitlines()[1:-1]
        self.assertEqual(between, [])


class MemoryRelease(Installed):
    VALGRIND = ("valgrind", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all",
                "--error-exitcode=9", "-q")

    def check(self, source, case):
        program = self.compile(PROGRAMS / f"{source}.c", "libmemif", "-lrt")
        self.run_program(*self.VALGRIND, program, case)

    def test_valgrind_finds_nothing_in_packets_both_ways(self):
        self.check("v4_packets", "both_ways_in_both_roles")

    def test_valgrind_finds_nothing_in_zero_copy(self):
        self.check("v4_zero_copy", "zero_copy_calls")

    def test_valgrind_finds_nothing_in_an_event_loop_of_the_program(self):
        self.check("v4_loops", "own_event_loop")

    def test_valgrind_finds_nothing_in_reconnects(self):
        self.check("v4_links", "slaves_reconnect_by_the_timer_only")

    def test_valgrind_finds_nothing_in_details(self):
        self.check("v4_links", "details_are_complete")

    def test_valgrind_finds_nothing_in_external_regions(self):
        self.check("v4_memory", "external_regions_with_offsets")

    def test_valgrind_finds_nothing_in_failures_to_listen(self):
        self.check("v4_calls", "masters_that_cannot_listen")
