// Loaded before a program of PIGATO's examples: its peers connect to ENDPOINT.
'use strict'

const PIGATO = require('pigato')

for (const Peer of [PIGATO.Client, PIGATO.Worker]) {
  const { start } = Peer.prototype
  Peer.prototype.start = function () {
    this.broker = process.env.ENDPOINT
    start.call(this)
  }
}
