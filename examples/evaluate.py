"""Index JSON vectors, search all topics in two threads, write a TREC run, and evaluate it with ir-measures.

The collection is Cranfield, which the package ships; put in the paths of your own.
"""
import ir_measures
from ir_measures import RR, R, nDCG

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.demo import shipped_collection
from bmp_plugin.trec.run_file import RunWriter

with shipped_collection() as cranfield:
    index = BmpIndex.build(cranfield.docs, "cranfield.bmp", reorder="bp", progress=False)
    topics = dict(cranfield.topics)                                     # of a file: bmp_plugin.trec.topics.read_topics
    qrels = list(ir_measures.read_trec_qrels(str(cranfield.qrels)))

runs = BmpSearcher(index).batch_search(list(topics.values()), list(topics), k=1000, threads=2)

with RunWriter("run.txt") as writer:
    for qid, hits in runs.items():
        writer.write(qid, hits)

scored = [ir_measures.ScoredDoc(qid, hit.docid, hit.score) for qid, hits in runs.items() for hit in hits]
measures = [nDCG @ 10, RR @ 10, R @ 1000]
values = ir_measures.calc_aggregate(measures, qrels, scored)
for measure in measures:
    print(f"{measure} {values[measure]:.4f}")
