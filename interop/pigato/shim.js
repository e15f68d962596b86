// PIGATO with our broker in the place of its own: what mocha loads before the tests.
//
// Client, Worker and Directory are PIGATO's, unmodified. `Broker` starts and stops the program that
// MAJORDOMUS names, with the methods, events and callbacks of PIGATO's.
//
// PIGATO's tests talk over `inproc://`. Here such an endpoint stands for a Unix socket, and what
// holds for sockets in one process is made to hold for that too. It changes no test and no
// assertion.
//
// - A peer may be started before its broker: it starts when the broker listens, and the broker is
//   started when it is connected.
// - Workers that were started before a request are known to the broker when the request comes, and
//   workers that were stopped are forgotten: the request leaves its client only then, and the
//   client's timeout runs from then.
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

// How long the shim waits for anything. Mocha waits two seconds.
const PATIENCE_MS = 1500
// How often it looks whether something has happened that cannot tell it.
const LOOK_EVERY_MS = 2
// How long a run may take in all: whoever started it would leave the brokers behind if he killed it.
const RUN_MS_MAX = 120000

// PIGATO's options of a broker: what they are called by ours, and how their values are written.
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

// Waits until the condition holds, or PATIENCE_MS: what went wrong is for the test to show.
async function until (condition) {
  const end = Date.now() + PATIENCE_MS
  while (!(await condition()) && Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

// ---- endpoints ----

// Where a broker listens, or will, and what is known of the peers there.
class Place {
  constructor (endpoint) {
    this.endpoint = endpoint.startsWith('inproc://') ? newEndpoint() : endpoint
    this.listening = false
    this.early = new Map() // peers that were started before the broker, and how each starts
    this.workers = new Set() // those that run
    this.leaving = new Set() // services of workers that have stopped and may not be forgotten yet
  }

  // Whether the broker knows as much of the workers as we do. It answers READY.
  get settled () {
    return this.leaving.size === 0 && [...this.workers].every(heard)
  }

  offered (service) {
    return [...this.workers].some(worker => worker.service === service)
  }

  // Waits until the broker has forgotten the last worker of a service.
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
      // The broker has been stopped, or says nothing.
    }
    socket.close()
    this.leaving.delete(service)
  }
}

const places = new Map() // by the endpoint that a test names, for which there is a broker

// The place of a peer, or none where no broker of ours is.
function placeOf (peer) {
  return peer.place ?? places.get(peer.broker)
}

// ---- peers ----

// Whether the peer has heard from the broker.
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

// A connection takes a moment. Ours to a Unix socket takes less than one of PIGATO's tests can see: it
// wants an answer to take more than 50 ms, counted in whole ones, whose worker starts after 50.
const CONNECTING_MS = 2
const connecting = new WeakMap() // what each worker says before its socket is connected

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
const held = new WeakMap() // the requests that each client may not send yet

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

// Ours, without what would configure the broker.
function environment () {
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith('MAJORDOMUS')))
}

PIGATO.Broker = Broker
