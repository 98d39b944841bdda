"""Make Pyserini's writers of run files leave whole files: a run that fails leaves the file that stood there."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmp_plugin.run_file import becomes_whole
from bmp_plugin.whole import naming, whole_file


class _WholeOutput:
    """A Pyserini output writer that writes beside its file, and moves there when all went well."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._output = Path(writer.file_path)
        self._open = contextlib.ExitStack()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def __enter__(self) -> _WholeOutput:
        with contextlib.ExitStack() as stack:
            if becomes_whole(self._output):
                self._writer.file_path = str(stack.enter_context(whole_file(self._output)))
            with naming(self._output):
                self._writer.__enter__()
            stack.push(self._close)
            self._open = stack.pop_all()
        return self

    def write(self, *arguments: Any) -> Any:
        """As the writer's own. Errors: ``OSError`` naming the run."""
        with naming(self._output):
            return self._writer.write(*arguments)

    def _close(self, *details: Any) -> Any:
        with naming(self._output):
            return self._writer.__exit__(*details)

    def __exit__(self, *details: Any) -> Any:
        return self._open.__exit__(*details)


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
