"""Damaged and malicious indexes are refused by name, or give the right answers; SECURITY.md names these tests."""
import json
import os
import re
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import bmp_plugin
from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.cli import main
from bmp_plugin.conformance.damage.__main__ import main as damage
from bmp_plugin.conformance.damage.run_cases import run
from bmp_plugin.conformance.damage.sealing import reseal
from bmp_plugin.conformance.damage.specimens import QUERIES, build
from bmp_plugin.errors import DamagedIndexError
from bmp_plugin.index.layout import ARRAYS
from bmp_plugin.index.local_copy import local_copy
from bmp_plugin.index.validate import proof
from bmp_plugin.sharded.sharded_index import ShardedIndex, open_either
from bmp_plugin.sharded.sharded_searcher import ShardedSearcher


@pytest.fixture(scope="module")
def specimens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("specimens")
    for kind in ("plain", "quantized", "sharded"):
        build(kind, folder, 1)
    return folder


@pytest.fixture
def plain(specimens, tmp_path):
    return Path(shutil.copytree(specimens / "plain", tmp_path / "plain"))


@pytest.fixture
def sharded(specimens, tmp_path):
    return Path(shutil.copytree(specimens / "sharded", tmp_path / "sharded"))


@pytest.fixture(autouse=True)
def proved_folder(tmp_path_factory, monkeypatch):
    """The folder that remembers proved indexes, a new one for each test."""
    folder = tmp_path_factory.mktemp("proved")
    monkeypatch.setattr(proof, "known_folder", lambda: folder)
    return folder


def change(path, index, value):
    """Sets elements of an index's array."""
    values = np.fromfile(path, ARRAYS[path.stem].dtype)
    values[index] = value
    values.tofile(path)


def flip(path, at):
    """Flips a bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << at % 8
    path.write_bytes(data)


def edit(folder, **entries):
    """Changes a manifest's entries, and updates its seal."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    assert reseal(folder)


def test_cases():
    outcome = run(3, range(100), lambda number, verdict: print(number, verdict))
    assert not outcome.failures
    assert outcome.sorts["refused"] > 20
    assert outcome.sorts["sealed, refused"] > 10
    assert outcome.sorts["sealed, answered"] > 2            # else no malicious index was searched


def test_the_command_prints_how_to_repeat_a_failure(monkeypatch, capsys):
    monkeypatch.setattr("bmp_plugin.conformance.damage.__main__.run", _one_failure)
    assert damage(["--cases", "1", "--seed", "5"]) == 1
    assert "--seed 5 --only 0" in capsys.readouterr().out


def _one_failure(seed, numbers, say):
    from bmp_plugin.conformance.damage.damage_worker import Verdict
    from bmp_plugin.conformance.damage.run_cases import Outcome

    verdict = Verdict("plain: cut", "crashed", "crashes")
    for number in numbers:
        say(number, verdict)
    return Outcome(seed, 1, failures={0: verdict})


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_flipped_bits_are_refused(plain, name):
    path = plain / f"{name}.bin"
    size = path.stat().st_size
    for at in {0, size // 2, size - 1} if size else ():
        flip(path, at)
        with pytest.raises(DamagedIndexError, match=f"/{name}.bin: |/list_.*.bin: |/entry_end.bin: "):
            BmpSearcher(plain)
        assert main(["verify", str(plain)]) == 1
        flip(path, at)
    assert BmpSearcher(plain).search(QUERIES[0])


def test_verify_finds_every_changed_byte(plain, sharded, capsys):
    for folder in (plain, sharded, sharded / "shard-001.bmp"):
        path = folder / "manifest.json"
        data = path.read_bytes()
        for at in range(0, len(data), 31):
            flip(path, at)
            assert main(["verify", str(folder)]) in (1, 2), data[max(at - 20, 0):at + 20]
            path.write_bytes(data)
        path.write_bytes(data + b" ")
        assert main(["verify", str(folder)]) == 1
        path.write_bytes(data)
    for path in sorted(sharded.rglob("*.bin")):
        if path.stat().st_size:
            flip(path, path.stat().st_size // 3)
            assert main(["verify", str(sharded)]) == 1
            flip(path, path.stat().st_size // 3)
    assert main(["verify", str(sharded)]) == 0


def table(folder, name):
    return np.fromfile(folder / f"{name}.bin", ARRAYS[name].dtype)


def sparse(folder):
    """Returns the longest sparse list."""
    return int(np.argmax(np.where(table(folder, "list_row") < 0, table(folder, "list_count"), 0)))


def with_maxima(folder):
    """Returns the first list with block maxima."""
    return int(np.flatnonzero(table(folder, "list_row") >= 0)[0])


def superblock(folder, number):
    """Returns the flat index of a superblock's start in the first list with block maxima."""
    columns = -(-json.loads((folder / "manifest.json").read_text())["num_docs"] // 256) + 1
    return int(table(folder, "list_row")[with_maxima(folder)]) * columns + number


def posting(folder, which):
    """Returns where the document bytes of a list begin in ``postings``."""
    return int(table(folder, "list_start")[which(folder)])


def entry(folder):
    """Returns the first entry of the longest sparse list."""
    return int(table(folder, "list_entry")[sparse(folder)])


MALICIOUS = {
    "a superblock's start beyond the list": ("superblock_start", lambda f: superblock(f, 1), 2**32 - 1),
    "a superblock's start that falls": ("superblock_start", lambda f: superblock(f, 2), 0),
    "a list's end beyond the list": ("superblock_start", lambda f: superblock(f, 4), 1023),
    "a superblock's documents out of order": ("postings", lambda f: posting(f, with_maxima) + 1, 0),
    "a run beyond the list": ("entry_end", entry, 2**32 - 1),
    "a run of nothing": ("entry_end", entry, 0),
    "an entry of no window": ("entry_window", entry, 65_534),
    "documents beyond the last": ("postings", lambda f: slice(posting(f, sparse), posting(f, sparse) + 9), 255),
    "a jump over nothing": ("postings", lambda f: slice(posting(f, sparse), posting(f, sparse) + 3), 0),
    "fewer entries than none": ("list_entries", sparse, -1),
    "entries of a list with block maxima": ("list_entries", with_maxima, 1),
    "a row that does not exist": ("list_row", with_maxima, 10**6),
    "a shift of no digit": ("list_shift", with_maxima, 3),
    "a list beyond all postings": ("list_start", sparse, 2**40),
    "a list in the padding": ("list_start", sparse, lambda f: len(table(f, "postings")) - 70),
    "a rank beyond the documents": ("doc_rank", lambda f: 5, 10**9),
    "a negative rank": ("doc_rank", lambda f: 5, -1),
    "a document of two ranks": ("rank_doc", lambda f: 5, 0),
    "a document beyond the last": ("rank_doc", lambda f: 5, 2**31 - 1),
    "a docid's end that falls": ("docid_end", lambda f: 5, 0),
    "a docid's end beyond all docids": ("docid_end", lambda f: 5, 2**40),
    "a docid that is no text": ("docid_bytes", lambda f: 0, 0xFF),
    "a term that is no text": ("term_bytes", lambda f: 0, 0xFF),
    "a negative source document id": ("source_docid", lambda f: 5, -7),
    "an overflow list that does not exist": ("term_overflow", lambda f: 1, 10**6),
    "more overflow lists than digits": ("term_overflow", lambda f: 1, lambda f: int(table(f, "term_overflow")[1]) + 5),
    "more documents in a list than there are": ("list_count", lambda f: 3, 10**6),
}


@pytest.mark.parametrize("what", MALICIOUS)
def test_malicious_tables_are_refused(plain, what):
    """Each of these would make a kernel read or write out of bounds, or a search end with a traceback."""
    name, where, value = MALICIOUS[what]
    change(plain / f"{name}.bin", where(plain), value(plain) if callable(value) else value)
    assert reseal(plain)
    with pytest.raises(DamagedIndexError, match=re.escape(str(plain)) + "/"):
        BmpSearcher(plain)


def test_malicious_tables_are_of_every_kind_of_list(plain):
    kinds = set(zip((table(plain, "list_row") >= 0).tolist(), table(plain, "list_shift").tolist(), strict=True))
    assert kinds >= {(kind, shift) for kind in (False, True) for shift in (0, 8, 16)}
    assert json.loads((plain / "manifest.json").read_text())["num_docs"] == 900         # four superblocks in the tests above


@pytest.mark.parametrize(("details", "sound"), [
    ({"quantize": {"scale": -1.0}}, False), ({"quantize": {"scale": 0}}, False), ({"quantize": {"scale": "2"}}, False),
    ({"quantize": {"scale": True}}, False), ({"quantize": None}, False), ({"max_doc": "many"}, False), ({"max_doc": -1}, False),
    ([], False), ({"quantize": {"scale": 2}, "max_doc": 900}, True)])
def test_details_of_the_source_are_checked(plain, details, sound):
    source = json.loads((plain / "manifest.json").read_text())["source"]
    edit(plain, source=source | {"details": details})
    if sound:
        assert BmpSearcher(plain).search(QUERIES[0])
    else:
        with pytest.raises(DamagedIndexError, match=r"manifest.json: does not say what the index was built from"):
            BmpIndex.open(plain)


def test_documents_of_a_source_without_any_are_refused(plain):
    source = json.loads((plain / "manifest.json").read_text())["source"]
    edit(plain, source=source | {"num_docs": 0})           # whose logarithm an explanation computes
    with pytest.raises(DamagedIndexError, match=r"manifest.json: has documents of a source without any"):
        BmpIndex.open(plain)


@pytest.mark.parametrize("entries", [
    {"created_with": 3}, {"reorder": ["bp"]}, {"block_size": 8.5}, {"num_docs": 900.0}, {"num_postings": 1},
    {"num_postings": -1}, {"num_postings": 10**300}, {"sha256": "0"}, {"sha256": None}, {"sha256": 3}, {"more": 1}])
def test_manifest_entries_are_checked(plain, entries):
    path = plain / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    with pytest.raises(BmpError, match=re.escape(str(plain))):
        BmpIndex.open(plain)


def test_manifests_of_other_versions_and_without_a_seal_are_refused(plain, sharded):
    for folder, before in ((plain, 4), (sharded, 1)):
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(manifest | {"version": before}))
        with pytest.raises(BmpError, match=rf"manifest.json: has version {before} .*; build the index again"):
            open_either(folder)
        assert main(["verify", str(folder)]) == 2
        del manifest["sha256"]
        path.write_text(json.dumps(manifest))
        with pytest.raises(DamagedIndexError, match=r"manifest.json: is not what was written"):
            open_either(folder)


def test_gigantic_claims_are_refused(plain):
    manifest = json.loads((plain / "manifest.json").read_text())
    tracemalloc.start()
    try:
        for count in ("num_docs", "num_lists", "num_terms", "num_rows", "num_posting_bytes"):
            counts = manifest["counts"] | {count: 2**31 - 1}
            edit(plain, counts=counts, num_docs=counts["num_docs"], num_terms=counts["num_terms"])
            for name, spec in ARRAYS.items():
                if spec.shape == (count,):
                    os.truncate(plain / f"{name}.bin", (2**31 - 1) * np.dtype(spec.dtype).itemsize)      # a sparse file
            with pytest.raises(BmpError, match=re.escape(str(plain))):
                BmpSearcher(plain)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


ONE = b'{"format": "bmp-plugin block-max index", '
MANY = b'{"format": "bmp-plugin block-max index, sharded", '


@pytest.mark.parametrize("text", [
    b"", b"null", b"[" * 10**6, b'{"a":' * 10**5, b" " * (2**24 + 1), b"\xff\xfe", ONE + b'"x": NaN}',
    b'{"format": ["bmp-plugin block-max index, "]}', MANY + b'"version": ' + b"9" * 9999 + b"}",
    MANY + b'"version": 1, "shards": [' + b'{"name": "a"},' * 10**6 + b"{}]}",
    ONE + b'"version": 3, "counts": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", MANY + b'"version": 1, "\xe4": 1}'],
    ids=["empty", "null", "deep", "deep objects", "large", "no text", "nan", "list", "long", "million shards", "deep counts",
         "broken name"])
def test_nonsense_manifests_are_refused(plain, text):
    (plain / "manifest.json").write_bytes(text)
    with pytest.raises(BmpError, match=re.escape(str(plain))) as caught:
        open_either(plain)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)
    assert main(["verify", str(plain)]) in (1, 2)


@pytest.mark.parametrize("name", ["manifest.json", "postings.bin", "entry_end.bin"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "itself", "dangling"])
def test_pipes_devices_and_folders_are_refused(plain, name, kind):
    path = plain / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": "/dev/zero", "itself": path.name, "dangling": "nowhere"}[kind])
    with pytest.raises(BmpError, match=re.escape(str(plain))):
        open_either(plain)
    assert main(["verify", str(plain)]) in (1, 2)


def test_names_cannot_escape_the_folder(plain, sharded, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache" / "user"))
    (tmp_path / "evil.bin").write_bytes(b"x")
    manifest = json.loads((plain / "manifest.json").read_text())
    for names in ({"../evil": {"sha256": "0" * 64}}, ["../evil"], {"/evil": {}}):
        (plain / "manifest.json").write_text(json.dumps(manifest | {"arrays": names}))
        with pytest.raises(BmpError, match=r"manifest.json"):
            BmpIndex.open(plain)
        with pytest.raises(BmpError, match=r"manifest.json: does not describe a block-max index"):
            local_copy(plain.as_uri())
    assert not list((tmp_path / "cache").rglob("evil*"))
    shards = json.loads((sharded / "manifest.json").read_text())["shards"]
    edit(sharded, shards=[shards[0] | {"identity": "../../evil"}, *shards[1:]])
    manifest = json.loads((sharded / "manifest.json").read_text())
    manifest["shards"][0]["identity"] = "../../evil"           # the name of a folder in the cache
    (sharded / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedIndexError, match="identity"):
        ShardedIndex.open(sharded)


def test_no_pickle():
    root = Path(bmp_plugin.__file__).parent
    sources = [path for part in ("index", "sharded", "query") for path in (root / part).rglob("*.py")]
    assert len(sources) > 20
    for path in sources:
        assert not re.search(r"pickle|marshal|\beval\(|\bexec\(|np\.load|__import__", path.read_text()), path


def test_proved_indexes_are_remembered(plain, proved_folder, monkeypatch):
    proofs = []
    check = BmpIndex._prove
    monkeypatch.setattr(BmpIndex, "_prove", lambda index: (proofs.append(index.path.name), check(index)))

    def searched():
        proofs.clear()
        BmpSearcher(plain).search(QUERIES[0])
        return len(proofs)

    time.sleep(2 * proof.TICK)                  # younger files could change and keep their times
    assert (searched(), searched()) == (1, 0)
    moved = plain.with_name("moved")
    plain.rename(moved)
    moved.rename(plain)
    assert searched() == 0
    path = plain / "postings.bin"
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))          # the same time of modification
    assert searched() == 1
    time.sleep(2 * proof.TICK)
    assert (searched(), searched()) == (1, 0)
    monkeypatch.setenv("BMP_PLUGIN_VERIFY", "always")
    assert searched() == 1
    monkeypatch.setenv("BMP_PLUGIN_VERIFY", "sometimes")
    with pytest.raises(ValueError, match="BMP_PLUGIN_VERIFY='sometimes' is not one of once, always, never"):
        searched()
    monkeypatch.setenv("BMP_PLUGIN_VERIFY", "never")
    flip(path, 7)
    assert searched() == 0
    assert main(["verify", str(plain)]) == 1    # which also forgets the index
    monkeypatch.delenv("BMP_PLUGIN_VERIFY")
    with pytest.raises(DamagedIndexError, match=r"postings.bin"):
        searched()


def test_indexes_built_here_need_no_proof(tmp_path, monkeypatch):
    monkeypatch.setattr(BmpIndex, "_prove", lambda index: pytest.fail("proved"))
    monkeypatch.setattr(ShardedIndex, "_prove", lambda index: pytest.fail("proved"))
    assert BmpSearcher(build("plain", tmp_path, 1)).search(QUERIES[0])
    with ShardedSearcher(build("sharded", tmp_path, 1)) as searcher:
        assert searcher.search(QUERIES[0])


def test_the_number_of_remembered_indexes_is_bounded(proved_folder, plain, monkeypatch):
    monkeypatch.setattr(proof, "MOST_KNOWN", 6)
    for number in range(9):
        (proved_folder / f"{number}").touch()
    proof.Identity(plain, ARRAYS).remember()
    assert len(list(proved_folder.iterdir())) == 7
    monkeypatch.setattr(proof, "known_folder", lambda: plain / "manifest.json" / "x")          # cannot be written
    proof.Identity(plain, ARRAYS).remember()
    assert not proof.Identity(plain, ARRAYS).is_known


def test_a_shard_with_other_counts_is_refused(sharded):
    shards = json.loads((sharded / "manifest.json").read_text())["shards"]
    first, second = shards[0], shards[1]
    edit(sharded, shards=[first | {"num_docs": first["num_docs"] - 1}, second | {"num_docs": second["num_docs"] + 1},
                          shards[2]])
    with pytest.raises(BmpError, match="has not the documents that the manifest says"):
        ShardedSearcher(sharded)


def test_tables_of_a_sharded_index_are_proved(sharded):
    flip(sharded / "term_df.bin", 0)
    with pytest.raises(DamagedIndexError, match=r"term_df.bin: its content is not what was written"):
        ShardedSearcher(sharded).search(QUERIES[0])


def test_a_weight_that_overflows_when_quantized_is_refused(specimens):
    with pytest.raises(ValueError, match="token 't00' is not finite"):
        BmpSearcher(specimens / "quantized").search({"t00": 1e308})


def test_a_damaged_sidecar_index_is_rebuilt(lucene_index, tmp_path):
    from bmp_plugin.adapters.host.sidecar_index import index_of

    lucene = shutil.copytree(lucene_index("cranfield"), tmp_path / "lucene")
    wanted = BmpSearcher(index_of(lucene, progress=False)).search({"flow": 3, "wing": 2})
    flip(tmp_path / "lucene.bmp" / "postings.bin", 77)
    found = BmpSearcher(index_of(lucene, progress=False)).search({"flow": 3, "wing": 2})
    assert [(hit.docid, hit.score) for hit in found] == [(hit.docid, hit.score) for hit in wanted]
    assert found
    assert main(["verify", str(tmp_path / "lucene.bmp")]) == 0


def test_a_sidecar_index_of_an_older_layout_is_rebuilt(lucene_index, tmp_path):
    from bmp_plugin.adapters.host.sidecar_index import index_of

    lucene = shutil.copytree(lucene_index("cranfield"), tmp_path / "lucene")
    wanted = BmpSearcher(index_of(lucene, progress=False)).search({"flow": 3, "wing": 2})
    edit(tmp_path / "lucene.bmp", version=4)
    with pytest.raises(BmpError, match="version 4"):
        BmpIndex.open(tmp_path / "lucene.bmp")
    found = BmpSearcher(index_of(lucene, progress=False)).search({"flow": 3, "wing": 2})
    assert [(hit.docid, hit.score) for hit in found] == [(hit.docid, hit.score) for hit in wanted]
    assert json.loads((tmp_path / "lucene.bmp" / "manifest.json").read_text())["version"] == 5
