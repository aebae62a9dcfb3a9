"""What is written is true: docstrings, the pages in docs/, the stubs."""

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

import memif
import memif.aio
import memif.scapy

SOURCE = Path(__file__).resolve().parents[2]
PACKAGE = SOURCE / "python/memif"
NAMES = {"memif": memif, "asyncio": asyncio, "os": os}


def own_names(text):
    """With sockets that no other process has."""
    return re.sub("([\"'])@", rf"\1@{os.getpid()}-", text)


def documented():
    """Everything public, by its name."""
    for module in (memif, memif.aio, memif.scapy):
        yield module.__name__, module
        for name in module.__all__:
            thing = getattr(module, name)
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for attribute, value in vars(thing).items():
                    if attribute.startswith("_") or not (callable(value) or isinstance(value, property)):
                        continue
                    if not issubclass(thing, int):
                        yield f"{module.__name__}.{name}.{attribute}", value


class Docstrings(unittest.TestCase):
    def test_each_has_an_example_that_works(self):
        parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        output = io.StringIO()
        for name, thing in documented():
            text = own_names(inspect.getdoc(thing) or "")
            self.assertIn(">>> ", text, f"{name} has no example")
            runner.run(parser.get_doctest(text, dict(NAMES), name, None, None), out=output.write)
        self.assertEqual(runner.failures, 0, output.getvalue())
        self.assertGreater(runner.tries, 80)


class Pages(unittest.TestCase):
    def test_every_program_in_them_runs(self):
        pages = sorted((SOURCE / "docs").glob("python*.md"))
        self.assertTrue(pages)
        for page in pages:
            text = own_names(page.read_text())
            found = re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
            programs = [(text[: one.start()].count("\n") + 1, one[1]) for one in found]
            self.assertTrue(programs, page)
            names = {"__name__": "__main__"}
            for line, program in programs:  # a page is one story
                with self.subTest(page=page.name, line=line), contextlib.redirect_stdout(io.StringIO()):
                    exec(compile("\n" * line + program, str(page), "exec"), names)


class Stubs(unittest.TestCase):
    def signatures(self, stub):
        for node in ast.parse((PACKAGE / stub).read_text()).body:
            if isinstance(node, ast.FunctionDef):
                yield node.name, node
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef):
                        yield f"{node.name}.{method.name}", method

    def test_they_have_what_there_is(self):
        seen = set()
        for stub in ("__init__.pyi", "_memif.pyi"):
            for name, node in self.signatures(stub):
                seen.add(name)
                thing = memif
                for part in name.split("."):
                    thing = getattr(thing, part, None)
                if name == "Burst.__iter__":  # by its items
                    continue
                self.assertIsNotNone(thing, name)
                wanted = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
                if inspect.isfunction(thing):
                    parameters = inspect.signature(thing).parameters.values()
                    have = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
                    self.assertEqual(wanted, have, name)
                elif "(self: " in (thing.__doc__ or ""):
                    self.assertEqual(wanted, re.findall(r"(\w+): ", thing.__doc__.split("->")[0]), name)
        for cls in (memif.Interface, memif.Context, memif.Burst, memif.RxQueue, memif.TxQueue):
            for attribute, value in vars(cls).items():
                if not attribute.startswith("_") and attribute != "mode":
                    self.assertIn(f"{cls.__name__}.{attribute}", seen)


class Importing(unittest.TestCase):
    def test_takes_nothing_that_takes_long(self):
        slow = "'asyncio', 'scapy', 'numpy', 'logging', 'dataclasses', 'inspect'"
        program = f"import memif, sys; print({{{slow}}} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "set()\n")


if __name__ == "__main__":
    unittest.main()
