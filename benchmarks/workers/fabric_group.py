"""Fabric: a group of threads."""

import json
import sys

from fabric import ThreadingGroup

with open(sys.argv[1]) as file:
    task = json.load(file)

group = ThreadingGroup(
    *task["addresses"],
    user=task["user"],
    port=task["port"],
    connect_timeout=60,
    connect_kwargs={
        "key_filename": task["key"],
        "look_for_keys": False,
        "allow_agent": False,
        "banner_timeout": 60,
        "auth_timeout": 60,
    },
)
results = group.run("uname -a", hide=True)
print(sum(result.stdout.startswith("Linux") for result in results.values()))
