"""Kernels' parts that find their way through the bytes of JSON, and check no bounds: see :mod:`.document_kernels`.

They look at eight bytes at once, as words of 64 bits whose lowest byte is the first. The text ends with a line end, at which
all of them stop, and a word behind it.
"""
from __future__ import annotations

import numpy as np

from bmp_plugin._internal.intrinsics import load_word, lowest_bit
from bmp_plugin._internal.kernels import inline_kernel

PADDING = 9
"""Least number of line ends with which a text must end: one, and a word that is read beyond it."""

TAB, LINE_END, RETURN, SPACE, QUOTE, COMMA, POINT, ZERO, COLON, BACKSLASH, OPEN, CLOSE = b'\t\n\r ",.0:\\{}'
_OPEN_ARRAY, _CLOSE_ARRAY, _LETTER_U = b"[]u"
_IS_ESCAPE, _IS_HEX = (np.isin(np.arange(256), list(letters)) for letters in (b'"\\/bfnrtu', b"0123456789abcdefABCDEF"))
_ONES = np.uint64(0x0101010101010101)
_UPPER_BITS, _ABOVE_NINE = np.uint64(0x80) * _ONES, np.uint64(0x76) * _ONES
_SPACES, _QUOTES, _BACKSLASHES, _ZEROS = (np.uint64(letter) * _ONES for letter in b' "\\0')
_PAIRS = np.uint64(0x000000FF000000FF)


@inline_kernel
def after_blank(text, at):
    """Returns the offset of the first byte that is no blank."""
    while text[at] == SPACE or text[at] == TAB or text[at] == RETURN:
        at += 1
    return at


@inline_kernel
def string_end(text, at):
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
        if text[at] == QUOTE:
            return at
        if text[at] != BACKSLASH:
            return -1
        at += 1
        if not _IS_ESCAPE[text[at]]:
            return -1
        if text[at] == _LETTER_U and not (_IS_HEX[text[at + 1]] and _IS_HEX[text[at + 2]] and _IS_HEX[text[at + 3]]
                                          and _IS_HEX[text[at + 4]]):
            return -1
        at += 1


@inline_kernel
def low_bytes(word, n):
    """Returns a word with its lowest n bytes, 0 to 7, and zeros above."""
    return word & ((np.uint64(1) << np.uint64(8 * n)) - np.uint64(1))


@inline_kernel
def are_equal(text, at, others, other_at, size):
    """Tells whether the bytes of two texts, ``size`` from an offset each on, are equal."""
    while size >= 8:
        if load_word(text, np.uint64(at)) != load_word(others, np.uint64(other_at)):
            return False
        at, other_at, size = at + 8, other_at + 8, size - 8
    return low_bytes(load_word(text, np.uint64(at)) ^ load_word(others, np.uint64(other_at)), size) == np.uint64(0)


@inline_kernel
def whole_number(text, at):
    """Returns (a number of up to seven digits at an offset, the offset after it, -1 if there is none)."""
    digits = load_word(text, np.uint64(at)) ^ _ZEROS
    others = (((digits & ~_UPPER_BITS) + _ABOVE_NINE) | digits) & _UPPER_BITS
    size = np.int64(lowest_bit(others | np.uint64(1 << 63)) >> np.uint64(3))
    if size == 0 or (text[at] == ZERO and size > 1) or (size == 7 and digits >> np.uint64(56) <= np.uint64(9)):
        return 0, -1
    digits <<= np.uint64(64 - 8 * size)                    # zeros in front: eight digits
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    low = (pairs & _PAIRS) * np.uint64(100 + (1000000 << 32))
    high = ((pairs >> np.uint64(16)) & _PAIRS) * np.uint64(1 + (10000 << 32))
    return np.int64((low + high) >> np.uint64(32)), at + size


@inline_kernel
def after_digits(text, at):
    """Returns the offset after a whole number, -1 if there is none that is surely below 2**63."""
    end = at
    while 0 <= np.int64(text[end]) - ZERO <= 9:
        end += 1
    return -1 if not 0 < end - at <= 18 or (text[at] == ZERO and end > at + 1) else end


@inline_kernel
def after_value(text, at):
    """Returns the offset after what may be a number, a literal, an object or an array: that of the comma or brace behind it."""
    depth = 0
    while text[at] != LINE_END:
        if text[at] == QUOTE:
            at = string_end(text, at + 1)
            if at < 0:
                return -1
        elif text[at] == OPEN or text[at] == _OPEN_ARRAY:
            depth += 1
        elif depth == 0 and (text[at] == COMMA or text[at] == CLOSE):
            return at
        elif text[at] == CLOSE or text[at] == _CLOSE_ARRAY:
            depth -= 1
        at += 1
    return -1


@inline_kernel
def append(text, begin, end, out, at):
    """Appends text[begin:end] to ``out`` at an offset, and returns the offset after it."""
    for i in range(begin, end):
        out[at] = text[i]
        at += 1
    return at
