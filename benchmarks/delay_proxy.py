"""A network that is far away: passes TCP connections on, and every byte comes later.

``python delay_proxy.py PORT HOST HOST_PORT SECONDS``; it says ``ready`` when it listens, and ends
with its standard input. The seconds are those of one way.
"""

import asyncio
import contextlib
import socket
import sys


async def carry(reader, writer, seconds):
    """Pass on what arrives, in order, each piece so many seconds after it has arrived."""
    loop = asyncio.get_running_loop()
    pieces = asyncio.Queue()

    async def send():
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)

    sending = asyncio.create_task(send())
    data = b"first"
    while data:
        try:
            data = await reader.read(262144)
        except ConnectionError:
            data = b""
        pieces.put_nowait((loop.time() + seconds, data))
    await sending


async def main():
    port, host, host_port, seconds = sys.argv[1:]

    async def accept(reader, writer):
        there_reader, there_writer = await asyncio.open_connection(host, int(host_port))
        for each in (writer, there_writer):
            sock = each.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(
                carry(reader, there_writer, float(seconds)),
                carry(there_reader, writer, float(seconds)),
            )

    await asyncio.start_server(accept, host, int(port))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
