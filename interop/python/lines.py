"""The line protocol between these scripts and the test that started them.

A script prints one event per line on standard output and reads commands from standard input.
Frames are written with percent escapes and separated by spaces. Two apostrophes are the empty
frame.
"""

import os
import select
import sys
from urllib.parse import quote_from_bytes, unquote_to_bytes

EMPTY = "''"


def say(what, frames=()):
    """Report an event to the test, with its frames."""
    words = [quote_from_bytes(frame, safe="") or EMPTY for frame in frames]
    print(what, *words, flush=True)


def frames_of(text):
    """Parse the frames of a command from the test."""
    return [b"" if word == EMPTY else unquote_to_bytes(word) for word in text.split()]


class Orders:
    """Unbuffered standard input: unread data stays in the pipe, so that a poll detects it."""

    def __init__(self):
        self.descriptor = sys.stdin.fileno()
        self._rest = b""

    def read(self):
        """Return the available commands. Ends the script if the test has exited."""
        data = os.read(self.descriptor, 65536)
        if not data:
            sys.exit(0)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("ascii") for line in lines]

    def wait(self, seconds):
        """Read a command within this many seconds, and return whether there was one."""
        readable, _, _ = select.select([self.descriptor], [], [], seconds)
        return bool(readable and self.read())
