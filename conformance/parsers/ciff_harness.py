"""CIFF files, compared with protobuf's parser of the same messages."""
from __future__ import annotations

import gzip
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from bmp_plugin.adapters.sources.ciff_messages import messages
from bmp_plugin.adapters.sources.ciff_source import CiffSource

from .harness import Harness, WrongError, unless_refused

Content = tuple[list[str], dict[str, list[tuple[int, int]]]]
_HEADER_BYTES, _LIST_BYTES, _RECORD_BYTES = 1 << 16, 2**31 - 1, 1 << 24


class _Wrong(Exception):
    """Raised for a file that is not CIFF, or contradicts its header."""


@cache
def _wide() -> type[Message]:
    """Returns the PostingsList with 64-bit numbers: with 32-bit ones, protobuf's parser silently truncates larger ones."""
    file = descriptor_pb2.FileDescriptorProto()
    messages().PostingsList.DESCRIPTOR.file.CopyToProto(file)
    file.name, package = "wide.proto", file.package
    for message in file.message_type:
        for field in message.field:
            if message.name == "Posting":
                field.type = field.TYPE_INT64
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.PostingsList"))
    return found
    return found


def read(path: Path) -> Content:
    """Returns the docids, and the (document, impact) pairs of every term."""
    source = CiffSource(path)
    documents = source.documents()
    ends = [0, *documents.docid_ends.tolist()]
    docids = [documents.docid_bytes[lo:hi].decode() for lo, hi in pairwise(ends)]
    lists: dict[str, list[tuple[int, int]]] = {}
    for batch in source.batches():
        at = 0
        for term, count, df in zip(batch.terms, batch.counts.tolist(), batch.dfs.tolist(), strict=True):
            if df != count or term.decode() in lists:
                raise WrongError(f"term {term!r} has {count} postings, df {df}, or occurs twice")
            lists[term.decode()] = list(zip(batch.docs[at:at + count].tolist(), batch.impacts[at:at + count].tolist(),
                                            strict=True))
            at += count
        if at != batch.docs.size or at != batch.impacts.size:
            raise WrongError(f"a batch has {batch.docs.size} documents and {batch.impacts.size} impacts for {at} postings")
    return docids, lists


def _frame(data: bytes, at: int, largest: int) -> tuple[bytes, int]:
    length = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Wrong("ends in a length")
        byte, at = data[at], at + 1
        length |= (byte & 127) << shift
        if byte < 128:
            break
    else:
        raise _Wrong("a length without end")
    if length > min(largest, len(data) - at):
        raise _Wrong("a length beyond the end")
    return data[at:at + length], at + length


def by_protobuf(data: bytes) -> tuple[Content, bool]:
    """Returns the content by protobuf's parser and explicit checks, and whether it is encoded as protobuf would."""
    kinds, at, canonical = messages(), 0, True

    def next_message(kind: Any, largest: int) -> Any:
        nonlocal at, canonical
        raw, at = _frame(data, at, largest)
        message = kind.FromString(raw)
        message.DiscardUnknownFields()
        canonical &= message.SerializeToString() == raw
        return message

    header = next_message(kinds.Header, _HEADER_BYTES)
    if header.version != 1 or header.num_docs < 0 or header.num_postings_lists < 0:
        raise _Wrong("a header of something else")
    lists: dict[str, list[tuple[int, int]]] = {}
    for _ in range(header.num_postings_lists):
        found = next_message(_wide(), _LIST_BYTES)
        doc, postings = 0, []
        for number, posting in enumerate(found.postings):
            doc += posting.docid
            if posting.docid < (number > 0) or doc >= header.num_docs or not 0 <= posting.tf < 2**31:
                raise _Wrong("a posting out of range or order")
            postings.append((doc, posting.tf))
        if found.df != len(postings) or found.term in lists:
            raise _Wrong("a list with another df, or of a term that had one")
        lists[found.term] = [posting for posting in postings if posting[1] > 0]
    docids: dict[int, str] = {}
    for _ in range(header.num_docs):
        record = next_message(kinds.DocRecord, _RECORD_BYTES)
        docids[record.docid] = record.collection_docid
    if at != len(data) or sorted(docids) != list(range(header.num_docs)) or "" in docids.values() \
            or len(set(docids.values())) != len(docids):
        raise _Wrong("documents that are not 0 to n - 1, each with a docid of its own, and no more")
    return ([docids[number] for number in range(header.num_docs)], lists), canonical


def check(path: Path) -> Content | None:
    """See :class:`.harness.Harness`."""
    found = unless_refused(lambda: read(path), path)
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        expected, canonical = by_protobuf(data)
    except (_Wrong, DecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        if found is not None:
            raise WrongError(f"taken though protobuf refuses it ({error})") from None
        return None
    # fields of other types than the format's, groups and the like may be refused
    if found != expected and (found is not None or canonical):
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    return found


HARNESSES = {"ciff": Harness("ciff", check, "index.ciff")}
