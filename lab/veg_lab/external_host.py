"""The host outside: answers every GET with the client address it saw, on one line. IPv4 and IPv6, port 80."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.client_address[0].removeprefix("::ffff:").encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6  # IPv4 clients arrive as mapped addresses
    request_queue_size = 512
    daemon_threads = True


if __name__ == "__main__":
    _Server(("::", 80), _Answer).serve_forever()
