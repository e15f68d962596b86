"""A client for OMDP/1 over a pyzmq DEALER socket.

    with Client("tcp://127.0.0.1:5555") as client:
        print(client.request("echo", b"hello").result().body)

        for part in (reply := client.request("log", credit=4)):   # parts, with backpressure
            print(part.body)
        print(reply.result().body)                                # the final reply

The client has no background thread: it processes messages only while the caller waits. It must be
used from one thread, and may have any number of requests in flight.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Iterator, NamedTuple

import zmq

import omdp1
from omdp1 import BROKER_DEFAULT, NO_LIMIT, Body, Headers


class RequestError(Exception):
    """An ERROR reply to a request."""

    def __init__(self, error: omdp1.Error):
        self.code, self.headers, self.body = error.code, error.headers, error.body
        self.text = omdp1.error_text(error.body)
        super().__init__(f"{self.code} {self.text}")


class BrokerError(RequestError):
    """An error from the broker. Section 7 lists the codes."""


class WorkerError(RequestError):
    """An error from the worker, with the worker's own code."""


class Cancelled(Exception):
    """The request was cancelled by this client."""


class ConnectionLost(Exception):
    """The connection was lost or closed by the broker. `code` is that of DISCONNECT, or 0."""

    def __init__(self, code: int, text: str):
        self.code = code
        super().__init__(f"{code} {text}" if code else text)


class Message(NamedTuple):
    """A partial or final reply."""

    body: Body
    headers: Headers


class Reply:
    """The reply to a request. Iterate over its parts, then call `result`."""

    def __init__(self, client: Client, id: int, credit: int):
        self.id = id
        self.notices: list[int] = []
        self.parts: deque[Message] = deque()  # received but not read yet
        self.outcome: Message | Exception | None = None
        self._client, self._window, self._read = client, credit, 0

    def __iter__(self) -> Iterator[Message]:
        """Yield the parts as they arrive. Renews the credit whenever half of it is used."""
        while True:
            self._client.wait(lambda: self.parts or self.outcome)
            if not self.parts:
                return
            yield self.parts.popleft()
            self._read += 1
            if self._window not in (0, NO_LIMIT) and self._read * 2 >= self._window:
                self.more(self._read)
                self._read = 0

    def result(self, wait: float | None = None) -> Message:
        """Return the final reply or raise its error. Unread parts stay in `parts`."""
        if not self._client.wait(lambda: self.outcome, wait):
            raise TimeoutError(f"no reply to {self.id} in {wait} s")
        if not isinstance(self.outcome, Message):
            raise self.outcome
        return self.outcome

    def more(self, credit: int = 0) -> None:
        """Grant credit for more parts (MORE) and restart the request's timeout. A credit of 0 only
        restarts the timeout, for a slow reader."""
        self._say(omdp1.More(self.id, credit))

    def cancel(self) -> None:
        """Cancel the request. Later messages about it are dropped."""
        self._say(omdp1.Cancel(self.id))
        if self._client._replies.pop(self.id, None):
            self.outcome = Cancelled()

    def _say(self, item: omdp1.Command) -> None:
        if self.id in self._client._replies:
            self._client._send(item)


class Client:
    """A connection to a broker, which is reopened after it is lost. Requests in progress then end
    with ConnectionLost, because only the caller knows whether they may be retried."""

    def __init__(self, endpoint: str, *, identity: bytes = b"", message_max: int = 0):
        self.endpoint, self.identity, self.message_max = endpoint, identity, message_max
        self.welcome: omdp1.Welcome | None = None
        self.lost: ConnectionLost | None = None  # why there is no connection
        self._replies: dict[int, Reply] = {}
        self._last_id = 0  # continues across connections, so ids are never reused
        self._socket: zmq.Socket | None = None
        self._retry_at, self._pause = 0.0, 0.1
        self._heard = 0.0  # time of the broker's last message
        self._asked: float | None = None  # time of an unanswered HELLO or HEARTBEAT

    def request(
        self, service: str, body: Any = None, *, timeout: float | None = -1, priority: int = 4,
        credit: int = NO_LIMIT, target: str = "", flags: int = 0, headers: Any = (),
    ) -> Reply:  # fmt: skip
        """Send a request without waiting. `timeout` is in seconds: None means no limit, 0 requires
        an idle worker, and a negative value selects the broker's default for the service."""
        self._connect()
        self._last_id += 1
        item = omdp1.Request(
            self._last_id, flags, priority, milliseconds(timeout), credit, service, target,
            omdp1.as_headers(headers), omdp1.as_body(body),
        )  # fmt: skip
        self._send(item)
        reply = self._replies[item.id] = Reply(self, item.id, credit)
        return reply

    def alive(self, wait: float = 5.0) -> bool:
        """Return whether the broker answers a HEARTBEAT. It has then processed all earlier commands."""
        self._connect()
        beat = self._ask()
        return self.wait(lambda: self._beats_heard >= beat, wait)

    def wait(self, until: Callable[[], Any], seconds: float | None = None) -> bool:
        """Process messages until the condition holds, and return whether it does."""
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if self._socket is None or self.lost is not None or now >= end:
                return bool(until())
            if self._socket.poll(max(0, int((min(self._due(), end) - now) * 1000) + 1)):
                self._receive_all()
            elif time.monotonic() >= self._due():
                self._ask() if self._asked is None else self._drop("the broker is silent")
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._send(omdp1.Goodbye())
            self._drop("closed")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        """Send HELLO if necessary: initially, and after the connection was lost."""
        if self._socket is not None and self.lost is None:
            return
        if self.lost is not None and self.lost.code in (403, 409, 505):
            raise self.lost  # reconnecting is useless
        time.sleep(max(0.0, self._retry_at - time.monotonic()))  # back off after DISCONNECT
        if self._socket is None:
            self._socket = zmq.Context.instance().socket(zmq.DEALER)
            if self.identity:  # libzmq rejects an empty one
                self._socket.identity = self.identity
            self._socket.linger = 1000  # milliseconds to send GOODBYE
            self._socket.sndhwm = 0  # no limit: a full queue would block send
            self._socket.connect(self.endpoint)
        self.lost = None
        self._heard = self._asked = time.monotonic()  # HELLO also requires an answer
        self._beats_said = self._beats_heard = 0
        self._send(omdp1.Hello(role=omdp1.CLIENT, message_max=self.message_max))

    def _send(self, item: omdp1.Command) -> None:
        self._socket.send_multipart(omdp1.pack(item))

    def _due(self) -> float:
        """Return the time of the next HEARTBEAT or of the timeout, from WELCOME or 2.5 s times 3."""
        told = self.welcome or omdp1.Welcome(1, 2500, 3, 0, 0, 0, "")
        interval = min(told.heartbeat / 1000, 86400.0)  # no limit counts as a day
        return self._heard + interval if self._asked is None else self._asked + interval * told.liveness

    def _ask(self) -> int:
        self._asked = self._asked or time.monotonic()
        self._beats_said += 1
        self._send(omdp1.Heartbeat())
        return self._beats_said

    def _receive_all(self) -> None:
        while self._socket is not None and self.lost is None:  # nothing follows DISCONNECT
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard, self._asked = time.monotonic(), None
            try:
                self._take(omdp1.unpack(frames))
            except omdp1.Malformed as error:
                self._drop(f"what the broker says does not fit: {error}")

    def _take(self, item: omdp1.Command) -> None:
        if isinstance(item, omdp1.Disconnect):
            self._end(ConnectionLost(item.code, item.text))  # the socket can be reused for HELLO
            if item.text == "HELLO first":
                self._retry_at = 0.0  # libzmq has reconnected: send HELLO at once
        elif isinstance(item, omdp1.Welcome) and self.welcome is None:
            self.welcome, self._pause = item, 0.1
        elif self.welcome is None or not isinstance(item, TAKEN):
            raise omdp1.Malformed(f"{type(item).__name__} now")
        elif isinstance(item, omdp1.Heartbeat):
            self._beats_heard += 1
        elif item.id not in self._replies:
            pass  # the request has ended meanwhile
        elif isinstance(item, omdp1.Notice):
            self._replies[item.id].notices.append(item.what)
        elif isinstance(item, omdp1.Partial):
            self._replies[item.id].parts.append(Message(item.body, item.headers))
        elif isinstance(item, omdp1.Final):
            self._replies.pop(item.id).outcome = Message(item.body, item.headers)
        else:
            kind = WorkerError if item.author == omdp1.BY_WORKER else BrokerError
            self._replies.pop(item.id).outcome = kind(item)

    def _end(self, why: ConnectionLost) -> None:
        """End the session: the broker has no state of this client any more."""
        self.welcome, self.lost, self._asked = None, why, None
        self._retry_at, self._pause = time.monotonic() + self._pause, min(self._pause * 2, 10.0)
        for reply in self._replies.values():
            reply.outcome = why
        self._replies.clear()

    def _drop(self, why: str) -> None:
        """End the session and close the socket."""
        self._end(ConnectionLost(0, why))
        self._socket.close()
        self._socket = None


TAKEN = (omdp1.Heartbeat, omdp1.Partial, omdp1.Final, omdp1.Error, omdp1.Notice)


def milliseconds(seconds: float | None) -> int:
    """Convert to milliseconds and round up, because 0 has a special meaning."""
    if seconds is None:
        return NO_LIMIT
    return BROKER_DEFAULT if seconds < 0 else min(-int(-seconds * 1000 // 1), BROKER_DEFAULT - 1)
