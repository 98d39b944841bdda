"""What the benchmarks share: engines, collections, processes, measuring and tables; results of published runs."""
