# libzmq's own proxy between two endpoints, to measure the cost of moving messages without a service.
import sys

import zmq

context = zmq.Context()
clients, workers = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
# With the default limit of a thousand messages, the proxy would drop replies silently.
for socket in (clients, workers):
    socket.set_hwm(0)
clients.bind(sys.argv[1])
workers.bind(sys.argv[2])
zmq.proxy(clients, workers)
