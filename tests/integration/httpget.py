"""The pages of --metrics-listen, and sockets that ask for them badly."""

import http.client
import re
import socket

from waiting import SCALE

LISTENING = re.compile(r"http\.listening: metrics on http://(.*):(\d+)/")
OPTION = ("--metrics-listen", "127.0.0.1:0")


def address(server):
    """Where a walstream started with OPTION serves its pages."""
    line = server.wait_log("http.listening")[0]
    host, port = LISTENING.search(line).groups()
    return host.strip("[]"), int(port)


def connect(server):
    sock = socket.create_connection(address(server), 10 * SCALE)
    sock.settimeout(10 * SCALE)
    return sock


def get(server, path="/metrics", method="GET"):
    """One request on a connection of its own: the response, its body read."""
    conn = http.client.HTTPConnection(*address(server), timeout=10 * SCALE)
    try:
        conn.request(method, path)
        response = conn.getresponse()
        response.text = response.read().decode("utf-8")
        return response
    finally:
        conn.close()


def read_all(sock):
    """What comes until the peer closes."""
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def exchange(server, data):
    """Sends bytes; all that comes back until the peer closes."""
    with connect(server) as sock:
        sock.sendall(data)
        return read_all(sock)
