"""Tests a configuration of DPDK's testpmd: with `--forward-mode=macswap` it sends each frame back to where it came from.

    pytest -p memif.pytest_plugin examples/python/test_testpmd.py
"""

import os
import shutil

import pytest

TESTPMD = shutil.which("dpdk-testpmd")
pytestmark = pytest.mark.skipif(TESTPMD is None, reason="needs dpdk-testpmd")


@pytest.fixture
def port(memif_interface, memif_peer, memif_socket, memif_recorder):
    server = memif_interface(role="server")
    memif_peer(
        [TESTPMD, "--no-huge", "-m", "128", "--no-pci", "--file-prefix", f"example{os.getpid()}",
         f"--vdev=net_memif0,role=client,socket={memif_socket},socket-abstract=no,id=0",
         "--", "--forward-mode=macswap", "--no-flush-rx", "--stats-period", "1", "--no-mlockall", "--total-num-mbufs=4096", "-a"]
    )  # fmt: skip
    server.wait_connected(30.0)
    return memif_recorder(server)


def test_addresses_change_places(port):
    there, here = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
    frames = [there + here + b"\x88\xb5" + i.to_bytes(46, "big") for i in range(100)]
    port.send(frames)
    assert port.receive(100, timeout=20.0) == [here + there + frame[12:] for frame in frames]
