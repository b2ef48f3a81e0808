"""An output under a temporary name beside its own, which it gets when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from inrcodec._output import replaced_file
from inrcodec.errors import VideoError


class PartFile:
    """A temporary path in the target's folder. The caller writes it, then commits or discards.

    Raises:
        VideoError: the target's folder is not there, or the target is no regular file.
    """

    def __init__(self, target: Path) -> None:
        folder = Path(os.path.realpath(target.parent))
        if not folder.is_dir():
            raise VideoError(f"{target}: no such folder: {target.parent}")
        self.target = replaced_file(target)
        self.path = self.target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")

    def commit(self) -> None:
        """Rename the temporary file to the target."""
        os.replace(self.path, self.target)

    def discard(self) -> None:
        """Remove the temporary file, if it was made."""
        self.path.unlink(missing_ok=True)


class PartFolder:
    """A temporary folder beside the files that are to come, which all move out of it at once.

    Raises:
        VideoError: the folder of the files is not there or cannot be written to.
    """

    def __init__(self, target_folder: Path, *, target: str) -> None:
        if not target_folder.is_dir():
            raise VideoError(f"{target}: no such folder: {target_folder}")
        self.target_folder = target_folder
        self.path = target_folder / f".frames.{secrets.token_hex(4)}.part"
        try:
            self.path.mkdir()
        except OSError as exc:
            raise VideoError(f"{target}: cannot be written: {exc.strerror}") from exc

    def commit(self) -> None:
        """Move every file to the target folder, over those of the same name.

        Raises:
            VideoError: one of those names is taken by what is no regular file; none was moved then.
        """
        paths = sorted(self.path.iterdir())
        targets = [replaced_file(self.target_folder / path.name) for path in paths]
        for path, target in zip(paths, targets, strict=True):
            os.replace(path, target)
        self.path.rmdir()

    def discard(self) -> None:
        """Remove the temporary folder with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
