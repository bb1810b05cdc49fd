"""Stores as each release left them, for the releases after it to open. `python -m tests.recorded` makes one."""
