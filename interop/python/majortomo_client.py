"""A client with the majortomo package. It sends one request and prints each part of the reply.

Output: `part BODY…` for each part, and `end` after the last one.
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
