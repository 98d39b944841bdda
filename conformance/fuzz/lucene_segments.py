"""Lucene indexes of a case, built and read in this process's JVM, because starting another takes longer than the rest."""
from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from bmp_plugin.adapters.java import lucene_process
from bmp_plugin.adapters.java.lucene_process import Frame, PostingReader

from .case import Case

_CLASSES = Path(lucene_process.__file__).parent
_END = 4                        # as in PostingReader.java


def build(case: Case, folder: Path) -> Path:
    """Builds the case's Lucene index in ``folder``: one commit per segment, then the deletions, without merging."""
    parts = [index_vectors(({"id": docid, "contents": "", "vector": vector} for docid, vector in segment), folder / f"part{i}")
             for i, segment in enumerate(case.segments)]
    if len(parts) == 1 and not case.deleted:
        return parts[0]
    return write_segments(folder / "index", parts, case.deleted)


def index_vectors(documents: Iterable[Mapping[str, Any]], folder: Path, *flags: str) -> Path:
    """Indexes JSON vectors as ``python -m pyserini.index.lucene --impact --pretokenized --optimize`` does, in this JVM."""
    from pyserini.pyclass import autoclass

    vectors = folder.with_name(folder.name + ".vectors")
    vectors.mkdir()
    with open(vectors / "docs.jsonl", "w", encoding="utf-8") as file:
        for document in documents:
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
    with tempfile.TemporaryFile() as output, _to(output, 1, 2):
        autoclass("io.anserini.index.IndexCollection").main([
            "-collection", "JsonVectorCollection", "-input", str(vectors), "-index", str(folder), "-generator",
            "DefaultLuceneDocumentGenerator", "-threads", "1", "-impact", "-pretokenized", "-optimize", "-quiet", *flags])
    return folder


def write_segments(folder: Path, sources: Iterable[Path] = (), deleted: Iterable[str] = ()) -> Path:
    """Adds the segments of other indexes to the index in ``folder``, then deletes documents by docid, without merging."""
    from pyserini.pyclass import autoclass

    directories, paths = autoclass("org.apache.lucene.store.FSDirectory"), autoclass("java.nio.file.Paths")
    term, query = autoclass("org.apache.lucene.index.Term"), autoclass("org.apache.lucene.search.TermQuery")
    config = autoclass("org.apache.lucene.index.IndexWriterConfig")()
    config.setMergePolicy(autoclass("org.apache.lucene.index.NoMergePolicy").INSTANCE)
    writer = autoclass("org.apache.lucene.index.IndexWriter")(directories.open(paths.get(str(folder))), config)
    for source in sources:
        writer.addIndexes(directories.open(paths.get(str(source))))
    for docid in deleted:
        writer.deleteDocuments(query(term("id", docid)))
    writer.commit()
    writer.close()
    return folder


@contextlib.contextmanager
def _to(file: IO[bytes], *descriptors: int) -> Iterator[None]:
    """Redirects file descriptors, also Java's output to them, to a file."""
    saved = [os.dup(descriptor) for descriptor in descriptors]
    try:
        for descriptor in descriptors:
            os.dup2(file.fileno(), descriptor)
        yield
    finally:
        for descriptor, copy in zip(descriptors, saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


class ReaderHere(PostingReader):
    """PostingReader.java, run in this JVM: its standard output is redirected to a file."""

    def __init__(self, path: Path, field: str, jar: Path) -> None:
        self.path = path
        self.busy = False
        self._field = field
        self._frames = _answer(path, field, b"")
        self.header = json.loads(bytes(self._read().payload))

    def frames(self, command: bytes) -> Iterator[Frame]:
        self._frames.close()
        self._frames = _answer(self.path, self._field, command)
        self._read()                                          # the header
        while (frame := self._read()).kind != _END:
            yield frame

    def close(self) -> None:
        self._frames.close()


def _answer(path: Path, field: str, commands: bytes) -> Any:
    from pyserini.pyclass import autoclass

    serve = _program()
    directory = autoclass("org.apache.lucene.store.FSDirectory").open(autoclass("java.nio.file.Paths").get(str(path)))
    reader = autoclass("org.apache.lucene.index.DirectoryReader").open(directory)
    arguments = autoclass("java.util.ArrayList")()
    for argument in (reader, autoclass("java.lang.String")(field), autoclass("java.io.ByteArrayInputStream")(commands)):
        arguments.add(argument)
    file = tempfile.TemporaryFile()                           # noqa: SIM115 (handed to the caller)
    with _to(file, 1):
        serve.invokeWithArguments(arguments)
    reader.close()
    file.seek(0)
    return file


@cache
def _program() -> Any:
    """Returns a handle of the method ``serve`` of a new PostingReader in Lucene's class loader, where pyjnius cannot see it."""
    from jnius import cast
    from pyserini.pyclass import autoclass

    url = autoclass("java.io.File")(str(_CLASSES)).toURI().toURL()
    found = autoclass("java.net.URLClassLoader")([url]).loadClass("PostingReader")
    serve = next(method for method in found.getDeclaredMethods() if method.getName() == "serve")
    constructor = found.getDeclaredConstructors()[0]
    for member in (serve, constructor):                       # pyjnius wraps both without some of their methods
        cast("java.lang.reflect.AccessibleObject", member).setAccessible(True)
    handles = autoclass("java.lang.invoke.MethodHandles")
    lookup = handles.publicLookup()
    return handles.foldArguments(lookup.unreflect(serve), lookup.unreflectConstructor(constructor))
