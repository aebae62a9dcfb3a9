"""The benchmarks' pictures, as SVG."""

import math
from xml.sax.saxutils import escape

INK, FAINT, PAPER = "#24292f", "#d0d7de", "#ffffff"
COLOURS = {"library": "#0969da", "limit": "#afb8c1", "testpmd": "#bc4c00", "polling": "#cf222e", "interrupt": "#8250df", "adaptive": "#1a7f37"}


class Drawing:
    def __init__(self, width, height):
        self.size = (width, height)
        self.parts = [f'<rect width="{width}" height="{height}" fill="{PAPER}"/>']

    def text(self, x, y, text, size=12, anchor="start", colour=INK, weight="normal"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}">{escape(str(text))}</text>'
        )

    def bar(self, x, y, width, height, colour):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}" rx="2"/>'
        )

    def line(self, points, colour, width=1.0, dash=""):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'
        )

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def __str__(self):
        width, height = self.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def case(result):
    """The words that tell a case from the base case."""
    words = ["64, 570, 1518 B" if result["touch"] == "mixed" else f"{result['size']} B"]
    if result["burst"] != 32:
        words.append(f"burst {result['burst']}")
    if result["ring"] != 1024:
        words.append(f"ring {result['ring']}")
    if result["queues"] != 1:
        words.append(f"{result['queues']} queues")
    if result["touch"] == "written":
        words.append("as written")
    if result["touch"] in ("copy", "mixed"):
        words.append("copied")
    return ", ".join(words)


def throughput(results):
    """For each case a bar as long as the fraction of the limit, and the figures beside it."""
    left, full, row, top = 190, 420, 24, 78
    groups = [
        (title, [result for result in results if result["direction"] == direction])
        for direction, title in (("client_to_server", "Client to server"), ("server_to_client", "Server to client"))
    ]
    most = max([1.0] + [result["ratio"] for result in results])
    scale = full / most
    drawing = Drawing(820, top + sum(row * len(group) + 44 for _, group in groups))
    drawing.text(20, 30, "Throughput of memifpp as a fraction of the limit probe", 17, weight="bold")
    drawing.text(20, 50, "burst 32, ring 1024, one queue unless told; medians of interleaved runs in one process", 12)
    y = top
    for title, group in groups:
        drawing.text(20, y + 8, title, 13, weight="bold")
        y += 18
        for tick in range(0, int(most * 4) + 1):
            x = left + tick / 4 * scale
            drawing.line([(x, y), (x, y + row * len(group))], INK if tick == 4 else FAINT)
            drawing.text(x, y + row * len(group) + 14, f"{25 * tick} %", 10, "middle", "#57606a")
        for result in group:
            drawing.text(left - 8, y + 16, case(result), 12, "end")
            drawing.bar(left, y + 4, result["ratio"] * scale, row - 8, COLOURS["library"])
            drawing.text(
                left + full + 12, y + 16, f"{result['library_mpps']:.1f} of {result['limit_mpps']:.1f} Mpps", 11
            )
            y += row
        y += 26
    return str(drawing)


def sizes(results):
    """Packets a second over the packets' size, client to server: memifpp, the limit probe, and testpmd at both ends."""
    left, width, top, height = 70, 560, 92, 260
    in_place = [
        r for r in results
        if r["bench"] == "throughput" and r["direction"] == "client_to_server" and r["touch"] == "in_place"
        and (r["burst"], r["ring"], r["queues"]) == (32, 1024, 1)
    ]  # fmt: skip
    lines = {
        "limit": [(r["size"], r["limit_mpps"]) for r in in_place],
        "library": [(r["size"], r["library_mpps"]) for r in in_place],
        "testpmd": [(r["size"], r["mpps"]) for r in results if r["bench"] == "testpmd_sizes"],
    }
    names = {"limit": "the machine's limit", "library": "memifpp at both ends", "testpmd": "testpmd at both ends"}
    ticks = sorted({size for line in lines.values() for size, _ in line})
    rates = [rate for line in lines.values() for _, rate in line]
    low, high = 10 ** math.floor(math.log10(min(rates))), 10 ** math.ceil(math.log10(max(rates)))

    def x(size):
        return left + width * math.log(size / ticks[0]) / (math.log(ticks[-1] / ticks[0]) or 1)

    def y(rate):
        return top + height * math.log(high / rate) / (math.log(high / low) or 1)

    drawing = Drawing(left + width + 60, top + height + 60)
    drawing.text(20, 30, "Millions of packets a second over their size", 17, weight="bold")
    drawing.text(20, 50, "one queue between two CPUs, burst 32; a word of each of a packet's cache lines is written and read", 12)
    for i, name in enumerate(names):
        drawing.line([(20 + 190 * i, 70), (46 + 190 * i, 70)], COLOURS[name], 3)
        drawing.text(52 + 190 * i, 74, names[name], 12)
    rate = low
    while rate <= high:
        drawing.line([(left, y(rate)), (left + width, y(rate))], FAINT)
        drawing.text(left - 6, y(rate) + 4, f"{rate:g}", 10, "end", "#57606a")
        rate *= 10
    for size in ticks:
        drawing.text(x(size), top + height + 16, size, 10, "middle", "#57606a")
    drawing.text(left + width / 2, top + height + 36, "bytes a packet", 11, "middle")
    for name, line in lines.items():
        points = [(x(size), y(rate)) for size, rate in sorted(line)]
        if len(points) > 1:
            drawing.line(points, COLOURS[name], 2.5)
        for point in points:
            drawing.dot(*point, COLOURS[name])
    return str(drawing)


def name_of(load):
    if load < 1000:
        return f"{load:.0f}"
    return f"{load / 1000:.0f}k" if load < 1e6 else f"{load / 1e6:.0f}M"


def waiting(results):
    """CPU time and latency over the load, a line for each way of waiting."""
    loads = sorted({result["load_pps"] for result in results if result["load_pps"] > 0})
    spins = sorted({result["spin_us"] for result in results if result["mode"] == "adaptive"})
    spin = 50 if 50 in spins else spins[0]
    width, height, top, bottom = 330, 220, 78, 60
    drawing = Drawing(840, top + height + bottom)
    drawing.text(20, 30, "Ways to wait: CPU time of the receiver and latency one way, over the load", 17, weight="bold")
    for i, mode in enumerate(("polling", "interrupt", "adaptive")):
        drawing.line([(20 + 150 * i, 52), (46 + 150 * i, 52)], COLOURS[mode], 3)
        drawing.text(52 + 150 * i, 56, mode + (f", spin {spin} µs" if mode == "adaptive" else ""), 12)

    def chart(left, title, value, low, high, ticks, logarithmic):
        def y(v):
            v = min(max(v, low), high)
            part = math.log(v / low) / math.log(high / low) if logarithmic else (v - low) / (high - low)
            return top + height - part * (height - 24)

        def x(load):
            return left + width * math.log(load / loads[0]) / math.log(loads[-1] / loads[0])

        drawing.text(left, top + 8, title, 13, weight="bold")
        for tick, name in ticks:
            drawing.line([(left, y(tick)), (left + width, y(tick))], FAINT)
            drawing.text(left - 6, y(tick) + 4, name, 10, "end", "#57606a")
        for load in loads:
            drawing.text(x(load), top + height + 16, name_of(load), 10, "middle", "#57606a")
        drawing.text(left + width / 2, top + height + 36, "packets a second", 11, "middle")
        for mode in ("polling", "interrupt", "adaptive"):
            line = [
                (x(result["load_pps"]), y(value(result)))
                for load in loads
                for result in results
                if result["load_pps"] == load
                and result["mode"] == mode
                and (mode != "adaptive" or result["spin_us"] == spin)
            ]
            drawing.line(line, COLOURS[mode], 2.5)
            for point in line:
                drawing.dot(*point, COLOURS[mode])

    shares = [(percent, f"{percent} %") for percent in (0, 25, 50, 75, 100)]
    chart(70, "CPU time of the receiver", lambda result: result["cpu_percent"], 0, 100, shares, False)
    times = [(100, "0.1 µs"), (1e3, "1 µs"), (1e4, "10 µs"), (1e5, "100 µs"), (1e6, "1 ms")]
    chart(480, "Latency, p50", lambda result: max(result["p50_ns"], 100), 100, 1e6, times, True)
    return str(drawing)
