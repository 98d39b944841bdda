"""TREC's files and what is done with them: topics, run files, comparison, evaluation and fusion of runs."""
