// Cached replies to equal requests.
'use strict'

const { assert } = require('chai')

const { ask, service, stage, until } = require('../stage')

describe('the cache', () => {
  const { client, worker } = stage({ cache: true })

  // A worker that replies with the number of its requests.
  const counter = (name, cache) => {
    const its = worker(name, (data, reply) => {
      reply.opts.cache = cache
      reply.end(++its.count)
    })
    return Object.assign(its, { count: 0 })
  }

  it('the same question is answered from it', async () => {
    const name = service()
    counter(name, 60000)
    const asking = client()
    assert.deepEqual(await ask(asking, name, 'foo'), { error: 0, reply: 1, parts: [] })
    assert.deepEqual(await ask(client(), name, 'foo'), { error: 0, reply: 1, parts: [] })
    assert.equal((await ask(asking, name, 'bar')).reply, 2)
    assert.equal((await ask(asking, name, { foo: 1 })).reply, 3)
    assert.equal((await ask(asking, name, { foo: 1 })).reply, 3)
  })

  // A cached reply would contain only the last part.
  it('not what was answered in parts', async () => {
    const name = service()
    let count = 0
    worker(name, (data, reply) => {
      reply.opts.cache = 60000
      reply.write('part')
      reply.end(++count)
    })
    assert.deepEqual(await ask(client(), name, 'foo'), { error: 0, reply: 1, parts: ['part'] })
    assert.deepEqual(await ask(client(), name, 'foo'), { error: 0, reply: 2, parts: ['part'] })
  })

  it('not for a client that wants a new one, which is kept in its place', async () => {
    const name = service()
    counter(name, 60000)
    const asking = client()
    assert.equal((await ask(asking, name, 'foo')).reply, 1)
    assert.equal((await ask(asking, name, 'foo', { nocache: true })).reply, 2)
    assert.equal((await ask(asking, name, 'foo')).reply, 2)
  })

  it('not where the worker did not say so', async () => {
    const name = service()
    counter(name)
    const asking = client()
    assert.equal((await ask(asking, name, 'foo')).reply, 1)
    assert.equal((await ask(asking, name, 'foo')).reply, 2)
  })

  it('not for another service', async () => {
    const names = [service(), service()]
    names.forEach(name => counter(name, 60000))
    const asking = client()
    for (const name of names) assert.equal((await ask(asking, name, 'foo')).reply, 1)
  })

  it('not after its time', async () => {
    const name = service()
    const its = counter(name, 20)
    const asking = client()
    await until(async () => (await ask(asking, name, 'foo')).reply > 1)
    assert.equal(its.count, 2)
  })
})
