#!/usr/bin/env python3
"""Registers, spills, stack and shared memory of every CUDA kernel, as a Markdown table.

python tools/kernel_resources.py [--arch 90] [NAME...]

Compiles the .cu files (those whose path holds a NAME, or all) with the flags of the build and
``-Xptxas -v``; needs nvcc, CMake and pybind11, and no GPU. Exits with 1 when a kernel spills or the
compiler warns.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pybind11

ROOT = Path(__file__).resolve().parents[1]


class Resources(NamedTuple):
    """Of one kernel; bytes, but for the registers of a thread."""

    name: str
    registers: int
    spills: int
    stack: int
    shared: int


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--arch", default="90")
    options = parser.parse_args()
    print("| op | kernel | registers | spills | stack | static shared memory |")
    print("|---|---|---|---|---|---|")
    failed = False
    for source, command in cuda_commands(options.arch):
        if options.names and not any(name in str(source) for name in options.names):
            continue
        done = subprocess.run(
            [*command, "-Xptxas=-v", "-o", "/dev/null"], capture_output=True, text=True
        )
        log = done.stdout + done.stderr
        warnings = [line for line in log.splitlines() if "warning" in line.lower()]
        failed |= done.returncode != 0 or bool(warnings)
        print("".join(f"{line}\n" for line in warnings), end="", file=sys.stderr)
        if done.returncode:
            print(log, file=sys.stderr)
        for kernel in sorted(parse(log)):
            failed |= kernel.spills > 0
            cells = (source.parent.name, f"`{kernel.name}`", *kernel[1:])
            print("|", " | ".join(map(str, cells)), "|", flush=True)
    return int(failed)


def cuda_commands(arch: str) -> list[tuple[Path, list[str]]]:
    """The build's compiler call for each .cu file, without its output."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DPGNFACE_CUDA=ON"),
                f"-DCMAKE_CUDA_ARCHITECTURES={arch}",
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        entries = json.loads(Path(folder, "compile_commands.json").read_text())
    commands = []
    for entry in sorted(entries, key=lambda entry: entry["file"]):
        if entry["file"].endswith(".cu"):
            command = shlex.split(entry["command"])
            output = command.index("-o")
            commands.append((Path(entry["file"]), command[:output] + command[output + 2 :]))
    return commands


def parse(log: str) -> list[Resources]:
    """The kernels of a log of ``ptxas -v``."""
    kernels = []
    for part in log.split("Compiling entry function '")[1:]:
        mangled = part.split("'", 1)[0]

        def number(pattern: str, part: str = part) -> int:
            found = re.search(pattern, part)
            return int(found[1]) if found else 0

        kernels.append(
            Resources(
                short_name(mangled),
                number(r"Used (\d+) registers"),
                number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
                number(r"(\d+) bytes stack frame"),
                number(r"(\d+) bytes smem"),
            )
        )
    return kernels


def short_name(mangled: str) -> str:
    """Name and template arguments, without namespaces and parameters."""
    done = subprocess.run(["c++filt", mangled], capture_output=True, text=True)
    name = done.stdout.strip().removeprefix("void ")
    name = re.sub(r"\(anonymous namespace\)::|\bpgnface::|\b\w+::(?=\w+[<(])", "", name)
    depth, end = 0, len(name)
    for i, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            end = i
            break
    return name[:end]


if __name__ == "__main__":
    sys.exit(main())
