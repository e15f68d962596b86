"""How these scripts talk to the test that started them: in lines of text.

A script says one thing it saw or did on each line of its standard output and takes orders from its
standard input. Frames are written with percent escapes and a space between them; two apostrophes
are the empty frame.
"""

import os
import select
import sys
from urllib.parse import quote_from_bytes, unquote_to_bytes

EMPTY = "''"


def say(what, frames=()):
    """Tell the test what happened, with the frames that it happened to."""
    words = [quote_from_bytes(frame, safe="") or EMPTY for frame in frames]
    print(what, *words, flush=True)


def frames_of(text):
    """The frames in an order from the test."""
    return [b"" if word == EMPTY else unquote_to_bytes(word) for word in text.split()]


class Orders:
    """Standard input, read as it comes: what is not read yet is in the pipe, where a poll sees it."""

    def __init__(self):
        self.descriptor = sys.stdin.fileno()
        self._rest = b""

    def read(self):
        """The orders that have come. The script ends here when the test has gone away."""
        data = os.read(self.descriptor, 65536)
        if not data:
            sys.exit(0)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("ascii") for line in lines]

    def wait(self, seconds):
        """Whether an order came within so many seconds, which is taken."""
        readable, _, _ = select.select([self.descriptor], [], [], seconds)
        return bool(readable and self.read())
