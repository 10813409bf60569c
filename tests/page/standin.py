"""A server that has the page, and says of itself what a test wants."""

import http.server
import json
import threading


class StandIn:
    """page: the bytes at /; state: the object at /status.json, or a function
    that makes it, or an HTTP status to answer with."""

    def __init__(self, page, state):
        self.state = state
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, kind, body = owner.answer(self.path, page)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                       Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever,
                         daemon=True).start()

    def answer(self, path, page):
        if path == "/":
            return 200, "text/html; charset=utf-8", page
        if path != "/status.json":
            return 404, "text/plain", b""
        state = self.state() if callable(self.state) else self.state
        if isinstance(state, int):
            return state, "text/plain", b""
        return 200, "application/json", json.dumps(state).encode()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
