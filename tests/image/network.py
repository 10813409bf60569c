"""A network of its own for a container, with a database and names in it."""

import concurrent.futures
import contextlib
import ctypes
import os
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
RESOLVER = "127.0.0.11"  # where Docker's is, too
A, AAAA = b"\0\1", b"\0\x1c"


def _socket_in(path, kind):
    """Run in a thread that ends with it: setns is the thread's."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET) == -1:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)
    return socket.socket(socket.AF_INET, kind)


class Network:
    """A network namespace: nothing but a loopback interface."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c",
             "ip link set lo up && echo up && exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"up\n", "no loopback"
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.sockets = []

    def socket(self, address, kind=socket.SOCK_STREAM):
        """A socket in here, bound to the address."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            one = pool.submit(_socket_in, self.path, kind).result()
        self.sockets.append(one)
        one.bind(address)
        return one

    def run(self, *command):
        """A program of this machine, in here."""
        return subprocess.run(["nsenter", f"--net={self.path}", *command],
                              capture_output=True, text=True, timeout=60,
                              check=False)

    def close(self):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def forward(network, port, target):
    """Connections to the port in there go to the target out here."""
    listener = network.socket(("127.0.0.1", port))
    listener.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                try:
                    outer = socket.create_connection(target)
                except OSError:
                    inner.close()
                    continue
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=_pump, args=pair,
                                     daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def _reply(query, names):
    """RFC 1035: one question, and its answer if it is about a name of ours.

    A name's other types exist and are empty, as Docker's resolver says it.
    """
    end = query.index(0, 12) + 1
    question, kind = query[12:end + 4], query[end:end + 2]
    labels, at = [], 0
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]])
        at += 1 + question[at]
    address = names.get(b".".join(labels).decode())
    answer = b""
    if address and kind == A:
        answer = (b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4"
                  + socket.inet_aton(address))
    flags = b"\x81\x80" if address else b"\x81\x83"
    return (query[:2] + flags + b"\0\1" + (b"\0\1" if answer else b"\0\0")
            + b"\0\0\0\0" + question + answer)


def resolve(network, names):
    """Serves the names (name: address) by DNS; with None never answers."""
    server = network.socket((RESOLVER, 53), socket.SOCK_DGRAM)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                query, sender = server.recvfrom(512)
                if not query:
                    return  # closed
                if names is not None:
                    server.sendto(_reply(query, names), sender)

    threading.Thread(target=serve, daemon=True).start()
