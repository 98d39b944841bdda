"""A model of a few bytes in place of Anserini's SPLADE++: every token of the query, weighted by its id.

It is written as protobuf by hand, because the ``onnx`` package is large and needed for nothing else.
"""
from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

FLOAT, INT64 = 1, 7


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, kind: int, shape: Sequence[int], raw: bytes) -> bytes:
    return b"".join(_field(1, n) for n in shape) + _field(2, kind) + _field(8, name) + _field(9, raw)


def _value(name: str, kind: int, shape: Sequence[str]) -> bytes:
    dims = b"".join(_field(1, _field(2, dim)) for dim in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    given = b"".join(_field(5, _field(1, name) + _field(3, value) + _field(20, 2)) for name, value in attributes.items())
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, operator) + given


def splade_model() -> bytes:
    """Inputs are BERT's; output_idx int64[n] are the token ids, output_weights float32[n] are 0.5 + id mod 5."""
    nodes = [
        _node("Reshape", ["input_ids", "flat"], "output_idx"),
        _node("Mod", ["output_idx", "five"], "rest"),
        _node("Cast", ["rest"], "rest_float", to=FLOAT),
        _node("Add", ["rest_float", "half"], "output_weights"),
    ]
    initializers = [
        _tensor("flat", INT64, [1], struct.pack("<q", -1)), _tensor("five", INT64, [1], struct.pack("<q", 5)),
        _tensor("half", FLOAT, [1], struct.pack("<f", 0.5))]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny")
    graph += b"".join(_field(5, tensor) for tensor in initializers)
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        graph += _field(11, _value(name, INT64, ["one", "length"]))
    graph += _field(12, _value("output_idx", INT64, ["n"])) + _field(12, _value("output_weights", FLOAT, ["n"]))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


def write_splade_model(folder: Path, vocabulary: Sequence[str]) -> None:
    """Writes model and vocabulary to Anserini's cache of encoders."""
    folder.mkdir(parents=True)
    (folder / "splade-pp-sd-optimized.onnx").write_bytes(splade_model())
    (folder / "splade-pp-sd-vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
