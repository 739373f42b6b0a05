"""parallel-ssh: its client on libssh2."""

import json
import sys

from pssh.clients import ParallelSSHClient

with open(sys.argv[1]) as file:
    task = json.load(file)

client = ParallelSSHClient(
    task["addresses"],
    user=task["user"],
    port=task["port"],
    pkey=task["key"],
    pool_size=100,
    timeout=60,
    allow_agent=False,
    identity_auth=False,
)
outputs = client.run_command("uname -a")
print(sum("".join(output.stdout).startswith("Linux") for output in outputs))
