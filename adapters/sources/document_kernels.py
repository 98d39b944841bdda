"""Kernels that convert JSON documents of the usual form: see :mod:`.regular_documents`.

They check no bounds: no part of a regular document contains the line end with which the text ends.
"""
from __future__ import annotations

import numpy as np

from bmp_plugin._internal.intrinsics import load_word
from bmp_plugin._internal.kernels import inline_kernel, kernel

from .json_scanning import (
    BACKSLASH,
    CLOSE,
    COLON,
    COMMA,
    LINE_END,
    OPEN,
    PADDING,
    POINT,
    QUOTE,
    ZERO,
    after_blank,
    after_digits,
    after_value,
    append,
    are_equal,
    low_bytes,
    string_end,
    whole_number,
)

SLOT_BITS = 17
"""The hash table of tokens has 2**17 slots."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ID, _VECTOR, _OTHER, _ANY = range(4)
_ID_BYTES, _VECTOR_BYTES = (np.uint64(int.from_bytes(key, "little")) for key in (b"id", b"vector"))


@inline_kernel
def _hash(text, begin, end, seed):
    """Returns the hash of text[begin:end], another one for every text of up to seven bytes: multiplying by an odd number is
    reversible."""
    code = seed
    while end - begin >= 8:
        code = (code ^ load_word(text, np.uint64(begin))) * _MULTIPLIER
        begin += 8
    return (code ^ low_bytes(load_word(text, np.uint64(begin)), end - begin)) * _MULTIPLIER


@inline_kernel
def _convert_vector(text, at, document, seed, slots, hashes, ends, seen, token_text, num_tokens, terms, weights, postings):
    """Converts a vector whose opening brace is before ``at``.

    Returns (offset after it, -1 if it is not regular; number of tokens; number of postings).
    """
    at = after_blank(text, at)
    if text[at] == CLOSE:
        return at + 1, num_tokens, postings
    while text[at] == QUOTE:
        begin = at + 1
        at = string_end(text, begin)
        if at < 0:
            return -1, num_tokens, postings
        size = at - begin
        code = _hash(text, begin, at, seed)
        slot = np.int64(code >> np.uint64(64 - SLOT_BITS))
        while True:
            term = slots[slot]
            if term < 0:
                break
            first = ends[term] + 1
            if (hashes[term] == code and ends[term + 1] - first == size + 2
                    and (size < 8 or are_equal(text, begin, token_text, first, size))):
                break
            slot = (slot + 1) & ((1 << SLOT_BITS) - 1)
        if term < 0:
            if num_tokens == hashes.size:
                return -1, num_tokens, postings
            term = np.int32(num_tokens)
            slots[slot], hashes[term] = term, code
            first = ends[term]
            first = append(text, begin - 1, at + 1, token_text, first)
            token_text[first] = COMMA
            num_tokens += 1
            ends[num_tokens] = first + 1
        elif seen[term] == document:
            return -1, num_tokens, postings
        seen[term] = document
        at = after_blank(text, at + 1)
        if text[at] != COLON:
            return -1, num_tokens, postings
        at = after_blank(text, at + 1)
        weight, at = whole_number(text, at)
        if at < 0:
            return -1, num_tokens, postings
        if text[at] == POINT and text[at + 1] == ZERO:   # 3.0 is whole
            at += 2
            while text[at] == ZERO:
                at += 1
        terms[postings], weights[postings] = term, weight
        postings += 1
        at = after_blank(text, at)
        if text[at] == CLOSE:
            return at + 1, num_tokens, postings
        if text[at] != COMMA:
            break
        at = after_blank(text, at + 1)
    return -1, num_tokens, postings


@inline_kernel
def _key(text, begin, end):
    """Tells which key text[begin:end] is."""
    size = end - begin
    if size == 2 and low_bytes(load_word(text, np.uint64(begin)), 2) == _ID_BYTES:
        return _ID
    if size == 6 and low_bytes(load_word(text, np.uint64(begin)), 6) == _VECTOR_BYTES:
        return _VECTOR
    for i in range(begin, end):
        if text[i] == BACKSLASH:
            return _ANY                                    # by escapes
    return _OTHER


@kernel
def convert_documents(text, at, line, seed, slots, hashes, ends, seen, token_text, docid_text, other_text, lines, counts, terms,
                      weights):
    """Converts documents, one in a line, until one is not regular.

    Parameters
    ----------
    text : uint8[n]
        It ends with a line end.
    at, line : int64
        Offset of the first document, and number of its line.
    seed : uint64
        Hash of the token without bytes.
    slots : int32[2**17]
        A hash table, of -1 at the beginning.
    hashes, seen : uint64[t], int32[t]
        Of each token: its hash, and the last document that has it.
    ends : int64[t + 1]
        Where each token ends in ``token_text``.
    token_text, docid_text, other_text : uint8[n]
        Receive the tokens, in order of first occurrence, the docids, and the values that are neither these nor vectors nor
        strings: in JSON, if the last are any, with a comma behind each.
    lines, counts : int64[d]
        Receive the line of each document, and the number of its tokens.
    terms, weights : int32[p]
        Receive the postings of all documents: indices of tokens, and weights.

    Returns
    -------
    end, documents, postings, num_tokens, docid_bytes, num_others, other_bytes : int
        Offset of the line that is not regular, or of the end; the number of each that was received.
    """
    documents, postings, num_tokens, docid_bytes = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    num_others, other_bytes = np.int64(0), np.int64(0)
    while at < text.size - PADDING:
        here = after_blank(text, at)
        if text[here] == LINE_END:
            at = here + 1
            line += 1
            continue
        if text[here] != OPEN:
            break
        last_tokens, last_postings, last_others, last_other_bytes = num_tokens, postings, num_others, other_bytes
        docid_first, docid_end = -1, -1
        has_vector = False
        follows = COMMA
        while follows == COMMA:
            key_first = after_blank(text, here + 1) + 1
            key_end = string_end(text, key_first) if text[key_first - 1] == QUOTE else -1
            here = after_blank(text, key_end + 1)
            if key_end < 0 or text[here] != COLON:
                break
            key = _key(text, key_first, key_end)
            here = after_blank(text, here + 1)
            first = here
            end = -1
            if text[here] == QUOTE and key != _VECTOR:
                first += 1
                end = string_end(text, first)
                here = end + 1
            elif key == _ID:
                end = after_digits(text, here)
                here = end
            elif key == _VECTOR and text[here] == OPEN and not has_vector:
                has_vector = True
                end, num_tokens, postings = _convert_vector(
                    text, here + 1, documents, seed, slots, hashes, ends, seen, token_text, num_tokens, terms, weights,
                    postings)
                here = end
            elif key == _OTHER:
                end = after_value(text, here)
                other_bytes = append(text, here, end, other_text, other_bytes)
                other_text[other_bytes] = COMMA
                other_bytes += 1
                num_others += 1
                here = end
            if end < 0 or key == _ANY or (key == _ID and docid_end >= 0):
                break
            if key == _ID:
                docid_first, docid_end = first, end
            here = after_blank(text, here)
            follows = text[here]
        if follows == CLOSE:
            here = after_blank(text, here + 1)
        if follows != CLOSE or text[here] != LINE_END or docid_end < 0 or not has_vector:
            num_tokens, postings, num_others, other_bytes = last_tokens, last_postings, last_others, last_other_bytes
            break
        docid_text[docid_bytes] = QUOTE
        docid_bytes = append(text, docid_first, docid_end, docid_text, docid_bytes + 1)
        docid_text[docid_bytes], docid_text[docid_bytes + 1] = QUOTE, COMMA
        docid_bytes += 2
        lines[documents], counts[documents] = line, postings - last_postings
        documents += 1
        at = here + 1
        line += 1
    return at, documents, postings, num_tokens, docid_bytes, num_others, other_bytes
