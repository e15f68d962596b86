// The number of requests in flight at a worker.
'use strict'

const { assert } = require('chai')

const { ask, service, stage, until } = require('../stage')

describe('concurrency', () => {
  const { client, keeper } = stage()

  const several = (asking, name, count) =>
    Promise.all(Array.from({ length: count }, (_, i) => ask(asking, name, i)))

  it('a worker never has more than it takes', async () => {
    const name = service()
    const its = keeper(name, { concurrency: 2 })
    const answers = several(client(), name, 6)
    for (let served = 0; served < 6; served++) {
      await until(() => its.kept.length === Math.min(2, 6 - served))
      const { data, reply } = its.kept.shift()
      assert.equal(data, served, 'they come in order')
      reply.end()
    }
    await answers
  })

  it('a hundred where it does not say', async () => {
    const name = service()
    const [its, next] = [keeper(name), service()]
    const asking = client()
    const answers = several(asking, name, 101)
    await until(() => its.kept.length === 100)
    // A later request has been served, so these are not in transit any more.
    const other = keeper(next)
    const answer = ask(asking, next)
    await until(() => other.kept.length === 1)
    assert.lengthOf(its.kept, 100)
    other.kept[0].reply.end()
    its.kept[0].reply.end()
    await until(() => its.kept.length === 101)
    its.kept.slice(1).forEach(({ reply }) => reply.end())
    await Promise.all([answers, answer])
  })

  it('any number with -1', async () => {
    const name = service()
    const its = keeper(name, { concurrency: -1 })
    const answers = several(client(), name, 250)
    await until(() => its.kept.length === 250)
    its.kept.forEach(({ reply }) => reply.end())
    await answers
  })

  it('a heartbeat raises it, and what waits is given out at once', async () => {
    const name = service()
    const its = keeper(name, { concurrency: 1 })
    const answers = several(client(), name, 3)
    await until(() => its.kept.length === 1)
    its.conf.concurrency = 3
    its.heartbeat()
    await until(() => its.kept.length === 3)
    its.kept.forEach(({ reply }) => reply.end())
    await answers
  })

  it('with 0 a worker gets nothing for the time being', async () => {
    const name = service()
    const [idle, busy] = [keeper(name, { concurrency: 0 }), keeper(name)]
    const asking = client()
    const answers = several(asking, name, 10)
    await until(() => busy.kept.length === 10)
    assert.deepEqual(idle.kept, [])
    busy.stop()
    await answers
    const answer = ask(asking, name, 'foo')
    idle.conf.concurrency = 1
    idle.heartbeat()
    await until(() => idle.kept.length === 1)
    idle.kept[0].reply.end('bar')
    assert.equal((await answer).reply, 'bar')
  })
})
