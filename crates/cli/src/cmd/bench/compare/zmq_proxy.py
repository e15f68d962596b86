# libzmq's own proxy between two endpoints: what moving the messages costs, without a service.
import sys

import zmq

context = zmq.Context()
clients, workers = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
# The default of a thousand messages would drop replies in silence.
for socket in (clients, workers):
    socket.set_hwm(0)
clients.bind(sys.argv[1])
workers.bind(sys.argv[2])
zmq.proxy(clients, workers)
