"""Kernels that convert JSON documents of the usual form: see :mod:`.regular_documents`.

They look at eight bytes at once, as words of 64 bits whose lowest byte is the first, and check no bounds: the text ends with a
line end, which no part of a regular document contains, and a word behind it.
"""
from __future__ import annotations

import numpy as np

from bmp_plugin._internal.intrinsics import load_word, lowest_bit
from bmp_plugin._internal.kernels import inline_kernel, kernel

PADDING = 9
"""Least number of line ends with which a text must end: one, and a word that is read beyond it."""

SLOT_BITS = 17
"""The hash table of tokens has 2**17 slots."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONES = np.uint64(0x0101010101010101)
_UPPER_BITS, _ABOVE_NINE = np.uint64(0x80) * _ONES, np.uint64(0x76) * _ONES
_SPACES, _QUOTES, _BACKSLASHES, _ZEROS = (np.uint64(letter) * _ONES for letter in b' "\\0')
_PAIRS = np.uint64(0x000000FF000000FF)
_TAB, _LINE_END, _RETURN, _SPACE, _QUOTE, _COMMA, _POINT, _ZERO, _COLON, _BACKSLASH, _OPEN, _CLOSE = b'\t\n\r ",.0:\\{}'
_LETTER_U = ord("u")
_IS_ESCAPE, _IS_HEX = (np.isin(np.arange(256), list(letters)) for letters in (b'"\\/bfnrtu', b"0123456789abcdefABCDEF"))
_ID, _VECTOR, _OTHER, _ANY = range(4)
_ID_BYTES, _VECTOR_BYTES = (np.uint64(int.from_bytes(key, "little")) for key in (b"id", b"vector"))


@inline_kernel
def _after_blank(text, at):
    """Returns the offset of the first byte that is no blank."""
    while text[at] == _SPACE or text[at] == _TAB or text[at] == _RETURN:
        at += 1
    return at


@inline_kernel
def _string_end(text, at):
    """Returns the offset of the closing quote of a string whose first byte is text[at]; -1 if JSON has no such string."""
    while True:
        word = load_word(text, np.uint64(at))
        quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
        # the lowest 0x80 is right: only above a byte that is 0, or below 0x20, the subtraction borrows
        found = ((quotes - _ONES) & ~quotes) | ((backslashes - _ONES) & ~backslashes) | ((word - _SPACES) & ~word)
        found &= _UPPER_BITS
        if found == np.uint64(0):
            at += 8
            continue
        at += np.int64(lowest_bit(found) >> np.uint64(3))
        if text[at] == _QUOTE:
            return at
        if text[at] != _BACKSLASH:
            return -1
        at += 1
        if not _IS_ESCAPE[text[at]]:
            return -1
        if text[at] == _LETTER_U and not (_IS_HEX[text[at + 1]] and _IS_HEX[text[at + 2]] and _IS_HEX[text[at + 3]]
                                          and _IS_HEX[text[at + 4]]):
            return -1
        at += 1


@inline_kernel
def _low_bytes(word, n):
    """Returns a word with its lowest n bytes, 0 to 7, and zeros above."""
    return word & ((np.uint64(1) << np.uint64(8 * n)) - np.uint64(1))


@inline_kernel
def _hash(text, begin, end, seed):
    """Returns the hash of text[begin:end], another one for every text of up to seven bytes: multiplying by an odd number is
    reversible."""
    code = seed
    while end - begin >= 8:
        code = (code ^ load_word(text, np.uint64(begin))) * _MULTIPLIER
        begin += 8
    return (code ^ _low_bytes(load_word(text, np.uint64(begin)), end - begin)) * _MULTIPLIER


@inline_kernel
def _are_equal(text, at, others, other_at, size):
    """Tells whether the bytes of two texts, ``size`` from an offset each on, are equal."""
    while size >= 8:
        if load_word(text, np.uint64(at)) != load_word(others, np.uint64(other_at)):
            return False
        at, other_at, size = at + 8, other_at + 8, size - 8
    return _low_bytes(load_word(text, np.uint64(at)) ^ load_word(others, np.uint64(other_at)), size) == np.uint64(0)


@inline_kernel
def _whole_number(text, at):
    """Returns (a number of up to seven digits at an offset, the offset after it, -1 if there is none)."""
    digits = load_word(text, np.uint64(at)) ^ _ZEROS
    others = (((digits & ~_UPPER_BITS) + _ABOVE_NINE) | digits) & _UPPER_BITS
    size = np.int64(lowest_bit(others | np.uint64(1 << 63)) >> np.uint64(3))
    if size == 0 or (text[at] == _ZERO and size > 1) or (size == 7 and digits >> np.uint64(56) <= np.uint64(9)):
        return 0, -1
    digits <<= np.uint64(64 - 8 * size)                    # zeros in front: eight digits
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    low = (pairs & _PAIRS) * np.uint64(100 + (1000000 << 32))
    high = ((pairs >> np.uint64(16)) & _PAIRS) * np.uint64(1 + (10000 << 32))
    return np.int64((low + high) >> np.uint64(32)), at + size


@inline_kernel
def _convert_vector(text, at, document, seed, slots, hashes, ends, seen, token_text, num_tokens, terms, weights, postings):
    """Converts a vector whose opening brace is before ``at``.

    Returns (offset after it, -1 if it is not regular; number of tokens; number of postings).
    """
    at = _after_blank(text, at)
    if text[at] == _CLOSE:
        return at + 1, num_tokens, postings
    while text[at] == _QUOTE:
        begin = at + 1
        at = _string_end(text, begin)
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
                    and (size < 8 or _are_equal(text, begin, token_text, first, size))):
                break
            slot = (slot + 1) & ((1 << SLOT_BITS) - 1)
        if term < 0:
            if num_tokens == hashes.size:
                return -1, num_tokens, postings
            term = np.int32(num_tokens)
            slots[slot], hashes[term] = term, code
            first = ends[term]
            for i in range(size + 2):                      # with both quotes
                token_text[first + i] = text[begin - 1 + i]
            token_text[first + size + 2] = _COMMA
            num_tokens += 1
            ends[num_tokens] = first + size + 3
        elif seen[term] == document:
            return -1, num_tokens, postings
        seen[term] = document
        at = _after_blank(text, at + 1)
        if text[at] != _COLON:
            return -1, num_tokens, postings
        at = _after_blank(text, at + 1)
        weight, at = _whole_number(text, at)
        if at < 0:
            return -1, num_tokens, postings
        if text[at] == _POINT and text[at + 1] == _ZERO:   # 3.0 is whole
            at += 2
            while text[at] == _ZERO:
                at += 1
        terms[postings], weights[postings] = term, weight
        postings += 1
        at = _after_blank(text, at)
        if text[at] == _CLOSE:
            return at + 1, num_tokens, postings
        if text[at] != _COMMA:
            break
        at = _after_blank(text, at + 1)
    return -1, num_tokens, postings


@inline_kernel
def _key(text, begin, end):
    """Tells which key text[begin:end] is."""
    size = end - begin
    if size == 2 and _low_bytes(load_word(text, np.uint64(begin)), 2) == _ID_BYTES:
        return _ID
    if size == 6 and _low_bytes(load_word(text, np.uint64(begin)), 6) == _VECTOR_BYTES:
        return _VECTOR
    for i in range(begin, end):
        if text[i] == _BACKSLASH:
            return _ANY                                    # by escapes
    return _OTHER


@inline_kernel
def _after_digits(text, at):
    """Returns the offset after a whole number, -1 if there is none that is surely below 2**63."""
    end = at
    while 0 <= np.int64(text[end]) - _ZERO <= 9:
        end += 1
    return -1 if not 0 < end - at <= 18 or (text[at] == _ZERO and end > at + 1) else end


@kernel
def convert_documents(text, at, line, seed, slots, hashes, ends, seen, token_text, docid_text, lines, counts, terms, weights):
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
    token_text, docid_text : uint8[n]
        Receive the tokens, in order of first occurrence, and the docids, all as JSON strings with a comma behind.
    lines, counts : int64[d]
        Receive the line of each document, and the number of its tokens.
    terms, weights : int32[p]
        Receive the postings of all documents: indices of tokens, and weights.

    Returns
    -------
    end, documents, postings, num_tokens, docid_bytes : int
        Offset of the line that is not regular, or of the end; the number of each that was received.
    """
    documents, postings, num_tokens, docid_bytes = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    while at < text.size - PADDING:
        here = _after_blank(text, at)
        if text[here] == _LINE_END:
            at = here + 1
            line += 1
            continue
        if text[here] != _OPEN:
            break
        last_tokens, last_postings = num_tokens, postings
        docid_first, docid_end = -1, -1
        has_vector = False
        follows = _COMMA
        while follows == _COMMA:
            key_first = _after_blank(text, here + 1) + 1
            key_end = _string_end(text, key_first) if text[key_first - 1] == _QUOTE else -1
            here = _after_blank(text, key_end + 1)
            if key_end < 0 or text[here] != _COLON:
                break
            key = _key(text, key_first, key_end)
            here = _after_blank(text, here + 1)
            first = here
            end = -1
            if text[here] == _QUOTE and key != _VECTOR:
                first += 1
                end = _string_end(text, first)
                here = end + 1
            elif key == _ID:
                end = _after_digits(text, here)
                here = end
            elif key == _VECTOR and text[here] == _OPEN and not has_vector:
                has_vector = True
                end, num_tokens, postings = _convert_vector(
                    text, here + 1, documents, seed, slots, hashes, ends, seen, token_text, num_tokens, terms, weights,
                    postings)
                here = end
            if end < 0 or key == _ANY or (key == _ID and docid_end >= 0):
                break
            if key == _ID:
                docid_first, docid_end = first, end
            here = _after_blank(text, here)
            follows = text[here]
        if follows == _CLOSE:
            here = _after_blank(text, here + 1)
        if follows != _CLOSE or text[here] != _LINE_END or docid_end < 0 or not has_vector:
            num_tokens, postings = last_tokens, last_postings
            break
        docid_text[docid_bytes] = _QUOTE
        docid_bytes += 1
        for i in range(docid_first, docid_end):
            docid_text[docid_bytes] = text[i]
            docid_bytes += 1
        docid_text[docid_bytes], docid_text[docid_bytes + 1] = _QUOTE, _COMMA
        docid_bytes += 2
        lines[documents], counts[documents] = line, postings - last_postings
        documents += 1
        at = here + 1
        line += 1
    return at, documents, postings, num_tokens, docid_bytes
