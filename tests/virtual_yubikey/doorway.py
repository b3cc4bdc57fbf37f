"""A port of the room's loopback, reached from outside: ``python -m ... SIDE PORT SOCKET``.

Files are the same inside and outside, so a Unix socket leads through the wall.  ``inside`` listens
at the socket and dials the port; ``outside`` listens at the port and dials the socket.
"""

import asyncio
import contextlib
import sys

from tests.virtual_yubikey.room import Room

BACKLOG = 1024
_CHUNK = 65536


@contextlib.contextmanager
def doorways(room: Room, *ports: int):
    """Let connections to these ports of 127.0.0.1 end in the room until the block ends."""
    with contextlib.ExitStack() as running:
        for port in ports:
            words = (str(port), str(room.folder / f"port-{port}"))
            for side, start in (("inside", room.start), ("outside", room.start_outside)):
                process = start(sys.executable, "-m", __name__, side, *words)
                running.enter_context(process)
                running.callback(process.kill)
        yield


async def _serve(side: str, port: int, path: str) -> None:
    # asyncio itself does not hold on to its tasks.
    meetings = set()

    def meet(*caller) -> None:
        there = (
            asyncio.open_connection("127.0.0.1", port)
            if side == "inside"
            else asyncio.open_unix_connection(path)
        )
        meeting = asyncio.create_task(_meet(caller, there))
        meetings.add(meeting)
        meeting.add_done_callback(meetings.discard)

    if side == "inside":
        server = await asyncio.start_unix_server(meet, path, backlog=BACKLOG)
    else:
        server = await asyncio.start_server(meet, "127.0.0.1", port, backlog=BACKLOG)
    await server.serve_forever()


async def _meet(caller, dialling) -> None:
    """Carry octets both ways; where nobody answers, nobody does here either."""
    try:
        callee = await dialling
    except OSError:
        caller[1].transport.abort()
        return
    await asyncio.gather(_carry(caller[0], callee[1]), _carry(callee[0], caller[1]))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(_CHUNK):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
