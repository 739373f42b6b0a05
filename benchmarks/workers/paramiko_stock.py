"""paramiko as its documentation shows it, in threads."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko

with open(sys.argv[1]) as file:
    task = json.load(file)


def run(address):
    with paramiko.SSHClient() as client:
        client.load_host_keys(task["known_hosts"])
        client.connect(
            address,
            task["port"],
            task["user"],
            key_filename=task["key"],
            timeout=60,
            banner_timeout=60,
            auth_timeout=60,
        )
        _, stdout, _ = client.exec_command("uname -a")
        return stdout.read()


with ThreadPoolExecutor(16) as pool:
    print(sum(output.startswith(b"Linux") for output in pool.map(run, task["addresses"])))
