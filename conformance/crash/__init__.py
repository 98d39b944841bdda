"""Atomicity tests: processes are killed at every file-system call, disks fill up, writers race.

``__main__`` runs them all; ``stages`` defines the writers, ``faults`` what happens to them.
"""
