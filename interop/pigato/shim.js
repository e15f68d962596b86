// A mocha preload script that replaces PIGATO's broker with ours.
//
// Client, Worker and Directory are PIGATO's, unmodified. `Broker` starts and stops the program that
// MAJORDOMUS names. It has the methods, events and callbacks of PIGATO's Broker.
//
// PIGATO's tests use `inproc://`. The shim maps such an endpoint to a Unix socket and gives it the
// following properties of in-process sockets. It changes no test and no assertion.
//
// - A peer may be started before its broker. It then starts when the broker listens, and the broker
//   counts as started when the peer is connected.
// - A request arrives after the broker has registered all workers started before it and removed all
//   workers stopped before it. The client sends the request only then, and its timeout starts then.
'use strict'

const { spawn } = require('child_process')
const { EventEmitter } = require('events')
const fs = require('fs')
const os = require('os')
const path = require('path')
const readline = require('readline')

const PIGATO = require('pigato')
const MDP = require('pigato/lib/mdp')
const zeromq = require('zeromq')

// The timeout of every wait in the shim. Mocha's timeout is two seconds.
const PATIENCE_MS = 1500
// The polling interval.
const LOOK_EVERY_MS = 2
// The timeout of a whole run. A run killed from outside would leave its brokers behind.
const RUN_MS_MAX = 120000

// The names of PIGATO's broker options in our broker, and the conversions of their values.
const OPTIONS = {
  cache: ['--cache-bytes-max', cache => (cache ? '16MiB' : '0')],
  dmode: ['--balance', mode => ({ load: 'load', rand: 'random' })[mode]],
  heartbeat: ['--heartbeat-interval', ms => `${ms}ms`],
  intch: ['--intch', endpoint => endpoint],
  name: ['--name', name => name]
}

const { MAJORDOMUS } = process.env
if (!MAJORDOMUS) throw new Error('MAJORDOMUS does not name the program to test')

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'pigato-'))
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  fs.rmSync(home, { recursive: true, force: true })
})
setTimeout(() => {
  console.error(`the tests are not over after ${RUN_MS_MAX} ms`)
  process.exit(1)
}, RUN_MS_MAX).unref()

let sockets = 0
const newEndpoint = () => `ipc://${path.join(home, String(sockets++))}`

// Waits until the condition holds, at most PATIENCE_MS. The test reports the failure.
async function until (condition) {
  const end = Date.now() + PATIENCE_MS
  while (!(await condition()) && Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

// ---- endpoints ----

// The endpoint of a current or future broker, and the peers at it.
class Place {
  constructor (endpoint) {
    this.endpoint = endpoint.startsWith('inproc://') ? newEndpoint() : endpoint
    this.listening = false
    this.early = new Map() // peers started before the broker, and their start functions
    this.workers = new Set() // the running workers
    this.leaving = new Set() // services of stopped workers that may still be registered
  }

  // True if the broker's registrations are up to date. The broker answers READY.
  get settled () {
    return this.leaving.size === 0 && [...this.workers].every(heard)
  }

  offered (service) {
    return [...this.workers].some(worker => worker.service === service)
  }

  // Waits until the broker has removed the last worker of a service.
  async forget (service) {
    if (this.leaving.has(service)) return
    this.leaving.add(service)
    const socket = new zeromq.Request({ linger: 0, receiveTimeout: PATIENCE_MS })
    socket.connect(this.endpoint)
    try {
      await until(async () => {
        if (!this.listening || this.offered(service)) return true
        await socket.send(['MDPC01', 'mmi.service', service])
        const status = (await socket.receive())[2]
        return String(status) === '404'
      })
    } catch (error) {
      // The broker was stopped or does not answer.
    }
    socket.close()
    this.leaving.delete(service)
  }
}

const places = new Map() // by the endpoint in the test, if it has a broker

// Returns the place of a peer, or undefined if it does not belong to our broker.
function placeOf (peer) {
  return peer.place ?? places.get(peer.broker)
}

// ---- peers ----

// Returns true if the peer has received a message from the broker.
const heard = peer => peer._mcnt > 0

for (const Peer of [PIGATO.Client, PIGATO.Worker]) {
  const { start, stop } = Peer.prototype
  const works = Peer === PIGATO.Worker

  Peer.prototype.start = function () {
    const place = placeOf(this)
    if (!place) return start.call(this)
    const begin = () => {
      this.place = place
      this.broker = place.endpoint
      start.call(this)
      if (works) place.workers.add(this)
    }
    if (place.listening) begin()
    else place.early.set(this, begin)
  }

  Peer.prototype.stop = function () {
    const place = placeOf(this)
    const known = this.socket && heard(this)
    stop.call(this)
    if (!place) return
    place.early.delete(this)
    place.workers.delete(this)
    if (works && known && place.listening) place.forget(this.service)
  }
}

// The simulated duration of a connection. A Unix socket connects too fast for one of PIGATO's
// tests, which starts its worker after 50 ms and requires an answer after more than 50 whole milliseconds.
const CONNECTING_MS = 2
const connecting = new WeakMap() // the messages of each worker before its socket is connected

const sendOfWorker = PIGATO.Worker.prototype.send
PIGATO.Worker.prototype.send = function (msg) {
  if (!this.place || !this.socket) return sendOfWorker.call(this, msg)
  const { socket } = this
  if (!connecting.has(socket)) {
    const words = []
    connecting.set(socket, words)
    setTimeout(() => {
      connecting.set(socket, null)
      if (this.socket === socket) words.forEach(word => sendOfWorker.call(this, word))
    }, CONNECTING_MS)
  }
  const words = connecting.get(socket)
  if (words) words.push(msg)
  else sendOfWorker.call(this, msg)
}

const { send } = PIGATO.Client.prototype
const held = new WeakMap() // the deferred requests of each client

PIGATO.Client.prototype.send = function (msg) {
  const place = placeOf(this)
  if (!held.has(this)) held.set(this, [])
  const requests = held.get(this)
  if (!place || msg[1] !== MDP.W_REQUEST || (place.settled && requests.length === 0)) {
    return send.call(this, msg)
  }
  const request = this.reqs.get(msg[3])
  request.lts = Infinity
  requests.push(() => {
    request.lts = Date.now()
    send.call(this, msg)
  })
  if (requests.length > 1) return
  until(() => place.settled).then(() => requests.splice(0).forEach(leave => leave()))
}

// ---- the broker ----

class Broker extends EventEmitter {
  constructor (endpoint, conf) {
    super()
    this.endpoint = endpoint
    this.conf = Object.assign({ intch: newEndpoint() }, conf)
    this.place = new Place(endpoint)
    places.set(endpoint, this.place)
  }

  start () {
    const child = spawn(MAJORDOMUS, this.options(), {
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit']
    })
    this.child = child
    children.add(child)
    child.once('error', error => { throw error })
    child.once('exit', (code, signal) => {
      children.delete(child)
      if (this.child === child) throw new Error(`the broker ended by itself: ${code ?? signal}`)
      if (code !== 0) throw new Error(`the broker did not end in good order: ${code ?? signal}`)
      setImmediate(() => this.onStop())
    })
    readline.createInterface({ input: child.stdout }).once('line', line => this.listens(line))
  }

  stop () {
    this.place.listening = false
    if (!this.child) return setImmediate(() => this.onStop())
    const child = this.child
    delete this.child
    child.kill('SIGTERM')
  }

  async listens (line) {
    const early = [...this.place.early]
    this.place.early.clear()
    this.place.endpoint = line.replace(/^listening /, '').trim()
    this.place.listening = true
    for (const [, begin] of early) begin()
    await until(() => early.every(([peer]) => heard(peer)))
    setImmediate(() => this.onStart())
  }

  onStart () {
    if (this.conf.onStart) this.conf.onStart()
    this.emit('start')
  }

  onStop () {
    if (this.conf.onStop) this.conf.onStop()
    this.emit('stop')
  }

  options () {
    const options = ['broker', '--bind', this.place.endpoint]
    for (const [name, [flag, written]] of Object.entries(OPTIONS)) {
      if (this.conf[name] !== undefined) options.push(flag, written(this.conf[name]))
    }
    return options
  }
}

// Returns our environment without the variables that configure the broker.
function environment () {
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith('MAJORDOMUS')))
}

PIGATO.Broker = Broker
