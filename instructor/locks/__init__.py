"""Locks: the writer. The reader is `lab_code/workshop/locks.py`, which students have."""
