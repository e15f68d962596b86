// Test support: a broker for a block of tests, peers that are stopped after each test, and requests
// as promises.
'use strict'

const { randomUUID } = require('crypto')

const PIGATO = require('pigato')

// Starts a broker before the tests of the calling block and stops it after them.
function stage (conf) {
  const endpoint = `inproc://#${randomUUID()}`
  const broker = new PIGATO.Broker(endpoint, conf)
  const peers = []

  before(done => {
    broker.once('start', done)
    broker.start()
  })
  afterEach(() => peers.splice(0).forEach(peer => peer.stop()))
  after(done => {
    broker.once('stop', done)
    broker.stop()
  })

  const started = peer => {
    peers.push(peer)
    peer.start()
    return peer
  }
  // Starts a client. An unexpected reply makes it emit an error, which fails the test.
  const client = conf => started(new PIGATO.Client(endpoint, conf))
  // Starts a worker that calls `serve` with each request.
  const worker = (service, serve, conf) => {
    const its = new PIGATO.Worker(endpoint, service, conf)
    its.on('request', serve)
    return started(its)
  }
  // Starts a worker that stores its requests as `{ data, reply }`, so that the test can reply.
  const keeper = (service, conf) => {
    const kept = []
    const its = worker(service, (data, reply) => kept.push({ data, reply }), conf)
    return Object.assign(its, { kept })
  }
  return { broker, client, keeper, worker }
}

// Sends a request with callbacks. Resolves to its final result and its parts.
function ask (client, service, data, options) {
  const parts = []
  return new Promise(resolve => {
    client.request(
      service,
      data,
      (error, part) => parts.push(part),
      (error, reply) => resolve({ error, reply, parts }),
      // The client modifies its options.
      Object.assign({}, options)
    )
  })
}

// Sends a request with a stream. Resolves to all events of the stream.
function stream (client, service, data, options) {
  const heard = []
  return new Promise(resolve => {
    client.request(service, data, Object.assign({}, options))
      .on('data', data => heard.push({ data }))
      .on('error', error => heard.push({ error }))
      .on('end', () => resolve(heard))
  })
}

// The timeout of conditions that should hold at once, in milliseconds.
const PATIENCE_MS = 8000

// Waits until a condition holds.
async function until (condition) {
  const end = Date.now() + PATIENCE_MS
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

// Returns a unique service name.
const service = randomUUID

module.exports = { ask, service, stage, stream, until }
