"""Fixtures for tests of network functions. pytest finds them once the package is installed; docs/python-pytest.md"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import memif

_failed = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "memif(**keywords): keywords of the interfaces that memif_pair makes")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    yield
    if call.excinfo is not None:
        item.stash[_failed] = True


def _tell(request, title, text):
    request.node.add_report_section("teardown", title, text)


def _has_failed(request):
    return request.node.stash.get(_failed, False)


@pytest.fixture
def memif_socket():
    """The path of a socket that nobody has yet, short enough for one."""
    directory = tempfile.mkdtemp(prefix="memif-")
    yield f"{directory}/memif.sock"
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def memif_pair(request):
    """Two joined interfaces; keywords are those of the marker: @pytest.mark.memif(mode="ip")."""
    marker = request.node.get_closest_marker("memif")
    with memif.pair(**(marker.kwargs if marker else {})) as pair:
        yield pair


@pytest.fixture
def memif_interface(memif_socket):
    """Makes interfaces, on `memif_socket` unless another is named, that are closed at the end of the test."""
    made = []

    def make(socket=memif_socket, **keywords):
        made.append(memif.Interface(socket, **keywords))
        return made[-1]

    yield make
    for interface in reversed(made):
        interface.close()


@pytest.fixture
def memif_peer(request, tmp_path):
    """Starts processes, which end with the test: memif_peer(["memif", "respond", ...]). What they printed is in the
    report of a test that fails."""
    started = []

    def start(command, **keywords):
        path = tmp_path / f"peer-{len(started)}.txt"
        with path.open("wb") as output:
            keywords = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT} | keywords
            process = subprocess.Popen([str(word) for word in command], **keywords)
        started.append((process, path))
        return process

    yield start
    for process, path in reversed(started):
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if _has_failed(request):
            text = path.read_text(errors="replace")[-4000:]
            _tell(request, f"memif peer: {process.args[0]}", f"exit code {process.returncode}\n{text}")


class Recorder:
    """The first queues of an interface, and all packets that went through."""

    def __init__(self, interface):
        self.interface = interface
        self.packets = []

    def send(self, packets, timeout=5.0):
        """Sends and records packets; memif.TimeoutError if not all were sent in time."""
        packets = [bytes(packet) for packet in packets]
        sent = self.interface.tx[0].send(packets, timeout)
        self.packets += [(time.time(), packet) for packet in packets[:sent]]
        if sent < len(packets):
            raise memif.TimeoutError(f"sent {sent} of {len(packets)} packets within {timeout} s")

    def receive(self, count=1, timeout=5.0):
        """Receives and records `count` packets; memif.TimeoutError if there are not so many in time."""
        end, got = time.monotonic() + timeout, []
        while len(got) < count:
            left = end - time.monotonic()
            if left <= 0:
                raise memif.TimeoutError(f"received {len(got)} of {count} packets within {timeout} s")
            more = self.interface.rx[0].receive_bytes(count - len(got), left)
            self.packets += [(time.time(), packet) for packet in more]
            got += more
        return got

    def write(self, path):
        """Writes the packets to a pcap file."""
        link_type = 1 if self.interface.mode == "ethernet" else 101
        with Path(path).open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link_type))
            for when, packet in self.packets:
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(packet), len(packet)) + packet)


@pytest.fixture
def memif_recorder(request, tmp_path):
    """Records what goes through an interface: memif_recorder(port). If the test fails, it is written to a pcap file,
    whose path is in the report."""
    recorders = []

    def record(interface):
        recorders.append(Recorder(interface))
        return recorders[-1]

    yield record
    if _has_failed(request):
        for i, recorder in enumerate(recorders):
            path = tmp_path / f"capture-{i}.pcap"
            recorder.write(path)
            _tell(request, f"memif capture of {recorder.interface.name}", f"{len(recorder.packets)} packets: {path}")
