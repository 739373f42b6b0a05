"""deployer: a container of hosts."""

import json
import sys

from deployer.host import SSHHost
from deployer.host_container import HostsContainer

with open(sys.argv[1]) as file:
    task = json.load(file)


class Each(SSHHost):
    port = task["port"]
    username = task["user"]
    key_filename = task["key"]
    config_filename = task["ssh_config"]
    reject_unknown_hosts = True


hosts = [type(f"Host{n}", (Each,), {"address": a}) for n, a in enumerate(task["addresses"])]
results = HostsContainer({"all": hosts}).run("uname -a")
print(sum(result.startswith("Linux") for result in results))
