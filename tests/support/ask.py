"""Asks the external server, every 50 ms, as whom it sees us. A line each: the monotonic clock in seconds, the answer.

Runs inside a pod's network namespace. An attempt without an answer within its time gives a line with "-".
"""

import socket
import sys
import time

INTERVAL_S = 0.05
# Longer than the handshake takes, short enough that a lost packet does not hide what happens next.
TIMEOUT_S = 0.3


def ask(server: str) -> str:
    try:
        with socket.create_connection((server, 80), timeout=TIMEOUT_S) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := connection.recv(4096):
                answer += part
    except OSError:
        return "-"
    return answer.decode().rpartition("\r\n\r\n")[2].strip() or "-"


def main() -> None:
    while True:
        began = time.monotonic()
        answer = ask(sys.argv[1])
        print(time.monotonic(), answer, flush=True)
        time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
