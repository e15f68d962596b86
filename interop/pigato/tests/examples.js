// The unmodified programs of PIGATO's `examples/echo`, in separate processes, over TCP.
'use strict'

const { spawn } = require('child_process')
const path = require('path')
const readline = require('readline')

const PIGATO = require('pigato')

describe('examples/echo', () => {
  const broker = new PIGATO.Broker('tcp://127.0.0.1:0')
  const children = []

  before(done => {
    broker.once('start', done)
    broker.start()
  })
  after(done => {
    children.forEach(child => child.kill())
    broker.once('stop', done)
    broker.stop()
  })

  // Starts a program with our broker's endpoint instead of its fixed port.
  function example (name) {
    const program = path.join(path.dirname(require.resolve('pigato')), 'examples/echo', name)
    const here = require.resolve('../here')
    const child = spawn(process.execPath, ['--no-deprecation', '--require', here, program], {
      env: Object.assign({}, process.env, { ENDPOINT: broker.place.endpoint }),
      stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    return readline.createInterface({ input: child.stdout })
  }

  it('worker.js serves client.js', done => {
    const due = new Set(['DATA foo-stream', 'END', 'FINAL 0 foo-callback'])
    example('worker.js')
    example('client.js').on('line', line => {
      if (due.delete(line) && due.size === 0) done()
    })
  })
})
