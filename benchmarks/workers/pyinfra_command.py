"""pyinfra: its command line, in this process."""

import contextlib
import io
import json
import os
import sys
import tempfile

with open(sys.argv[1]) as file:
    task = json.load(file)

data = {
    "ssh_user": task["user"],
    "ssh_port": task["port"],
    "ssh_key": task["key"],
    "ssh_known_hosts_file": task["known_hosts"],
    "ssh_strict_host_key_checking": "yes",
}
with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    with open("inventory.py", "w") as file:
        file.write(f"hosts = ({task['addresses']!r}, {data!r})\n")
    from pyinfra_cli.main import main

    sys.argv = ["pyinfra", "-y", "inventory.py", "exec", "--", "uname -a"]
    output = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code
output.seek(0)
print(output.read().count("Linux "))
