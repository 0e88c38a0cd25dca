"""Runs tests of the compiled core with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitizer/run.py [test ...]

Builds every native module once more, under build/sanitized, and runs the tests given, or those
below, against that copy. Fails when a test fails or a sanitizer finds something. Needs gcc with
libasan and libubsan. No part of the test suite: it takes some minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build" / "sanitized"
# Those that drive a native module through all of its doors.
TESTS = (
    "tests/unit/native",
    "tests/property/test_location_index_properties.py",
    "tests/property/test_native_geometry_properties.py",
    "tests/property/test_exchange_properties.py",
    "tests/property/test_notification_properties.py",
    "tests/property/test_rendering_properties.py",
    "tests/unit/broker/test_notifier.py",
    "tests/unit/broker/test_publisher.py",
    "tests/property/test_matcher_properties.py",
    "tests/property/test_update_properties.py",
    "tests/property/test_update_kernel_properties.py",
)
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1"


def build() -> None:
    """The distribution with sanitized modules, as it would be installed."""
    environment = os.environ | {"CFLAGS": FLAGS, "CXXFLAGS": FLAGS}
    arguments = ["build", "--build-lib", str(COPY), "--build-temp", f"{COPY}.objects"]
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", *arguments], check=True, cwd=ROOT, env=environment
    )


def library(name: str) -> str:
    """Where gcc has a runtime library, which must be loaded before Python's own."""
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(tests: list[str]) -> int:
    """The exit status of pytest."""
    environment = os.environ | {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')} {library('libstdc++.so')}",
        # Python keeps what it has until it ends. Its own allocator would hide its objects.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    check = f"import _native.location_index as m; assert m.__file__.startswith({str(COPY)!r})"
    path = {"PYTHONPATH": str(COPY)}
    subprocess.run(
        [sys.executable, "-P", "-c", check], check=True, cwd=COPY, env=environment | path
    )
    # pytest's own setting puts the root before PYTHONPATH.
    options = ["--override-ini", f"pythonpath={COPY}", "--override-ini", "timeout=600"]
    command = [sys.executable, "-P", "-m", "pytest", "-q", *options, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    build()
    sys.exit(run(sys.argv[1:] or list(TESTS)))
