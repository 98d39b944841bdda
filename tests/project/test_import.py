"""Importing the package is fast: no Pyserini, no torch, no JVM, and not even numba before it is used."""
import subprocess
import sys


def test_import_is_light():
    code = ("import sys, bmp_plugin; heavy = {'pyserini', 'torch', 'transformers', 'openai', 'jnius', 'jnius_config', "
            "'numba', 'onnxruntime'} & set(sys.modules); print(sorted(heavy))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_core_search_needs_neither_pyserini_nor_java(tmp_path):
    code = f"""
import sys
import numpy as np
from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
source = ArraySource(np.array([0, 1, 2]), np.array([0, 1]), np.array([3, 4]), ["a", "b"], ["x", "y"])
index = BmpIndex.build(source, r"{tmp_path / 'i.bmp'}", progress=False)
print([(hit.docid, hit.score) for hit in BmpSearcher(index).search({{"y": 2}})])
print(sorted({{"pyserini", "torch", "transformers", "openai", "jnius", "jnius_config"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[('b', 8.0)]", "[]"]


def test_names_are_public():
    import bmp_plugin

    assert {"BmpIndex", "BmpSearcher", "BmpError"} <= set(dir(bmp_plugin))
    assert issubclass(bmp_plugin.BmpError, Exception)
    assert bmp_plugin.BmpIndex.__module__ == "bmp_plugin.index.block_max_index"
