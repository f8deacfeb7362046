"""The one step of the build that pyproject.toml can't say: results/reference/*.jsonl become the package's data.

They live beside the results that they are examples of, and are shipped as bench/results_reference, where
`bench.store.reference` finds them.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

REFERENCE = Path("results", "reference")


class BuildWithReferences(build_py):
    """Copies the reference results into the built package; an editable install reads the checkout's."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            for target, source in self._references().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._references()]

    def get_output_mapping(self) -> dict[str, str]:
        return {**super().get_output_mapping(), **self._references()}

    def get_source_files(self) -> list[str]:
        # What this lists is put into the source distribution.
        return [*super().get_source_files(), *self._references().values()]

    def _references(self) -> dict[str, str]:
        folder = Path(self.build_lib, "bench", "results_reference")
        return {str(folder / source.name): str(source) for source in sorted(REFERENCE.glob("*.jsonl"))}


setup(cmdclass={"build_py": BuildWithReferences})
