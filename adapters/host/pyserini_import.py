"""Import of Pyserini on a suitable JVM, or an error of one line that tells why it is impossible."""
from __future__ import annotations

import importlib
import importlib.util
import os
from importlib import metadata
from urllib.error import URLError

from bmp_plugin.errors import BmpError, MissingDependencyError

from ..java.jdk import use_jdk

_started_in: int | None = None           # the process whose JVM Pyserini uses


def import_pyserini() -> None:
    """Imports ``pyserini.search.lucene``, after pointing pyjnius to a suitable JVM.

    Raises
    ------
    MissingDependencyError
        If there is no such JVM, or Pyserini is not installed or fails at import.
    """
    if importlib.util.find_spec("pyserini") is None:
        raise MissingDependencyError('Pyserini is not installed: pip install "bmp-plugin[pyserini]"')
    use_jdk()
    global _started_in
    _started_in = _started_in or os.getpid()
    try:
        importlib.import_module("pyserini.search.lucene")
    except Exception as error:
        host = f"Pyserini {_version('pyserini')}"
        what = " ".join(str(error).split()) or type(error).__name__
        if type(error).__module__.partition(".")[0] == "openai":
            raise MissingDependencyError(
                f"{host} builds an OpenAI client at import, which openai {_version('openai')} refuses without a key: "
                "pip install 'openai>=2.12,<=2.30', or set OPENAI_API_KEY to any text") from error
        if isinstance(error, URLError | ConnectionError | TimeoutError):        # Pyserini 2.4.0 without network access
            raise MissingDependencyError(
                f"{host} fetches its catalogues of indexes when it is imported, and cannot ({what}): connect to the network, or"
                " pip install 'pyserini==2.3.0', which does not") from error
        raise MissingDependencyError(
            f'{host} cannot be imported ({what}): pip install "bmp-plugin[pyserini]"') from error


def jvm_is_here() -> bool:
    """Tells whether this process has the JVM: one that was forked from the process that started it has none of its threads."""
    return _started_in in (None, os.getpid())


def require_jvm() -> None:
    """Checks that this process has the JVM, which would never answer otherwise.

    Raises
    ------
    BmpError
        In a forked process.
    """
    if not jvm_is_here():
        raise BmpError("this process was forked after Pyserini had started its JVM, which works only in the process that"
                       " started it: start workers by 'spawn' or 'forkserver', or open the searcher in each of them")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"
