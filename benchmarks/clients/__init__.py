"""Programs that run ``uname -a`` on the hosts of a task, and print how many answered.

Each is run by itself: ``python NAME.py TASK``, where the task is a file of JSON with ``addresses``,
``port``, ``user``, ``key`` and ``known_hosts`` (the names of files).
"""
