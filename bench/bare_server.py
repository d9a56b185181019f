"""The yardstick: asyncio, ssl and h11 as their documents show them, without limpet.

Answers every request with the bytes of a file. Owns no limit and no defence. Told to, it asks
so many processes of its own for each request, one after the other, over asyncio's streams.
"""

import asyncio
import os
import socket
import ssl
import sys
from pathlib import Path

import h11

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, asked: list[Stream]
) -> None:
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.EndOfMessage):
                for answers, questions in asked:
                    questions.write(b"who, and what?\n")
                    await answers.readline()
                headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
                head = connection.send(h11.Response(status_code=200, headers=headers)) or b""
                data = connection.send(h11.Data(data=body)) or b""
                writer.write(head + data + (connection.send(h11.EndOfMessage()) or b""))
                await writer.drain()
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return
    except (OSError, h11.RemoteProtocolError):
        return
    finally:
        writer.close()


async def _ask(count: int) -> list[Stream]:
    """Connections to `count` processes that answer a line with a line."""
    streams = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            while question := theirs.recv(4096):
                theirs.sendall(question)
            os._exit(0)
        theirs.close()
        streams.append(await asyncio.open_unix_connection(sock=ours))
    return streams


async def _main(certificate: str, body: bytes, asks: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate)
    asked = await _ask(asks)
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, body, asked), "127.0.0.1", 0, ssl=context
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3])))
