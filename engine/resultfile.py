"""Single files, written aside and moved into place when whole."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from types import TracebackType

from engine.errors import OutputError
from engine.outputs import explain_os_error, sync


class ResultFile:
    """The file ``out`` of a job, replaced if it exists; its folder is made if absent.

    Entering makes a staging file beside it, so that a place that cannot be written is told before the work; leaving
    without :meth:`commit` removes it, and the folders that were made. Raises OutputError.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.target = Path(os.path.abspath(os.path.realpath(Path(out).expanduser())))  # noqa: PTH100 - may be absent
        self._given = os.fspath(out)
        self._staging = self.target.with_name(f".{self.target.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        self._made: list[Path] = []

    def __enter__(self) -> ResultFile:
        try:
            if self.target.is_dir():
                raise OutputError(
                    f"{self._given}: the output is a folder; expected a file.", remedy="Give a file name."
                )
            for folder in reversed([self.target.parent, *self.target.parent.parents]):
                if not folder.exists():
                    folder.mkdir()
                    self._made.append(folder)
            self._staging.touch()
        except OSError as error:
            self._discard()
            raise explain_os_error(error, self._given) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def commit(self, content: str | bytes) -> Path:
        """Write ``content`` (text as UTF-8) and make it visible under its name."""
        try:
            self._staging.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            sync(self._staging)
            self._staging.replace(self.target)
        except OSError as error:
            raise explain_os_error(error, self._given) from error
        self._made = []
        return self.target

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._staging.unlink(missing_ok=True)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # something else was put there meanwhile
                folder.rmdir()
        self._made = []


def write_whole(path: Path, content: str | bytes) -> None:
    """Put ``content`` (text as UTF-8) in place under ``path``, whole or not at all; its folder is there. Raises
    OutputError; what was there before stays then."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        try:
            partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            sync(partial)
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, path) from error
