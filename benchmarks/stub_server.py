"""A small SSH server on many addresses: it lets everybody in, and every command prints one line.

``python stub_server.py PORT HOST_KEY ADDRESS...``; it says ``ready`` when it listens, and ends with
its standard input.
"""

import asyncio
import resource
import sys

import asyncssh


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return True


def answer(process):
    process.stdout.write("Linux stub\n")
    process.exit(0)


async def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, key, *addresses = sys.argv[1:]
    options = asyncssh.SSHServerConnectionOptions(
        server_factory=Server,
        process_factory=answer,
        server_host_keys=[key],
        login_timeout=600,
        kex_algs=["curve25519-sha256", "curve25519-sha256@libssh.org"],
        encryption_algs=["aes128-gcm@openssh.com"],
    )
    for address in addresses:
        await asyncssh.listen(address, int(port), options=options, backlog=128)
    print("ready", flush=True)
    # Until whoever started it ends.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
