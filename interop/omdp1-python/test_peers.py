"""Test the broker, client.py and worker.py against each other and the specification.

    python test_peers.py PROGRAM [WORD...]     only tests that contain one of these words

PROGRAM is `majordomus`. The script starts a broker, and further brokers for some tests. Tests never
sleep to wait for an event: they wait for the event itself, with a bound. To verify that a message
is not sent, a test waits for a later message on the same connection (section 2). A test that
measures times detects when it was too slow itself, and is repeated.
"""

import faulthandler
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import zmq

import omdp1
from client import BrokerError, Client, ConnectionLost, RequestError, WorkerError
from omdp1 import NO_LIMIT, pack, unpack
from test_vectors import frames as octets
from test_vectors import messages
from worker import Final, Rejected, Stopped, TaskFailed, Worker

BOUND = 20.0
PROGRAM = ENDPOINT = ""
BUSY = 900_000  # the broker's busy limit
CHECKS = []
_numbers = itertools.count(1)


class Late(Exception):
    """The test was too slow for the times that it measures."""


def check(function):
    CHECKS.append(function)
    return function


def name(word="s"):
    """Return a unique service name."""
    return f"{word}-{next(_numbers)}"


def same(value, *wanted):
    assert value in wanted, f"{repr(value)[:300]} instead of {' or '.join(repr(w)[:300] for w in wanted)}"


class Peer:
    """A plain DEALER that sends any message, valid or not, and returns the received ones."""

    def __init__(self, endpoint=None, identity=b""):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        if identity:
            self.socket.identity = identity
        self.socket.connect(endpoint or ENDPOINT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def raw(self, *frames):
        self.socket.send_multipart(frames)

    def say(self, *items):
        for item in items:
            self.socket.send_multipart(pack(item))

    def frames(self, heartbeats=False):
        """Return the next message, without heartbeats."""
        end = time.monotonic() + BOUND
        while self.socket.poll(max(0, int((end - time.monotonic()) * 1000))):
            frames = self.socket.recv_multipart()
            if heartbeats or frames != [b"\x03"]:
                return frames
        raise AssertionError("nothing comes")

    def hear(self, *kinds):
        """Return the next command, without heartbeats. It must be of one of these types."""
        frames = self.frames()
        item = unpack(frames)
        assert isinstance(item, kinds), f"{item}: {[f.hex()[:200] for f in frames]}"
        return item

    def ask(self):
        """A client's barrier: return the broker's messages about all earlier commands."""
        self.raw(b"\x03")
        came = []
        while (frames := self.frames(heartbeats=True)) != [b"\x03"]:
            came.append(unpack(frames))
        return came

    def barrier(self):
        """A worker's barrier with CAPACITY, which may bring any number of tasks."""
        self.say(omdp1.Capacity(self.capacity))
        came = []
        while not isinstance(item := unpack(self.frames()), omdp1.CapacityIs):
            came.append(item)
        same(item.requests, self.capacity)
        return came

    def client(self, **options):
        self.say(omdp1.Hello(role=omdp1.CLIENT, **options))
        self.welcome = self.hear(omdp1.Welcome)
        return self

    def worker(self, *services, capacity=1, heartbeat=NO_LIMIT, **options):
        self.say(omdp1.Hello(role=omdp1.WORKER, heartbeat=heartbeat, **options))
        self.welcome, self.capacity = self.hear(omdp1.Welcome), capacity
        same(self.barrier(), [])
        for service in services:
            self.name = self.register(service)
        return self

    def take(self, capacity):
        """Set the capacity and return the tasks that it brings."""
        self.capacity = capacity
        return self.barrier()

    def register(self, service):
        self.say(omdp1.Ready(service))
        registered = self.hear(omdp1.Registered)
        same(registered.service, service)
        return registered.worker

    def request(self, id, service, *body, flags=0, priority=4, timeout=30_000, credit=NO_LIMIT, **rest):
        self.say(omdp1.Request(id, flags, priority, timeout, credit, service, body=body, **rest))

    def ends(self, task, *body):
        self.say(omdp1.TaskFinal(task.ticket, body=body))


class Broker:
    """A separate broker, which can be stopped and restarted at the same endpoint."""

    def __init__(self, *arguments):
        self.arguments, self.endpoint = arguments, "tcp://127.0.0.1:0"

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        command = [PROGRAM, "broker", "--bind", self.endpoint, *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode().split()
        assert line and line[0] == "listening", line
        self.endpoint = line[1]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.log.close()


def workers(*offers, **options):
    """Return a context with a running Worker with these (name, handler) pairs."""

    class Running:
        def __enter__(self):
            self.worker = Worker(ENDPOINT, **options)
            for service, handler in offers:
                self.worker.offer(service, handler)
            self.worker.start()
            assert self.worker.wait(lambda: len(self.worker.registered) == len(offers), BOUND), "not registered"
            return self.worker

        def __exit__(self, *_):
            self.worker.close()

    return Running()


def echo(task):
    return task.body


def ended(reply, kind=RequestError):
    """Return the error of this reply, which must be one."""
    try:
        result = reply.result(BOUND)
    except RequestError as error:
        assert isinstance(error, kind), repr(error)
        return error
    raise AssertionError(f"no error, but {result}")


def code(reply, kind=BrokerError):
    return ended(reply, kind).code


# --- Requests and replies ------------------------------------------------------------------------


@check
def echo_of_bodies():
    """echo: one frame, three, binary, an empty frame, an empty body, a frame of 1 MiB, headers"""
    bodies = [(b"hello",), (b"a", b"", b"c"), (bytes(range(256)),), (b"",), (), (os.urandom(1 << 20),)]
    service, headers = name("echo"), {"traceparent": b"\0\xff", "x.Y-z_+": b""}
    with workers((service, lambda task: Final(task.body, task.headers))), Client(ENDPOINT) as client:
        for body in bodies:
            same(client.request(service, body, headers=headers).result(BOUND), (body, tuple(headers.items())))


@check
def stream_with_credit():
    """a stream of 1,000 parts with a credit of 4 and a slow reader: never more than 4 parts ahead"""
    service, sent = name("stream"), [0]

    def count(task):
        for number in range(1000):
            task.partial(str(number).encode())
            sent[0] += 1
        return b"end"

    with workers((service, count)), Client(ENDPOINT) as client:
        reply = client.request(service, credit=4)
        for read, part in enumerate(reply):
            same(part.body, (str(read).encode(),))
            assert client.alive(BOUND)  # slow: a round trip for each
            assert sent[0] <= read + 4, f"{sent[0]} sent where {read} were read"
        same((read, sent[0]), (999, 1000))
        same(reply.result(BOUND).body, (b"end",))


@check
def credit_adds_up():
    """credit: TASK includes earlier MORE; TASK-MORE; the next worker gets the sum, or no limit"""
    service = name("credit")
    with Peer() as w1, Peer() as w2, Peer() as c:
        c.client()
        c.request(1, service, credit=3, flags=omdp1.REDELIVER)
        c.say(omdp1.More(1, 4), omdp1.More(1, 0))
        same(c.ask(), [])
        w1.worker(service)
        same(w1.hear(omdp1.Task).credit, 7)
        c.say(omdp1.More(1, 0), omdp1.More(1, 5))
        same(w1.hear(omdp1.TaskMore).credit, 5)
        w2.worker(service)
        w1.say(omdp1.Goodbye())
        task = w2.hear(omdp1.Task)
        same((task.credit, task.attempt), (12, 2))
        c.say(omdp1.More(1, NO_LIMIT - 1), omdp1.More(1, 9))
        same(c.ask(), [])
        w2.say(omdp1.Ready(service))
        same(w2.hear(omdp1.TaskMore).credit, NO_LIMIT - 1)
        w2.hear(omdp1.Registered)  # and no TASK-MORE of 9
        w2.say(omdp1.TaskPartial(task.ticket, (), (b"p",)), omdp1.TaskFinal(task.ticket))
        same(c.hear(omdp1.Partial).body, (b"p",))
        c.hear(omdp1.Final)


@check
def a_hundred_at_once():
    """100 requests in flight on one connection, answered in reverse order"""
    service = name("many")
    gates = [threading.Event() for _ in range(100)]

    def handler(task):
        assert gates[int(task.body[0])].wait(BOUND)
        return task.body

    with workers((service, handler), capacity=100) as worker, Client(ENDPOINT) as client:
        replies = [client.request(service, str(number)) for number in range(100)]
        assert worker.wait(lambda: len(worker.tasks) == 100, BOUND)
        for number in reversed(range(100)):
            gates[number].set()
            same(replies[number].result(BOUND).body, (str(number).encode(),))
            same(sum(reply.outcome is not None for reply in replies), 100 - number)


@check
def worker_error():
    """an error from a worker: code, text, a frame for programs and headers; codes are clamped"""
    service = name("error")

    def handler(task):
        if task.body:
            raise TaskFailed(422, "no paper", b"tray 2", headers={"tray": b"2"})
        raise ValueError("oops")

    with workers((service, handler)), Client(ENDPOINT) as client:
        error = ended(client.request(service, b"x"), WorkerError)
        same((error.code, error.body, error.headers), (422, (b"no paper", b"tray 2"), (("tray", b"2"),)))
        same(code(client.request(service), WorkerError), 500)
    with Peer() as w, Client(ENDPOINT) as client:
        w.worker(service)
        for said, heard in ((100, 400), (0, 400), (1000, 999), (0xFFFF, 999)):
            reply = client.request(service)
            ticket = w.hear(omdp1.Task).ticket
            w.raw(b"\x35" + bytes([len(ticket)]) + ticket + said.to_bytes(2, "big") + b"\0\0", b"out of range")
            same(code(reply, WorkerError), heard)


@check
def rejected():
    """TASK-REJECT: redelivery even without `redeliver`; if all reject: 503 with the last body and headers"""
    service, by = name("reject"), []

    def reject(task):
        by.append(task.attempt)
        raise Rejected("too hot", b"for me", headers={"degrees": b"90"})

    with workers((service, reject)) as one, Client(ENDPOINT) as client:
        error = ended(client.request(service, timeout=None), BrokerError)
        same((error.code, error.body, error.headers), (503, (b"too hot", b"for me"), (("degrees", b"90"),)))
        with workers((service, echo)):
            for _ in range(10):
                same(client.request(service, b"x", timeout=BOUND).result(BOUND).body, (b"x",))
        assert len(by) > 1, "the one that rejects was not asked again"
        same(code(client.request(service, target=one.registered[service])), 503)


@check
def rejected_at_once():
    """TASK-REJECT after a part or with a `target`: 503 at once; without a text: B_REJECTED; after the timeout: 408"""
    service = name("reject")
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        c.request(1, service)
        ticket = w.hear(omdp1.Task).ticket
        w.say(omdp1.TaskPartial(ticket), omdp1.TaskReject(ticket))
        same(w.barrier(), [])
        first, second = c.ask()
        same((type(first), second.author, second.code), (omdp1.Partial, 1, 503))
        c.request(2, service, target=w.name)
        w.say(omdp1.TaskReject(w.hear(omdp1.Task).ticket))
        same(w.barrier(), [])
        (error,) = c.ask()
        same((error.code, error.body), (503, (b"B_REJECTED",)))
        c.request(3, service, timeout=100)
        w.say(omdp1.TaskReject(w.hear(omdp1.Task).ticket, body=(b"too hot",)))
        same([(e.code, e.body) for e in [c.hear(omdp1.Error)]], [(408, (b"B_EXPIRED",))])


@check
def nobody_takes_it():
    """404 for a service that was never registered, 408 for one that was; a timeout of 0 ends at once"""
    service = name("none")
    with Peer() as w, Client(ENDPOINT) as client:
        for timeout in (0.1, 0):
            start = time.monotonic()
            error = ended(client.request(service, timeout=timeout), BrokerError)
            same((error.code, error.text), (404, "B_NO_SERVICE"))
            assert time.monotonic() - start >= timeout
        w.worker(service)
        first = client.request(service, b"1", timeout=0)
        task = w.hear(omdp1.Task)
        same(task.deadline, BUSY)  # it was dispatched, and now has the broker's busy limit
        same(code(client.request(service, timeout=0)), 408)
        same(code(client.request(service, timeout=0.1)), 408)
        w.ends(task, b"1")
        same(first.result(BOUND).body, (b"1",))
        late = client.request(service, b"3")
        task = w.hear(omdp1.Task)
        same(task.body, (b"3",))  # and not the expired one
        w.ends(task)
        late.result(BOUND)
        w.take(0)
        error = ended(client.request(service, timeout=0), BrokerError)
        same((error.code, error.text), (408, "B_EXPIRED"))
        waits = client.request(service, timeout=0.3)
        assert client.alive(BOUND)
        w.say(omdp1.Withdraw(service))
        same(code(waits), 408)  # the service was registered when the request was queued


@check
def timeout_and_deadline():
    """the deadline in TASK; PARTIAL and MORE restart the timeout; at its end both peers get 408"""
    service = name("deadline")
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        begin = time.monotonic()
        c.request(1, service, timeout=600, credit=1)
        task = w.hear(omdp1.Task)
        assert 0 < task.deadline <= 600, task.deadline
        same((task.attempt, task.priority, task.credit), (1, 4, 1))
        for _ in range(2):
            before, begin = quiet(c, begin), time.monotonic()
            w.say(omdp1.TaskPartial(task.ticket, body=(b"p",)), omdp1.Capacity(1))
            came = w.hear(omdp1.CapacityIs, omdp1.TaskCancel)
            in_time(before)
            same(came, omdp1.CapacityIs(1))
            c.hear(omdp1.Partial)
        before, begin = quiet(c, begin), time.monotonic()
        c.say(omdp1.More(1, 0))
        came = c.ask()
        in_time(before)
        same(came, [])
        error = c.hear(omdp1.Error)
        same((error.author, error.code, error.body), (omdp1.BY_BROKER, 408, (b"B_EXPIRED",)))
        assert time.monotonic() - begin > 0.55, "MORE did not begin it anew"
        same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(task.ticket, 408))
        c.request(2, service, timeout=NO_LIMIT)
        same((c.ask(), w.barrier()), ([], []))  # its slot is still occupied
        w.say(omdp1.TaskReject(task.ticket))
        second = w.hear(omdp1.Task)
        same(second.deadline, BUSY)
        w.ends(second)
        same(c.hear(omdp1.Final).id, 2)


def quiet(peer, begin):
    """Check that a peer receives nothing for most of 0.6 s. Return the end of that time."""
    end = begin + 0.55
    while (left := begin + 0.4 - time.monotonic()) > 0:
        if peer.socket.poll(int(left * 1000) + 1):
            in_time(end)
            raise AssertionError(f"{unpack(peer.frames())} comes")
    return end


def in_time(end):
    if time.monotonic() > end:
        raise Late


@check
def cancel_reaches_the_worker():
    """CANCEL becomes TASK-CANCEL 499; the worker's final message frees the slot and is not forwarded"""
    service, codes = name("cancel"), []

    def handler(task):
        if task.body:
            return task.body
        assert task.cancelled.wait(BOUND)
        codes.append(task.cancel_code)
        task.partial(b"nobody takes this")  # raises Cancelled

    with workers((service, handler)) as worker, Client(ENDPOINT) as client:
        reply = client.request(service)
        assert worker.wait(lambda: worker.tasks, BOUND)
        reply.cancel()
        same(client.request(service, b"next").result(BOUND).body, (b"next",))
        same(codes, [499])
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        c.request(1, service)
        ticket = w.hear(omdp1.Task).ticket
        c.say(omdp1.Cancel(1))
        same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(ticket, 499))
        c.request(2, service, b"next")
        same((c.ask(), w.barrier()), ([], []))
        w.say(omdp1.TaskFinal(ticket, body=(b"late",)))
        task = w.hear(omdp1.Task)
        assert task.ticket != ticket
        w.ends(task, *task.body)
        same(c.hear(omdp1.Final), omdp1.Final(2, (), (b"next",)))


@check
def cancel_of_one_that_waits():
    """CANCEL of a queued request: it is never dispatched; STILL-WANTED becomes TASK-WANTED"""
    service = name("cancel")
    with Peer() as w, Peer() as c:
        c.client()
        c.request(1, service, b"1")
        c.request(2, service, b"2")
        c.say(omdp1.Cancel(1), omdp1.Cancel(77), omdp1.StillWanted(77), omdp1.More(77, 1))
        same(c.ask(), [])
        w.worker(service)
        task = w.hear(omdp1.Task)
        same(task.body, (b"2",))
        c.say(omdp1.StillWanted(2))
        same(w.hear(omdp1.TaskWanted).ticket, task.ticket)


@check
def priority_order():
    """the highest priority first, and the oldest of equal ones; 255 counts as 9"""
    service = name("priority")
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        c.request(1, service, b"1")
        task = w.hear(omdp1.Task)
        for id, priority in [(2, 0), (3, 4), (4, 9), (5, 1), (6, 4), (7, 9), (8, 5)]:
            c.request(id, service, str(id).encode(), priority=priority)
        frame = bytearray(pack(omdp1.Request(9, 0, 4, 30_000, NO_LIMIT, service))[0])
        frame[10] = 255
        c.raw(bytes(frame), b"9")
        same(c.ask(), [])
        seen = []
        for _ in range(8):
            w.ends(task)
            task = w.hear(omdp1.Task)
            seen.append((int(task.body[0]), task.priority))
        same(seen, [(4, 9), (7, 9), (9, 9), (8, 5), (3, 4), (6, 4), (5, 1), (2, 0)])


@check
def target_worker():
    """target: the worker named by REGISTERED; a missing, unsuitable or disconnecting target: 404 or 502"""
    service, other = name("target"), name("other")
    with Peer() as a, Peer(identity=b"the-target") as b, Peer() as c:
        a.worker(service)
        b.worker(service)
        same(b.name, "the-target")
        assert a.name and a.name != b.name
        c.client()
        for id, worker in enumerate((b, a, b, b)):
            c.request(id, service, b"x", target=worker.name)
            worker.ends(worker.hear(omdp1.Task))
            same(c.hear(omdp1.Final).id, id)
        c.request(12, service, target="nobody-here")
        error = c.hear(omdp1.Error)
        same((error.code, error.body), (404, (b"B_NO_WORKER",)))
        a.register(other)
        c.request(13, other, target=b.name)
        same(c.hear(omdp1.Error).code, 404)
        c.request(14, service, target=b.name, flags=omdp1.REDELIVER)
        b.hear(omdp1.Task)
        c.request(15, service, target=b.name, timeout=0)
        same(c.hear(omdp1.Error).code, 408)
        c.request(16, service, target=b.name)
        same((c.ask(), a.barrier()), ([], []))
        b.say(omdp1.Goodbye())  # the target disconnects while one request is in flight and one is queued
        same(sorted((e.id, e.code) for e in (c.hear(omdp1.Error), c.hear(omdp1.Error))), [(14, 502), (16, 404)])


@check
def notices():
    """NOTICE: queued, dispatched, redelivered, at work; none without the flag"""
    service, both = name("notices"), omdp1.NOTICES | omdp1.REDELIVER
    with Peer() as w1, Peer() as w2, Peer() as c:
        c.client()
        c.request(1, service, flags=both)
        same(c.hear(omdp1.Notice).what, omdp1.QUEUED)
        w1.worker(service)
        w1.hear(omdp1.Task)
        same(c.hear(omdp1.Notice).what, omdp1.DISPATCHED)
        w2.worker(service)
        w1.say(omdp1.Goodbye())
        task = w2.hear(omdp1.Task)
        same(task.attempt, 2)
        w2.say(omdp1.TaskAtWork(task.ticket), omdp1.TaskFinal(task.ticket))
        same([c.hear(omdp1.Notice).what for _ in range(2)], [omdp1.REDELIVERED, omdp1.AT_WORK])
        c.hear(omdp1.Final)
        c.request(2, service)
        task = w2.hear(omdp1.Task)
        w2.say(omdp1.TaskAtWork(task.ticket), omdp1.TaskFinal(task.ticket))
        c.hear(omdp1.Final)
    with workers((service, lambda task: task.at_work())), Client(ENDPOINT) as client:
        reply = client.request(service, flags=omdp1.NOTICES)
        reply.result(BOUND)
        same(reply.notices, [omdp1.DISPATCHED, omdp1.AT_WORK])


@check
def kept_replies():
    """keep: equal requests get the cached reply, with any headers and without a worker; `fresh` ones do not"""
    service, runs = name("keep"), []

    def handler(task):
        runs.append(task.body)
        return Final([str(len(runs)).encode()], {"n": b"1"}, keep=600)

    with Client(ENDPOINT) as client:
        ask = lambda body, **options: client.request(service, body, **options).result(BOUND).body[0]
        with workers((service, handler)) as worker:
            same([ask(b"a"), ask(b"a"), ask(b"b"), ask(b"a", headers={"x": b"y"})], [b"1", b"1", b"2", b"1"])
            same([ask(b"a", flags=omdp1.FRESH), ask(b"a")], [b"3", b"3"])
            same(ask(b"a", target=worker.registered[service]), b"4")
        same(ask(b"a"), b"4")


# --- Workers -------------------------------------------------------------------------------------


@check
def several_services():
    """several services of one worker share its capacity of 1; withdraw one, and all"""
    a, b = name("a"), name("b")
    with Peer() as w, Peer() as c:
        w.worker(a, b)
        c.client()
        c.request(1, a)
        task = w.hear(omdp1.Task)
        c.request(2, b)
        same((c.ask(), w.barrier()), ([], []))
        w.say(omdp1.Withdraw(a), omdp1.TaskFinal(task.ticket))  # its task in flight continues
        same(c.hear(omdp1.Final).id, 1)
        task = w.hear(omdp1.Task)
        same(task.service, b)
        w.ends(task)
        same(c.hear(omdp1.Final).id, 2)
        c.request(3, a, timeout=0)
        same(c.hear(omdp1.Error).code, 404)
        w.say(omdp1.Withdraw())
        same(w.barrier(), [])
        c.request(4, b, timeout=0)
        same(c.hear(omdp1.Error).code, 404)
        w.register(a)
        c.request(5, a)
        same(w.hear(omdp1.Task).service, a)
    with workers((a, lambda task: b"a"), (b, lambda task: b"b"), capacity=2) as worker, Client(ENDPOINT) as client:
        same([client.request(s).result(BOUND).body for s in (a, b)], [(b"a",), (b"b",)])
        worker.withdraw(a)
        late = name("late")
        worker.offer(late, lambda task: b"late")
        assert worker.wait(lambda: late in worker.registered, BOUND)
        same(code(client.request(a, timeout=0)), 404)
        same([client.request(s).result(BOUND).body for s in (b, late)], [(b"b",), (b"late",)])


@check
def wildcards():
    """`prefix*` matches names without @ that no worker offers exactly; the longest prefix wins"""
    prefix = name("wild") + "."
    with workers((prefix + "*", lambda t: [b"short", t.service.encode()])), Client(ENDPOINT) as client:
        ask = lambda s: client.request(s, timeout=BOUND).result(BOUND).body
        same(ask(prefix + "x"), (b"short", (prefix + "x").encode()))
        same(ask(prefix + "*"), (b"short", (prefix + "*").encode()))
        same(code(client.request(prefix + "x@1.0.0", timeout=0)), 404)
        with workers((prefix + "x*", lambda t: b"long"), (prefix + "x.y", lambda t: b"exact"), capacity=9):
            same(ask(prefix + "x.y"), (b"exact",))
            same(ask(prefix + "x.z"), (b"long",))
            same(ask(prefix + "z")[0], b"short")


@check
def versions():
    """`name@1.4.0` matches itself and ranges, the highest first, but neither `name` nor `name@^2`"""
    stock = name("stock")
    with workers((stock + "@1.10.0", lambda t: [b"1.10", t.service.encode()])), Client(ENDPOINT) as client:
        with workers((stock + "@1.3.0", lambda t: [b"1.3", t.service.encode()])):
            for wanted, version in (("@^1.2", b"1.10"), ("@~1.3.0", b"1.3"), ("@1.10.0", b"1.10"), ("@1.x", b"1.10")):
                body = client.request(stock + wanted, timeout=BOUND).result(BOUND).body
                same(body, (version, (stock + wanted).encode()))
            same(code(client.request(stock + "@^2", timeout=0)), 404)
            same(code(client.request(stock, timeout=0)), 404)
    with workers(*[(f"{stock}@1.{n}.0", lambda t, n=n: str(n)) for n in (9, 10)]), Client(ENDPOINT) as client:
        same(client.request(stock + "@^1.2").result(BOUND).body, (b"10",))


@check
def capacity_while_it_runs():
    """capacity: default 1, raised to 3, lowered as requests end, drained with 0, raised again, unlimited"""
    service = name("capacity")
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        for id in range(1, 9):
            c.request(id, service, str(id).encode())
        same(c.ask(), [])
        tasks = w.barrier()
        same(len(tasks), 1)
        tasks += w.take(3)
        same(len(tasks), 3)

        def end(task):
            w.ends(task, *task.body)
            same(c.hear(omdp1.Final).body, task.body)
            return w.barrier()

        same(w.take(2), [])
        same(end(tasks.pop(0)), [])
        (task,) = end(tasks.pop(0))
        tasks.append(task)
        same(w.take(0), [])
        while tasks:
            same(end(tasks.pop()), [])
        same([t.body for t in w.take(NO_LIMIT)], [(b"5",), (b"6",), (b"7",), (b"8",)])


@check
def drain():
    """a worker drains while requests arrive: each is processed or queued for another worker, none is lost"""
    service = name("drain")
    gate = threading.Event()

    def slow(task):
        assert gate.wait(BOUND)
        return b"one"

    with Client(ENDPOINT) as client:
        one = Worker(ENDPOINT, capacity=4)
        one.offer(service, slow)
        one.start()
        replies = [client.request(service) for _ in range(10)]
        assert one.wait(lambda: len(one.tasks) == 4, BOUND)
        one.set_capacity(0)
        gate.set()  # tasks in transit are processed in any case
        assert one.drain(BOUND)
        one.close()
        with workers((service, lambda task: b"another"), capacity=9):
            bodies = [reply.result(BOUND).body[0] for reply in replies]
        assert bodies.count(b"one") >= 4, bodies
        same(bodies.count(b"one") + bodies.count(b"another"), 10)


@check
def capacity_before_ready():
    """CAPACITY before READY, including 0; HELLO resets it to 1"""
    service = name("capacity")
    with Peer() as w, Peer() as c:
        w.worker(service, capacity=0)
        c.client()
        for id in (1, 2, 3):
            c.request(id, service, flags=omdp1.REDELIVER)
        same((c.ask(), w.barrier()), ([], []))
        same(len(w.take(2)), 2)
        w.say(omdp1.Goodbye(), omdp1.Hello(role=omdp1.WORKER), omdp1.Ready(service), omdp1.Ready(service))
        w.hear(omdp1.Welcome)
        w.hear(omdp1.Registered)
        w.hear(omdp1.Task)
        w.hear(omdp1.Registered)


@check
def goodbye_of_a_worker():
    """a worker sends GOODBYE: 502; redelivery with `redeliver`, but not after a part"""
    service = name("goodbye")
    with Peer() as w1, Peer() as w2, Peer() as c:
        w1.worker(service, capacity=9)
        c.client()
        c.request(1, service)
        c.request(2, service, flags=omdp1.REDELIVER)
        c.request(3, service, flags=omdp1.REDELIVER)
        tickets = [w1.hear(omdp1.Task).ticket for _ in range(3)]
        w1.say(omdp1.TaskPartial(tickets[2], body=(b"p",)))
        same(c.hear(omdp1.Partial).id, 3)
        w1.say(omdp1.Goodbye())
        errors = [c.hear(omdp1.Error), c.hear(omdp1.Error)]
        same(sorted((e.id, e.code, e.body) for e in errors), [(n, 502, (b"B_WORKER_LOST",)) for n in (1, 3)])
        w2.worker(service)
        w2.ends(w2.hear(omdp1.Task))
        same(c.hear(omdp1.Final).id, 2)
        w1.say(omdp1.Heartbeat(), omdp1.Ready(service), omdp1.TaskFinal(b"what"))
        w1.worker(name("back"))  # WELCOME is its first message
        # Its earlier tasks are late, which is not a protocol violation.
        w1.say(omdp1.TaskFinal(tickets[0]), omdp1.TaskAtWork(tickets[1]))
        same(w1.barrier(), [])


@check
def goodbye_of_a_client():
    """a client sends GOODBYE or is lost: TASK-CANCEL 499; after GOODBYE all messages except HELLO are ignored"""
    service = name("goodbye")
    with Peer() as w, Peer() as c:
        w.worker(service, capacity=9)
        c.client()
        c.request(1, service)
        ticket = w.hear(omdp1.Task).ticket
        c.say(omdp1.Goodbye())
        c.request(2, service)
        c.say(omdp1.Heartbeat())
        same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(ticket, 499))
        c.say(omdp1.Hello())
        assert isinstance(unpack(c.frames(heartbeats=True)), omdp1.Welcome)
        same(w.barrier(), [])
        with Peer() as c2:
            c2.client()
            c2.request(1, service)
            ticket = w.hear(omdp1.Task).ticket
        same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(ticket, 499))


@check
def lost_worker():
    """a worker is lost with its connection (502); a silent worker gets 504 and may reconnect"""
    service = name("lost")
    with Peer() as c:
        c.client()
        with Peer() as w:
            w.worker(service)
            c.request(1, service)
            w.hear(omdp1.Task)
        same(c.hear(omdp1.Error).code, 502)
        with Peer() as w:
            start = time.monotonic()
            w.worker(service, heartbeat=200)
            same(w.hear(omdp1.Disconnect).code, 504)
            assert time.monotonic() - start >= 0.2 * w.welcome.liveness
            w.worker(service)


@check
def heartbeats():
    """the broker sends heartbeats to workers at WELCOME's interval; a client's HEARTBEAT is answered"""
    with Broker("--heartbeat-interval", "200ms") as broker, Peer(broker.endpoint) as w, Peer(broker.endpoint) as c:
        w.worker(name("hb"))
        same(w.welcome.heartbeat, 200)
        for _ in range(2):
            same(w.frames(heartbeats=True), [b"\x03"])
        c.client()
        for _ in range(3):
            same(c.ask(), [])


@check
def message_max_of_peers():
    """message-max limits the whole message: 384 octets less are accepted with headers, more is 415"""
    service, headers = name("large"), (("a", bytes(10)),)  # 16 octets
    with Peer() as w, Peer() as c:
        w.worker(service, message_max=1000)
        c.client(message_max=1000)

        def body(octets, **rest):
            c.request(1, service, bytes(octets), headers=headers, **rest)

        body(600)
        message = w.frames()
        task = unpack(message)
        assert sum(map(len, message)) <= 1000
        w.say(omdp1.TaskPartial(task.ticket, headers, (bytes(600),)), omdp1.TaskFinal(task.ticket, 0, headers, (bytes(601),)))
        assert sum(map(len, c.frames())) <= 1000
        error = c.hear(omdp1.Error)
        same((error.author, error.code, error.body), (1, 415, (b"B_TRANSLATE",)))
        body(1000)
        same(c.hear(omdp1.Error).code, 415)
        same(w.barrier(), [])
        body(1)
        task = w.hear(omdp1.Task)
        w.say(omdp1.TaskPartial(task.ticket, body=(bytes(1001),)))
        same(c.hear(omdp1.Error).code, 415)
        same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(task.ticket, 499))
        w.ends(task)
        body(1)
        w.say(omdp1.TaskError(w.hear(omdp1.Task).ticket, 422, headers, (bytes(1000),)))
        same(c.hear(omdp1.Error), omdp1.Error(1, 2, 422, headers, ()))  # without its body


# --- Protocol violations -------------------------------------------------------------------------


def hello_again(peer, role):
    """Check that a HELLO on the same connection restores the session."""
    if role == "worker":
        peer.worker(name("back"))
    else:
        same(peer.client().ask(), [])


def add_vectors():
    """Add the vectors of section 14.2: invalid messages to a broker, and its answers."""

    def run(role, message, outcome):
        with Peer() as peer:
            if role != "first":
                hello_again(peer, role)
            peer.raw(*message)
            if role != "first":
                peer.say(omdp1.Heartbeat(), omdp1.Cancel(1), omdp1.Ready("mmi.x"))  # all of it is ignored
            if outcome != "No answer.":
                came = peer.hear(omdp1.Disconnect)
                same(f"DISCONNECT {came.code}.", outcome)
                same(came.text == "HELLO first", role == "first" and outcome == "DISCONNECT 400." and message[0][0] != 1)
            hello_again(peer, "client" if role == "first" else role)

    for title, lines in messages("### 14.2 "):
        who, outcome = title.split(" to ")[0], title.rsplit(". ", 1)[1]
        if who != "broker":
            vector = lambda who=who, message=octets(lines), outcome=outcome: run(who, message, outcome)
            vector.__doc__ = f"14.2: {title}"
            check(vector)


add_vectors()


@check
def violations_that_are_no_vectors():
    """a second HELLO or WELCOME, a reserved name, tickets that were never issued"""
    ticket = b"never"
    for role, item, wanted in (
        ("client", omdp1.Hello(), 400),
        ("client", omdp1.Welcome(1, 1, 1, 0, 1, 1, ""), 400),
        ("client", omdp1.Disconnect(400), 400),
        ("worker", omdp1.Hello(role=omdp1.WORKER), 400),
        ("worker", omdp1.Ready("mmi.mine"), 403),
        ("worker", omdp1.TaskFinal(ticket), 403),
        ("worker", omdp1.TaskPartial(ticket), 403),
        ("worker", omdp1.TaskError(ticket, 500), 403),
        ("worker", omdp1.TaskReject(ticket), 403),
        ("worker", omdp1.TaskAtWork(ticket), 403),
    ):
        with Peer() as peer:
            hello_again(peer, role)
            peer.say(item)
            same((item, peer.hear(omdp1.Disconnect).code), (item, wanted))
            hello_again(peer, role)
    with Peer() as peer:
        peer.worker()  # and no READY
        peer.say(omdp1.TaskFinal(ticket))
        same(peer.hear(omdp1.Disconnect).code, 400)


@check
def before_hello():
    """messages before HELLO are answered once, and HELLO always; none of them precedes WELCOME"""
    with Peer() as peer:
        for _ in range(3):
            peer.raw(b"\x03")
        same(peer.hear(omdp1.Disconnect).text, "HELLO first")
        peer.raw(b"\x12" + bytes(8))
        for _ in range(2):
            peer.say(omdp1.Hello(version_min=2, version_max=3))
            same(peer.hear(omdp1.Disconnect).code, 505)
        peer.raw(b"\x03")
        hello_again(peer, "worker")  # the connection has no role yet


@check
def role_and_version_of_a_connection():
    """HELLO with another role, without a common version or malformed is ignored after DISCONNECT"""
    for wrong in (
        pack(omdp1.Hello(role=omdp1.WORKER)),
        pack(omdp1.Hello(version_min=2, version_max=3)),
        [b"\x01OMDP\x01"],
    ):
        with Peer() as peer:
            hello_again(peer, "client")
            peer.raw(b"\x7f")
            same(peer.hear(omdp1.Disconnect).code, 400)
            peer.raw(*wrong)
            hello_again(peer, "client")


@check
def versions_of_the_protocol():
    """HELLO with versions 0 to 0, 0 to 9, 1 to 255 and 1 to 0: version 1"""
    for low, high in ((0, 0), (0, 9), (1, 255), (1, 0)):
        with Peer() as peer:
            peer.raw(b"\x01OMDP" + bytes([low, high]) + pack(omdp1.Hello())[0][7:])
            same(peer.hear(omdp1.Welcome).version, 1)


@check
def id_in_progress():
    """a REQUEST with an id in progress: ERROR 400 in every case, and the first request continues"""
    service = name("twice")
    with Peer() as w, Peer() as c:
        w.worker(service, capacity=9)
        c.client()
        c.request(1, service, b"first")
        for asked in (service, "mmi.service", "$dir"):
            c.request(1, asked, b"second")
            error = c.hear(omdp1.Error)
            same((error.id, error.author, error.code, error.body), (1, 1, 400, (b"B_BUSY",)))
        task = w.hear(omdp1.Task)
        same((task.body, w.barrier()), ((b"first",), []))
        w.ends(task, b"first")
        same(c.hear(omdp1.Final), omdp1.Final(1, (), (b"first",)))


@check
def harmless():
    """a second READY is answered; unknown WITHDRAW, ended tickets, unknown flags, trailing octets"""
    service = name("harmless")
    with Peer() as w, Peer() as c:
        w.worker(service)
        w.say(omdp1.Withdraw("nobody-offers-this"))
        same(w.register(service), w.name)
        c.client()
        frame = bytearray(pack(omdp1.Request(1, 0, 4, 30_000, NO_LIMIT, service))[0])
        frame[9] = 0xF0
        c.raw(bytes(frame) + b"octets of version 2", b"body")
        task = w.hear(omdp1.Task)
        same(task.body, (b"body",))
        w.raw(pack(omdp1.TaskAtWork(task.ticket))[0] + b"later")
        w.raw(pack(omdp1.TaskFinal(task.ticket))[0] + b"later", b"x")
        same(c.hear(omdp1.Final).body, (b"x",))
        w.say(omdp1.TaskPartial(task.ticket), omdp1.TaskFinal(task.ticket), omdp1.TaskAtWork(task.ticket))
        w.say(omdp1.TaskReject(task.ticket))
        same((w.barrier(), c.ask()), ([], []))
        c.raw(b"\x03later")
        same(c.frames(heartbeats=True), [b"\x03"])


@check
def ticket_of_another():
    """a ticket of another worker, or of an earlier connection: 403; from before DISCONNECT: ignored"""
    service = name("stolen")
    with Peer() as w, Peer() as thief, Peer() as c:
        w.worker(service, capacity=2)
        thief.worker(name("thief"))
        c.client()
        c.request(1, service)
        ticket = w.hear(omdp1.Task).ticket
        thief.say(omdp1.TaskFinal(ticket, body=(b"stolen",)))
        same(thief.hear(omdp1.Disconnect).code, 403)
        same(c.ask(), [])
        w.say(omdp1.TaskFinal(ticket))
        c.hear(omdp1.Final)
        c.request(2, service)
        ticket = w.hear(omdp1.Task).ticket
        w.raw(b"\x7f")
        same(w.hear(omdp1.Disconnect).code, 400)
        same(c.hear(omdp1.Error).code, 502)
        w.worker(service)
        w.say(omdp1.TaskFinal(ticket))
        same(w.barrier(), [])
        w.say(omdp1.Goodbye())
        with Peer(identity=b"fixed") as first:
            first.worker(service)
            c.request(3, service)
            ticket = first.hear(omdp1.Task).ticket
        same(c.hear(omdp1.Error).code, 502)
        with Peer(identity=b"fixed") as second:
            second.worker(service)
            second.say(omdp1.TaskFinal(ticket))
            same(second.hear(omdp1.Disconnect).code, 403)


@check
def frames_max():
    """frames-max includes the command frame; one more closes the connection, and libzmq reconnects silently"""
    service = name("frames")
    with Peer() as w, Peer() as c:
        w.worker(service)
        c.client()
        count = c.welcome.frames_max
        c.request(1, service, *[b"f"] * (count - 1))
        task = w.hear(omdp1.Task)
        same(len(task.body), count - 1)
        w.ends(task, *task.body)
        same(len(c.hear(omdp1.Final).body), count - 1)
        monitor = c.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        c.request(2, service, *[b"f"] * count)
        assert monitor.poll(int(BOUND * 1000)), "not closed"
        c.socket.disable_monitor()
        monitor.close()
        c.raw(b"\x03")
        same(c.hear(omdp1.Disconnect).text, "HELLO first")
        hello_again(c, "client")
        same(w.barrier(), [])


@check
def same_identity():
    """two connections with one identity, the first one live: the second gets 409, in any role"""
    with Peer(identity=b"same") as a, Peer(identity=b"same") as b:
        a.client()
        b.say(omdp1.Hello(role=omdp1.WORKER))
        while not b.socket.poll(100):
            same(a.ask(), [])
        same(b.hear(omdp1.Disconnect).code, 409)
        same(a.ask(), [])


# --- The broker's own services, and the conversations --------------------------------------------


@check
def own_services():
    """`mmi.service` and other names that start with `mmi.`; `$dir`, for one service and for all"""
    service, wild = name("mmi"), name("wild") + "."
    with Peer() as w, Client(ENDPOINT) as client:
        w.worker(service, wild + "*")
        ask = lambda *question: client.request(*question, target="nobody").result(BOUND).body
        same([ask("mmi.service", s) for s in (service, "nobody", wild + "x")], [(b"200",), (b"404",), (b"200",)])
        same(ask("mmi.nope"), (b"501",))
        same((ask("$dir", service), ask("$dir", "nobody")), ((f'["{w.name}"]'.encode(),), (b"[]",)))
        same((ask("$dir"), ask("$dir", "")), *[(body, body) for body in [ask("$dir")]])
        assert f'"{wild}*":["{w.name}"]'.encode() in ask("$dir")[0]


@check
def conversations():
    """the two conversations of appendix C, word for word, with a broker with default settings"""
    texts = list(messages("## Appendix C"))
    here = [(title, octets(lines)) for title, lines in texts if "worker" in title.split(":")[0]]
    there = [(title, octets(lines)) for title, lines in texts if "client" in title.split(":")[0]]
    tickets, said = {}, []

    def play(peer, story):
        for title, frames in story:
            item = unpack(frames)
            if "to broker" in title.split(":")[0]:
                if (ticket := getattr(item, "ticket", None)) is not None:
                    item = omdp1.replace(item, ticket=tickets[ticket])
                peer.say(item)
            else:
                came = unpack(peer.frames(heartbeats=True))
                if isinstance(item, omdp1.Task):
                    tickets[item.ticket] = came.ticket
                if hasattr(item, "ticket"):
                    came = omdp1.replace(came, ticket=next(k for k, v in tickets.items() if v == came.ticket))
                same(came, item)
            said.append(title)

    with Broker() as broker, Peer(broker.endpoint, b"W1") as w, Peer(broker.endpoint) as c:
        play(w, here[:6])  # until it is registered
        failed = []

        def client():
            try:
                play(c, there)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=client)
        thread.start()
        try:
            play(w, here[6:])
        finally:
            thread.join()
        assert not failed, failed
        same(len(said), len(texts))


# --- The program's client and worker -------------------------------------------------------------


def run(*arguments):
    return subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill(process):
    process.kill()
    process.communicate()


@check
def client_against_program():
    """client.py against `majordomus worker --echo`, and with a credit of 2 against `--stream --exec seq`"""
    service, count, fails = name("echo"), name("seq"), name("fails")
    processes = [
        run("worker", service, "--echo", "-b", ENDPOINT, "--concurrency", "4"),
        run("worker", count, "-b", ENDPOINT, "--stream", "--exec", "seq", "200"),
        run("worker", fails, "-b", ENDPOINT, "--exec", "sh", "-c", "echo broken >&2; exit 3"),
    ]
    try:
        with Client(ENDPOINT) as client:
            replies = [client.request(service, [str(i), b"\0\xff", b""]) for i in range(50)]
            for i, reply in enumerate(replies):
                same(reply.result(BOUND).body, (str(i).encode(), b"\0\xff", b""))
            reply = client.request(count, credit=2)
            same([int(part.body[0]) for part in reply], list(range(1, 201)))
            reply.result(BOUND)
            same(ended(client.request(fails), WorkerError).body, (b"broken",))
    finally:
        for process in processes:
            kill(process)


@check
def worker_against_program():
    """worker.py against `majordomus request`: frames, parts, an error"""
    service = name("py")

    def handler(task):
        if task.body == (b"fail",):
            raise TaskFailed(422, "no paper")
        task.partial(b"part")
        return task.body

    with workers((service, handler)):
        process = run("request", service, "a", "b", "-b", ENDPOINT, "-t", "20s")
        out, err = process.communicate(timeout=BOUND)
        same((process.returncode, out), (0, b"part\na\nb\n"))
        process = run("request", service, "fail", "-b", ENDPOINT, "-t", "20s")
        out, err = process.communicate(timeout=BOUND)
        same((process.returncode, out), (1, b""))
        assert b"no paper" in err, err


# --- Brokers that exit, stop, or have other limits -----------------------------------------------


def served(client, service):
    """Return the reply to a client that reconnects as often as necessary."""
    end = time.monotonic() + BOUND
    while True:
        try:
            return client.request(service, b"x", timeout=BOUND).result(BOUND).body
        except ConnectionLost:
            assert time.monotonic() < end, "it does not come back"


@check
def broker_restart():
    """the broker is killed and restarted: worker.py registers again, client.py detects it and retries"""
    service = name("restart")
    broker = Broker("--heartbeat-interval", "200ms")
    with broker:
        worker = Worker(broker.endpoint, heartbeat=0.2)
        worker.offer(service, echo)
        worker.start()
        client = Client(broker.endpoint)
        same(served(client, service), (b"x",))
        pending = client.request(name("none"))
        assert client.alive(BOUND)
    with broker:
        same(served(client, service), (b"x",))
        assert isinstance(pending.outcome, ConnectionLost), pending.outcome
        assert worker.connections >= 2
        worker.close()
        client.close()


@check
def silent_broker():
    """the broker is stopped: client.py and worker.py detect its silence, and reconnect when it continues"""
    service = name("silent")
    with Broker("--heartbeat-interval", "200ms") as broker:
        worker = Worker(broker.endpoint, heartbeat=0.2)
        worker.offer(service, echo)
        worker.start()
        client = Client(broker.endpoint)
        same(served(client, service), (b"x",))
        connections = worker.connections
        broker.process.send_signal(signal.SIGSTOP)
        try:
            client.request(service).result(BOUND)
            raise AssertionError("a reply of a broker that is stopped")
        except ConnectionLost as error:
            same(error.code, 0)
        assert worker.wait(lambda: worker.connections > connections, BOUND)
        broker.process.send_signal(signal.SIGCONT)
        same(served(client, service), (b"x",))
        worker.close()
        client.close()


@check
def broker_shutdown():
    """the broker shuts down: ERROR 503 for each request, DISCONNECT 503 to all peers, and no TASK-CANCEL"""
    service = name("shutdown")
    with Broker() as broker, Peer(broker.endpoint) as w, Peer(broker.endpoint) as idle, Peer(broker.endpoint) as c:
        w.worker(service)
        idle.worker(name("idle"))
        c.client()
        c.request(1, service)
        w.hear(omdp1.Task)
        c.request(2, service)
        same(c.ask(), [])
        broker.process.terminate()
        errors = [c.hear(omdp1.Error), c.hear(omdp1.Error)]
        same(sorted((e.id, e.code, e.body) for e in errors), [(n, 503, (b"B_SHUTDOWN",)) for n in (1, 2)])
        same([peer.hear(omdp1.Disconnect).code for peer in (c, w, idle)], [503, 503, 503])


@check
def limits():
    """limits: requests-max in WELCOME, and 429 if it is reached"""
    with Broker("--client-requests-max", "2") as broker, Peer(broker.endpoint) as c:
        c.client()
        same(c.welcome.requests_max, 2)
        for id in (1, 2, 3):
            c.request(id, name("none"))
        error = c.hear(omdp1.Error)
        same((error.id, error.author, error.code, error.body), (3, 1, 429, (b"B_BUSY",)))
        c.say(omdp1.Cancel(1))
        c.request(4, name("none"))
        same(c.ask(), [])


@check
def busy_limit():
    """the busy limit: 502, or 408 with the broker's timeout; 504 with a capacity of 1, otherwise TASK-CANCEL"""
    service = name("long")
    for capacity in (1, 2):
        with Broker("--busy-timeout", "300ms") as broker, Peer(broker.endpoint) as c:
            c.client()
            with Peer(broker.endpoint) as w, Peer(broker.endpoint) as other:
                w.worker(service, capacity=capacity)
                c.request(1, service, timeout=NO_LIMIT, flags=omdp1.REDELIVER)
                task = w.hear(omdp1.Task)
                assert task.deadline <= 300
                w.say(omdp1.TaskAtWork(task.ticket))
                other.worker(service)
                if capacity == 1:
                    same(w.hear(omdp1.Disconnect).code, 504)
                    other.ends(other.hear(omdp1.Task))
                    same(c.hear(omdp1.Final).id, 1)
                    c.request(2, service, timeout=NO_LIMIT)
                    other.hear(omdp1.Task)
                    error = c.hear(omdp1.Error)
                    same((error.id, error.code, error.body), (2, 502, (b"B_WORKER_LOST",)))
                    same(other.hear(omdp1.Disconnect).code, 504)
                    continue
                error = c.hear(omdp1.Error)
                same((error.id, error.code, error.body), (1, 502, (b"B_WORKER_LOST",)))
                same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(task.ticket, 499))
                same(other.barrier(), [])  # with `redeliver` or not
                other.say(omdp1.Goodbye())
                c.request(2, service, timeout=omdp1.BROKER_DEFAULT)
                c.request(3, service, timeout=omdp1.BROKER_DEFAULT)
                second = w.hear(omdp1.Task)
                same(w.hear(omdp1.TaskCancel), omdp1.TaskCancel(second.ticket, 408))
                error = c.hear(omdp1.Error)
                same((error.id, error.code), (2, 408))
                same(w.barrier(), [])  # both slots are still occupied
                w.ends(task)
                same(w.hear(omdp1.Task).ticket not in (task.ticket, second.ticket), True)


@check
def not_wanted():
    """worker.py ends with Stopped after 403 or 409, and client.py does not reconnect after 409"""
    worker = Worker(ENDPOINT)
    worker.offer("mmi.mine", echo)
    with Peer(identity=b"owner") as owner, Client(ENDPOINT, identity=b"owner") as client:
        owner.client()
        for peer in (worker, Worker(ENDPOINT, identity=b"owner")):
            try:
                peer.run()
                raise AssertionError("it runs")
            except Stopped as error:
                same(str(error)[:3], "403", "409")
        for _ in range(2):
            try:
                client.request("echo").result(BOUND)
                raise AssertionError("it is served")
            except ConnectionLost as error:
                same(error.code, 409)


def main():
    global PROGRAM, ENDPOINT
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    PROGRAM, words = sys.argv[1], sys.argv[2:]
    passed, failed = 0, []
    with Broker("--reject-wait", "100ms") as broker:
        ENDPOINT = broker.endpoint
        for function in CHECKS:
            if words and not any(word in function.__name__ + function.__doc__ for word in words):
                continue
            start = time.monotonic()
            faulthandler.dump_traceback_later(90, exit=True)  # nothing here takes that long
            try:
                for attempt in range(5):
                    try:
                        function()
                        break
                    except Late:
                        print(f"late {function.__doc__}")
                        if attempt == 4:
                            raise
                passed += 1
                print(f"ok   {function.__doc__} ({time.monotonic() - start:.2f} s)", flush=True)
            except Exception as error:
                failed.append(function.__doc__)
                where = traceback.extract_tb(error.__traceback__)
                lines = " < ".join(str(f.lineno) for f in reversed(where) if f.filename == __file__)
                print(f"FAIL {function.__doc__}: {error!r} (lines {lines})", flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
