"""Pyserini, which hosts the drop-in searcher: its import, its topics and qrels, and the index beside a Lucene index."""
