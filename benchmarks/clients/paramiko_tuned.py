"""paramiko as it is, with all that its public interface allows: what can be reached on it."""

import base64
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko

with open(sys.argv[1]) as file:
    task = json.load(file)

KEY = paramiko.Ed25519Key(filename=task["key"])
KNOWN = {}
with open(task["known_hosts"]) as lines:
    for line in lines:
        names, _, key = line.split()
        KNOWN[names] = base64.b64decode(key)


class Quick:
    """A socket whose acknowledgements are not delayed."""

    def __init__(self, sock):
        self._sock = sock

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def recv(self, size):
        data = self._sock.recv(size)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def run(address):
    sock = socket.create_connection((address, task["port"]), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(Quick(sock))
    try:
        options = transport.get_security_options()
        first = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
        options.ciphers = (*first, *(name for name in options.ciphers if name not in first))
        options.key_types = ("ssh-ed25519",)
        transport.start_client(timeout=60)
        label = f"[{address}]:{task['port']}"
        assert transport.get_remote_server_key().asbytes() == KNOWN[label]
        transport.auth_publickey(task["user"], KEY)
        channel = transport.open_session(timeout=60)
        channel.exec_command("uname -a")
        pieces = []
        while data := channel.recv(32768):
            pieces.append(data)
        assert channel.recv_exit_status() == 0
        return b"".join(pieces)
    finally:
        transport.close()


with ThreadPoolExecutor(16) as pool:
    print(sum(output.startswith(b"Linux") for output in pool.map(run, task["addresses"])))
