// What the tests here share: a broker for a block of tests, peers that are stopped after each of
// them, and questions as promises.
'use strict'

const { randomUUID } = require('crypto')

const PIGATO = require('pigato')

// Starts a broker before the tests of the block in which it is called and stops it after them.
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
  // A client. One that is told of something that it did not ask for emits an error, which fails the
  // test.
  const client = conf => started(new PIGATO.Client(endpoint, conf))
  // A worker that does this with each request.
  const worker = (service, serve, conf) => {
    const its = new PIGATO.Worker(endpoint, service, conf)
    its.on('request', serve)
    return started(its)
  }
  // A worker that keeps what it gets, as `{ data, reply }`, for the test to answer.
  const keeper = (service, conf) => {
    const kept = []
    const its = worker(service, (data, reply) => kept.push({ data, reply }), conf)
    return Object.assign(its, { kept })
  }
  return { broker, client, keeper, worker }
}

// A request with callbacks: what came of it in the end, and its parts.
function ask (client, service, data, options) {
  const parts = []
  return new Promise(resolve => {
    client.request(
      service,
      data,
      (error, part) => parts.push(part),
      (error, reply) => resolve({ error, reply, parts }),
      // The client writes into them.
      Object.assign({}, options)
    )
  })
}

// A request with a stream: everything that it said.
function stream (client, service, data, options) {
  const heard = []
  return new Promise(resolve => {
    client.request(service, data, Object.assign({}, options))
      .on('data', data => heard.push({ data }))
      .on('error', error => heard.push({ error }))
      .on('end', () => resolve(heard))
  })
}

// How long a test waits for something that should be there at once.
const PATIENCE_MS = 8000

// Waits until something is so.
async function until (condition) {
  const end = Date.now() + PATIENCE_MS
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

// A service that no other test has.
const service = randomUUID

module.exports = { ask, service, stage, stream, until }
