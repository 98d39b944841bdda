"""Make Pyserini's writers of run files leave whole files: a run that fails leaves the file that stood there."""
from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any


class _WholeOutput:
    """A Pyserini output writer that writes beside its file, and moves there when all went well."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._target: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def __enter__(self) -> _WholeOutput:
        target = os.path.realpath(self._writer.file_path)
        if not os.path.exists(target) or os.path.isfile(target):        # not for /dev/stdout and pipes
            folder, name = os.path.split(target)
            try:
                os.makedirs(folder, exist_ok=True)
                handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            except OSError as error:
                raise OSError(error.errno, error.strerror, self._writer.file_path) from error
            os.close(handle)
            if os.path.exists(target):
                shutil.copymode(target, temporary)
            else:
                os.chmod(temporary, 0o666 & ~_umask())
            self._target, self._writer.file_path = target, temporary
        self._writer.__enter__()
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> Any:
        temporary = self._writer.file_path
        try:
            result = self._writer.__exit__(exc_type, exc_value, traceback)
            if self._target is not None and exc_type is None:
                os.replace(temporary, self._target)
        finally:
            if self._target is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
        return result


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def write_outputs_whole() -> Iterator[None]:
    """Within the block, ``pyserini.output_writer.get_output_writer`` gives writers that leave whole files only."""
    from pyserini import output_writer

    original = output_writer.get_output_writer

    def get_output_writer(*args: Any, **kwargs: Any) -> Any:
        return _WholeOutput(original(*args, **kwargs))

    output_writer.get_output_writer = get_output_writer
    try:
        yield
    finally:
        output_writer.get_output_writer = original
