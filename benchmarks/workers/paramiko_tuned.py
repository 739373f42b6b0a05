"""paramiko as it is, with all that its public interface allows: what can be reached on it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import tuned

with open(sys.argv[1]) as file:
    task = json.load(file)


def run(address):
    transport = tuned.connect(task, address)
    try:
        return tuned.run(transport.open_session(), "uname -a")
    finally:
        transport.close()


with ThreadPoolExecutor(16) as pool:
    print(sum(output.startswith(b"Linux") for output in pool.map(run, task["addresses"])))
