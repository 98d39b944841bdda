"""Search approximately, and see how many of the safe answers are kept.

On 1,400 documents there is nothing to gain; on your own collection, time both: `docs/how-to/approximate.md` has figures.
"""
from statistics import mean

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.demo import shipped_collection

with shipped_collection() as cranfield:
    index = BmpIndex.build(cranfield.docs, "cranfield.bmp", progress=False)
    qids, queries = zip(*cranfield.topics, strict=True)

searcher = BmpSearcher(index)
safe = searcher.batch_search(queries, qids, k=10)
settings = ({"target_recall": 0.99}, {"target_recall": 0.9}, {"alpha": 0.9, "beta": 0.8, "budget": 2})
for setting in settings:
    found = searcher.batch_search(queries, qids, k=10, **setting)
    kept = mean(len({hit.docid for hit in safe[qid]} & {hit.docid for hit in found[qid]}) / len(safe[qid]) for qid in qids)
    print(f"{kept:.1%} of the safe top 10 with {setting}")
