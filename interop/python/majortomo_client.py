"""A client made with the majortomo package: one request, every part of its reply on a line.

Says: `part BODY…` for each part, `end` after the last.
"""

import argparse

from majortomo import Client

from lines import frames_of, say


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--body", required=True, help="frames as lines.py writes them")
    options = parser.parse_args()

    with Client(options.broker) as client:
        client.send(options.service, *frames_of(options.body))
        for part in client.recv_all(timeout=20):
            say("part", part)
    say("end")


if __name__ == "__main__":
    main()
