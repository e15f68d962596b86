"""Encoder and decoder for the commands of OMDP/1, the Open Majordomo Protocol, version 1.

Every command of the specification is a frozen dataclass with its fields in wire order. `as_read`
replaces values that stand for other values. `pack` encodes a command as the frames of a message,
and `unpack` decodes frames:

    >>> [frame.hex() for frame in pack(Cancel(id=258))]
    ['120000000000000102']
    >>> unpack([bytes.fromhex("120000000000000102")])
    Cancel(id=258)

The field `body` of a command with a body is a tuple of frames.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Annotated, Any, Iterable, Mapping, Sequence, Union, get_type_hints

NO_LIMIT = 0xFFFFFFFF  # for a time, a count or a credit
BROKER_DEFAULT = 0xFFFFFFFE  # for a request's timeout: the broker's default for the service
CLIENT, WORKER = 1, 2  # roles
REDELIVER, FRESH, DURABLE, NOTICES = 1, 2, 4, 8  # flags of a request
BY_BROKER, BY_WORKER = 1, 2  # authors of an error
QUEUED, DISPATCHED, REDELIVERED, AT_WORK = 1, 2, 3, 4  # notices

Headers = tuple[tuple[str, bytes], ...]  # in wire order; names may repeat
Body = tuple[bytes, ...]


class Malformed(ValueError):
    """A command that violates the specification (section 3)."""


# --- Field types ---------------------------------------------------------------------------------


class Number:
    """An unsigned number. A value outside its range becomes the nearest valid one (section 8)."""

    def __init__(self, size: int, low: int = 0, high: int | None = None):
        self.size, self.low = size, low
        self.high = 256**size - 1 if high is None else high

    def pack(self, value: int) -> bytes:
        return min(max(value, self.low), self.high).to_bytes(self.size, "big")

    def unpack(self, data: bytes, at: int) -> tuple[int, int]:
        octets, at = take(data, at, self.size)
        return min(max(int.from_bytes(octets, "big"), self.low), self.high), at


class Short:
    """A byte string with a length of one octet."""

    def __init__(self, low: int = 0):
        self.low = low

    def pack(self, value: bytes) -> bytes:
        if not self.low <= len(value) <= 255:
            raise Malformed(f"{len(value)} octets where {self.low} to 255 may be")
        return bytes([len(value)]) + value

    def unpack(self, data: bytes, at: int) -> tuple[bytes, int]:
        length, at = take(data, at, 1)
        value, at = take(data, at, length[0])
        if len(value) < self.low:
            raise Malformed("empty, where something must be")
        return value, at


class Text(Short):
    """A short string in UTF-8. Invalid UTF-8 is accepted in text that is only for people."""

    def pack(self, value: str) -> bytes:  # type: ignore[override]
        return super().pack(value.encode())

    def unpack(self, data: bytes, at: int) -> tuple[str, int]:  # type: ignore[override]
        value, at = super().unpack(data, at)
        return value.decode(errors="replace"), at


class ServiceName(Text):
    """A short string with the name of a service (section 5)."""

    def pack(self, value: str) -> bytes:  # type: ignore[override]
        packed = super().pack(value)
        check_service(packed[1:])
        return packed

    def unpack(self, data: bytes, at: int) -> tuple[str, int]:  # type: ignore[override]
        value, at = Short.unpack(self, data, at)
        return check_service(value), at


class HeaderList:
    """A header list: its length in octets, then a short name and a long value for each header."""

    def pack(self, value: Headers) -> bytes:
        packed = b"".join(
            Short(1).pack(check_header_name(name.encode())) + len(octets).to_bytes(4, "big") + octets
            for name, octets in value
        )
        if len(packed) > 0xFFFF:
            raise Malformed(f"{len(packed)} octets of headers where 65535 may be")
        return len(packed).to_bytes(2, "big") + packed

    def unpack(self, data: bytes, at: int) -> tuple[Headers, int]:
        length, at = take(data, at, 2)
        part, end = take(data, at, int.from_bytes(length, "big"))
        headers, at = [], 0
        while at < len(part):
            name, at = Short(1).unpack(part, at)
            size, at = take(part, at, 4)
            octets, at = take(part, at, int.from_bytes(size, "big"))
            headers.append((check_header_name(name).decode(), octets))
        return tuple(headers), end


class Signature:
    """The four octets that identify a HELLO."""

    def pack(self, value: bytes) -> bytes:
        return b"OMDP"

    def unpack(self, data: bytes, at: int) -> tuple[bytes, int]:
        value, at = take(data, at, 4)
        if value != b"OMDP":
            raise Malformed("no signature")
        return value, at


def take(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    """Return `count` octets from `at`, and the position after them."""
    if at + count > len(data):
        raise Malformed("runs past the end")
    return data[at : at + count], at + count


def check_service(name: bytes) -> str:
    if any(octet < 0x20 or octet == 0x7F for octet in name):
        raise Malformed("a control character in the name of a service")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise Malformed("the name of a service is not UTF-8") from None


def check_header_name(name: bytes) -> bytes:
    if not name or not all(chr(o).isascii() and (chr(o).isalnum() or o in b"-_.+") for o in name):
        raise Malformed(f"{name!r} is no name of a header")
    return name


N1, N2, N4, N8 = (Annotated[int, Number(size)] for size in (1, 2, 4, 8))
FromOne = Annotated[int, Number(1, 1)]
Heartbeats = Annotated[int, Number(4, 1)]
Priority = Annotated[int, Number(1, 0, 9)]
TaskErrorCode = Annotated[int, Number(2, 400, 999)]
Ticket = Annotated[bytes, Short(1)]
Name = Annotated[str, Text()]
Service = Annotated[str, ServiceName(1)]
ServiceOrAll = Annotated[str, ServiceName(0)]
HeaderField = Annotated[Headers, HeaderList()]


# --- Commands ------------------------------------------------------------------------------------

COMMANDS: dict[int, type] = {}


def command(number: int):
    """Register a dataclass as the command with this id."""

    def register(cls: type) -> type:
        cls = dataclass(frozen=True)(cls)
        cls.ID = number
        COMMANDS[number] = cls
        return cls

    return register


@command(0x01)
class Hello:
    signature: Annotated[bytes, Signature()] = b"OMDP"
    version_min: FromOne = 1
    version_max: FromOne = 1
    role: N1 = CLIENT
    heartbeat: Heartbeats = NO_LIMIT
    message_max: N8 = 0
    headers: HeaderField = ()

    def as_read(self) -> Hello:
        if self.role not in (CLIENT, WORKER):
            raise Malformed(f"{self.role} is no role")
        return replace(self, version_max=max(self.version_min, self.version_max))


@command(0x02)
class Welcome:
    version: N1
    heartbeat: Heartbeats
    liveness: FromOne
    message_max: N8
    frames_max: N4
    requests_max: N4
    broker: Name
    headers: HeaderField = ()

    def as_read(self) -> Welcome:
        if self.version != 1:
            raise Malformed(f"version {self.version}, which was not named")
        return self


@command(0x03)
class Heartbeat:
    pass


@command(0x04)
class Goodbye:
    pass


@command(0x05)
class Disconnect:
    code: N2
    text: Name = ""


@command(0x10)
class Request:
    id: N8
    flags: N1
    priority: Priority
    timeout: N4
    credit: N4
    service: Service
    target: Name = ""
    headers: HeaderField = ()
    body: Body = ()

    def as_read(self) -> Request:
        return replace(self, flags=self.flags & (REDELIVER | FRESH | DURABLE | NOTICES))


@command(0x11)
class More:
    id: N8
    credit: N4


@command(0x12)
class Cancel:
    id: N8


@command(0x13)
class StillWanted:
    id: N8


@command(0x20)
class Partial:
    id: N8
    headers: HeaderField = ()
    body: Body = ()


@command(0x21)
class Final:
    id: N8
    headers: HeaderField = ()
    body: Body = ()


@command(0x22)
class Error:
    id: N8
    author: N1
    code: N2
    headers: HeaderField = ()
    body: Body = ()

    def as_read(self) -> Error:
        if self.author == BY_WORKER:
            return replace(self, code=min(max(self.code, 400), 999))
        return replace(self, author=BY_BROKER)


@command(0x23)
class Notice:
    id: N8
    what: N1


@command(0x30)
class Ready:
    service: Service


@command(0x31)
class Withdraw:
    service: ServiceOrAll = ""


@command(0x32)
class Capacity:
    requests: N4


@command(0x33)
class TaskPartial:
    ticket: Ticket
    headers: HeaderField = ()
    body: Body = ()


@command(0x34)
class TaskFinal:
    ticket: Ticket
    keep: N4 = 0
    headers: HeaderField = ()
    body: Body = ()


@command(0x35)
class TaskError:
    ticket: Ticket
    code: TaskErrorCode
    headers: HeaderField = ()
    body: Body = ()


@command(0x36)
class TaskReject:
    ticket: Ticket
    headers: HeaderField = ()
    body: Body = ()


@command(0x37)
class TaskAtWork:
    ticket: Ticket


@command(0x40)
class Task:
    ticket: Ticket
    service: Service
    deadline: N4
    attempt: FromOne
    priority: Priority
    credit: N4
    headers: HeaderField = ()
    body: Body = ()


@command(0x41)
class TaskCancel:
    ticket: Ticket
    code: N2

    def as_read(self) -> TaskCancel:
        return replace(self, code=408 if self.code == 408 else 499)


@command(0x42)
class TaskMore:
    ticket: Ticket
    credit: N4


@command(0x43)
class TaskWanted:
    ticket: Ticket


@command(0x44)
class Registered:
    service: Service
    worker: Name


@command(0x45)
class CapacityIs:
    requests: N4


Command = Union[tuple(COMMANDS.values())]


@functools.cache
def fields_of(cls: type) -> tuple[dict[str, Any], bool]:
    """Return a command's field types by name, and whether it has a body."""
    hints = get_type_hints(cls, include_extras=True)
    body = hints.pop("body", None) is not None
    return {name: hint.__metadata__[0] for name, hint in hints.items()}, body


def pack(item: Command) -> list[bytes]:
    """Encode a command as the frames of a message."""
    fields, body = fields_of(type(item))
    frame = b"".join(kind.pack(getattr(item, name)) for name, kind in fields.items())
    return [bytes([item.ID]) + frame, *(item.body if body else ())]


def unpack(frames: Sequence[bytes]) -> Command:
    """Decode the frames of a message. Additional octets of later versions are ignored."""
    frame = frames[0]
    cls = COMMANDS.get(frame[0]) if frame else None
    if cls is None:
        raise Malformed(f"{frame[:1].hex() or 'an empty frame'} is no command")
    fields, body = fields_of(cls)
    values: dict[str, Any] = {}
    at = 1
    for name, kind in fields.items():
        values[name], at = kind.unpack(frame, at)
    if body:
        values["body"] = tuple(frames[1:])
    elif len(frames) > 1:
        raise Malformed(f"{cls.__name__} has no body")
    item = cls(**values)
    return item.as_read() if hasattr(item, "as_read") else item


def as_headers(headers: Mapping[str, bytes | str] | Iterable[tuple[str, bytes | str]]) -> Headers:
    """Convert a dict or pairs to headers. Text values are encoded as UTF-8."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


def header(headers: Headers, name: str) -> bytes | None:
    """Return the value of the first header with this name, ignoring case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def as_body(body: Any) -> Body:
    """Convert None, one frame or several frames to a body. Text is encoded as UTF-8."""
    if body is None:
        return ()
    frames = (body,) if isinstance(body, (bytes, bytearray, memoryview, str)) else body
    return tuple(f.encode() if isinstance(f, str) else bytes(f) for f in frames)


def error_text(body: Body) -> str:
    """Return the text of an error: the first frame of its body."""
    return body[0].decode(errors="replace") if body else ""
