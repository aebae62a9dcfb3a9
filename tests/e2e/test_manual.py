"""Manual pages and completions: what --help says, accepted by those who read them, and completed by real shells."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import unittest

from support import DOCUMENTS, PATIENCE, E2ETest, help_text, subcommands

MANUAL = os.environ.get("MEMIF_MANUAL", "memif-manual")


class ManualCase(E2ETest):
    def setUp(self):
        super().setUp()
        subprocess.run([MANUAL, DOCUMENTS, self.dir, "2026-01-31"], check=True)

    def pages(self):
        return sorted(self.dir.glob("man*/*"))

    def words_of(self, page):
        """The page as one line without the overstriking that makes letters bold."""
        text = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", self.dir / page], capture_output=True,
                              text=True, check=True).stdout  # fmt: skip
        return " ".join(re.sub(".\b", "", text).split())


class ManualPageTest(ManualCase):
    def test_a_page_for_each_subcommand_and_the_protocol(self):
        expected = {"memif.1", "memif.7"} | {f"memif-{name}.1" for name in subcommands()}
        self.assertEqual({page.name for page in self.pages()}, expected)

    def test_pages_say_what_help_says(self):
        for name in subcommands():
            page = self.words_of(f"man1/memif-{name}.1")
            options = re.findall(r"^  (-\S+)", help_text(name), re.MULTILINE)
            self.assertTrue(options)
            for option in options:
                for spelling in option.split(","):
                    self.assertRegex(page, rf"(^|[ ,]){re.escape(spelling)}[ ,]", f"{name}: {spelling}")
            for example in re.findall("^Example: (.*)", help_text(name), re.MULTILINE):
                self.assertIn(" ".join(example.split()), page)
            for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
                self.assertIn(heading, page)

    def test_what_prints_json_says_what_is_in_it(self):
        for name in subcommands():
            if "--json" in help_text(name):
                self.assertIn(f"memif-{name}/1", self.words_of(f"man1/memif-{name}.1"))

    def test_whole_page_lists_the_subcommands_and_exit_codes(self):
        page = self.words_of("man1/memif.1")
        for name in subcommands():
            self.assertIn(f"memif-{name}(1)", page)
        for code, meaning in re.findall(r"(\d) ([a-z ]+)", help_text().split("Exit codes:")[1].splitlines()[0]):
            self.assertIn(f"{code} {meaning.strip().capitalize()}.", page)

    def test_protocol_page_has_the_sections_of_the_document(self):
        page = self.words_of("man7/memif.7")
        sections = re.findall("^## (.*)", (DOCUMENTS / "protocol.md").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertGreater(len(sections), 5)
        for section in sections:
            self.assertIn(section.upper(), page)
        self.assertNotIn("`", page)
        self.assertNotIn("**", page)

    def test_mandoc_and_groff_find_nothing_wrong(self):
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""}
        for page in self.pages():
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True,
                                  check=False)  # fmt: skip
            self.assertEqual((lint.returncode, lint.stdout + lint.stderr), (0, ""))
            man = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], env=environment,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
            self.assertEqual((man.returncode, man.stderr), (0, ""), page.name)


class Shell:
    """An interactive shell on a terminal of its own, in which lines are typed and completed."""

    PROMPT = "shell> "

    def __init__(self, command, directory, setup):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe(command[0], command, {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(directory),
                                             "LC_ALL": "C.UTF-8", "COLUMNS": "200"})  # fmt: skip
        self.seen = ""
        for line in setup:
            self.type(line + "\n")
        self.fresh()

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, *texts):
        """Reads until all the texts were printed; returns what was."""
        deadline = time.monotonic() + PATIENCE
        while not all(text in self.seen for text in texts):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"waited for {texts}, saw {self.seen!r}")
            self.seen += os.read(self.fd, 65536).decode(errors="replace")
        return self.seen

    def fresh(self):
        """Gives up the line, and returns when the shell has read all that was typed."""
        self.type("\x15echo re''ad\n")
        self.expect("read")
        self.seen = self.seen.split("read")[-1]
        self.expect(self.PROMPT)
        self.seen = ""

    def complete(self, line, *texts):
        """Types the line and a tab; the texts must appear. Then the line is given up."""
        self.type(line + "\t")
        shown = self.expect(*texts)
        self.seen = ""
        self.fresh()
        return shown

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class CompletionTest(ManualCase):
    def check(self, shell):
        self.addCleanup(shell.close)
        (self.dir / "trace.pcapng").touch()
        (self.dir / "made.sock").touch()
        for name in subcommands():
            shell.complete(f"memif {name[:-1]}", f"memif {name}")
        shell.complete("memif ", *subcommands())
        shell.complete("memif ping --so", "--socket", "--source")
        shell.complete("memif ping --ro", "--role")
        shell.complete("memif ping --role ", "client", "server")
        shell.complete("memif ping --role=", "client", "server")
        shell.complete("memif respond --mode pu", "punt")
        shell.complete("memif info --socket mad", "made.sock")
        shell.complete("memif replay tra", "trace.pcapng")
        shell.complete("memif bridge t", "tap:")
        shell.complete("memif bridge memif:mad", "memif:made.sock")
        for name in subcommands():
            shell.complete(f"memif {name} --", *re.findall(r"^  (?:-\w,)?(--[\w-]+)", help_text(name), re.MULTILINE))

    def test_bash(self):
        setup = ["bind 'set show-all-if-ambiguous on' 'set completion-query-items 0' 'set page-completions off'",
                 "bind 'set enable-bracketed-paste off' 'set bell-style none'",
                 f"source {self.dir}/bash/memif", f"PS1='{Shell.PROMPT}'"]  # fmt: skip
        self.check(Shell(["bash", "--norc", "--noprofile", "-i"], self.dir, setup))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is missing: scripts/install-deps.sh test")
    def test_zsh(self):
        setup = [f"fpath=({self.dir}/zsh $fpath)", "autoload -U compinit", "compinit -u -D", "LISTMAX=10000",
                 "setopt no_beep auto_list no_list_ambiguous; unsetopt zle_bracketed_paste prompt_sp",
                 f"PS1='{Shell.PROMPT}'"]  # fmt: skip
        self.check(Shell(["zsh", "-f", "-i"], self.dir, setup))


if __name__ == "__main__":
    unittest.main()
