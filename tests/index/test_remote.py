"""Indexes at URLs: copied once, proved, never half of one; uploads that nobody sees half of. Nothing else is read."""
from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from conftest import ranking

from bmp_plugin import BmpError, BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource
from bmp_plugin.conformance.damage.sealing import reseal
from bmp_plugin.errors import BuildError, DamagedIndexError, InputWarning, MissingDependencyError
from bmp_plugin.index import local_copy as copies
from bmp_plugin.index.layout import ARRAYS
from bmp_plugin.index.remote_folder import RemoteFolder
from bmp_plugin.sharded.build_shards import build_shards
from bmp_plugin.sharded.join_shards import join
from bmp_plugin.sharded.push import push_index
from bmp_plugin.sharded.sharded_index import open_either

FILES = {"manifest.json", *(f"{name}.bin" for name in ARRAYS)}
QUERY = {"a": 2, "b": 1}


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, and records what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path.rpartition("/")[2])
        super().do_GET()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(copies, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build(tmp_path / "served" / "i.bmp", "one")


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder.parent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are downloaded."""
    names: list[str] = []
    fetch = RemoteFolder.fetch
    monkeypatch.setattr(RemoteFolder, "fetch", lambda self, name, folder: (names.append(name), fetch(self, name, folder))[1])
    return names


def build(path: Path, docid: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    BmpIndex.build([(docid, {"a": 3, "b": 1}), ("other", {"b": 1}), ("without", {"c": 1})], path, progress=False)
    return path


def docids(searcher: Any) -> list[str]:
    return [hit.docid for hit in searcher.search(QUERY)]


def vectors(tmp_path: Path) -> JsonVectorSource:
    path = tmp_path / "v.jsonl"
    documents = [{"id": f"d{i}", "vector": {"a": 1 + i} if i < 9 else {"c": 1}} for i in range(10)]
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return JsonVectorSource(path)


def copied(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir()) if cache.is_dir() else []


# --- downloads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["file", "memory", "http"])
def test_an_index_is_copied_once(scheme: str, folder: Path, server: Server, memory: Any, fetched: list[str],
                                 cache: Path) -> None:
    memory.put(str(folder), "/bucket/", recursive=True)
    url = {"file": folder.as_uri(), "memory": "memory://bucket/i.bmp", "http": f"{server.url}/i.bmp"}[scheme]
    assert docids(BmpSearcher(url)) == docids(BmpSearcher(folder)) == ["one", "other"]
    assert (len(fetched), set(fetched)) == (len(FILES), FILES)
    index = BmpIndex.open(url + "/")
    assert index.path.parent == cache
    assert fetched[len(FILES):] == ["manifest.json"]
    index.verify()


def test_a_web_server_is_asked_for_files_of_the_index_only(folder: Path, server: Server) -> None:
    """Not for its listing, and not for places that its manifest names."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["source"]["path"] = f"{server.url}/evil"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    reseal(folder)
    BmpSearcher(f"{server.url}/i.bmp").search(QUERY)
    assert sorted(server.asked) == sorted(FILES)


def test_a_replaced_index_is_copied_anew(folder: Path, fetched: list[str], cache: Path) -> None:
    before = BmpSearcher(folder.as_uri())
    build(folder, "two")
    assert docids(BmpSearcher(folder.as_uri())) == ["two", "other"]
    assert docids(before) == ["one", "other"]
    build(folder, "one")
    fetched.clear()
    assert len(copied(cache)) == 2


def test_an_index_that_is_replaced_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    fetch = RemoteFolder.fetch
    done: list[str] = []

    def replacing(remote: RemoteFolder, name: str, target: Path) -> None:
        if name == "docid_bytes.bin" and name not in done:
            done.append(name)
            build(folder, "another")
        fetch(remote, name, target)

    monkeypatch.setattr(RemoteFolder, "fetch", replacing)
    assert docids(BmpSearcher(folder.as_uri())) == ["another", "other"]
    assert len(copied(cache)) == 1


def test_without_a_connection(folder: Path, server: Server) -> None:
    """The last copy is used, with a notice; what is gone is not taken for a broken connection."""
    url = f"{server.url}/i.bmp"
    BmpSearcher(url)
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_text("<html>Moved</html>")
    with pytest.raises(BmpError, match="does not describe a block-max index"):
        BmpSearcher(url)
    (folder / "manifest.json").write_bytes(manifest)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(FileNotFoundError, match=f"^{url}: there is no such index$"):
        BmpSearcher(url)
    server.shutdown()
    server.server_close()
    with pytest.warns(InputWarning, match=f"^{url}: cannot be read .*; the copy of .* is used$"):
        assert docids(BmpSearcher(url)) == ["one", "other"]
    with pytest.raises(BmpError, match=f"^{server.url}/none: cannot be read") as caught:
        BmpSearcher(f"{server.url}/none")
    assert "\n" not in str(caught.value)


def test_a_copy_is_used_from_a_cache_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BmpSearcher(folder.as_uri())
    monkeypatch.setattr(copies, "interprocess_lock", None)
    monkeypatch.setattr(copies, "atomic_file", None)
    assert docids(BmpSearcher(folder.as_uri())) == ["one", "other"]


def test_damaged_and_missing_files(folder: Path, cache: Path) -> None:
    content = (folder / "postings.bin").read_bytes()
    (folder / "postings.bin").write_bytes(b"\1" * len(content))
    with pytest.raises(DamagedIndexError, match=rf"^{folder.as_uri()}/postings.bin: .*checksum"):
        BmpSearcher(folder.as_uri())
    (folder / "postings.bin").unlink()
    with pytest.raises(BmpError, match=rf"^{folder.as_uri()}/postings.bin: is missing"):
        BmpSearcher(folder.as_uri())
    assert copied(cache) == []
    (folder / "postings.bin").write_bytes(content)
    assert docids(BmpSearcher(folder.as_uri())) == ["one", "other"]


@pytest.mark.parametrize(("change", "message"), [
    ({"format": "something"}, "does not describe a block-max index"), ({"version": 999}, "has version 999"),
    ({"arrays": {"../evil": {}}}, "does not describe a block-max index"), ({"num_docs": 7}, "contradicts its own counts")])
def test_manifests_are_checked_before_anything_is_downloaded(change: dict[str, Any], message: str, folder: Path,
                                                             fetched: list[str]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    if "arrays" not in change:
        reseal(folder)
    with pytest.raises(BmpError, match=rf"^{folder.as_uri()}/manifest.json: {message}"):
        BmpSearcher(folder.as_uri())
    assert set(fetched) == {"manifest.json"}


def test_what_is_not_an_index(folder: Path, server: Server) -> None:
    (folder.parent / "page").mkdir()
    (folder.parent / "page" / "manifest.json").write_text("<html>Sign in</html>")
    with pytest.raises(BmpError, match=f"^{server.url}/page/manifest.json: does not describe a block-max index"):
        BmpSearcher(f"{server.url}/page")
    with pytest.raises(FileNotFoundError, match=r"^memory://bucket/none: there is no such index"):
        BmpSearcher("memory://bucket/none")
    with pytest.raises(BmpError, match=r"^nosuch://bucket/x: cannot be read .*nosuch"):
        BmpSearcher("nosuch://bucket/x")


@pytest.mark.parametrize(("url", "module", "extra"), [
    ("memory://x", "fsspec", "remote"), ("https://localhost/x", "aiohttp", "remote"),
    ("hf://datasets/user/x", "huggingface_hub", "remote"), ("s3://bucket/x", "s3fs", "s3")])
def test_missing_packages_are_named(url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})       # of classes that were imported before
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"^{url}: .*pip install 'bmp-plugin\[{extra}\]'$"):
        BmpSearcher(url)


def test_other_schemes_need_what_fsspec_says() -> None:
    if importlib.util.find_spec("gcsfs"):
        pytest.skip("gcsfs is installed")
    with pytest.raises(MissingDependencyError, match=r"^gs://bucket/x: Please install gcsfs to access Google Storage$"):
        BmpSearcher("gs://bucket/x")


# --- shards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["{url}/i.bmp", "/etc", "../i.bmp", "a::{url}", "sub/../../i.bmp"])
def test_places_that_a_manifest_names_are_not_fetched(place: str, folder: Path, server: Server, tmp_path: Path) -> None:
    target = folder.parent / "s.bmps"
    build_shards(vectors(tmp_path), target, 2, progress=False)
    assert len(docids(ShardedSearcher(f"{server.url}/s.bmps"))) == 9
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["shards"][1]["path"] = place.format(url=server.url)
    (target / "manifest.json").write_text(json.dumps(manifest))
    reseal(target)
    shutil.rmtree(tmp_path / "cache")
    server.asked.clear()
    with pytest.raises(BmpError, match=r"its manifest says that shard-001 is at .*, which is not fetched"):
        ShardedSearcher(f"{server.url}/s.bmps")
    assert "postings.bin" not in server.asked
    if "{url}" in place:
        with pytest.raises(BmpError, match="which is not fetched" if "::" not in place else "shard-001"):
            ShardedSearcher(target)
        assert "postings.bin" not in server.asked
    with ShardedSearcher(target, shards_at=f"{server.url}/s.bmps", allow_partial=True) as searcher:
        assert len(searcher.search(QUERY)) >= 4


# --- uploads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What uploads do, in order: names of files that are stored, and removed ones with a minus."""
    steps: list[str] = []
    store, remove = RemoteFolder.store, RemoteFolder.remove
    monkeypatch.setattr(RemoteFolder, "store", lambda self, file: (steps.append(file.name), store(self, file))[1])
    monkeypatch.setattr(RemoteFolder, "remove", lambda self, name: (steps.append(f"-{name}"), remove(self, name))[1])
    return steps


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_push(scheme: str, folder: Path, tmp_path: Path, memory: Any, stored: list[str]) -> None:
    url = {"file": (tmp_path / "there.bmp").as_uri(), "memory": "memory://bucket/there.bmp"}[scheme]
    assert push_index(folder, url).num_docs == 3
    assert docids(BmpSearcher(url)) == ["one", "other"]
    assert (set(stored), len(stored), stored[-1]) == (FILES, len(FILES), "manifest.json")
    stored.clear()
    push_index(folder, url + "/")
    assert stored == []
    push_index(build(tmp_path / "j.bmp", "two"), url)
    assert docids(BmpSearcher(url)) == ["two", "other"]
    assert (stored[0], stored[-1]) == ("-manifest.json", "manifest.json")
    push_index(url, "memory://bucket/further")
    assert docids(BmpSearcher("memory://bucket/further")) == ["two", "other"]


def test_an_interrupted_push_is_no_index_and_can_be_repeated(folder: Path, tmp_path: Path, memory: Any,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory://bucket/i.bmp"
    push_index(build(tmp_path / "old.bmp", "old"), url)
    store = RemoteFolder.store

    def failing(remote: RemoteFolder, file: Path) -> None:
        if file.name == "postings.bin":
            raise KeyboardInterrupt
        store(remote, file)

    monkeypatch.setattr(RemoteFolder, "store", failing)
    with pytest.raises(KeyboardInterrupt):
        push_index(folder, url)
    with pytest.raises(FileNotFoundError, match="there is no such index"):
        BmpSearcher(url)
    monkeypatch.setattr(RemoteFolder, "store", store)
    push_index(folder, url)
    assert docids(BmpSearcher(url)) == ["one", "other"]


def test_shards_are_pushed_with_their_index(tmp_path: Path, memory: Any, stored: list[str]) -> None:
    build_shards(vectors(tmp_path), tmp_path / "s.bmps", 3, progress=False)
    push_index(tmp_path / "s.bmps", "memory://bucket/s.bmps")
    assert stored.count("manifest.json") == 4
    with ShardedSearcher("memory://bucket/s.bmps") as searcher, ShardedSearcher(tmp_path / "s.bmps") as here:
        assert ranking(searcher.search(QUERY)) == ranking(here.search(QUERY))
    memory.rm_file("/bucket/s.bmps/manifest.json")
    memory.rm_file("/bucket/s.bmps/shard-001.bmp/manifest.json")
    stored.clear()
    push_index(tmp_path / "s.bmps", "memory://bucket/s.bmps")            # what is there already stays
    assert stored.count("manifest.json") == 2
    open_either("memory://bucket/s.bmps").verify()
    parts = [build(tmp_path / "x.bmp", "x")]
    joined = join(parts, tmp_path / "joined.bmps", progress=False)
    with pytest.raises(BuildError, match=r"joined.bmps: shard-000 is elsewhere, at .*x.bmp: "):
        push_index(joined.path, "memory://bucket/joined.bmps")


def test_nothing_else_is_replaced(folder: Path, server: Server, memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/bucket/site/index.html", b"x")
    memory.pipe_file("/bucket/extension/manifest.json", b'{"manifest_version": 3}')
    memory.pipe_file("/bucket/repository/README.md", b"# New")
    memory.pipe_file("/bucket/repository/.gitattributes", b"")
    for name in ("site", "extension"):
        with pytest.raises(BuildError, match=f"^memory://bucket/{name}: exists and is not a block-max index"):
            push_index(folder, f"memory://bucket/{name}")
    assert memory.ls("/bucket/site", detail=False) == ["/bucket/site/index.html"]
    push_index(folder, "memory://bucket/repository")
    assert memory.cat_file("/bucket/repository/README.md") == b"# New"
    with pytest.raises(ValueError, match="a web server takes no files"):
        push_index(folder, f"{server.url}/new")
    with pytest.raises(ValueError, match="is not a URL"):
        push_index(folder, str(tmp_path / "new"))
    with pytest.raises(BmpError, match=r"^file:///.*/no/where: cannot be written"):
        push_index(folder, (tmp_path / "no" / "where").as_uri())


def test_a_damaged_index_is_not_pushed(folder: Path, memory: Any) -> None:
    (folder / "postings.bin").write_bytes(b"\1" * (folder / "postings.bin").stat().st_size)
    with pytest.raises(DamagedIndexError, match=r"postings.bin"):
        push_index(folder, "memory://bucket/i.bmp")
    assert not memory.exists("/bucket/i.bmp")


def test_commands(folder: Path, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch,
                  capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin._internal import interrupts
    from bmp_plugin.cli import main

    monkeypatch.setattr(interrupts, "install", lambda: None)
    url = "memory://bucket/i.bmp"
    assert main(["push", str(folder), url]) == 0
    assert capsys.readouterr().err.startswith(f"{url}: 3 documents, ")
    assert main(["push", str(folder), url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_docs"] == 3
    (tmp_path / "topics.tsv").write_text("1\ta a b\n")
    for index, run in ((url, "there.txt"), (folder, "here.txt")):
        assert main(["search", "--index", str(index), "--topics", str(tmp_path / "topics.tsv"), "--output",
                     str(tmp_path / run), "--quiet"]) == 0
    assert (tmp_path / "there.txt").read_bytes() == (tmp_path / "here.txt").read_bytes()
    for command in ("verify", "info"):
        assert main([command, url]) == 0
    capsys.readouterr()
    for arguments in (["push", str(folder), "x"], ["info", "memory://bucket/none"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
