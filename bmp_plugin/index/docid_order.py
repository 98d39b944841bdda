"""The order that breaks ties: collection docids by their UTF-8 bytes, then source document ids."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._internal.kernels import kernel

if TYPE_CHECKING:
    from .source import Documents

KEY_BYTES = 8    # bytes of a docid that are compared at once


def docid_ranks(documents: Documents, by_docid: bool) -> NDArray[np.int32]:
    """Return the documents in the order that breaks ties: by docid, or by source document id alone if not ``by_docid``.

    Element i of int32[num_docs] is the index in ``documents`` of the document of rank i. Docids are sorted by the first 8 bytes
    after their common prefix, then those that are still equal by the next 8, and so on: about 60 bytes of memory per
    document, however long docids are.
    """
    num_docs = len(documents.source_docids)
    order = np.arange(num_docs, dtype=np.int32)
    if not by_docid or num_docs < 2:
        return order
    raw, ends = np.frombuffer(documents.docid_bytes, np.uint8), np.ascontiguousarray(documents.docid_ends, np.int64)
    depth = _common_prefix(raw=raw, ends=ends)
    places = order.astype(np.int64)             # ranks that are not final yet, ascending
    group = np.zeros(num_docs, np.int64)        # the same for docids that are equal so far, ascending with the rank
    while len(places):
        keys, left = np.empty(len(places), np.uint64), np.empty(len(places), np.int8)
        read_keys(raw=raw, ends=ends, strings=order[places], depth=depth, keys=keys, left=left)
        # a docid that ends here comes before one that goes on with zeros
        sorting = np.lexsort((left, keys, group)) if depth or group[-1] else np.lexsort((left, keys))
        order[places] = order[places[sorting]]
        keys, left, group = keys[sorting], left[sorting], group[sorting]
        differs = (keys[1:] != keys[:-1]) | (left[1:] != left[:-1]) | (group[1:] != group[:-1])
        group = np.concatenate([np.zeros(1, np.int64), np.cumsum(differs)])
        tied = np.zeros(len(places), bool)
        tied[:-1] = ~differs
        tied[1:] |= ~differs
        tied &= left > KEY_BYTES                    # equal docids stay in the order of their ids: sorting is stable
        places, group = places[tied], group[tied]
        depth += KEY_BYTES
    return order


@kernel
def _common_prefix(raw, ends):
    """Return the length of the strings' common prefix in bytes; raw uint8, ends int64[at least one]."""
    common = ends[0]
    for i in range(1, len(ends)):
        start = ends[i - 1]
        common = min(common, ends[i] - start)
        for j in range(common):
            if raw[j] != raw[start + j]:
                common = np.int64(j)
                break
    return common


@kernel
def read_keys(raw, ends, strings, depth, keys, left):
    """Read bytes depth to depth + 7 of some strings into keys uint64[n], big-endian, with zeros after a string's end.

    left int8[n] receives how many bytes were left, 9 for more than 8.
    """
    for i in range(len(strings)):
        at = np.int64(strings[i])
        start = (ends[at - 1] if at > 0 else np.int64(0)) + depth
        rest = ends[at] - start
        key = np.uint64(0)
        for j in range(8):
            key <<= np.uint64(8)
            if j < rest:
                key |= np.uint64(raw[start + j])
        keys[i] = key
        left[i] = min(rest, 9)
