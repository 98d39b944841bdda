"""What is written is whole or not there: processes are killed at every file-system call, disks fill up, writers race.

``__main__`` goes through all of it; ``stages`` says what writes, ``faults`` what happens to it.
"""
