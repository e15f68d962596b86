"""A worker with a plain pyzmq DEALER socket, in any dialect, correct or misbehaving.

Output: `opened` after its first messages are passed to libzmq, `request BODY…`, `working` every
        100 ms while it holds a request, `replied`, and `heartbeat` and `disconnect` for the
        broker's commands.
Input:  any line lets a worker that holds a request continue.

The worker has one thread, like the worker libraries of the Guide and of majortomo: it sends no
heartbeat while it processes a request. libzmq still answers PING, in its own thread.
"""

import argparse
import hashlib
import sys
import time

import zmq

from lines import Orders, say
from mdp import DIALECTS

# The identity of a client that has sent no request to this worker.
STRANGER = b"stranger"


class Worker:
    """A socket and the command frames of the worker's dialect."""

    def __init__(self, options):
        self._options = options
        self._dialect = DIALECTS[options.dialect]
        self._lead = [b""] if self._dialect.leads else []
        self._commands = self._dialect.worker
        self._orders = Orders()
        self._connect()

    def _connect(self):
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(self._options.broker)
        self._poller = zmq.Poller()
        self._poller.register(self._orders.descriptor, zmq.POLLIN)
        self._poller.register(self._socket, zmq.POLLIN)
        self._open()
        say("opened")

    def _open(self):
        """Send the first messages: READY, or else a protocol violation."""
        opening = self._options.opening
        if opening == "heartbeat":
            self._send(self._commands.heartbeat)
            return
        if opening == "reply":
            self._final(STRANGER, [b"unasked"])
            return
        self._send(self._commands.ready, self._options.service.encode())
        if opening == "ready-twice":
            self._send(self._commands.ready, self._options.service.encode())
        elif opening == "ready-reply":
            self._final(STRANGER, [b"unasked"])

    def run(self):
        """Process messages, and send a heartbeat whenever one is due."""
        interval = self._options.heartbeat
        while True:
            quiet = time.monotonic() - self._last_sent
            if interval and quiet >= interval:
                self._send(self._commands.heartbeat)
                quiet = 0
            wait = 1000 * (interval - quiet) if interval else None
            events = dict(self._poller.poll(wait))
            if self._orders.descriptor in events:
                self._orders.read()
            if self._socket in events:
                self._handle(self._socket.recv_multipart())

    def _handle(self, frames):
        lead, (header, command, *rest) = frames[: len(self._lead)], frames[len(self._lead) :]
        if lead != self._lead or header != self._commands.header:
            say("wrong", frames)
        elif command == self._commands.request:
            client, empty, *body = rest
            say("wrong" if empty else "request", body)
            self._serve(client, body)
            say("replied")
        elif command == self._commands.heartbeat:
            say("heartbeat")
        elif command == self._commands.disconnect:
            say("disconnect")
            self._disconnected()

    def _disconnected(self):
        if self._options.then == "leave":
            sys.exit(0)
        if self._options.then == "return":
            self._socket.close()
            self._connect()

    def _serve(self, client, body):
        behaviour, seconds = self._options.behaviour, self._options.seconds
        signature = [self._options.sign.encode()] if self._options.sign else []
        if behaviour == "hold":
            while not self._orders.wait(0.1):
                say("working")
        elif behaviour == "sleep":
            time.sleep(seconds)
        elif behaviour == "compute":
            compute(seconds)
        elif behaviour == "forge":
            self._final(STRANGER, [b"forged"])
            return
        elif behaviour == "stream":
            for frame in body:
                self._send(self._commands.partial, client, b"", frame)
            self._final(client, [b"end"])
            return
        self._final(client, body + signature)
        if behaviour == "twice":
            self._final(client, [b"again"])

    def _final(self, client, body):
        self._send(self._commands.final, client, b"", *body)

    def _send(self, *command):
        self._socket.send_multipart([*self._lead, self._commands.header, *command])
        self._last_sent = time.monotonic()


def compute(seconds):
    """Keep the CPU and the interpreter busy."""
    end = time.monotonic() + seconds
    digest = b""
    while time.monotonic() < end:
        digest = hashlib.sha256(digest).digest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--dialect", choices=DIALECTS, required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument(
        "--behaviour",
        choices=["echo", "hold", "sleep", "compute", "stream", "twice", "forge"],
        default="echo",
        help="what it does with a request; all but the last three reply with its body",
    )
    parser.add_argument("--seconds", type=float, default=0, help="how long to sleep or compute")
    parser.add_argument("--sign", help="a frame to put at the end of every reply")
    parser.add_argument(
        "--opening",
        choices=["ready", "ready-twice", "ready-reply", "heartbeat", "reply"],
        default="ready",
        help="what it sends first",
    )
    parser.add_argument("--heartbeat", type=float, default=0.1, help="seconds; 0 for never")
    parser.add_argument(
        "--then",
        choices=["leave", "stay", "return"],
        default="leave",
        help="after DISCONNECT: end, listen on without a word, or connect again",
    )
    Worker(parser.parse_args()).run()


if __name__ == "__main__":
    main()
