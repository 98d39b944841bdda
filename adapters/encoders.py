"""Query encoders that run no model: a tokenizer with a table of token weights, and cached query vectors.

Inference-free retrievers (Geng et al., "Towards Competitive Search Relevance For Inference-Free Learned Sparse
Retrievers", 2024) encode documents by a model, but look up the weight of each query token, such as its IDF. Both classes
have the method ``encode`` of Pyserini's query encoders, so Pyserini's searchers take them too.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bmp_plugin._internal.compressed import damage_named, lines_of, open_maybe_gzip
from bmp_plugin.errors import MissingDependencyError, SourceError
from bmp_plugin.trec.topics import check_vector, json_of

DEFAULT_SCALE = 100.0
LARGEST_WEIGHT = 2**31 - 1
_TABLES = ("idf.json", "query_token_weights.txt", "model.safetensors")


class TokenWeightEncoder:
    """Encodes a query as its distinct tokens, each with its weight in a table, times ``scale``, rounded.

    Tokens that are not in the table or whose weight rounds to 0 are omitted. Repetitions of a token in the query do not
    count, as in the inference-free models of OpenSearch and sentence-transformers.

    Parameters
    ----------
    tokenize : callable of str to iterable of str
        The tokenizer of the documents' model, without special tokens.
    weights : mapping of str to float
        The table.
    scale : float
        Factor that makes the weights integers, which impact searchers need.
    """

    def __init__(self, tokenize: Callable[[str], Iterable[str]], weights: Mapping[str, float],
                 scale: float = DEFAULT_SCALE) -> None:
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale={scale!r} is not a number above 0")
        self._tokenize = tokenize
        self._weights = {token: rounded for token, weight in weights.items() if (rounded := _rounded(token, weight, scale))}

    @classmethod
    def load(cls, folder: str | Path, scale: float = DEFAULT_SCALE) -> TokenWeightEncoder:
        """Loads the encoder from the files of a model, as OpenSearch and sentence-transformers publish them.

        Parameters
        ----------
        folder : path
            Contains, directly or in a subfolder, ``tokenizer.json`` (or ``vocab.txt``) next to the table: ``idf.json``,
            ``query_token_weights.txt`` (``token<TAB>weight``) or ``model.safetensors`` with one weight per token id.
        scale : float

        Returns
        -------
        TokenWeightEncoder

        Raises
        ------
        FileNotFoundError
        SourceError
            If the folder has no tokenizer and table, or the table is malformed.
        MissingDependencyError
            If the package ``tokenizers`` or ``safetensors`` is needed and not installed.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder: give one with a tokenizer.json and an idf.json")
        for place in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
            table = next((place / name for name in _TABLES if (place / name).is_file()), None)
            tokens = next((at / name for name in ("tokenizer.json", "vocab.txt") for at in (place, folder)
                           if (at / name).is_file()), None)
            if table is not None and tokens is not None:
                return cls._of_files(tokens, table, scale)
        raise SourceError(f"{folder}: no inference-free encoder: put a tokenizer.json and one of {', '.join(_TABLES)} there")

    @classmethod
    def _of_files(cls, tokens: Path, table: Path, scale: float) -> TokenWeightEncoder:
        tokenizer = _tokenizer(tokens)
        weights = _table(table, tokenizer)
        try:
            return cls(lambda text: tokenizer.encode(text, add_special_tokens=False).tokens, weights, scale)
        except SourceError as error:
            raise SourceError(f"{table}: {error}") from None

    def encode(self, text: str, **_: Any) -> dict[str, int]:
        """Returns the token weights of a query."""
        weights = self._weights
        return {token: weights[token] for token in self._tokenize(text) if token in weights}


class CachedEncoder:
    """Looks up queries that were encoded before, by their text.

    Parameters
    ----------
    vectors : mapping of str to mapping of str to number
        Token weights by query text.
    """

    def __init__(self, vectors: Mapping[str, Mapping[str, float]]) -> None:
        self._vectors = {text.strip(): vector for text, vector in vectors.items()}

    @classmethod
    def load(cls, path: str | Path) -> CachedEncoder:
        """Loads Pyserini's cached queries: JSONL, ``{"contents": text, "vector": {token: weight}}``, plain or gzipped.

        Raises
        ------
        FileNotFoundError
        SourceError
            It names the file and the line.
        """
        vectors: dict[str, Mapping[str, float]] = {}
        with damage_named(path), open_maybe_gzip(path) as file:
            for number, line in lines_of(path, file):
                try:
                    topic = json_of(line.decode())
                    text, vector = topic["contents"], topic["vector"]
                    if not isinstance(text, str) or not isinstance(vector, dict):
                        raise TypeError
                    check_vector(vector, "it")
                except (KeyError, TypeError):
                    raise SourceError(f'{path}, line {number}: not {{"contents": text, "vector": {{token: weight}}}}') from None
                except UnicodeDecodeError:
                    raise
                except ValueError as error:
                    raise SourceError(f"{path}, line {number}: {error}") from None
                vectors[text.strip()] = vector
        return cls(vectors)

    def encode(self, text: str, **_: Any) -> Mapping[str, float]:
        """Returns the query's vector.

        Raises
        ------
        SourceError
            If the query is not in the cache.
        """
        try:
            return self._vectors[text.strip()]
        except KeyError:
            raise SourceError(f"query {text.strip()!r} is not among the cached queries: encode it, or give its"
                              " vector") from None


Encoder = TokenWeightEncoder | CachedEncoder


def open_encoder(path: str | Path, scale: float = DEFAULT_SCALE) -> Encoder:
    """Opens the encoder of ``bmp-plugin search --encoder``: an inference-free model's folder, or a JSONL file of queries."""
    return TokenWeightEncoder.load(path, scale) if Path(path).is_dir() else CachedEncoder.load(path)


def _rounded(token: str, weight: Any, scale: float) -> int:
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= LARGEST_WEIGHT / scale:
        raise SourceError(f"weight {weight!r} of token {token!r} is not a number of at least 0 that is at most"
                          f" {LARGEST_WEIGHT} times {scale:g}: correct the table")
    return round(weight * scale)


def _tokenizer(path: Path) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError(
            f"{path}: reading it needs the package tokenizers: pip install 'bmp-plugin[encoder]'") from None
    try:
        if path.name == "vocab.txt":
            return tokenizers.BertWordPieceTokenizer(str(path), lowercase=True)
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:              # the package raises plain Exception
        raise SourceError(f"{path}: not a tokenizer ({' '.join(str(error).split())}): get the file again") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()               # it may be of training: what counts is the limit that the model declares
    limit = _declared_limit(path.with_name("tokenizer_config.json"))
    if limit is not None:
        tokenizer.enable_truncation(limit)
    return tokenizer


def _declared_limit(config: Path) -> int | None:
    """Returns the largest number of tokens that the model declares; transformers writes 1e30 where there is none."""
    if not config.is_file():
        return None
    with damage_named(config):
        text = config.read_text(encoding="utf-8")
    try:
        declared = json_of(text)
    except ValueError as error:
        raise SourceError(f"{config}: not JSON ({error}): get the file again") from None
    limit = declared.get("model_max_length") if isinstance(declared, dict) else None
    return int(limit) if isinstance(limit, int | float) and 0 < limit < LARGEST_WEIGHT else None


def _table(path: Path, tokenizer: Any) -> dict[str, float]:
    if path.suffix == ".safetensors":
        return _weights_by_number(path, tokenizer)
    with damage_named(path):
        text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            table = json_of(text)
            if not isinstance(table, dict):
                raise ValueError("not an object of tokens and weights")
            return table
        return {token: float(weight) for token, weight in (line.split("\t") for line in text.split("\n") if line)}
    except ValueError as error:
        raise SourceError(f"{path}: not a table of token weights ({error}): get the file again") from None


def _weights_by_number(path: Path, tokenizer: Any) -> dict[str, float]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise MissingDependencyError(
            f"{path}: reading it needs the package safetensors: pip install 'bmp-plugin[encoder]'") from None
    try:
        with safe_open(path, framework="numpy") as file:
            (name,) = file.keys()
            weights = file.get_tensor(name)
        if weights.ndim != 1:
            raise ValueError(f"its shape is {weights.shape}")
    except (SafetensorError, ValueError, TypeError) as error:      # TypeError: a dtype that numpy lacks
        raise SourceError(f"{path}: not one weight per token ({error}): get the file again") from None
    tokens = (tokenizer.id_to_token(number) for number in range(len(weights)))
    return {token: weight for token, weight in zip(tokens, weights.tolist(), strict=True) if token is not None}
