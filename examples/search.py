"""Index documents from Python, search them, and ask for the reason of a score."""
from bmp_plugin import BmpIndex, BmpSearcher

# Docids with their vectors, as an encoder returns them: token to weight. Any iterable will do, a generator for example.
documents = [
    ("wing", {"wing": 2.1, "heat": 0.35, "flow": 1.2, "lift": 0.9}),
    ("nozzle", {"heat": 1.6, "flow": 1.4, "nozzle": 2.55, "jet": 0.8}),
    ("shock", {"shock": 2.4, "flow": 0.6, "supersonic": 1.9}),
    ("plate", {"plate": 2.0, "heat": 2.3, "transfer": 1.5}),
]
# Lucene's impacts are whole numbers. `quantize` makes them, and queries are scaled alike; leave it out for whole numbers.
index = BmpIndex.build(documents, "documents.bmp", quantize=8, progress=False)

searcher = BmpSearcher(index)           # later, or elsewhere: BmpSearcher("documents.bmp")
query = {"heat": 1.5, "flow": 0.4}
for rank, hit in enumerate(searcher.search(query, k=3), start=1):
    print(rank, hit.docid, hit.score)
print(searcher.explain(query, "nozzle"))
