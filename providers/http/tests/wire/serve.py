"""An HTTP server of Python's standard library that behaves as the path says.

Arguments: address, and for TLS a certificate chain and its key. Prints three ports: HTTP, one that greets first, one that hangs up.
Ends when its standard input does, so that it never outlives the test that started it.
"""

import http.server
import os
import socket
import ssl
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers=(), body=b"ok"):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        Server.unsafe_requests += 1
        self.close_connection = True
        self.answer(405)

    do_PUT = do_PATCH = do_DELETE = do_POST

    def do_GET(self):
        path, _, query = self.path.partition("?")
        word, *rest = path.strip("/").split("/")
        self.close_connection = True
        match word:
            case "status":
                status = int(rest[0])
                self.answer(status, body=b"" if status == 204 else b"ok")
            case "to":  # /to/302?URL
                self.answer(int(rest[0]), [("Location", query)])
            case "slash":  # /slash leads to /slash/, as web frameworks do
                if path.endswith("/"):
                    self.answer(200)
                else:
                    self.answer(301, [("Location", path + "/")])
            case "hops":  # /hops/3 leads to /hops/2 and so on to /hops/0
                left = int(rest[0])
                if left == 0:
                    self.answer(200)
                else:
                    self.answer(308, [("Location", f"/hops/{left - 1}")])
            case "circle":
                self.answer(302, [("Location", path)])
            case "slow":
                time.sleep(20)
                self.answer(200)
            case "drip":  # a head, and a body that never comes
                self.send_response(200)
                self.send_header("Content-Length", "10")
                self.end_headers()
                self.wfile.flush()
                time.sleep(20)
            case "huge":  # a body without an end
                self.send_response(200)
                self.send_header("Content-Length", str(1 << 50))
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"x" * 65536)
                except OSError:
                    pass
            case "short":  # less than was promised
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"ten bytes.")
            case "garbage":
                self.wfile.write(b"\x16\x03 what is this\r\n\r\n")
            case "greeting":  # as an SSH server would
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            case "nothing":
                pass
            case "unsafe-requests":
                self.answer(200, body=str(Server.unsafe_requests).encode())
            case "plain-request":  # no secret, no cache, no proxy on the way
                names = {name.lower() for name in self.headers}
                bad = names & {"authorization", "cookie", "referer", "via"}
                fresh = self.headers.get("Cache-Control") == "no-cache"
                self.answer(400 if bad or not fresh else 200)
            case _:
                self.answer(404)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    unsafe_requests = 0
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET

    def handle_error(self, *_):
        pass  # A client that gives up, or that refuses the certificate, is what is tested.


class Rude(threading.Thread):
    """Answers nothing: greets first as SSH and SMTP servers do, or hangs up at once."""

    def __init__(self, address, greeting):
        super().__init__(daemon=True)
        self.greeting = greeting
        self.socket = socket.create_server((address, 0), family=Server.address_family)
        self.port = self.socket.getsockname()[1]

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            if self.greeting:
                connection.sendall(self.greeting)
                threading.Timer(20, connection.close).start()
            else:
                connection.close()


def main():
    address, *tls = sys.argv[1:]
    server = Server((address, 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        # The handshake belongs to the connection's own thread.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    greeter = Rude(address, b"SSH-2.0-OpenSSH_9.2p1\r\n")
    greeter.start()
    closer = Rude(address, b"")
    closer.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], greeter.port, closer.port, flush=True)
    sys.stdin.read()
    os._exit(0)


main()
