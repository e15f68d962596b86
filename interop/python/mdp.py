"""The frames of the Majordomo protocol's dialects, as third-party programs encode them."""

from typing import List, NamedTuple, Optional, Tuple

PARTIAL = "partial"
FINAL = "final"


class ClientCommands(NamedTuple):
    """The command frames of a client. They are None in 7/MDP, which has no client commands."""

    header: bytes
    request: Optional[bytes]
    partial: Optional[bytes]
    final: Optional[bytes]
    names_service: bool


class WorkerCommands(NamedTuple):
    """The command frames of a worker."""

    header: bytes
    ready: bytes
    request: bytes
    partial: Optional[bytes]
    final: bytes
    heartbeat: bytes
    disconnect: bytes


class Dialect(NamedTuple):
    """A dialect of MDP, with or without an empty frame before every message."""

    leads: bool
    client: ClientCommands
    worker: WorkerCommands

    def client_request(self, service: bytes, body: List[bytes]) -> List[bytes]:
        """Encode a client's REQUEST without the empty frame."""
        command = [] if self.client.request is None else [self.client.request]
        return [self.client.header, *command, service, *body]

    def client_reply(self, frames: List[bytes]) -> Tuple[str, Optional[bytes], List[bytes]]:
        """Decode a reply: partial or final, the service if the dialect includes it, and the body."""
        header, *rest = frames
        if header != self.client.header:
            raise ValueError("not a reply in this dialect: {!r}".format(frames))
        kind = FINAL
        if self.client.final is not None:
            kind = {self.client.partial: PARTIAL, self.client.final: FINAL}[rest.pop(0)]
        service = rest.pop(0) if self.client.names_service else None
        return kind, service, rest


_WORKER_02 = WorkerCommands(b"MDPW02", b"\1", b"\2", b"\3", b"\4", b"\5", b"\6")

DIALECTS = {
    # 7/MDP, the ZeroMQ Guide.
    "mdp01": Dialect(
        leads=True,
        client=ClientCommands(b"MDPC01", None, None, None, names_service=True),
        worker=WorkerCommands(b"MDPW01", b"\1", b"\2", None, b"\3", b"\4", b"\5"),
    ),
    # 18/MDP as the RFC specifies it.
    "mdp02": Dialect(
        leads=False,
        client=ClientCommands(b"MDPC02", b"\1", b"\2", b"\3", names_service=True),
        worker=_WORKER_02,
    ),
    # 18/MDP as majortomo encodes it.
    "majortomo": Dialect(
        leads=True,
        client=ClientCommands(b"MDPC02", b"\2", b"\3", b"\4", names_service=False),
        worker=_WORKER_02,
    ),
}
