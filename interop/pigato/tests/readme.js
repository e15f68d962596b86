// The examples of PIGATO's README, in their order.
'use strict'

const fs = require('fs')
const { Writable } = require('stream')

const { assert } = require('chai')

const { ask, service, stage, stream, until } = require('../stage')

describe('the examples of the README', () => {
  const { client, worker } = stage()

  // "for (var i = 0; i < 1000; i++) reply.write('PARTIAL DATA ' + i); reply.end('FINAL DATA')"
  const parts = Array.from({ length: 1000 }, (_, i) => `PARTIAL DATA ${i}`)
  const writer = name => worker(name, (data, reply) => {
    for (const part of parts) reply.write(part)
    reply.end('FINAL DATA')
  })

  it('a stream hears every part, the last and the end', async () => {
    const name = service()
    writer(name)
    const heard = await stream(client(), name, { foo: 'bar' }, { timeout: 120000 })
    assert.deepEqual(heard, parts.concat('FINAL DATA').map(data => ({ data })))
  })

  it('one callback hears every part and another the last', async () => {
    const name = service()
    writer(name)
    const heard = await ask(client(), name, 'foo', { timeout: 30000 })
    assert.deepEqual(heard, { error: 0, reply: 'FINAL DATA', parts })
  })

  it('a file is piped into a reply', async () => {
    const name = service()
    worker(name, (data, reply) => fs.createReadStream(data, { highWaterMark: 512 }).pipe(reply))
    const { error, parts } = await ask(client(), name, __filename)
    assert.equal(error, 0)
    const bytes = parts.map(part => Buffer.from(part.data))
    assert.equal(Buffer.concat(bytes).toString(), fs.readFileSync(__filename, 'utf8'))
  })

  it('a reply is piped into a stream', done => {
    const name = service()
    worker(name, (data, reply) => {
      reply.write(data)
      reply.end('bar')
    })
    let text = ''
    const out = new Writable({
      write (chunk, encoding, next) {
        text += chunk
        next()
      }
    })
    out.on('finish', () => {
      assert.equal(text, 'foobar')
      done()
    })
    client().request(name, 'foo', { timeout: 120000 }).pipe(out)
  })

  it('a worker sees the options of the request', async () => {
    const name = service()
    worker(name, (data, reply, options) => reply.end(options))
    const { reply } = await ask(client(), name, 'foo', { timeout: 12345, persist: true, mine: ['é'] })
    assert.deepEqual(reply, { timeout: 12345, persist: true, mine: ['é'], retry: 0 })
  })

  // "Broadcast a message to all Workers that offer 'echo' Service"
  it('a message is broadcast by way of $dir', async () => {
    const name = service()
    const heard = []
    const workers = Array.from({ length: 3 }, () => {
      const its = worker(name, (data, reply) => {
        heard.push([its.socketId, data])
        reply.end()
      })
      return its
    })
    worker(service(), (data, reply) => reply.end())
    const asking = client()
    asking.request(
      '$dir', name, undefined,
      function (err, ids) {
        assert.equal(err, 0)
        ids.forEach(function (wid) {
          asking.request(name, 'foo', { workerId: wid })
        })
      }
    )
    await until(() => heard.length >= 3)
    assert.sameDeepMembers(heard, workers.map(its => [its.socketId, 'foo']))
  })
})
