"""Runs tests of the compiled core with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitizer/run.py [--quick] [test ...]

Builds every native module once more, under build/sanitized, and runs the tests given, or those
below, against that copy. Fails when a test fails or a sanitizer finds something. Needs gcc with
libasan and libubsan. No part of the test suite: it takes some minutes.

With --quick, for each change rather than each release: only the modules where most is done by
hand are built (matcher, places, HTTP lane, update kernel), less optimised; the others are those
that Python finds. Then a choice of the tests, some two minutes in all on two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup  # type: ignore[import-untyped]

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
# What is quick: the modules, and what drives them.
QUICK_MODULES = (
    "event_writer",
    "geometry",
    "kernel",
    "lane",
    "location_index",
    "property_paths",
    "subscription_index",
)
QUICK_TESTS = (
    "tests/unit/native",
    "tests/property/test_location_index_properties.py",
    "tests/property/test_matcher_properties.py::TestMatcherModel",
    "tests/property/test_update_kernel_properties.py",
)
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1"


def build() -> None:
    """The distribution with sanitized modules, as it would be installed."""
    # By force: setuptools does not know which headers a module includes.
    build = ["build", "--force", "--build-lib", str(COPY), "--build-temp", f"{COPY}.objects"]
    environment = os.environ | {"CFLAGS": FLAGS, "CXXFLAGS": FLAGS}
    command = [sys.executable, "setup.py", "--quiet", *build]
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def build_quickly() -> None:
    """The native modules, some of them sanitized, the others as Python finds them."""
    shutil.rmtree(COPY, ignore_errors=True)
    (COPY / "_native").mkdir(parents=True)
    shutil.copy2(ROOT / "_native" / "__init__.py", COPY / "_native")
    find = "import _native; print(_native.__path__[0])"
    found = subprocess.run(
        [sys.executable, "-c", find], check=True, cwd=ROOT, capture_output=True, text=True
    )
    for module in Path(found.stdout.strip()).glob("*.so"):
        if module.name.partition(".")[0] not in QUICK_MODULES:
            shutil.copy2(module, COPY / "_native")
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(build_module, QUICK_MODULES):
            pass


def build_module(name: str) -> None:
    """One sanitized module, optimised as far as it costs little time."""
    extension = Extension(
        f"_native.{name}",
        [f"_native/{name}.pyx"],
        include_dirs=["_native"],
        extra_compile_args=["-O1", *FLAGS.split()],
        extra_link_args=FLAGS.split(),
    )
    os.chdir(ROOT)
    setup(
        script_args=["--quiet", "build_ext", f"--build-lib={COPY}", f"--build-temp={COPY}.quick"],
        packages=[],
        py_modules=[],
        ext_modules=cythonize(  # type: ignore[no-untyped-call]
            [extension], build_dir=f"{COPY}.quick", language_level=3, quiet=True, force=True
        ),
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
    path = {"PYTHONPATH": f"{COPY}{os.pathsep}{ROOT}"}  # what is not built is in the root
    subprocess.run(
        [sys.executable, "-P", "-c", check], check=True, cwd=COPY, env=environment | path
    )
    # pytest's own setting puts the root before PYTHONPATH.
    options = ["--override-ini", f"pythonpath={COPY} {ROOT}", "--override-ini", "timeout=600"]
    # Without deadlines: what is sanitized is slow.
    options.append("--hypothesis-profile=ci")
    command = [sys.executable, "-P", "-m", "pytest", "-q", *options, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    is_quick = "--quick" in sys.argv[1:]
    named = [argument for argument in sys.argv[1:] if argument != "--quick"]
    if is_quick:
        build_quickly()
    else:
        build()
    sys.exit(run(named or list(QUICK_TESTS if is_quick else TESTS)))
