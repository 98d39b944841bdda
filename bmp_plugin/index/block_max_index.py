"""BmpIndex: a memory-mapped index directory, and how one is built."""
from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from .._internal.progress import tqdm
from ..errors import BmpError
from .layout import ARRAYS, DEFAULT_BLOCK_SIZE, Geometry
from .manifest import read_manifest
from .remote_folder import is_url
from .store import open_arrays, verify_arrays
from .strings import count_before, decode, encode, select
from .term_table import TermTable
from .validate.check_arrays import check_content, check_tables
from .validate.proof import Identity, ensure, prove_now

if TYPE_CHECKING:
    from .format_registry import SourceFilter
    from .quantization import Quantization
    from .source import PostingSource


class ReadingArguments(TypedDict, total=False):
    """The arguments of :meth:`BmpIndex.build` that say how a source is read."""

    field: str
    quantize: int | Quantization | None
    prune: SourceFilter | None


class BmpIndex:
    """A block-max index, memory-mapped and read-only; safe to share between threads and processes.

    Attributes
    ----------
    path : Path
    manifest : dict
        The content of ``manifest.json``: counts, block size, source, checksums, versions.
    num_docs, num_terms, num_postings : int
    geometry : Geometry
        What follows from the number of documents and the block size.
    arrays : dict of name -> array
        The arrays of :data:`bmp_plugin.index.layout.ARRAYS`, proved before their first use: see :mod:`.validate.proof`.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]], identity: Identity) -> None:
        self.path = path
        self._absolute = path.absolute()            # the working folder may change
        self.manifest = manifest
        self._unproved = arrays
        self._identity = identity
        self.num_docs: int = manifest["counts"]["num_docs"]
        self.num_terms: int = manifest["counts"]["num_terms"]
        self.num_postings: int = manifest["num_postings"]
        self.geometry = Geometry(self.num_docs, manifest["block_size"])

    @classmethod
    def build(cls, source: str | Path | PostingSource | Iterable[Any], output: str | Path, *, reorder: str = "none",
              block_size: int = DEFAULT_BLOCK_SIZE, threads: int = 1, progress: bool = True,
              **reading: Unpack[ReadingArguments]) -> BmpIndex:
        """Build an index of a source, and open it.

        Parameters
        ----------
        source : path, PostingSource or iterable
            A Lucene impact index, a CIFF file or JSON vectors (a file or a folder), whose format is detected; Python
            documents; or what another package's format recognizes, see :mod:`.format_registry`.
        output : path
            The index directory. It is written atomically, and replaces an index that is there.
        reorder : {"none", "bp", "leading"}
            Keep the source's document order, or assign a new one by recursive graph bisection, or by leading terms, which
            is cheaper and gains less. Answers are the same.
        block_size : int
            Documents per block: a power of two from 1 to 256. Smaller blocks make a larger index with tighter bounds.
        threads : int
            Number of threads that build; the index is the same for any number.
        progress : bool
            Whether to show progress bars on standard error.
        field : str
            The field of a Lucene index to read.
        quantize : int or Quantization, optional
            For JSON vectors and iterables with float weights: bits of the impacts, the largest of which is that of the
            largest weight; a :class:`bmp_plugin.index.quantization.Quantization` may set the scale too. The manifest records
            both, and searchers multiply queries' weights by the same scale.
        prune : Pruning, optional
            What to omit, such as :class:`bmp_plugin.adapters.Pruning`; the manifest records its share.

        Returns
        -------
        BmpIndex

        Raises
        ------
        FileNotFoundError
            If the source does not exist.
        ValueError
            If an argument is out of range.
        bmp_plugin.BmpError
            If the source cannot be read, or the output not be written. Every message names the file, in one line.
        """
        from .build import build_index  # compilation of its kernels takes seconds that opening need not wait
        from .format_registry import ReadingOptions, given_source
        from .layout import check_block_size

        check_block_size(block_size)
        if threads < 1:
            raise ValueError(f"threads={threads} is not at least 1")
        for name in reading:
            if name not in ReadingArguments.__annotations__:
                raise TypeError(f"build() got an unexpected keyword argument {name!r}")
        options = ReadingOptions(reading.get("field", "contents"), reading.get("quantize"), threads, Path(output).parent,
                                 progress)
        with given_source(source, Path(output), options, reading.get("prune")) as postings:
            build_index(postings, Path(output), block_size=block_size, reorder=reorder, threads=threads,
                        progress=progress)
        return cls.open(output)

    @classmethod
    def open(cls, path: str | Path) -> BmpIndex:
        """Memory-map an index, which takes milliseconds, whatever its size.

        Parameters
        ----------
        path : path or URL
            An index directory; or a URL of one that fsspec reads (``hf://datasets/user/passages``), which is copied to the
            user's cache folder once: see :func:`.local_copy.local_copy`.

        Returns
        -------
        BmpIndex

        Raises
        ------
        FileNotFoundError
            If it does not exist.
        bmp_plugin.BmpError
            If it is not an index, or a damaged one.
        """
        if is_url(path):
            from .local_copy import local_copy

            path = local_copy(path)
        path = Path(path)
        while True:
            identity = Identity(path, ARRAYS)
            try:
                manifest = read_manifest(path)
                arrays = open_arrays(path, manifest)
            except (BmpError, FileNotFoundError):
                if identity.same_files(Identity(path, ARRAYS)):
                    raise
            else:
                if identity.same_files(Identity(path, ARRAYS)):
                    break                   # else it was replaced, and the arrays may be of two indexes
        check_tables(path, arrays, Geometry(manifest["counts"]["num_docs"], manifest["block_size"]), manifest["num_postings"])
        return cls(path, manifest, arrays, identity)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path, at which another process opens the index."""
        return type(self).open, (self._absolute,)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        ensure(self._identity, self._prove)
        return self._unproved

    def verify(self) -> None:
        """Compare every file with its checksum, and check every posting against the layout.

        Raises
        ------
        bmp_plugin.errors.DamagedIndexError
            It names the file.
        """
        prove_now(self._identity, self._prove)

    def _prove(self) -> None:
        total = sum(array.nbytes for array in self._unproved.values())
        with tqdm(total=total, unit="B", unit_scale=True, desc=f"verifying {self.path.name}", delay=1, disable=None,
                  leave=False, file=sys.stderr) as bar:
            for done in verify_arrays(self.path, self.manifest, self._unproved):
                bar.update(done)
        check_content(self.path, self._unproved, self.geometry)

    @cached_property
    def _terms(self) -> TermTable:
        return TermTable(self.arrays["term_bytes"], self.arrays["term_end"])

    @cached_property
    def _docid_bytes(self) -> memoryview:
        return self.arrays["docid_bytes"].data

    @property
    def size_bytes(self) -> int:
        """The size of all files in bytes."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def term_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the term ids of tokens, -1 for those that the index does not have."""
        return self._terms.ids(tokens)

    def term_id(self, token: str) -> int:
        """Return the term id of a token, or -1 if the index does not have it."""
        return self._terms.id(token)

    def terms(self) -> list[str]:
        """Return all terms, in the order of their ids."""
        return [term.decode("utf-8") for term in self._terms]

    def df(self, token: str) -> int | None:
        """Return the document frequency that the source reports, or None for a token that the index does not have."""
        term_id = self.term_id(token)
        return None if term_id < 0 else int(self.arrays["term_df"][term_id])

    def docids(self, docs: NDArray[np.int32]) -> list[str]:
        """Return the collection docids of documents with these internal document ids."""
        return decode(self.arrays["docid_bytes"], self.arrays["docid_end"], docs)

    def docid_table(self, docs: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the collection docids of documents in UTF-8, concatenated, and int64[n], where each ends."""
        raw, bounds = select(self.arrays["docid_bytes"], self.arrays["docid_end"], docs)
        return raw, bounds[1:]

    def docs_of(self, docids: Sequence[str]) -> NDArray[np.int32]:
        """Return the internal document ids int32[n] of documents with these collection docids, -1 where the index has none."""
        order, by_docid = self.arrays["rank_doc"], self.manifest["source"]["ties_by_docid"]
        if not by_docid:                                        # ranks are not in the order of docids
            order = np.array(sorted(range(self.num_docs), key=self._docid_bytes_of), np.int32)
        before = self._docids_before(docids, order)
        wanted = [docid.encode("utf-8", "surrogatepass") for docid in docids]
        found = order[np.minimum(before, max(self.num_docs - 1, 0))] if self.num_docs else np.zeros(len(docids), np.int32)
        same = [rank < self.num_docs and self._docid_bytes_of(doc) == docid
                for rank, doc, docid in zip(before.tolist(), found.tolist(), wanted, strict=True)]
        return np.where(same, found, -1).astype(np.int32)

    def lucene_docid_of(self, docid: str) -> int | None:
        """Return the source document id of the document with a collection docid, or None if the index has none."""
        doc = int(self.docs_of([docid])[0])
        return None if doc < 0 else int(self.arrays["source_docid"][doc])

    def rank_of(self, docid: str, source_docid: int) -> int:
        """Count the documents that precede one if scores tie, by its docid or source document id, whichever breaks ties.

        It need not be in the index: ``source_docid`` may be negative, or above all ids of the source.
        """
        if self.manifest["source"]["ties_by_docid"]:
            return int(self._docids_before([docid], self.arrays["rank_doc"])[0])
        return int(np.count_nonzero(self.arrays["source_docid"] < source_docid))

    def _docids_before(self, docids: Sequence[str], order: NDArray[np.int32]) -> NDArray[np.int64]:
        """Count the docids that precede each of those given by their bytes; order int32[num_docs] sorts documents by docid."""
        wanted, ends = encode(docids)
        before = np.empty(len(docids), np.int64)
        count_before(raw=self.arrays["docid_bytes"], ends=self.arrays["docid_end"], order=order, wanted=wanted,
                     wanted_ends=ends, counts=before)
        return before

    def _docid_bytes_of(self, doc: int) -> bytes:
        ends = self.arrays["docid_end"]
        return bytes(self._docid_bytes[int(ends[doc - 1]) if doc else 0:int(ends[doc])])

    def __repr__(self) -> str:
        return f"BmpIndex({str(self.path)!r}: {self.num_docs} documents, {self.num_terms} terms, {self.num_postings} postings)"
