"""The parts of ``tests/soak.py``: hosts, what is done on them, and what goes wrong meanwhile."""
