"""What the benchmarks found, as tables in Markdown and as pictures in SVG."""

from pathlib import Path

import bench_svg

BEGIN, END = "<!-- generated: scripts/bench.sh --docs -->", "<!-- end of the generated part -->"
ARROWS = {
    "client_to_server": "client → server",
    "server_to_client": "server → client",
    "there_and_back": "there and back",
}


def of(data, bench, **fields):
    return [
        result
        for step in data["steps"].values()
        for result in step["results"]
        if result["bench"] == bench and all(result[key] == value for key, value in fields.items())
    ]


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def percent(value):
    return f"{100 * value:.0f} %"


def each(results, text):
    """One cell for both directions."""
    return "; ".join(f"{ARROWS[result['direction']]} {text(result)}" for result in results)


def goals(data):
    """Each goal, and what was reached."""
    base = {"burst": 32, "ring": 1024, "queues": 1}
    rows = []

    def add(what, goal, step, results, text):
        if results:
            rows.append((what, goal, text(results)))
        elif step in data["failed"]:
            rows.append((what, goal, "missing"))

    def throughput(size, touch):
        return of(data, "throughput", size=size, touch=touch, **base)

    def ratio(results):
        return each(results, lambda result: percent(result["ratio"]))

    def to_ideal(results):
        ideal = {result["direction"]: result["library_mpps"] for result in throughput(64, "in_place")}
        return each(results, lambda result: percent(result["library_mpps"] / ideal[result["direction"]]))

    add("64 bytes as programs write them, of the limit", "≥ 90 %", "throughput", throughput(64, "written"), ratio)
    add("the same, to the ideal loop", "≥ 90 %", "throughput", throughput(64, "written"), to_ideal)
    add("64 bytes, ideal loop, of the limit", "≥ 90 %", "throughput", throughput(64, "in_place"), ratio)
    add("1500 bytes in place, of the limit", "≥ 90 %", "throughput", throughput(1500, "in_place"), ratio)
    add("1500 bytes copied in and out, of the limit", "≥ 90 %", "throughput", throughput(1500, "copy"), ratio)
    add("64, 570 and 1518 bytes, 7 : 4 : 1, copied, of the limit", "≥ 90 %", "throughput", throughput(1518, "mixed"), ratio)
    for size, goal in ((64, "≥ 1"), (1500, "≥ 2"), (9000, "≥ 4")):
        add(
            f"forwarding {size} bytes between clients of a pool, to copying",
            goal,
            "forward",
            of(data, "forward", size=size),
            lambda results: f"{results[0]['ratio']:.2f} ({results[0]['pool_mpps']} Mpps)",
        )
    add(
        "cost of all checks",
        "≤ 5 %",
        "checks",
        of(data, "checks"),
        lambda results: each(results, lambda result: f"{100 * (1 - result['ratio']):.1f} %"),
    )
    add(
        "at one end, testpmd at the other, to testpmd at both",
        "≥ 1.5",
        "testpmd",
        of(data, "testpmd"),
        lambda results: each(
            results,
            lambda result: f"sending {result['sending_ratio']}, receiving {result['receiving_ratio']} of "
            f"{result['testpmd_mpps']} Mpps",
        ),
    )
    for function, goal in (("receive_and_release", "≤ 24"), ("allocate_and_send", "≤ 28")):
        add(
            f"instructions a packet, {function.replace('_', ' ')}",
            goal,
            "instructions",
            of(data, "instructions", function=function),
            lambda results: each(results, lambda result: result["per_packet"]),
        )
    for mode, goal, bare in (("polling", "≤ 1.5", "ping-pong of two lines"), ("interrupt", "≤ 1.15", "eventfd and epoll")):
        add(
            f"round trip, {mode}, p50, to a bare {bare}",
            goal,
            "latency",
            of(data, "latency", mode=mode),
            lambda results: f"{results[0]['ratio_p50']:.2f} ({results[0]['p50_ns'] / 1e3:.2f} µs; "
            f"p99.9 {results[0]['p99_9_ns'] / 1e3:.1f} µs)",
        )
    busy = of(data, "waiting", load_pps=0, mode="interrupt")[-1:]  # the first is idle, the last at full load
    add(
        "eventfd writes a burst while busy, on interrupts",
        "≤ 1",
        "waiting",
        busy,
        lambda results: f"{results[0]['interrupts'] / max(results[0]['bursts'], 1):.4f} "
        f"({results[0]['interrupts']} for {results[0]['sleeps']} sleeps)",
    )
    add(
        "CPU time of 64 idle interfaces on interrupts",
        "none",
        "control",
        of(data, "idle"),
        lambda results: f"{results[0]['cpu_ms']:.2f} ms in {results[0]['seconds']} s",
    )
    add(
        "time to connect one of 1,000 interfaces, to one of 10",
        "≤ 1.2",
        "control",
        of(data, "connect"),
        lambda results: f"{results[0]['ratio']:.2f} ({results[0]['us_per_interface_1000']:.0f} µs)",
    )
    add(
        "memory of an idle interface beyond rings and buffers",
        "≤ 16 KiB",
        "control",
        of(data, "memory", ring=1024),
        lambda results: f"{results[0]['kib_per_interface']} KiB",
    )
    return table(("what", "goal", "reached"), rows)


def size(result):
    return "64, 570, 1518" if result["touch"] == "mixed" else result["size"]


def throughput_table(data):
    return table(
        ("direction", "size", "burst", "ring", "queues", "bytes", "memifpp, Mpps", "limit, Mpps", "of the limit", "best variant"),
        [
            (
                ARROWS[r["direction"]], size(r), r["burst"], r["ring"], r["queues"], r["touch"].replace("_", " "),
                r["library_mpps"], r["limit_mpps"], percent(r["ratio"]), r["limit_variant"],
            )
            for r in of(data, "throughput")
        ],
    )  # fmt: skip


def capi_table(data):
    return table(
        ("direction", "size", "burst", "bytes", "C++, Mpps", "C, Mpps", "C to C++"),
        [
            (
                ARROWS[r["direction"]], r["size"], r["burst"], r["touch"].replace("_", " "), r["cpp_mpps"], r["c_mpps"],
                percent(r["ratio"]),
            )
            for r in of(data, "capi")
        ],
    )


def libmemif_table(data):
    return table(
        ("direction", "size", "burst", "bytes", "memifpp, Mpps", "the other, Mpps", "ratio"),
        [
            (
                ARROWS[r["direction"]], r["size"], r["burst"], r["touch"].replace("_", " "), r["mpps"], r["other_mpps"],
                "–" if r["ratio"] is None else r["ratio"],
            )
            for r in of(data, "libmemif")
        ],
    )  # fmt: skip


def many_table(data):
    """Nanoseconds of the receiving thread's CPU time a packet, by interfaces."""
    cells = {}
    for r in of(data, "many"):
        cells.setdefault(r["how"], {})[r["interfaces"]] = r["cpu_ns"]
    counts = sorted({count for row in cells.values() for count in row})
    return table(
        ("one thread", *(f"{count:,} interface{'s' if count != 1 else ''}" for count in counts)),
        [(how, *(row.get(count, "") for count in counts)) for how, row in cells.items()],
    )


def ends_table(data):
    return table(
        ("direction", "memifpp at both, Mpps", "a bare sender", "a bare receiver", "bare at both"),
        [
            (ARROWS[r["direction"]], r["library_mpps"], r["bare_sender_mpps"], r["bare_receiver_mpps"], r["bare_mpps"])
            for r in of(data, "ends")
        ],
    )


def calls_table(data):
    """C++ / C in each cell that the benchmark has."""
    cells = {}
    for r in of(data, "calls"):
        cells.setdefault((r["call"], r["direction"]), {}).setdefault(r["burst"], {})[r["api"]] = r["ns"]
    names = {
        "send": "allocate and send", "receive": "receive and release",
        "encode": "encode a control message", "decode": "decode a control message",
    }  # fmt: skip
    bursts = sorted({burst for row in cells.values() for burst in row})

    def cell(figures):
        return " / ".join(f"{figures[api]:.1f}" for api in ("cpp", "c") if api in figures)

    return table(
        ("call", "direction", *(str(burst or "nothing") for burst in bursts)),
        [
            (names[call], ARROWS.get(direction, direction), *(cell(row.get(burst, {})) for burst in bursts))
            for (call, direction), row in sorted(cells.items(), key=lambda row: (list(names).index(row[0][0]), row[0][1]))
        ],
    )


def body(data):
    machine, steps = data["machine"], data["steps"].values()
    missing = [f"**{name} is missing**: {why}" for name, why in data["failed"].items()]
    if not steps:
        return "\n\n".join(["Nothing was measured.", *missing]) + "\n"
    parts = [
        f"{machine['time']}, {machine.get('cpu', 'unknown CPU')}, {machine['cpus']} CPUs, Linux {machine['kernel']}; "
        f"{sum(step['seconds'] for step in steps):.0f} s of measuring"
        f"{', with --quick' if any(step['quick'] for step in steps) else ''}; "
        f"load average meanwhile up to {max(step['load'] for step in steps):.1f}.",
        *missing,
        goals(data),
    ]
    if of(data, "throughput"):
        parts += ["Throughput:", throughput_table(data)]
    if of(data, "ends"):
        parts += ["64 bytes with a bare end in memifpp's place:", ends_table(data)]
    if of(data, "capi"):
        parts += ["The C API beside the C++ API:", capi_table(data)]
    if of(data, "libmemif"):
        parts += ["One program of the C API over memifpp's library and over another:", libmemif_table(data)]
    if of(data, "many"):
        parts += [
            "Nanoseconds of CPU time a packet, of one thread that serves many interfaces; a million packets a second spread "
            "over them in bursts of 32 (polling: as many as there are):",
            many_table(data),
        ]
    if of(data, "calls"):
        parts += [
            "The calls alone, with both ends in one thread and its cache: C++ / C, nanoseconds a packet, by packets a burst "
            "(for a call that comes back with nothing: a call):",
            calls_table(data),
        ]
    return "\n\n".join(parts) + "\n"


def write(data, output):
    (output / "report.md").write_text("# Benchmarks of memifpp\n\n" + body(data), encoding="utf-8")
    pictures(data, output, "")


def update_docs(data, docs):
    page = docs / "performance.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{body(data)}\n{END}{after}", encoding="utf-8")
    pictures(data, docs, "performance-")


def pictures(data, directory, prefix):
    """A picture of each benchmark that has one and ran, and none of an earlier run."""
    sizes = of(data, "throughput") + of(data, "testpmd_sizes")
    for name, draw, results in (
        ("throughput", bench_svg.throughput, of(data, "throughput")),
        ("sizes", bench_svg.sizes, sizes if of(data, "throughput") else []),
        ("waiting", bench_svg.waiting, of(data, "waiting")),
    ):
        picture = directory / f"{prefix}{name}.svg"
        if results:
            picture.write_text(draw(results), encoding="utf-8")
        else:
            picture.unlink(missing_ok=True)
