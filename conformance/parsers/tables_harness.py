"""Tables of token weights and encoded queries, compared with simple parsers."""
from __future__ import annotations

import gzip
import json
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from bmp_plugin.adapters.encoders import CachedEncoder, TokenWeightEncoder

from .harness import Harness, WrongError, unless_refused

_WORDS = ["[UNK]", "a", "b", "é", "c\u2028d", "e\u0085f"]
_LARGEST = 2**31 - 1
_SCALE = 100.0


@cache
def _tokenizer() -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    return str(tokenizer.to_str())


def _encoded(path: Path) -> dict[str, int] | None:
    path.with_name("tokenizer.json").write_text(_tokenizer(), encoding="utf-8")

    def read() -> dict[str, int]:
        return TokenWeightEncoder.load(path.parent, _SCALE).encode(" ".join(_WORDS[1:]))

    return unless_refused(read, path)


def _rounded(table: dict[str, Any]) -> dict[str, int]:
    if not all(type(weight) in (int, float) and 0 <= weight <= _LARGEST / _SCALE for weight in table.values()):
        raise ValueError("a weight out of range")
    weights = {word: round(table[word] * _SCALE) for word in _WORDS[1:] if word in table}
    return {word: weight for word, weight in weights.items() if weight}


def _finished(found: Any, expected: Any) -> Any:
    if found != expected:
        raise WrongError(f"encodes {found}, which is {expected}")
    return found


def check_json(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    found, expected = _encoded(path), None
    try:
        table = json.loads(path.read_bytes().decode())
        expected = _rounded(table) if isinstance(table, dict) else None
    except (ValueError, RecursionError):
        pass
    return _finished(found, expected)


def check_text(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    found, expected = _encoded(path), None
    try:
        text = path.read_bytes().decode().replace("\r\n", "\n").replace("\r", "\n")
        expected = _rounded({token: float(weight) for token, weight in (line.split("\t") for line in text.split("\n") if line)})
    except ValueError:
        pass
    return _finished(found, expected)


def check_safetensors(path: Path) -> Any:
    """See :class:`.harness.Harness`; the package's own parser is the reference."""
    found, expected = _encoded(path), None
    import safetensors.numpy

    try:
        (weights,) = safetensors.numpy.load(path.read_bytes()).values()
        if weights.ndim == 1:
            expected = _rounded(dict(zip(_WORDS, weights.tolist(), strict=False)))
    except Exception:                          # the package raises many kinds: then ours must refuse too
        pass
    return _finished(found, expected)


def check_cached(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    def read() -> CachedEncoder:
        return CachedEncoder.load(path)

    encoder = unless_refused(read, path)
    queries: dict[str, Any] = {}
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        for line in data.split(b"\n")[:-1] + ([data.split(b"\n")[-1]] if data.split(b"\n")[-1] else []):
            query = json.loads(line.decode())
            vector = query["vector"]
            if not isinstance(query["contents"], str) or not isinstance(vector, dict) or not all(
                    type(weight) in (int, float) and math.isfinite(weight) and 0 <= weight < 2**31
                    for weight in vector.values()):
                raise ValueError("not a query")
            queries[query["contents"].strip()] = vector
    except (ValueError, KeyError, TypeError, RecursionError, EOFError, OSError, zlib.error) as error:
        if encoder is not None:
            raise WrongError(f"taken though it is not right ({error})") from None
        return None
    if encoder is None or any(encoder.encode(text) != vector for text, vector in queries.items()):
        raise WrongError(f"queries are not {str(queries)[:500]}")
    return queries


HARNESSES = {
    "idf-json": Harness("idf-json", check_json, "idf.json", gzips=False),
    "token-weights-txt": Harness("token-weights-txt", check_text, "query_token_weights.txt", gzips=False),
    "safetensors": Harness("safetensors", check_safetensors, "model.safetensors", gzips=False),
    "cached-queries": Harness("cached-queries", check_cached, "queries.jsonl"),
}
