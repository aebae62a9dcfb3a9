"""memif perf --report: a page, CSV and JSON, made from the same numbers."""

import csv
import json
import re
import unittest
from html.parser import HTMLParser

from support import MEMIF, E2ETest


class Page(HTMLParser):
    """What is in a page, and whether each element that is opened is closed."""

    EMPTY = {"meta", "line", "circle", "polyline"}

    def __init__(self, text):
        super().__init__()
        self.open, self.polylines, self.attributes, self.text = [], 0, [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.polylines += tag == "polyline"
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data


class PerfReport(E2ETest):
    def run_with_reports(self, *arguments):
        """The contents of the page, the CSV's rows, the JSON and what was printed."""
        words = (f"memif:{self.socket},role=server", f"memif:{self.socket},role=client,secret=hush hush")
        paths = [self.dir / f"out.{kind}" for kind in ("html", "csv", "json")]
        process = self.start(MEMIF, "perf", "--port", words[0] + ",secret=hush hush", "--port", words[1], "--rate", "2kpps",
                             *[word for path in paths for word in ("--report", path)], *arguments)  # fmt: skip
        self.assert_exit(process, 0)
        page, table, report = (path.read_text(encoding="utf-8") for path in paths)
        self.assert_self_contained(page)
        report = json.loads(report)
        self.assert_documented(report)
        parsed = Page(page)
        self.assertEqual(parsed.open, [])
        self.assertEqual(json.loads(parsed.text["script"].partition("document.")[0]), report)
        return parsed, list(csv.DictReader(table.splitlines())), report, process.stdout

    def assert_self_contained(self, page):
        for outside in ("http:", "https:", "//", "url(", "@import", "hush"):
            self.assertNotIn(outside, page.replace("</", "<"))
        for name, _ in Page(page).attributes:
            self.assertNotIn(name, ("src", "href", "xlink:href", "data", "action"))

    def test_a_measurement_has_plots_over_time_and_the_distribution(self):
        page, rows, report, printed = self.run_with_reports("--time", "500ms", "-i", "100ms", "--json")
        self.assertEqual(page.polylines, 2 + 1 + 3 + 1)
        for key, value in json.loads(printed).items():
            self.assertEqual(report[key], value)
        self.assertEqual(len(rows), len(report["intervals"]))
        self.assertEqual(sum(int(row["received"]) for row in rows), report["received"])
        self.assertEqual(float(rows[0]["p99_us"]), report["intervals"][0]["latency"]["p99_us"])
        self.assertGreater(report["machine"]["cpus"], 0)
        self.assertEqual([port["role"] for port in report["ports"]], ["server", "client"])
        self.assertEqual(report["ports"][0]["peer"], "memif")
        points = [point["us"] for point in report["latency_distribution"]]
        self.assertEqual(points, sorted(points))
        self.assertIn("secret=...", report["command"])

    def test_a_search_has_plots_over_sizes_and_a_row_for_each_trial(self):
        page, rows, report, printed = self.run_with_reports(
            "--time", "200ms", "--ndr", "--pdr", "1%", "--sizes", "64,imix", "--resolution", "20%", "--tries", "5"
        )
        self.assertEqual(page.polylines, 2 * 2 + 4)
        self.assertEqual(len(re.findall("NDR: |PDR 1 %: ", printed)), 4)
        self.assertEqual(len(rows), sum(len(search["trials"]) for search in report["searches"]))
        self.assertEqual({(row["size"], row["goal"]) for row in rows},
                         {(size, goal) for size in ("64", "imix") for goal in ("ndr", "pdr")})  # fmt: skip

    def test_what_cannot_be_written_is_told_before_anything_is_sent(self):
        for path, code, text in (("out.txt", 2, ".html, .csv or .json"), ("none/out.html", 1, "cannot write to")):
            process = self.memif("perf", "--report", self.dir / path, "--wait", "20s")
            self.assert_exit(process, code)
            self.assertIn(text, process.stderr)

    def test_a_signal_leaves_a_report_of_nothing(self):
        perf = self.listening(self.memif("perf", "--report", self.dir / "out.html", role="server"))
        self.assertEqual(perf.terminate(), 0, str(perf))
        self.assertEqual(Page((self.dir / "out.html").read_text(encoding="utf-8")).open, [])


if __name__ == "__main__":
    unittest.main()
