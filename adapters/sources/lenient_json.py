"""JSON that Anserini's parser accepts, and orjson refuses: lone surrogates, numbers beyond float64, bytes beyond UTF-8.

Anserini indexes such documents. Text that it would have to change, to replace what is not Unicode, is refused where it
counts: in docids and tokens. Elsewhere, in fields that are not read, it does not matter.
"""
from __future__ import annotations

import json
from typing import Any, NoReturn

UNDECODABLE = "surrogateescape"
"""Error handler of codecs by which bytes that are not UTF-8 become lone surrogates."""


class UnusableJsonError(ValueError):
    """JSON that is understood, but cannot be used; it says why."""


def lenient_value(text: bytes) -> Any:
    """Parses a JSON value.

    Raises
    ------
    UnusableJsonError
        If a docid or a token is not Unicode text.
    ValueError
        For broken JSON.
    """
    return checked_text(json.loads(text.decode("utf-8", UNDECODABLE), parse_constant=refuse_constant))


def checked_text(value: Any) -> Any:
    """Returns a value as it is, if the docids and tokens of its documents are text; raises :class:`UnusableJsonError` else."""
    for document in value if isinstance(value, list) else [value]:
        if not isinstance(document, dict):
            continue
        vector = document.get("vector")
        texts = [str(document.get("id")), *(vector if isinstance(vector, dict) else ())]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError as error:
            letter = error.object[error.start]
            wrong = next(text for text in texts if letter in text)
            raise UnusableJsonError(f"{'docid' if wrong is texts[0] else 'token'} {wrong!a} is not Unicode text: correct"
                                    " it") from None
    return value


def refuse_constant(name: str) -> NoReturn:
    """Refuses ``NaN`` and ``Infinity``, which JSON lacks; raises :class:`UnusableJsonError`."""
    raise UnusableJsonError(f"broken JSON ({name} is no number of JSON): fix or remove the line")
