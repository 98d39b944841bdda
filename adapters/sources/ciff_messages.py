"""The protobuf messages of the Common Index File Format, defined in code so that no protoc is needed.

J. Lin et al., "Supporting Interoperability Between Open-Source Search Engines with the Common Index File Format", SIGIR
2020. A file is a Header, the PostingsLists and the DocRecords, each preceded by its length as a varint.
"""
from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from bmp_plugin.errors import MissingDependencyError

_PACKAGE = "bmp_plugin.ciff"
_FIELDS: dict[str, list[tuple[str, str]]] = {
    "Header": [
        ("version", "int32"),
        ("num_postings_lists", "int32"),
        ("num_docs", "int32"),
        ("total_postings_lists", "int32"),
        ("total_docs", "int32"),
        ("total_terms_in_collection", "int64"),
        ("average_doclength", "double"),
        ("description", "string"),
    ],
    "Posting": [("docid", "int32"), ("tf", "int32")],
    "PostingsList": [("term", "string"), ("df", "int64"), ("cf", "int64"), ("postings", "Posting")],
    "DocRecord": [("docid", "int32"), ("collection_docid", "string"), ("doclength", "int32")],
}


class Messages(NamedTuple):
    """The message classes, and the exception that parsing raises."""

    Header: Any
    Posting: Any
    PostingsList: Any
    DocRecord: Any
    DecodeError: type[Exception]


@cache
def messages() -> Messages:
    """Builds the message classes.

    Raises
    ------
    MissingDependencyError
        If the package ``protobuf`` is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
    except ImportError:
        raise MissingDependencyError(
            "CIFF needs the package protobuf: pip install 'bmp-plugin[ciff]'"
        ) from None
    kind = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "int32": kind.TYPE_INT32, "int64": kind.TYPE_INT64, "double": kind.TYPE_DOUBLE, "string": kind.TYPE_STRING
    }
    file = descriptor_pb2.FileDescriptorProto(name="bmp_plugin/ciff.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for number, (field, type_name) in enumerate(fields, 1):
            added = described.field.add(name=field, number=number, label=kind.LABEL_OPTIONAL)
            if type_name in scalars:
                added.type = scalars[type_name]
            else:
                added.type, added.label = kind.TYPE_MESSAGE, kind.LABEL_REPEATED
                added.type_name = f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS
    }
    return Messages(**classes, DecodeError=message.DecodeError)
