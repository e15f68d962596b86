// Replies: values, errors, and their receivers.
'use strict'

const { assert } = require('chai')
const uuid = require('node-uuid')

const { ask, service, stage, stream, until } = require('../stage')

describe('replies', () => {
  const { client, keeper, worker } = stage()

  const values = [
    null, true, false, 0, -0.5, 1e300, '', 'foo', 'é\u0000😀"\\', 'undefined', '2',
    [], {}, [[], [null]], { a: [1, 'é', { b: null }], '': false }
  ]

  it('every JSON value gets there and back', async () => {
    const name = service()
    const seen = []
    worker(name, (data, reply) => {
      seen.push(data)
      reply.end(data)
    })
    const asking = client()
    for (const value of values) {
      assert.deepEqual(await ask(asking, name, value), { error: 0, reply: value, parts: [] })
    }
    assert.deepEqual(seen, values)
  })

  it('a large value gets there and back', async () => {
    const name = service()
    worker(name, (data, reply) => reply.end(data))
    const value = 'é'.repeat(500000)
    assert.isTrue((await ask(client(), name, value)).reply === value)
  })

  it('a request without data is null to the worker', async () => {
    const name = service()
    worker(name, (data, reply) => reply.end([data]))
    assert.deepEqual((await ask(client(), name, undefined)).reply, [null])
  })

  it('a reply without data is null to the client', async () => {
    const name = service()
    worker(name, (data, reply) => reply.end())
    const asking = client()
    assert.deepEqual(await ask(asking, name, 1), { error: 0, reply: null, parts: [] })
    assert.deepEqual(await stream(asking, name, 1), [])
  })

  it('the error of a worker is the error of the request', async () => {
    const name = service()
    worker(name, (data, reply) => reply.error(data))
    const asking = client()
    for (const error of ['SOMETHING_FAILED', { code: 7, why: ['é'] }, 42]) {
      assert.deepEqual(await ask(asking, name, error), { error, reply: null, parts: [] })
      assert.deepEqual(await stream(asking, name, error), [{ error }])
    }
  })

  it('an error can follow parts', async () => {
    const name = service()
    worker(name, (data, reply) => {
      reply.write('one')
      reply.error('two')
    })
    assert.deepEqual(await ask(client(), name), { error: 'two', reply: null, parts: ['one'] })
  })

  // A worker encodes it as the bare word `undefined`, which crashes its client.
  it('an error without a value is one all the same', async () => {
    const name = service()
    worker(name, (data, reply) => reply.error())
    assert.deepEqual(await ask(client(), name), { error: 'B_FAILED', reply: null, parts: [] })
  })

  it('requests of a client are answered in any order', async () => {
    const name = service()
    const its = keeper(name)
    const asking = client()
    const answers = [1, 2, 3].map(data => ask(asking, name, data))
    await until(() => its.kept.length === 3)
    for (const { data, reply } of its.kept.reverse()) reply.end(data)
    assert.deepEqual((await Promise.all(answers)).map(({ reply }) => reply), [1, 2, 3])
  })

  it('clients may use the same request id', async () => {
    const name = service()
    const its = keeper(name, { concurrency: 1 })
    const others = keeper(name, { concurrency: 1 })
    const clients = [client(), client()]
    await until(() => clients.every(asking => asking._mcnt > 0))
    const { v4 } = uuid
    uuid.v4 = () => 'the same'
    const answers = clients.map((asking, i) => ask(asking, name, i))
    uuid.v4 = v4
    await until(() => its.kept.length + others.kept.length === 2)
    for (const { data, reply } of its.kept.concat(others.kept)) reply.end(data)
    assert.deepEqual((await Promise.all(answers)).map(({ reply }) => reply), [0, 1])
  })
})

describe('when the broker ends', () => {
  const { broker, client, keeper, worker } = stage()
  const told = action => new Promise(resolve => {
    broker.once(action, resolve)
    broker[action]()
  })

  it('its peers find the next one', async () => {
    const name = service()
    worker(name, (data, reply) => reply.end(data))
    const asking = client()
    assert.equal((await ask(asking, name, 1)).reply, 1)
    await told('stop')
    await told('start')
    assert.equal((await ask(asking, name, 2)).reply, 2)
  })

  it('a request in hand fails', async () => {
    const name = service()
    const its = keeper(name)
    const answer = ask(client(), name)
    await until(() => its.kept.length === 1)
    await told('stop')
    assert.equal((await answer).error, 'B_SHUTDOWN')
  })
})
