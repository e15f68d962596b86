"""Test omdp1.py with the test vectors and conversations of the specification.

    python test_vectors.py [omdp-1.md]
"""

import sys
from pathlib import Path

import omdp1

RFC = Path(__file__).resolve().parents[2] / "docs/rfc/omdp-1.md"


def frames(lines):
    """Parse the frames of a message. Blanks separate the fields of the command."""
    return [b"" if line == "-" else bytes.fromhex(line) for line in lines if not line.startswith("#")]


def messages(section, path=RFC):
    """Return the title and lines of every message in the code blocks of a section."""
    text = Path(path).read_text().split(f"\n{section}", 1)[1]
    for block in text.split("\n##", 1)[0].split("```text\n")[1:]:
        for paragraph in block.split("\n```", 1)[0].split("\n\n"):
            lines = paragraph.splitlines()
            count = next(at for at, line in enumerate(lines) if not line.startswith("#"))
            yield " ".join(line[2:] for line in lines[:count]), lines[count:]


def is_command(message):
    """Check that it survives decoding and encoding, allows extra octets, and rejects truncation."""
    item = omdp1.unpack(message)
    assert omdp1.pack(item) == message, f"packed as {[f.hex() for f in omdp1.pack(item)]}"
    assert omdp1.unpack([message[0] + b"later", *message[1:]]) == item, "does not bear octets behind"
    for length in range(len(message[0])):
        assert not fits([message[0][:length], *message[1:]]), f"takes the first {length} octets"
    return item


def fits(message):
    try:
        return omdp1.unpack(message)
    except omdp1.Malformed:
        return None


# The command ids of each role.
SAID = {
    "client to broker": {0x01, 0x03, 0x04, *range(0x10, 0x14)},
    "worker to broker": {0x01, 0x03, 0x04, *range(0x30, 0x38)},
    "broker to client": {0x02, 0x03, 0x05, *range(0x20, 0x24)},
    "broker to worker": {0x02, 0x03, 0x05, *range(0x40, 0x46)},
}
# Errors that a codec cannot detect, because they depend on the connection.
BY_CONNECTION = ("on the connection of a client", "on a connection that was welcomed", "DISCONNECT 505.")


def does_not_fit(title, message):
    """Check that the codec or the role rejects it, or that only the connection makes it invalid."""
    item = fits(message)
    who = title.split(":")[0]
    of_other = item is not None and item.ID not in SAID.get(who, {0x01})
    assert item is None or of_other or any(words in title for words in BY_CONNECTION), item


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RFC
    count, seen, failed = 0, set(), []

    def check(title, function, *arguments):
        nonlocal count
        count += 1
        try:
            return function(*arguments)
        except Exception as error:  # try every vector
            failed.append(title)
            print(f"FAIL {title}: {error!r}")

    for title, lines in messages("### 14.1 ", path):
        seen.add(type(check(title, is_command, frames(lines))))
    for title, lines in messages("### 14.2 ", path):
        check(title, does_not_fit, title, frames(lines))
    for title, lines in messages("### 14.3 ", path):
        at = lines.index("# is read as")
        said, meant = frames(lines[:at]), frames(lines[at:])

        def same():
            assert omdp1.unpack(said) == is_command(meant), omdp1.unpack(said)

        check(title, same)
    for title, lines in messages("## Appendix C", path):
        check(title, is_command, frames(lines))
    for cls in set(omdp1.COMMANDS.values()) - seen:
        failed.append(cls.__name__)
        print(f"FAIL there is no vector of {cls.__name__}")
    print(f"{count} vectors, {len(failed)} failed")
    return 1 if failed or count < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
