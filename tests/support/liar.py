"""A server that lies: between a client and a real MariaDB, it answers one statement in its own way."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import URL, make_url


def packet(number: int, payload: bytes) -> bytes:
    """One packet of the protocol."""
    return struct.pack("<I", len(payload))[:3] + bytes([number % 256]) + payload


def local_request(name: str) -> bytes:
    """What a server answers to LOAD DATA LOCAL: it asks for a file of the client's machine."""
    return b"\xfb" + name.encode()


@dataclass
class Liar:
    """Stands between a client and the server at `url`.

    words    the first statement that holds them is answered with `answer`, and does not reach the server; none:
             the login is answered so
    instead  what the server asks for in reply to LOAD DATA LOCAL is replaced by this request
    heard    all that the client sent after the lie
    """

    url: str | URL
    words: str = ""
    answer: bytes = b""
    instead: bytes | None = None
    again: bool = False
    heard: bytearray = field(default_factory=bytearray)
    lied: int = 0

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Gives the URL at which it answers."""
        url = make_url(self.url)
        with socket.create_server(("127.0.0.1", 0)) as near:
            threading.Thread(target=self._accept, args=(near, url), daemon=True).start()
            there = url.set(host="127.0.0.1", port=near.getsockname()[1])
            yield there.render_as_string(hide_password=False)

    def _accept(self, near: socket.socket, url: URL) -> None:
        with suppress(OSError):
            while True:
                client, _ = near.accept()
                server = socket.create_connection((url.host or "", url.port or 3306))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for carry in (self._to_server, self._to_client):
                    threading.Thread(target=carry, args=(client, server), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while received := _receive(client):
                number, payload = received
                if self._is_time(number, payload):
                    self.lied += 1
                    client.sendall(packet(number + 1, self.answer))
                    client.shutdown(socket.SHUT_WR)
                    client.settimeout(0.2)
                    with suppress(OSError):
                        while data := client.recv(1 << 16):
                            self.heard += data
                    break
                if self.lied:
                    self.heard += payload
                server.sendall(packet(number, payload))
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        server.close()

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while received := _receive(server):
                number, payload = received
                if self.instead is not None and payload[:1] == b"\xfb":
                    self.lied += 1
                    payload = self.instead
                client.sendall(packet(number, payload))
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _is_time(self, number: int, payload: bytes) -> bool:
        if self.instead is not None or (self.lied and not self.again):
            return False
        return self.words.encode() in payload if self.words else number == 1


def _receive(source: socket.socket) -> tuple[int, bytes] | None:
    head = _exactly(source, 4)
    if head is None:
        return None
    payload = _exactly(source, int.from_bytes(head[:3], "little"))
    return None if payload is None else (head[3], payload)


def _exactly(source: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        block = source.recv(size - len(data))
        if not block:
            return None
        data += block
    return data
