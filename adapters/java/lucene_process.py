"""The Python side of ``java/PostingReader.java``: starts it, sends commands, and converts its frames to arrays."""
from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.errors import MissingDependencyError, SourceError
from bmp_plugin.index.source import PostingBatch

from .jdk import check_java_path, find_jdk

_CLASSES = Path(__file__).resolve().parent
_HEADER, _DOCUMENTS, _POSTINGS, _END, _ERROR = 1, 2, 3, 4, 5         # as in PostingReader.java
_JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto", "--add-modules=jdk.incubator.vector")
_PIPE_BYTES = 1 << 20

# Lucene's exceptions in words for a user who gave the path of a directory.
_MEANINGS = {
    "IndexNotFoundException": "is not a Lucene index (no segments file)",
    "IndexFormatTooOldException": "was written by a Lucene too old for Pyserini's jar: index it again",
    "IndexFormatTooNewException": "was written by a newer Lucene than Pyserini's jar holds: upgrade pyserini",
    "CorruptIndexException": "is damaged: copy or index it again",
    "EOFException": "is damaged (a file ends too early): copy or index it again",
    "NoSuchFileException": "is damaged or changed while it was read (a file is missing): copy or index it again",
    "FileNotFoundException": "is damaged or changed while it was read (a file is missing): copy or index it again",
    "ArrayIndexOutOfBoundsException": "is damaged: copy or index it again",
    "IndexOutOfBoundsException": "is damaged: copy or index it again",
    "AccessDeniedException": "cannot be read (permission denied)",
    "OutOfMemoryError": "needs more memory than Java was given: set JAVA_TOOL_OPTIONS=-Xmx8g or similar",
}


class Frame(NamedTuple):
    """A kind, four numbers whose meaning PostingReader.java documents by kind, and a payload."""

    kind: int
    a: int
    b: int
    c: int
    d: int
    payload: NDArray[np.uint8]


class PostingReader:
    """A running PostingReader.java, which answers one command at a time with frames."""

    def __init__(self, path: Path, field: str, jar: Path) -> None:
        if not (_CLASSES / "PostingReader.class").is_file():
            raise MissingDependencyError(
                "bmp-plugin was installed from source without javac, which a JRE lacks, so its Lucene reader is not compiled: "
                "install a JDK 21+, then pip install --force-reinstall --no-deps --no-cache-dir bmp-plugin")
        check_java_path(path)
        self.path = path
        self.busy = False
        self._errors = tempfile.TemporaryFile()        # noqa: SIM115 - lives as long as the process
        java, classpath = find_jdk() / "bin" / "java", os.pathsep.join([str(_CLASSES), str(jar)])
        self._process = subprocess.Popen(
            [str(java), *_JVM_OPTIONS, "-cp", classpath, "PostingReader", str(path), field],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            process_group=0)                            # Ctrl-C must reach only this process, which then ends that one
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._frames = self._process.stdin, self._process.stdout
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl
            fcntl.fcntl(self._frames.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self.header: dict[str, Any] = json.loads(bytes(self._read().payload))
        except BaseException:
            self.close()
            raise

    def _fill(self, count: int) -> NDArray[np.uint8]:
        data = np.empty(count, dtype=np.uint8)
        if self._frames.readinto(data) != count:        # type: ignore[attr-defined]
            raise SourceError(f"{self.path}: the Java reader ended early: {self._last_words()}")
        return data

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines()]
        chatter = r"$|WARNING|Picked up|at |\w{3} \d+, \d{4}"      # the last is java.util.logging's first line
        messages = [line for line in lines if not re.match(chatter, line)]
        return "; ".join(messages[:2]) or f"exit status {status}"

    def _read(self) -> Frame:
        kind, a, b, c, d = (int(number) for number in self._fill(20).view("<i4"))
        size = {_HEADER: a, _ERROR: a, _END: 0, _DOCUMENTS: 8 * a + b, _POSTINGS: 12 * a + 8 * c + b}.get(kind)
        if size is None:
            raise SourceError(f"{self.path}: the Java reader wrote something other than a frame (kind {kind})")
        payload = self._fill(size)
        if kind == _ERROR:
            name, _, message = bytes(payload).decode("utf-8", "replace").partition("\t")
            raise SourceError(f"{self.path}: {self._explain(name, ' '.join(message.split()))}")
        return Frame(kind, a, b, c, d, payload)

    @staticmethod
    def _explain(name: str, message: str) -> str:
        if name in _MEANINGS:
            return _MEANINGS[name] if name == "IndexNotFoundException" else f"{_MEANINGS[name]} ({message})"
        if name == "IllegalStateException":                 # PostingReader's own message
            return message
        if "SPI class" in message:
            return f"uses a codec that Pyserini's jar does not have ({message})"
        return f"cannot be read by Lucene: {name}: {message}"

    def frames(self, command: bytes) -> Iterator[Frame]:
        """Yields the frames that answer ``command``; the reader is busy until the last one was consumed."""
        self.busy = True
        with contextlib.suppress(BrokenPipeError):          # the read below reports why the process ended
            self._commands.write(command)
            self._commands.flush()
        while (frame := self._read()).kind != _END:
            yield frame
        self.busy = False

    def close(self) -> None:
        """Kills the process; may be called twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._commands, self._frames, self._errors):
            with contextlib.suppress(OSError):
                stream.close()


def posting_batch(frame: Frame) -> PostingBatch:
    """Converts a frame of postings."""
    num_terms, num_postings = frame.a, frame.c
    ends = np.cumsum([0, 4 * num_terms, 4 * num_terms, 4 * num_terms, 4 * num_postings, 4 * num_postings, frame.b])
    lengths, dfs, counts, docs, impacts, terms = (
        frame.payload[start:end] for start, end in itertools.pairwise(ends))
    text, term_ends = terms.tobytes(), np.cumsum(lengths.view("<i4")).tolist()
    return PostingBatch(
        terms=[text[start:end] for start, end in zip([0, *term_ends[:-1]], term_ends, strict=False)],
        dfs=dfs.view("<i4").astype(np.int64), counts=counts.view("<i4").astype(np.int64),
        docs=docs.view("<i4"), impacts=impacts.view("<i4"))


def joined(pieces: list[PostingBatch]) -> PostingBatch:
    """Concatenates a term that came in several frames."""
    return PostingBatch(
        terms=pieces[0].terms, dfs=pieces[0].dfs, counts=sum((piece.counts for piece in pieces[1:]), pieces[0].counts),
        docs=np.concatenate([piece.docs for piece in pieces]),
        impacts=np.concatenate([piece.impacts for piece in pieces]))
