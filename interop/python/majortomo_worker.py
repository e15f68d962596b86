"""A worker with the majortomo package that reconnects whenever the broker disconnects it.

Output: `opened` for every connection, `request BODY…` and `disconnect`.
"""

import argparse

from majortomo import Worker, error

from lines import say


def connect(worker):
    worker.connect()
    say("opened")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--heartbeat", type=float, default=0.1, help="seconds")
    parser.add_argument("--stream", action="store_true", help="every frame as a partial reply")
    options = parser.parse_args()

    worker = Worker(options.broker, options.service, heartbeat_interval=options.heartbeat)
    connect(worker)
    while True:
        try:
            client, body = worker.wait_for_request()
        except error.Disconnected:
            say("disconnect")
            connect(worker)
            continue
        say("request", body)
        if options.stream:
            parts = ([frame] for frame in body)
            worker.send_reply_from_iterable(client, parts, final=[b"end"])
        else:
            worker.send_reply_final(client, body)


if __name__ == "__main__":
    main()
