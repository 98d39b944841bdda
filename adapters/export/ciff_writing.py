"""Export of a block-max index to a CIFF file, in the index's document order."""
from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from bmp_plugin import BmpIndex
from bmp_plugin._internal.atomic_write import atomic_file
from bmp_plugin._internal.progress import tqdm
from bmp_plugin.errors import BuildError

from ..sources.ciff_messages import messages
from .block_max_source import BlockMaxSource
from .ciff_encoding import encode_lists, measure_lists

_LARGEST_INT32 = 2**31 - 1


def write_ciff(index: BmpIndex, output: str | Path, *, description: str | None = None, progress: bool = True) -> int:
    """Writes ``index`` as a CIFF file; impacts are term frequencies.

    Documents are numbered by their internal document ids, so a reordered index gives a reordered file. A document's length
    is the sum of its impacts. The index is read twice, because the header, which comes first, holds totals.

    Parameters
    ----------
    index : BmpIndex
    output : path
        The file, written atomically; gzipped if its name ends in ``.gz``.
    description : str, optional
        The header's description.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    int
        Number of bytes written.

    Raises
    ------
    BuildError
        If ``output`` cannot be written.
    MissingDependencyError
        If the package ``protobuf`` is not installed.
    """
    kinds = messages()
    source = BlockMaxSource(index)
    lengths = np.zeros(index.num_docs, np.int64)
    if description is None:
        description = f"bmp-plugin: {Path(index.manifest['source']['path']).name}, order {index.manifest['reorder']}"
    with _open_output(Path(output)) as file:
        with tqdm(total=2 * index.num_postings, unit=" postings", unit_scale=True, desc="exporting", file=sys.stderr,
                  disable=None if progress else True) as bar:
            for batch in source.batches():
                np.add.at(lengths, batch.docs, batch.impacts)
                bar.update(len(batch.docs))
            total = int(lengths.sum())
            _write(file, kinds.Header(
                version=1, num_postings_lists=source.num_terms, num_docs=index.num_docs,
                total_postings_lists=source.num_terms, total_docs=index.num_docs, total_terms_in_collection=total,
                average_doclength=total / max(1, index.num_docs), description=description))
            for batch in source.batches():
                term_sizes = np.fromiter(map(len, batch.terms), np.int64, len(batch.terms))
                sizes, cfs = np.empty_like(term_sizes), np.empty_like(term_sizes)
                measure_lists(batch.counts, batch.docs, batch.impacts, term_sizes, sizes, cfs)
                out = np.empty(int(sizes.sum()) + 10 * len(sizes), np.uint8)
                written = encode_lists(batch.counts, batch.docs, batch.impacts,
                                       np.frombuffer(b"".join(batch.terms), np.uint8), term_sizes, sizes, cfs, out)
                file.write(out[:written].data)
                bar.update(len(batch.docs))
        docids = index.docids(np.arange(index.num_docs, dtype=np.int32))
        record = kinds.DocRecord
        for doc, (docid, length) in enumerate(zip(docids, lengths.tolist(), strict=True)):
            _write(file, record(docid=doc, collection_docid=docid, doclength=min(length, _LARGEST_INT32)))
    return Path(output).stat().st_size


def _write(file: BinaryIO, message: Any) -> None:
    data: bytes = message.SerializeToString()
    length, prefix = len(data), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    file.write(bytes([*prefix, length]) + data)


@contextlib.contextmanager
def _open_output(output: Path) -> Iterator[BinaryIO]:
    """Opens ``output`` for an atomic write, gzipped if its name ends in .gz."""
    if output.is_dir():
        raise BuildError(f"{output}: a folder exists where the file is to be written; choose another output")
    try:
        with atomic_file(output) as temporary, open(temporary, "wb") as raw:
            if output.name.endswith(".gz"):
                # no time and no name in the gzip header, so that the same index gives the same file
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield cast(BinaryIO, raw)
    except OSError as error:
        raise BuildError(f"{output}: cannot be written ({error.strerror or error}); choose another output") from error
