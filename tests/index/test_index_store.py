"""Index directories are written atomically, and damaged ones are refused with the name of the file."""
import json
import shutil

import numpy as np
import pytest

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.errors import BuildError, DamagedIndexError, SourceError
from bmp_plugin.index.layout import ARRAYS


def make_source():
    rng = np.random.default_rng(0)
    present = rng.random((900, 30)) < rng.random(30) ** 2
    terms = np.nonzero(present)[1]
    return ArraySource(np.concatenate([[0], np.cumsum(present.sum(1))]), terms.astype(np.uint16),
                       rng.integers(1, np.where(terms % 7 == 0, 400, 100)), [f"d{i}" for i in range(900)],
                       [f"t{i}" for i in range(30)])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return BmpIndex.build(make_source(), tmp_path_factory.mktemp("sound") / "i.bmp", progress=False).path


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "i.bmp")


def test_the_manifest_lists_all_arrays(sound):
    manifest = json.loads((sound / "manifest.json").read_text())
    assert manifest["source"]["kind"] == "arrays"
    assert set(manifest["arrays"]) == set(ARRAYS)
    assert all(len(entry["sha256"]) == 64 for entry in manifest["arrays"].values())
    assert sorted(path.name for path in sound.iterdir()) == sorted([f"{name}.bin" for name in ARRAYS] + ["manifest.json"])


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_damage_is_found(copy, name):
    path = copy / f"{name}.bin"
    data = path.read_bytes()
    if not data:
        pytest.skip("this index has no such postings")
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 0x5A]))
    with pytest.raises(DamagedIndexError, match=f"{name}.bin"):
        BmpIndex.open(copy).verify()
    path.write_bytes(data[:-1])
    with pytest.raises(DamagedIndexError, match=f"{name}.bin"):
        BmpIndex.open(copy)
    path.unlink()
    with pytest.raises(DamagedIndexError, match=f"{name}.bin: is missing"):
        BmpIndex.open(copy)


@pytest.mark.parametrize("name", ["list_start", "list_row", "list_entry", "list_entries", "list_count", "list_shift",
                                  "term_end", "term_overflow"])
def test_wild_pointers_are_refused_on_open(copy, name):
    path = copy / f"{name}.bin"
    values = np.fromfile(path, ARRAYS[name].dtype)
    for wild in (np.iinfo(values.dtype).max, np.iinfo(values.dtype).min if values.dtype.kind == "i" else 77):
        damaged = values.copy()
        damaged[1] = wild
        damaged.tofile(path)
        with pytest.raises(DamagedIndexError):
            BmpIndex.open(copy)


@pytest.mark.parametrize(("change", "message"), [
    ({"version": 99}, "version 99"), ({"version": 4}, "version 4 of the layout .* version 5; build the index again"),
    ({"format": "else"}, "not describe"), ({"counts": {}}, "lacks a count"),
    ({"block_size": 7}, "block size"), ({"arrays": []}, "arrays"), ({"source": None}, "built from"),
    ({"num_docs": 3}, "contradicts")])
def test_manifests_are_checked(copy, change, message):
    path = copy / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BmpError, match=message):
        BmpIndex.open(copy)
    path.write_text("{")
    with pytest.raises(DamagedIndexError, match="not valid JSON"):
        BmpIndex.open(copy)


class Failing:
    """A source that fails after its first batch."""

    def __init__(self, source):
        self.info, self.documents, self.num_postings_hint = source.info, source.documents, source.num_postings_hint
        self.source = source

    def batches(self):
        yield from self.source.batches()
        raise SourceError("postings.ciff: ends early; fetch it again")

    def close(self):
        pass


def test_a_failed_build_leaves_nothing(tmp_path):
    with pytest.raises(SourceError, match="ends early"):
        BmpIndex.build(Failing(make_source()), tmp_path / "i.bmp", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rebuild_leaves_the_old_index(copy):
    with pytest.raises(SourceError, match="ends early"):
        BmpIndex.build(Failing(make_source()), copy, progress=False)
    assert [path.name for path in copy.parent.iterdir()] == ["i.bmp"]
    BmpIndex.open(copy).verify()


def test_only_an_index_is_replaced(copy, tmp_path):
    old = BmpSearcher(copy)
    BmpIndex.build(make_source(), copy, progress=False, block_size=32).verify()
    assert BmpIndex.open(copy).manifest["block_size"] == 32
    assert len(old.search({"t1": 1})) == 10              # a searcher that has the old one open still works
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    with pytest.raises(BuildError, match="is not a block-max index, so it is not replaced"):
        BmpIndex.build(make_source(), tmp_path / "mine", progress=False)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "dear"


@pytest.mark.parametrize("options", [{"block_size": 7}, {"reorder": "sorted"}, {"threads": 0}])
def test_bad_options(tmp_path, options):
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        BmpIndex.build(make_source(), tmp_path / "i.bmp", progress=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_duplicate_term_is_refused(tmp_path):
    source = make_source()
    source._names[3] = source._names[4]
    with pytest.raises(SourceError, match="'t4' occurs twice"):
        BmpIndex.build(source, tmp_path / "i.bmp", progress=False)


def test_reordering_keeps_answers_and_source_docids(sound, tmp_path):
    plain = BmpSearcher(sound)
    reordered = BmpSearcher(BmpIndex.build(make_source(), tmp_path / "r.bmp", reorder="bp", threads=2, progress=False))
    assert not np.array_equal(plain.index.arrays["source_docid"], reordered.index.arrays["source_docid"])
    for query in ({"t1": 3, "t2": 1, "t9": 8}, {"t7": 2, "t0": 5}):
        expected = [(hit.docid, hit.score, hit.lucene_docid) for hit in plain.search(query, 500)]
        assert [(hit.docid, hit.score, hit.lucene_docid) for hit in reordered.search(query, 500)] == expected
