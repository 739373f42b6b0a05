"""deployer with many connections held: what connecting costs, rest, and a command meanwhile.

It prints its figures as a line of JSON, and then, for each line that it reads, the milliseconds of
CPU that a command took.
"""

import json
import sys
import time

from deployer.host import SSHHost
from deployer.host_container import HostsContainer

SAMPLE = 100

with open(sys.argv[1]) as file:
    task = json.load(file)


class Each(SSHHost):
    port = task["port"]
    username = task["user"]
    key_filename = task["key"]
    config_filename = task["ssh_config"]
    reject_unknown_hosts = True
    timeout = 60


def run(hosts):
    """Run a command on each host; return the milliseconds of CPU that each took."""
    begun = time.process_time()
    results = HostsContainer({"all": hosts}).run("uname -a")
    assert all(result == "Linux stub\n" for result in results)
    return 1000 * (time.process_time() - begun) / len(hosts)


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4


hosts = [type(f"Host{n}", (Each,), {"address": a}) for n, a in enumerate(task["addresses"])]
# What only the first connection takes is left out: imports, mostly.
run(hosts[:1])
memory = resident()
wall = time.monotonic()
cpu = run(hosts[1:])
wall = time.monotonic() - wall
idle = time.process_time()
time.sleep(task["rest"])
idle = time.process_time() - idle
figures = {
    "held": len(hosts),
    "connect_s": wall,
    "connect_cpu_ms": cpu,
    "idle_percent": 100 * idle / task["rest"],
    "memory_kb": (resident() - memory) / len(hosts),
}
print(json.dumps(figures), flush=True)
for _ in sys.stdin:
    print(run(hosts[:SAMPLE]), flush=True)
