"""Make Pyserini's run file writers atomic: a run that fails leaves the previous file in place."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._internal.atomic_write import atomic_file, errors_name
from ..trec.run_file import is_written_atomically


class _AtomicOutput:
    """A Pyserini output writer whose file is written atomically."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._output = Path(writer.file_path)
        self._open = contextlib.ExitStack()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def __enter__(self) -> _AtomicOutput:
        with contextlib.ExitStack() as stack:
            if is_written_atomically(self._output):
                with errors_name(self._output):
                    self._output.parent.mkdir(parents=True, exist_ok=True)          # as Pyserini does
                self._writer.file_path = str(stack.enter_context(atomic_file(self._output)))
            with errors_name(self._output):
                self._writer.__enter__()
            stack.push(self._close)
            self._open = stack.pop_all()
        return self

    def write(self, *arguments: Any) -> Any:
        """Writes as the wrapped writer does; an ``OSError`` names the run."""
        with errors_name(self._output):
            return self._writer.write(*arguments)

    def _close(self, *details: Any) -> Any:
        with errors_name(self._output):
            return self._writer.__exit__(*details)

    def __exit__(self, *details: Any) -> Any:
        return self._open.__exit__(*details)


@contextlib.contextmanager
def write_outputs_atomically() -> Iterator[None]:
    """Makes ``pyserini.output_writer.get_output_writer`` return writers that write atomically, within the block."""
    from pyserini import output_writer

    original = output_writer.get_output_writer

    def get_output_writer(*args: Any, **kwargs: Any) -> Any:
        return _AtomicOutput(original(*args, **kwargs))

    output_writer.get_output_writer = get_output_writer
    try:
        yield
    finally:
        output_writer.get_output_writer = original
