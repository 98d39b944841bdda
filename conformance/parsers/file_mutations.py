"""Reproducible mutations of files: bits, pieces, numbers and words of the formats."""
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_NUMBERS = [b"-1", b"0", b"00", b"1", b"1_0", b"+7", b"127", b"128", b"255", b"256", b"65536", b"2147483647", b"2147483648",
            b"4294967296", b"9223372036854775807", b"9223372036854775808", b"-2147483649", b"1e400", b"1e-400", b"NaN",
            b"-0.0", b"0.5", b"Infinity", b"-Infinity", b"true", b"null", b"0x10", b"9" * 5000]
_BYTES = [b"\0", b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc2\xa0",
          b"\r", b"\n", b"\r\n", b"\t", b"  ", b"\x0b", b"\x1c",
          b"\\ud800", b"\\u0000", b'"', b"{", b"}", b"[", b"]", b",", b":",
          b"\x1f\x8b\x08\0", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
          b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x08", b"[" * 3000, b'{"a":' * 3000, b"a " * 200,
          b"a" * 300]


def mutations(files: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Yields ``count`` files, each one of ``files`` changed one to four times."""
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(draw.choice(files))
        for _ in range(draw.randint(1, 4)):
            _change(data, files, draw)
        yield bytes(data)


def _change(data: bytearray, files: Sequence[bytes], draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    end = min(len(data), at + draw.choice([1, 1, 2, 4, 8, 64]))
    how = draw.randrange(8)
    if how == 0 and at < len(data):
        data[at] ^= 1 << draw.randrange(8)
    elif how == 1:
        data[at:end] = b""
    elif how == 2:
        data[at:at] = data[at:end] * draw.choice([1, 2, 300])
    elif how == 3:
        data[at:at] = draw.choice(_BYTES)
    elif how == 4:
        data[at:end] = draw.choice(_NUMBERS)
    elif how == 5:
        data[at:] = b""
    elif how == 6:
        other = draw.choice(files)
        start = draw.randrange(len(other) + 1)
        data[at:end] = other[start:start + draw.choice([4, 16, 64])]
    elif numbers := [i for i, byte in enumerate(data) if 0x30 <= byte < 0x3a]:
        at = draw.choice(numbers)
        end = at
        while end < len(data) and 0x30 <= data[end] < 0x3a:
            end += 1
        data[at:end] = draw.choice(_NUMBERS)
