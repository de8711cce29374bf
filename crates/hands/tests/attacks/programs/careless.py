"""A gateway that does whatever it is asked, as the control of the attacks on one that must not."""

import re
import socket
import sys
import threading

# More may wait. It is what a slow client holds up.
WORKERS = threading.Semaphore(32)


def connected(host, port):
    return socket.create_connection((host.strip("[]"), int(port)), 2)


def pump(source, target):
    try:
        while piece := source.recv(4096):
            target.sendall(piece)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def serve(client):
    with WORKERS:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            line = head.split(b"\r\n")[0].decode("latin-1")
            method, target = line.split()[:2]
            if method == "CONNECT":
                upstream = connected(*target.rsplit(":", 1))
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                # As careless programs do: whatever stands last before the path is the host.
                at = re.match(r"[a-z0-9+.-]*://(?:[^/]*@)?([^/#?]*):(\d+)", target)
                named = re.search(rb"(?im)^host:\s*(\S*):(\d+)", head)
                host, port = at.groups() if at else (part.decode() for part in named.groups())
                upstream = connected(host, port)
                upstream.sendall(head)
            threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
            pump(upstream, client)
        except (OSError, ValueError, AttributeError, UnicodeError):
            pass
        finally:
            client.close()


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(512)
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
# Until nobody needs it any more.
sys.stdin.read()
