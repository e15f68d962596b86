"""A worker for OMDP/1 over a DEALER of pyzmq.

    worker = Worker("tcp://127.0.0.1:5555", capacity=4)
    worker.offer("echo", lambda task: task.body)
    worker.run()

A handler runs in a thread of its own, so it may take its time: the loop goes on saying heartbeats.
Only the loop touches the socket; what handlers say goes to it through a queue. What a handler
returns is the final reply: nothing, a frame, several frames, or a `Final` with headers. It raises
`TaskFailed` for an error with a code and `Rejected` to have another worker do it; any other
exception becomes an error 500.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import Any, Callable, NamedTuple

import zmq

import omdp1
from omdp1 import NO_LIMIT, as_body, as_headers


class Final(NamedTuple):
    """A final reply with headers, or one that is good for `keep` seconds for equal requests."""

    body: Any = None
    headers: Any = ()
    keep: float = 0


class TaskFailed(Exception):
    """Ends a task with an error: a code from 400 to 999, a text, and frames for programs."""

    def __init__(self, code: int, text: str, *frames: bytes, headers: Any = ()):
        self.code, self.body, self.headers = code, (text.encode(), *frames), as_headers(headers)


class Rejected(Exception):
    """Hands a task back, for another worker. The text should not begin with `B_`."""

    def __init__(self, text: str, *frames: bytes, headers: Any = ()):
        self.body, self.headers = (text.encode(), *frames), as_headers(headers)


class Cancelled(Exception):
    """Raised in a handler that has something to say where nobody waits for it any more."""


class Stopped(Exception):
    """The broker has done with this worker for good: 403, 409 or 505."""


class Task:
    """What a handler gets: the request, and ways to speak before the final reply."""

    def __init__(self, worker: Worker, task: omdp1.Task, connection: int):
        self.service, self.body, self.headers = task.service, task.body, task.headers
        self.attempt, self.priority, self.ticket = task.attempt, task.priority, task.ticket
        # When the reply is not wanted any more. A part of it gives the task at least as long again.
        self.deadline = None if task.deadline == NO_LIMIT else time.monotonic() + task.deadline / 1000
        self.cancelled = threading.Event()  # nobody waits for the reply any more
        self.cancel_code = 0  # 408 the timeout, 499 any other reason; 0 the connection is lost
        self._given, self._used, self._more = task.credit, 0, threading.Condition()
        self._worker, self._connection = worker, connection

    def partial(self, *frames: bytes, headers: Any = ()) -> None:
        """Sends a part of the reply, as soon as the client has credit for it."""
        with self._more:
            self._more.wait_for(lambda: self._used < self._given or self.cancelled.is_set())
            if self.cancelled.is_set():
                raise Cancelled
            self._used += self._given < NO_LIMIT
        self._say(omdp1.TaskPartial(self.ticket, as_headers(headers), as_body(frames)))

    def at_work(self) -> None:
        """Tells a client that asked for notices that it is being worked on."""
        self._say(omdp1.TaskAtWork(self.ticket))

    def _say(self, item: omdp1.Command) -> None:
        self._worker._post(item, self._connection)

    def _hear(self, item: omdp1.Command) -> None:
        with self._more:
            if isinstance(item, omdp1.TaskMore):  # the sum of all counts: it can become without limit
                self._given = min(self._given + item.credit, NO_LIMIT)
            elif isinstance(item, omdp1.TaskCancel):
                self.cancel_code = item.code
                self.cancelled.set()
            self._more.notify_all()


Handler = Callable[[Task], Any]


class Worker:
    """Services at one broker. All its methods may be called from any thread."""

    def __init__(self, endpoint: str, *, capacity: int = 1, identity: bytes = b"", heartbeat: float = 2.5):
        self.endpoint, self.identity, self.heartbeat = endpoint, identity, heartbeat
        self.capacity, self._unanswered = capacity, 0  # CAPACITY that has had no CAPACITY-IS yet
        self.services: dict[str, Handler] = {}
        self.registered: dict[str, str] = {}  # service -> this worker's name, for `target`
        self.connections = 0  # how often it said HELLO
        self.tasks: dict[bytes, Task] = {}  # those in hand, by their tickets
        self.changed = threading.Condition()  # any of these
        self._welcome: omdp1.Welcome | None = None
        self._queue: queue.SimpleQueue[tuple[int, omdp1.Command]] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stop, self._socket, self._thread = False, None, None
        self._retry_at, self._pause = None, 0.1  # when HELLO is due after DISCONNECT
        self._heard = self._said = 0.0

    def offer(self, service: str, handler: Handler) -> None:
        """Offers a service, too: a name, `name@1.2.3`, or `prefix*`."""
        with self.changed:
            self.services[service] = handler
            self._post(omdp1.Ready(service), self.connections)

    def withdraw(self, service: str) -> None:
        """Offers this service no longer. Handlers that run go on."""
        with self.changed:
            self.services.pop(service, None)
            self._post(omdp1.Withdraw(service), self.connections)

    def set_capacity(self, capacity: int) -> None:
        """How many tasks it takes at once from now on."""
        with self.changed:
            self.capacity = capacity
            self._unanswered += 1
            self._post(omdp1.Capacity(capacity), self.connections)

    def drain(self, wait: float | None = None) -> bool:
        """Takes no more, and says whether all that it had has ended in time: `close` loses nothing
        then. Behind CAPACITY-IS 0 no task comes, and those before it are done like any other."""
        self.set_capacity(0)
        return self.wait(lambda: self._welcome and not self._unanswered and not self.tasks, wait)

    def wait(self, until: Callable[[], Any], seconds: float | None = None) -> bool:
        """Waits until a condition on this worker holds, and says whether it does."""
        with self.changed:
            return bool(self.changed.wait_for(until, seconds))

    def start(self) -> Worker:
        """Runs in the background."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Says GOODBYE. What is in hand is lost: `drain` first."""
        self._stop = True
        self._wake()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Serves until `close`; raises Stopped when the broker does not want this worker."""
        try:
            self._hello()
            while not self._stop:
                self._flush()
                self._wait_for_events()
                self._receive_all()
                self._tick()
            self._flush()
            self._send(omdp1.Goodbye())
        finally:
            self._forget()
            self._socket.close()

    def _hello(self, anew: bool = True) -> None:
        """HELLO, and all that the broker has to know: on another connection, or the same."""
        if anew:
            if self._socket is not None:
                self._socket.close(linger=0)
            self._socket = zmq.Context.instance().socket(zmq.DEALER)
            if self.identity:  # an empty one would be an error
                self._socket.identity = self.identity
            self._socket.linger = 1000  # for GOODBYE
            self._socket.sndhwm = 0  # one that is full would stop the loop in send
            self._socket.connect(self.endpoint)
        with self.changed:
            self.connections += 1
            self._retry_at, self._heard, self._unanswered = None, time.monotonic(), 1
            known = [omdp1.Capacity(self.capacity), *map(omdp1.Ready, self.services)]
        for item in [omdp1.Hello(role=omdp1.WORKER, heartbeat=round(self.heartbeat * 1000)), *known]:
            self._send(item)

    def _wait_for_events(self) -> None:
        due = self._retry_at or min(self._said + self.heartbeat / 2, self._heard + self._patience())
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake_out, zmq.POLLIN)
        poller.poll(max(0, int((due - time.monotonic()) * 1000) + 1))
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _patience(self) -> float:
        """How long the broker may be silent. To a worker without services it owes nothing."""
        told = self._welcome or omdp1.Welcome(1, 2500, 3, 0, 0, 0, "")
        return min(told.heartbeat / 1000, 86400) * told.liveness if self.services else 86400

    def _tick(self) -> None:
        now = time.monotonic()
        if self._retry_at is not None:
            if now >= self._retry_at:
                self._hello(anew=False)  # after DISCONNECT the same connection will do
        elif now - self._heard >= self._patience():
            self._forget()
            self._hello()
        elif now - self._said >= self.heartbeat / 2:
            self._send(omdp1.Heartbeat())

    def _send(self, item: omdp1.Command) -> None:
        self._socket.send_multipart(omdp1.pack(item))
        self._said = time.monotonic()

    def _post(self, item: omdp1.Command, connection: int) -> None:
        """Has the loop say something, if the connection that it belongs to is still there then."""
        self._queue.put((connection, item))
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            self._wake_in.send(b"\0")

    def _flush(self) -> None:
        while not self._queue.empty():
            connection, item = self._queue.get()
            # A ticket of an earlier connection would be an offence. HELLO told the rest anew.
            if connection == self.connections and self._retry_at is None:
                self._send(item)

    def _receive_all(self) -> None:
        while self._retry_at is None:  # behind DISCONNECT there is nothing to hear
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard = time.monotonic()
            try:
                with self.changed:
                    self._take(omdp1.unpack(frames))
                    self.changed.notify_all()
            except omdp1.Malformed:  # the broker speaks nonsense: the connection counts as lost
                self._forget()
                self._hello()

    def _take(self, item: omdp1.Command) -> None:
        if isinstance(item, omdp1.Disconnect):
            self._forget()
            if item.code in (403, 409, 505):
                raise Stopped(f"{item.code} {item.text}")
            if item.text == "HELLO first":  # the socket has connected again by itself
                return self._hello(anew=False)
            self._retry_at, self._pause = time.monotonic() + self._pause, min(self._pause * 2, 10.0)
        elif (self._welcome is None) != isinstance(item, omdp1.Welcome):
            raise omdp1.Malformed(f"{type(item).__name__} now")
        elif isinstance(item, omdp1.Welcome):
            self._welcome = item
        elif isinstance(item, omdp1.CapacityIs):
            self._unanswered -= 1
        elif isinstance(item, omdp1.Registered):
            self.registered[item.service] = item.worker
            self._pause = 0.1
        elif isinstance(item, omdp1.Task):
            task = self.tasks[item.ticket] = Task(self, item, self.connections)
            threading.Thread(target=self._handle, args=(task,), daemon=True).start()
        elif isinstance(item, (omdp1.TaskMore, omdp1.TaskCancel, omdp1.TaskWanted)):
            if (task := self.tasks.get(item.ticket)) is not None:  # it has not ended meanwhile
                task._hear(item)
        elif not isinstance(item, omdp1.Heartbeat):
            raise omdp1.Malformed(f"{type(item).__name__} is nothing for a worker")

    def _forget(self) -> None:
        """The broker knows nothing of this worker any more, and its tickets are worth nothing."""
        with self.changed:
            self._welcome = None
            self.registered.clear()
            for task in self.tasks.values():
                task._hear(omdp1.TaskCancel(task.ticket, 0))
            self.tasks.clear()
            self.changed.notify_all()

    def _find(self, asked: str) -> Handler:
        """What the client's name means: the same one, the longest wildcard, or, for a range, the
        highest version. It is taken to be in the range, which the broker has seen to."""
        offered = dict(self.services)
        if asked in offered:
            return offered[asked]
        if "@" in asked:
            name = asked.rpartition("@")[0]
            best = max((o for o in offered if o.rpartition("@")[0] == name), key=numbers, default=None)
        else:
            best = max((o for o in offered if o[-1] == "*" and asked.startswith(o[:-1])), key=len, default=None)
        if best is None:
            raise Rejected("withdrawn meanwhile")
        return offered[best]

    def _handle(self, task: Task) -> None:
        """Runs a handler and says the last word, whatever happens."""
        try:
            result = self._find(task.service)(task)
            final = result if isinstance(result, Final) else Final(result)
            keep = min(round(final.keep * 1000), NO_LIMIT)
            last = omdp1.TaskFinal(task.ticket, keep, as_headers(final.headers), as_body(final.body))
        except TaskFailed as error:
            last = omdp1.TaskError(task.ticket, error.code, error.headers, error.body)
        except Rejected as error:
            last = omdp1.TaskReject(task.ticket, error.headers, error.body)
        except Exception as error:  # Cancelled too: any last word will do
            last = omdp1.TaskError(task.ticket, 500, (), (repr(error).encode(),))
        with self.changed:
            if self.tasks.get(task.ticket) is task:  # not another connection's with the same ticket
                del self.tasks[task.ticket]
            task._say(last)
            self.changed.notify_all()


def numbers(name: str) -> list[int]:
    """The numbers of a version: 1.10.0 is higher than 1.9.0."""
    return [int(number) for number in name.rpartition("@")[2].split("-")[0].split(".") if number.isdigit()]
