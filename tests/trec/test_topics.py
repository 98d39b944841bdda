"""Topics are read as Pyserini's own command line reads them."""
from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bmp_plugin.errors import SourceError
from bmp_plugin.trec.topics import count_tokens, read_topics

SAME_AS_PYSERINI = {
    "spaces": b"10\ta b a \n 2 \t x y\n007\tz\n",
    "columns": b"q10\ta b a \nq2\tx\ty\n5\tw\n",
    "mixed ids": b"10\ta\nx\tb\n9\tc\n",
    "kinds of blank": "1\ta\u00a0b c\u2028d \u3000e\u00a0\n2\te\x1cf\x85g\x0bh\n".encode(),
    "line ends": b"1\ta\r\n2\tb\r3\tc\n",
    "signs": b"-1\ta\n2\tb\n+3\tc\n",
    "signs and words": b"-1\ta\n2\tb\n+3\tc\nq\td\n",
    "beyond int32": b"99999999999\ta\n2\tb\n",
    "leading zeros": b"00012\ta\n000\tb\n",
    "subword tokens": "1\t##ing ##s ##ing [unused1] é \U0001F600 \U0001F600\n".encode(),
    "no end of line": b"2\tb b b\n1\ta",
    "an id twice": b"1\ta\n2\tb\n1\tc c\n",
    "an id twice, spelt otherwise": b"7\ta\n007\tb\n3\tc\n",
}


@pytest.mark.parametrize("name", SAME_AS_PYSERINI)
@pytest.mark.usefixtures("host")
def test_tsv_as_pyserini_reads_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "topics.tsv"
    path.write_bytes(SAME_AS_PYSERINI[name])
    from pyserini.encode import TokFreqQueryEncoder
    from pyserini.query_iterator import DefaultQueryIterator

    encode = TokFreqQueryEncoder().encode
    expected = [(str(qid), encode(text)) for qid, text in DefaultQueryIterator.from_topics(str(path))]
    assert read_topics(path) == expected


WORDS = st.text("ab\u00e9\u200b\U0001F600", min_size=1, max_size=3)
BLANKS = st.sampled_from([" "] * 6 + ["  ", "\t", "\u00a0", "\u3000", "\x1c", "\x85 "])


@given(st.lists(st.tuples(WORDS, st.integers(1, 70), BLANKS)))
@example([("ing", 3, " "), ("ings", 2, " "), ("ing", 1, " ")])
@example([("a", 40, " "), ("aa", 40, " "), ("a", 1, ""), ("b", 1, "")])
@example([(word, 1, " ") for word in "abcdefghijklmnop"] + [("a", 70, " ")])
def test_tokens_are_those_of_split(runs: list[tuple[str, int, str]]) -> None:
    text = "".join(" ".join([word] * times) + blank for word, times, blank in runs)
    expected: dict[str, int] = {}
    for token in text.split():
        expected[token] = expected.get(token, 0) + 1
    assert list(count_tokens(text).items()) == list(expected.items())


def test_all_white_space_of_split_separates_tokens() -> None:
    for character in map(chr, range(0x10000)):
        text = f"a a{character}a a a"
        assert sum(count_tokens(text).values()) == len(text.split()), ascii(character)


def test_jsonl_and_tsv_are_the_same_topics(tmp_path: Path) -> None:
    vectors = {"12": {"a": 3, "##b": 1}, "3": {"é": 2}}
    jsonl, tsv = tmp_path / "q.jsonl", tmp_path / "q.tsv"
    jsonl.write_text("".join(json.dumps({"qid": qid, "vector": vector}) + "\n" for qid, vector in vectors.items()))
    tsv.write_text("".join(
        f"{qid}\t{' '.join(token for token, weight in vector.items() for _ in range(weight))}\n"
        for qid, vector in vectors.items()
    ))
    assert read_topics(jsonl) == read_topics(tsv) == [("3", {"é": 2}), ("12", {"a": 3, "##b": 1})]


def test_jsonl_ids_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps({"qid": qid, "vector": {"a": 1}}) + "\n" for qid in ("10", "007", "9")))
    assert [qid for qid, _ in read_topics(path)] == ["007", "9", "10"]


def test_valid_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "no suffix that says so"
    path.write_text(
        '{"id": 7, "vector": {"a": 2.9, "zero": 0}, "text": "left out"}\n\n  {"qid": "none", "vector": {}}\n'
    )
    assert read_topics(path) == [("7", {"a": 2.9, "zero": 0}), ("none", {})]


@pytest.mark.parametrize("text", ["1\ta b a\n", '{"qid": "1", "vector": {"a": 2, "b": 1}}\n'])
def test_gzipped_whatever_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topics"
    path.write_bytes(gzip.compress(text.encode()))
    assert read_topics(path) == [("1", {"a": 2, "b": 1})]


def test_cranfield() -> None:
    from importlib import resources

    topics = read_topics(Path(str(resources.files("bmp_plugin.demo"))) / "cranfield_queries.jsonl.gz")
    assert [qid for qid, _ in topics] == [str(number) for number in range(1, 226)]


def test_long_queries(tmp_path: Path) -> None:
    path = tmp_path / "splade.tsv"
    text = " ".join(f"token{number % 44}" for number in range(23_000))
    path.write_text("".join(f"{qid}\t{text}\n" for qid in range(100)))
    assert sum(map(sum, (query.values() for _, query in read_topics(path)))) == 2_300_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\njust words\n", "line 2: not qid<TAB>tokens"),
        ("1 a b\n", "line 1: not qid<TAB>tokens"),
        ("1\ta\n\t\tb\n", "line 2"),
        ('{"qid": "1", "vector": {"a": 1}}\n{"qid": "1", "vector": {"a": 1}}\n', "line 2: query id 1 occurs twice"),
        ("q 1\ta\n", "line 1: query id 'q 1' before the tab is not one word"),
        ("", "no topics"),
        ("\n \n", "no topics"),
        ('{"qid": "1", "vector": {"a": 1}\n', "line 1: broken JSON"),
        ('{"qid": "1", "vector": {"a": 1}}\n[1]\n', "line 2: not a JSON object"),
        ('{"qid": "1", "vector": {"a": 1}}\n2\ta\n', "line 2: broken JSON"),
        ('{"vector": {"a": 1}}\n', 'no "qid"'),
        ('{"qid": "", "vector": {"a": 1}}\n', 'no "qid"'),
        ('{"qid": "1", "title": "text"}\n', '"vector" of query 1 is missing'),
        ('{"qid": "1", "vector": ["a"]}\n', "not an object"),
        ('{"qid": "1", "vector": {"a": "1"}}\n', "weight '1' of token 'a' in query 1 is not a number"),
        ('{"qid": "1", "vector": {"a": NaN}}\n', "not a number"),
        ('{"qid": "1", "vector": {"a": true}}\n', "not a number"),
        ('{"qid": "1", "vector": {"a": -1}}\n', "not between 0 and"),
        ('{"qid": "1", "vector": {"a": Infinity}}\n', "not between 0 and"),
    ],
)
def test_refused_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "topics.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        read_topics(path)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nope"):
        read_topics(tmp_path / "nope")
    with pytest.raises(SourceError, match="folder"):
        read_topics(tmp_path)
    (tmp_path / "latin").write_bytes(b"1\t\xe9\n")
    with pytest.raises(SourceError, match="not UTF-8"):
        read_topics(tmp_path / "latin")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1\ta\n" * 1000)[:-20])
    with pytest.raises(SourceError, match="damaged gzip"):
        read_topics(tmp_path / "cut.gz")


@pytest.mark.parametrize(("text", "expected"), [
    ("1\ta\n2\t\n3\t \n", [("1", {"a": 1}), ("2", {}), ("3", {})]),
    ("q1\t\r\nq2\tb\r\n\r\n", [("q1", {}), ("q2", {"b": 1})]),
    ("\ufeff1\ta\n", [("1", {"a": 1})]),
    ('\ufeff{"qid": "1", "vector": {"a": 2}}\r\n\r\n', [("1", {"a": 2})]),
])
def test_files_as_people_have_them(tmp_path: Path, text: str, expected: object) -> None:
    """Empty queries of query logs, a byte order mark, CRLF and blank lines at the end."""
    (tmp_path / "topics").write_bytes(text.encode())
    assert read_topics(tmp_path / "topics") == expected


def test_an_empty_query_is_not_encoded(tmp_path: Path) -> None:
    (tmp_path / "topics").write_text("1\ttext\n2\t\n")
    assert read_topics(tmp_path / "topics", lambda text: {text: 3}) == [("1", {"text": 3}), ("2", {})]
