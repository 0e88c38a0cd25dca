"""Builds every _native/*.pyx; all else about the distribution stands in pyproject.toml.

What a source needs beyond a C compiler it says itself in its first lines, in Cython's way:
`# distutils: libraries = z` or `# distutils: language = c++`.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"_native.{source.stem}",
                [str(source)],
                include_dirs=["_native"],  # the generated code stands elsewhere, see below
                extra_compile_args=["-O3"],
            )
            for source in sorted(Path("_native").glob("*.pyx"))
        ],
        build_dir="build/cython",  # keeps generated code out of the source tree
        language_level=3,
        nthreads=os.cpu_count() or 1,
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
