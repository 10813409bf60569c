"""A DNS server of ours, on an address of the loopback net."""

import socket
import threading

from dnslib import CNAME, QTYPE, RCODE, RR, A, AAAA, DNSRecord

ADDRESS = "127.53.53.53"

RECORDS = {
    "four.test": [A("127.0.0.1")],
    "six.test": [AAAA("::1")],
    "alias.test": [CNAME("four.test"), A("127.0.0.1")],
    "db.search.test": [A("127.0.0.1")],
    "many.test": [A("127.0.0.1")] * 100,
    "nothing.test": [],
}
SILENT = "silent.test"


def answer(query):
    """The answer to a packet, or None where there is to be silence."""
    question = query.q
    name = str(question.qname).rstrip(".")
    reply = query.reply()
    if name == SILENT:
        return None
    if name not in RECORDS:
        reply.header.rcode = RCODE.NXDOMAIN
        return reply.pack()
    owner = question.qname
    for data in RECORDS[name]:
        kind = type(data).__name__
        if kind in ("CNAME", QTYPE[question.qtype]):
            reply.add_answer(RR(owner, getattr(QTYPE, kind), rdata=data))
        if kind == "CNAME":
            owner = data.label
    packed = reply.pack()
    return packed if len(packed) <= 512 else cut(packed)


def cut(packed):
    """What fits into 512 bytes, marked as truncated."""
    reply = DNSRecord.parse(packed)
    reply.header.tc = 1
    while len(reply.pack()) > 512:
        reply.rr.pop()
    return reply.pack()


class NameServer:
    """Answers from RECORDS; `asked` are the names that were looked up."""

    def __init__(self):
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = DNSRecord.parse(data)
            self.asked.append(str(query.q.qname).rstrip("."))
            packed = answer(query)
            if packed is not None:
                self._socket.sendto(packed, peer)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", (ADDRESS, 53))
        self._thread.join()
        self._socket.close()
