"""A client with a plain pyzmq socket, REQ or DEALER, in any dialect.

Input:  the service and the body of a request, which is sent at once.
Output: `partial BODY…` and `final BODY…` for every reply, and `wrong …` for a message that is not
        a reply to any request.
"""

import argparse

import zmq

from lines import Orders, frames_of, say
from mdp import DIALECTS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--dialect", choices=DIALECTS, required=True)
    parser.add_argument("--socket", choices=["req", "dealer"], default="dealer")
    parser.add_argument("--identity", help="the routing id, which libzmq sets otherwise")
    options = parser.parse_args()

    dialect = DIALECTS[options.dialect]
    socket = zmq.Context.instance().socket(zmq.REQ if options.socket == "req" else zmq.DEALER)
    socket.linger = 0
    if options.identity:
        socket.setsockopt(zmq.IDENTITY, options.identity.encode())
    socket.connect(options.broker)

    # A REQ socket adds and removes the empty frame itself.
    lead = [b""] if dialect.leads and options.socket == "dealer" else []
    orders = Orders()
    poller = zmq.Poller()
    poller.register(orders.descriptor, zmq.POLLIN)
    poller.register(socket, zmq.POLLIN)
    asked = set()

    while True:
        events = dict(poller.poll())
        if orders.descriptor in events:
            for order in orders.read():
                service, *body = frames_of(order)
                asked.add(service)
                socket.send_multipart(lead + dialect.client_request(service, body))
        if socket in events:
            frames = socket.recv_multipart()
            if frames[: len(lead)] != lead:
                say("wrong", frames)
                continue
            kind, service, body = dialect.client_reply(frames[len(lead) :])
            if service is not None and service not in asked:
                say("wrong", frames)
                continue
            say(kind, body)


if __name__ == "__main__":
    main()
