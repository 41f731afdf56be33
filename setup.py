# SPDX-License-Identifier: MIT
"""Builds the native CPU library, one shared file for every Python version; metadata is in pyproject.toml.

To add a kernel `name`: put its dispatcher in `src/intern25/ops/native/name.cpp`, its kernels in
`name_portable.cpp`, `name_avx2.cpp`, `name_avx512.cpp`, and `"name"` in KERNELS. A source without kernels of
its own goes to SOURCES. `python setup.py build_ext --inplace` rebuilds the library of a checkout.
"""

from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

KERNELS = ["dcnv3", "inference", "deform_attn", "training"]
SOURCES = ["instruction_sets", "parallel"]

FOLDER = Path("src/intern25/ops/native")
IS_X86 = platform.machine().lower() in {"x86_64", "amd64", "i686", "x86"}

# Flags of each instruction set by compiler family; a file `<kernel>_<set>.cpp` is compiled with them alone.
INSTRUCTION_SETS = {
    "avx2": {"unix": ["-mavx2", "-mfma"], "msvc": ["/arch:AVX2"]},
    "avx512": {
        "unix": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"],
        "msvc": ["/arch:AVX512"],
    },
}
# Kernels neither set errno nor look at floating point exceptions, which would keep gcc from vectorising.
COMMON_FLAGS = {
    "unix": [
        "-std=c++17",
        "-O3",
        "-fvisibility=hidden",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Wno-psabi",
        "-g0",
    ],
    "msvc": ["/std:c++17", "/O2", "/EHsc", "/fp:precise"],
}


class BuildLibrary(build_ext):
    """Compiles every unit with the flags of its instruction set, and links them into one file."""

    def get_ext_filename(self, fullname: str) -> str:
        """Path of the library; no Python version in it, because it does not use Python."""
        return str(Path(*fullname.split("."))) + (".dll" if sys.platform == "win32" else ".so")

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """None besides those the sources export: there is no PyInit function."""
        return []

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        # If this build fails, the library of an earlier one in the build folder must not go into the wheel.
        target.unlink(missing_ok=True)
        family = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        common = COMMON_FLAGS[family]
        sets = ["portable", *(INSTRUCTION_SETS if IS_X86 else ())]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # KERNELS has the longest to compile first, so that no core waits long at the end.
            jobs = {
                (kernel, name): pool.submit(
                    self.compile_unit,
                    f"{kernel}_{name}",
                    common + INSTRUCTION_SETS.get(name, {}).get(family, []),
                )
                for kernel in KERNELS
                for name in sets
            }
            objects, macros = [jobs[kernel, "portable"].result() for kernel in KERNELS], []
            for name in sets[1:]:
                try:
                    objects += [jobs[kernel, name].result() for kernel in KERNELS]
                    macros.append((f"INTERN25_WITH_{name.upper()}", "1"))
                except CompileError as error:  # an old compiler, or one of a universal binary's architectures
                    self.warn(f"the native library is built without {name}: {error}")
            dispatchers = [pool.submit(self.compile_unit, unit, common, macros) for unit in SOURCES + KERNELS]
            objects += [unit.result() for unit in dispatchers]
        self.link(objects, target)

    def compile_unit(self, unit: str, flags: list[str], macros: list[tuple[str, str]] | None = None) -> str:
        """Path of the object file of ``unit``."""
        source = str(FOLDER / f"{unit}.cpp")
        (compiled,) = self.compiler.compile(
            [source], output_dir=self.build_temp, macros=macros or [], extra_postargs=flags
        )
        return compiled

    def link(self, objects: list[str], target: Path) -> None:
        """Link under a temporary name, then rename: a process that has the old library open keeps it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.stem}.building{target.suffix}")
        threads = ["-pthread"] if self.compiler.compiler_type == "unix" else []
        self.compiler.link_shared_object(objects, str(temporary), target_lang="c++", extra_postargs=threads)
        temporary.replace(target)

    def copy_extensions_to_source(self) -> None:
        """Place the library of a checkout, again by renaming."""
        for ext in self.extensions:
            built = Path(self.build_lib, self.get_ext_filename(ext.name))
            if not built.exists():
                continue
            target = Path("src", self.get_ext_filename(ext.name))
            temporary = target.with_name(f"{target.stem}.copying{target.suffix}")
            self.copy_file(str(built), str(temporary))
            temporary.replace(target)


class PlatformWheel(bdist_wheel):
    """One wheel a platform serves every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[Extension("intern25.ops.native._native", sources=[], optional=True)],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
)
