"""The swap: a script for Pyserini in which one line was changed.

    python examples/swap.py indexes/my-splade-index naver/splade-cocondenser-ensembledistil "what is block-max pruning"

You need `pip install "bmp-plugin[pyserini]"` and a JDK 21 or newer. The first use builds a block-max index beside Lucene's.
"""
import sys

# was: from pyserini.search.lucene import LuceneImpactSearcher
from bmp_plugin.adapters.pyserini import BmpImpactSearcher as LuceneImpactSearcher

index, encoder, query = sys.argv[1:]

searcher = LuceneImpactSearcher(index, encoder)
for rank, hit in enumerate(searcher.search(query, k=10), start=1):
    print(f"{rank:2} {hit.docid} {hit.score:.4f}")
