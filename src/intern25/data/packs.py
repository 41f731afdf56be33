# SPDX-License-Identifier: MIT
"""Data sets of a folder by name: sub-folders, zip archives, and folders inside archives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from intern25.data.trees import open_tree


@dataclass(frozen=True)
class PackFolder:
    """A folder with data sets in it.

    Example:
        >>> PackFolder.open("packs").path("bccd")  # doctest: +SKIP
        PosixPath('packs/det_small.zip/bccd')
    """

    where: Path
    """The folder."""
    paths: dict[str, Path] = field(repr=False)
    """Path of each data set by the name of its folder."""

    @classmethod
    def open(cls, folder: str | Path) -> PackFolder:
        """Look into a folder.

        Raises:
            ValueError: It is no folder, or there is no data set in it.
        """
        root = Path(folder)
        if not root.is_dir():
            raise ValueError(f"{root} is not a folder; give the folder that holds the data packs")
        paths = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
        for archive in sorted(root.glob("*.zip")):
            tops = sorted({name.split("/", 1)[0] for name in open_tree(archive).names if "/" in name})
            for top in tops:
                # Readers take off the one folder that all files of an archive share.
                paths.setdefault(top, archive if len(tops) == 1 else archive / top)
        if not paths:
            raise ValueError(f"{root} holds no data pack: no sub-folder and no .zip archive")
        return cls(root, paths)

    def path(self, name: str) -> Path | None:
        """Path of a data set; None where the folder does not have it."""
        return self.paths.get(name)
