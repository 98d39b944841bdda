"""Location of the Anserini jar of the installed Pyserini, without importing Pyserini (which takes seconds)."""
from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from bmp_plugin.errors import MissingDependencyError


def anserini_jar() -> Path:
    """Returns the Anserini jar that Pyserini would load: the newest in ANSERINI_CLASSPATH, else in Pyserini itself.

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
