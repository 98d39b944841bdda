"""Fuse a sparse run with a dense one by a convex combination of normalized scores, and evaluate all three."""
import gzip
import json

import numpy as np

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.demo import shipped_collection
from bmp_plugin.trec.evaluation import averages, evaluate, read_qrels
from bmp_plugin.trec.fusion import fuse_runs
from bmp_plugin.trec.run_file import RunWriter, read_run

with shipped_collection() as cranfield:
    index = BmpIndex.build(cranfield.docs, "cranfield.bmp", progress=False)
    with gzip.open(cranfield.docs, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    topics, qrels = dict(cranfield.topics), read_qrels(cranfield.qrels)

with RunWriter("sparse.txt") as writer:
    for qid, hits in BmpSearcher(index).batch_search(list(topics.values()), list(topics), k=1000).items():
        writer.write(qid, hits)

# Random directions of the tokens, weighted and summed, stand for the embeddings of a neural encoder, whose run you have.
directions = dict(zip(index.terms(), np.random.default_rng(0).standard_normal((index.num_terms, 256)), strict=True))


def embed(vector):
    embedding = sum(weight * directions[token] for token, weight in vector.items() if token in directions)
    return embedding / np.linalg.norm(embedding)


embeddings = np.array([embed(document["vector"]) for document in documents])
with open("dense.txt", "w", encoding="utf-8") as run:
    for qid, query in topics.items():
        cosines = embeddings @ embed(query)
        for rank, best in enumerate(np.argsort(-cosines)[:1000], start=1):
            run.write(f"{qid} Q0 {documents[best]['id']} {rank} {cosines[best]:.6f} dense\n")

# Scores are normalized from the least that is possible: a sparse score is never below 0, a cosine never below -1.
with RunWriter("hybrid.txt") as writer:
    for qid, fused in fuse_runs(["sparse.txt", "dense.txt"], weights=[0.6, 0.4], minima=[0, -1]).items():
        writer.write(qid, fused)

for name in ("sparse", "dense", "hybrid"):
    values = averages(evaluate({name: read_run(f"{name}.txt")}, qrels, ["nDCG@10"])[name])
    print(name, *(f"{measure} {value:.4f}" for measure, value in values.items()))
