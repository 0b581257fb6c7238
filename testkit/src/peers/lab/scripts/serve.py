"""serve.py FOLDER: serves the repository of a lab over HTTP, or an answer that no repository should give."""

import functools
import http.server
import os
import sys

# What it shall do wrong, if it exists; read at each request.
FAULT = "/run/patchcore-repository.fault"


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # Time stamps count whole seconds, and two versions may be published within one.
        del self.headers["If-Modified-Since"]
        try:
            with open(FAULT, encoding="ascii") as file:
                fault = file.read().strip()
        except FileNotFoundError:
            return super().do_GET()
        if fault == "not-found":
            return self.send_error(404)
        if fault == "garbage":
            return self.answer(os.urandom(4096))
        if fault == "wrong-signature" and self.path.endswith("/InRelease"):
            with open(self.translate_path(self.path), "rb") as file:
                return self.answer(file.read().replace(b"Origin: PatchCore", b"Origin: Somebody"))
        return super().do_GET()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# Only the lab's own network is served.
server = http.server.ThreadingHTTPServer(
    ("10.77.0.1", 80), functools.partial(Handler, directory=sys.argv[1])
)
server.daemon_threads = True
server.serve_forever()
