"""A worker for OMDP/1 over a pyzmq DEALER socket.

    worker = Worker("tcp://127.0.0.1:5555", capacity=4)
    worker.offer("echo", lambda task: task.body)
    worker.run()

Each handler runs in its own thread, so it may block: the loop keeps sending heartbeats. Only the
loop uses the socket; handlers send messages through a queue. A handler returns the final reply:
None, a frame, several frames, or a `Final` with headers. It raises `TaskFailed` for an error with
a code, and `Rejected` to pass the task to another worker. Any other exception becomes an error 500.
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
    """A final reply with headers. The broker may cache it for `keep` seconds for equal requests."""

    body: Any = None
    headers: Any = ()
    keep: float = 0


class TaskFailed(Exception):
    """Ends a task with an error: a code from 400 to 999, a text, and frames for programs."""

    def __init__(self, code: int, text: str, *frames: bytes, headers: Any = ()):
        self.code, self.body, self.headers = code, (text.encode(), *frames), as_headers(headers)


class Rejected(Exception):
    """Rejects a task, so that another worker gets it. The text should not start with `B_`."""

    def __init__(self, text: str, *frames: bytes, headers: Any = ()):
        self.body, self.headers = (text.encode(), *frames), as_headers(headers)


class Cancelled(Exception):
    """Raised in a handler that sends a part of a cancelled request."""


class Stopped(Exception):
    """The broker disconnected this worker permanently: 403, 409 or 505."""


class Task:
    """A request for a handler, with methods for messages before the final reply."""

    def __init__(self, worker: Worker, task: omdp1.Task, connection: int):
        self.service, self.body, self.headers = task.service, task.body, task.headers
        self.attempt, self.priority, self.ticket = task.attempt, task.priority, task.ticket
        # The end of the task's timeout. Each part restarts the timeout.
        self.deadline = None if task.deadline == NO_LIMIT else time.monotonic() + task.deadline / 1000
        self.cancelled = threading.Event()  # the reply is not needed any more
        self.cancel_code = 0  # 408: timeout, 499: other reasons, 0: lost connection
        self._given, self._used, self._more = task.credit, 0, threading.Condition()
        self._worker, self._connection = worker, connection

    def partial(self, *frames: bytes, headers: Any = ()) -> None:
        """Send a part of the reply. Waits until the client has credit for it."""
        with self._more:
            self._more.wait_for(lambda: self._used < self._given or self.cancelled.is_set())
            if self.cancelled.is_set():
                raise Cancelled
            self._used += self._given < NO_LIMIT
        self._say(omdp1.TaskPartial(self.ticket, as_headers(headers), as_body(frames)))

    def at_work(self) -> None:
        """Send a progress notice to the client, if it requested notices."""
        self._say(omdp1.TaskAtWork(self.ticket))

    def _say(self, item: omdp1.Command) -> None:
        self._worker._post(item, self._connection)

    def _hear(self, item: omdp1.Command) -> None:
        with self._more:
            if isinstance(item, omdp1.TaskMore):  # the sum of all credits, which may reach NO_LIMIT
                self._given = min(self._given + item.credit, NO_LIMIT)
            elif isinstance(item, omdp1.TaskCancel):
                self.cancel_code = item.code
                self.cancelled.set()
            self._more.notify_all()


Handler = Callable[[Task], Any]


class Worker:
    """A worker with services at one broker. Its methods may be called from any thread."""

    def __init__(self, endpoint: str, *, capacity: int = 1, identity: bytes = b"", heartbeat: float = 2.5):
        self.endpoint, self.identity, self.heartbeat = endpoint, identity, heartbeat
        self.capacity, self._unanswered = capacity, 0  # CAPACITY commands without CAPACITY-IS yet
        self.services: dict[str, Handler] = {}
        self.registered: dict[str, str] = {}  # service -> this worker's name, for `target`
        self.connections = 0  # number of HELLO commands sent
        self.tasks: dict[bytes, Task] = {}  # tasks in flight by ticket
        self.changed = threading.Condition()  # signals a change of any of these
        self._welcome: omdp1.Welcome | None = None
        self._queue: queue.SimpleQueue[tuple[int, omdp1.Command]] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stop, self._socket, self._thread = False, None, None
        self._retry_at, self._pause = None, 0.1  # time of the next HELLO after DISCONNECT
        self._heard = self._said = 0.0

    def offer(self, service: str, handler: Handler) -> None:
        """Register a service: a name, `name@1.2.3`, or `prefix*`."""
        with self.changed:
            self.services[service] = handler
            self._post(omdp1.Ready(service), self.connections)

    def withdraw(self, service: str) -> None:
        """Withdraw a service. Running handlers continue."""
        with self.changed:
            self.services.pop(service, None)
            self._post(omdp1.Withdraw(service), self.connections)

    def set_capacity(self, capacity: int) -> None:
        """Set the maximum number of tasks in flight."""
        with self.changed:
            self.capacity = capacity
            self._unanswered += 1
            self._post(omdp1.Capacity(capacity), self.connections)

    def drain(self, wait: float | None = None) -> bool:
        """Accept no more tasks, and return whether all tasks in flight ended in time. Then `close`
        loses nothing: no task follows CAPACITY-IS 0, and all earlier tasks have been processed."""
        self.set_capacity(0)
        return self.wait(lambda: self._welcome and not self._unanswered and not self.tasks, wait)

    def wait(self, until: Callable[[], Any], seconds: float | None = None) -> bool:
        """Wait until a condition on this worker holds, and return whether it does."""
        with self.changed:
            return bool(self.changed.wait_for(until, seconds))

    def start(self) -> Worker:
        """Run in a background thread."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Send GOODBYE and stop. Tasks in flight are lost, so call `drain` first."""
        self._stop = True
        self._wake()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Serve until `close`. Raises Stopped if the broker disconnects this worker permanently."""
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
        """Send HELLO and all registrations, on a new connection or the same one."""
        if anew:
            if self._socket is not None:
                self._socket.close(linger=0)
            self._socket = zmq.Context.instance().socket(zmq.DEALER)
            if self.identity:  # libzmq rejects an empty one
                self._socket.identity = self.identity
            self._socket.linger = 1000  # milliseconds to send GOODBYE
            self._socket.sndhwm = 0  # no limit: a full queue would block the loop
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
        """Return how long the broker may be silent. It sends no heartbeats without registrations."""
        told = self._welcome or omdp1.Welcome(1, 2500, 3, 0, 0, 0, "")
        return min(told.heartbeat / 1000, 86400) * told.liveness if self.services else 86400

    def _tick(self) -> None:
        now = time.monotonic()
        if self._retry_at is not None:
            if now >= self._retry_at:
                self._hello(anew=False)  # reuse the connection after DISCONNECT
        elif now - self._heard >= self._patience():
            self._forget()
            self._hello()
        elif now - self._said >= self.heartbeat / 2:
            self._send(omdp1.Heartbeat())

    def _send(self, item: omdp1.Command) -> None:
        self._socket.send_multipart(omdp1.pack(item))
        self._said = time.monotonic()

    def _post(self, item: omdp1.Command, connection: int) -> None:
        """Queue a command for the loop, which drops it if its connection is gone."""
        self._queue.put((connection, item))
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # already awake
            self._wake_in.send(b"\0")

    def _flush(self) -> None:
        while not self._queue.empty():
            connection, item = self._queue.get()
            # A ticket of an earlier connection would be a protocol violation. The HELLO sequence
            # has repeated everything else.
            if connection == self.connections and self._retry_at is None:
                self._send(item)

    def _receive_all(self) -> None:
        while self._retry_at is None:  # nothing follows DISCONNECT
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard = time.monotonic()
            try:
                with self.changed:
                    self._take(omdp1.unpack(frames))
                    self.changed.notify_all()
            except omdp1.Malformed:  # invalid data: treat the connection as lost
                self._forget()
                self._hello()

    def _take(self, item: omdp1.Command) -> None:
        if isinstance(item, omdp1.Disconnect):
            self._forget()
            if item.code in (403, 409, 505):
                raise Stopped(f"{item.code} {item.text}")
            if item.text == "HELLO first":  # libzmq has reconnected
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
            if (task := self.tasks.get(item.ticket)) is not None:  # the task has not ended meanwhile
                task._hear(item)
        elif not isinstance(item, omdp1.Heartbeat):
            raise omdp1.Malformed(f"{type(item).__name__} is nothing for a worker")

    def _forget(self) -> None:
        """End the session: the broker has no state of this worker, and all tickets are invalid."""
        with self.changed:
            self._welcome = None
            self.registered.clear()
            for task in self.tasks.values():
                task._hear(omdp1.TaskCancel(task.ticket, 0))
            self.tasks.clear()
            self.changed.notify_all()

    def _find(self, asked: str) -> Handler:
        """Return the service that matches a requested name: the same name, the longest wildcard, or
        for a range the highest version. The broker has checked that it is in the range."""
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
        """Run a handler and send its final message in every case."""
        try:
            result = self._find(task.service)(task)
            final = result if isinstance(result, Final) else Final(result)
            keep = min(round(final.keep * 1000), NO_LIMIT)
            last = omdp1.TaskFinal(task.ticket, keep, as_headers(final.headers), as_body(final.body))
        except TaskFailed as error:
            last = omdp1.TaskError(task.ticket, error.code, error.headers, error.body)
        except Rejected as error:
            last = omdp1.TaskReject(task.ticket, error.headers, error.body)
        except Exception as error:  # includes Cancelled: any final message is valid
            last = omdp1.TaskError(task.ticket, 500, (), (repr(error).encode(),))
        with self.changed:
            if self.tasks.get(task.ticket) is task:  # not a task of another connection with the same ticket
                del self.tasks[task.ticket]
            task._say(last)
            self.changed.notify_all()


def numbers(name: str) -> list[int]:
    """Return a version's numbers for comparison: 1.10.0 is higher than 1.9.0."""
    return [int(number) for number in name.rpartition("@")[2].split("-")[0].split(".") if number.isdigit()]
