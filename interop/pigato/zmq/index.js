// The package `zmq` for PIGATO: its native code does not build on current Node.js. This is the same
// API from the package `zeromq`, and the two things that PIGATO does which zeromq's compatibility
// layer refuses: it gives PUB and SUB sockets an identity, and it reads `_zmq.state`.
'use strict'

const zmq = require('zeromq/v5-compat')

const compatSocket = zmq.socket
zmq.socket = (type, options) => {
  const socket = compatSocket(type, options)
  Object.defineProperty(socket, '_zmq', {
    get: () => ({ state: socket.closed ? zmq.STATE_CLOSED : 0 })
  })
  if (type === 'pub' || type === 'sub') {
    Object.defineProperty(socket, 'identity', { value: '', writable: true })
  }
  return socket
}

module.exports = zmq
