"""The formats that this package reads, as entry points of the group ``bmp_plugin.sources`` name them.

Each recognizes its content without a flag. Modules that read a format are imported when it is met, since some need packages
that are not installed everywhere.
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from bmp_plugin._internal.compressed import damage_named, open_maybe_gzip
from bmp_plugin.errors import SourceError
from bmp_plugin.index.format_registry import ReadingOptions
from bmp_plugin.index.source import PostingSource


class LuceneFormat:
    """A Lucene impact index, as Anserini builds it."""

    description = "a Lucene index directory"
    quantizes = False

    def recognizes(self, source: object) -> bool:
        """Tells whether there is a Lucene commit, readable or not."""
        return isinstance(source, Path) and source.is_dir() and any(source.glob("segments_*"))

    def open(self, source: Any, options: ReadingOptions) -> PostingSource:
        """Opens the index in a Java process."""
        from .lucene_source import LuceneSource, is_lucene_directory

        if not is_lucene_directory(source):
            raise SourceError(f"{source}: looks like a Lucene index but is not a readable one: check that it is complete")
        return LuceneSource(source, field=options.field)


class CiffFormat:
    """A file in the Common Index File Format."""

    description = "a CIFF file"
    quantizes = False

    def recognizes(self, source: object) -> bool:
        """Tells whether the file begins with CIFF's header."""
        if not isinstance(source, Path) or not source.is_file():
            return False
        from .ciff_source import begins_like_ciff

        head = _head(source)
        return not _begins_like_json(head) and begins_like_ciff(head)

    def open(self, source: Any, options: ReadingOptions) -> PostingSource:
        """Opens the file."""
        from .ciff_source import CiffSource

        return CiffSource(source)


class JsonVectorFormat:
    """JSON vectors, a file or a folder, as Anserini's JsonVectorCollection."""

    description = "a file or folder of JSON vectors"
    quantizes = True

    def recognizes(self, source: object) -> bool:
        """Tells whether the file begins like JSON; a folder that nothing else recognizes is expected to contain such files."""
        if not isinstance(source, Path):
            return False
        return not LuceneFormat().recognizes(source) if source.is_dir() else _begins_like_json(_head(source))

    def open(self, source: Any, options: ReadingOptions) -> PostingSource:
        """Reads all vectors."""
        if options.quantize is not None:
            from .document_source import VectorSource, json_documents

            return VectorSource(json_documents(source), quantize=options.quantize, origin=str(source.resolve()),
                                temp_dir=options.temp_dir, progress=options.progress)
        from .json_vector_source import JsonVectorSource

        # cast: its info is a read-only property, computed when the files are read, which the protocol's type does not allow
        return cast(PostingSource, JsonVectorSource(source, progress=options.progress, threads=options.threads,
                                                    temp_dir=options.temp_dir))


class DocumentFormat:
    """Documents from Python code: any iterable of docids and vectors."""

    description = ""
    quantizes = True

    def recognizes(self, source: object) -> bool:
        """Tells whether it is an iterable, and no path."""
        return isinstance(source, Iterable) and not isinstance(source, Path)

    def open(self, source: Any, options: ReadingOptions) -> PostingSource:
        """Reads all documents."""
        from .document_source import VectorSource

        return VectorSource(source, quantize=options.quantize, temp_dir=options.temp_dir, progress=options.progress)


def _head(path: Path) -> bytes:
    with damage_named(path), open_maybe_gzip(path) as file:
        return file.read(4096)


def _begins_like_json(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"{", b"[")
