"""The how-to pages: their commands and programs do what the pages say."""

import os
import re
import unittest
from pathlib import Path

from support import DOCUMENTS, EXAMPLES, MEMIF, E2ETest
from test_bridge import REASON

PAGES = DOCUMENTS / "howto"


def blocks(page):
    """The page's shell commands, and what they are to print."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return list(zip((body for kind, body in found if kind == "sh"), (body for kind, body in found if kind == "text")))


@unittest.skipIf(REASON, REASON)
class HowtoTest(E2ETest):
    def run_page(self, page):
        path = f"{Path(MEMIF).resolve().parent}:{EXAMPLES / 'howto'}:{os.environ['PATH']}"
        pairs = blocks(page)
        self.assertGreater(len(pairs), 0)
        for commands, expected in pairs:
            # /tmp is this test's own; background jobs have a process group each, as the reader's shell has it.
            script = f"mount --bind {self.dir} /tmp\nset -e -m\n{commands}"
            shell = self.start("unshare", "-mpf", "--kill-child", "--mount-proc", "env", f"PATH={path}", "bash", "-c", script)
            self.assertEqual(shell.wait(50), 0, str(shell))
            at = 0
            for line in expected.splitlines():
                found = shell.stdout.find(line, at)
                self.assertNotEqual(found, -1, f"{line!r} of {page}.md: {shell}")
                at = found + len(line)

    def test_long_packets(self):
        self.run_page("long-packets")

    def test_ip_mode(self):
        self.run_page("ip-mode")

    def test_secrets(self):
        self.run_page("secrets")

    def test_memory(self):
        self.run_page("memory")

    def test_forwarding(self):
        self.run_page("forwarding")

    def test_queues_and_threads(self):
        self.run_page("queues-and-threads")

    def test_each_page_is_in_the_list_and_has_a_test(self):
        listed = set(re.findall(r"^\| \[[a-z-]+\.md\]\(([a-z-]+)\.md\)", (PAGES / "README.md").read_text("utf-8"), re.MULTILINE))
        self.assertEqual(listed, {page.stem for page in PAGES.glob("*.md")} - {"README"})
        for page in listed:
            self.assertTrue(hasattr(self, f"test_{page.replace('-', '_')}"), page)

    def test_troubleshooting(self):
        """Each message of the table is one that the sources have."""
        root = DOCUMENTS.parent
        sources = "\n".join(
            path.read_text(encoding="utf-8")
            for folder in ("src", "tools/memif", "include")
            for path in (root / folder).rglob("*")
            if path.suffix in (".cpp", ".hpp")
        )
        page = (PAGES / "troubleshooting.md").read_text(encoding="utf-8")
        messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
        self.assertGreater(len(messages), 15)
        for message in messages:
            for part in message.split("…"):
                self.assertTrue(part.strip() in sources, f"{part!r} of {message!r}")


if __name__ == "__main__":
    unittest.main()
