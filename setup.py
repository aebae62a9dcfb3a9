"""The extension module of the Python package is built by CMake, as everything else here; pyproject.toml has the rest."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = [f"-DMEMIF_{part}=OFF" for part in ("TOOLS", "CAPI", "TESTS", "EXAMPLES", "INSTALL")]
        with tempfile.TemporaryDirectory() as build:
            subprocess.run(
                ["cmake", "-S", str(HERE), "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DMEMIF_PYTHON=ON", "-DMEMIF_FAST=ON",
                 f"-DPython_EXECUTABLE={sys.executable}", *parts, *os.environ.get("CMAKE_ARGS", "").split()],
                check=True,
            )  # fmt: skip
            subprocess.run(["cmake", "--build", build, "--target", "memif_python", "--parallel"], check=True)
            (built,) = Path(build).glob("python/memif/_memif.*.so")
            self.copy_file(str(built), str(target))


header = (HERE / "include/memif/version.hpp").read_text()
version = ".".join(re.findall(r"define MEMIFPP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))
setup(version=version, ext_modules=[Extension("memif._memif", sources=[])], cmdclass={"build_ext": CMakeBuild})
