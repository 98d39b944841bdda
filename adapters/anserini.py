"""What the Anserini jar of the installed Pyserini is and does, without importing Pyserini (which takes seconds)."""
from __future__ import annotations

import importlib.util
import os
import re
import zipfile
from pathlib import Path

from bmp_plugin.errors import MissingDependencyError


def anserini_jar() -> Path:
    """The Anserini jar that Pyserini would load: the newest in ANSERINI_CLASSPATH, else in Pyserini itself.

    Raises
    ------
    MissingDependencyError
        If Pyserini is not installed, or has no jar.
    """
    folder = os.environ.get("ANSERINI_CLASSPATH")
    if folder is None:
        spec = importlib.util.find_spec("pyserini")
        if spec is None or not spec.submodule_search_locations:
            raise MissingDependencyError(
                'reading a Lucene index needs Pyserini, which is not installed: pip install "bmp-plugin[pyserini]"')
        folder = os.path.join(spec.submodule_search_locations[0], "resources", "jars")
    jars = list(Path(folder).glob("anserini-*-fatjar.jar"))
    if not jars:
        raise MissingDependencyError(
            f'no anserini-*-fatjar.jar in {folder}: pip install "bmp-plugin[pyserini]", or correct ANSERINI_CLASSPATH')
    return max(jars, key=os.path.getctime)


def sorts_ties_by_docid(jar: Path, written_by: list[str]) -> bool:
    """Whether Anserini's impact searcher orders ties by docid on an index that these Lucene versions wrote.

    It does unless it takes the index for one of Lucene 8: unless the reader's description contains a text like
    ``lucene.version=9``. The text is read from the class itself, because it differs between Anserini releases.
    """
    with zipfile.ZipFile(jar) as archive:
        compiled = archive.read("io/anserini/search/SimpleImpactSearcher.class")
    wanted = {text.decode() for text in re.findall(rb"lucene\.version=\d*", compiled)}
    return not wanted or any(f"lucene.version={version}".startswith(text) for version in written_by for text in wanted)
