// The broker's own `$dir` service, and its publications for an external `$dir`.
'use strict'

const { assert } = require('chai')
const zmq = require('zmq')

const { ask, service, stage, until } = require('../stage')

describe('$dir', () => {
  const { broker, client, keeper } = stage()

  it('names the workers of a service', async () => {
    const name = service()
    const workers = [keeper(name), keeper(name)]
    keeper(service())
    const { error, reply } = await ask(client(), '$dir', name)
    assert.equal(error, 0)
    assert.sameMembers(reply, workers.map(its => its.socketId))
  })

  it('names a worker by its prefix and a part that is new at every start', async () => {
    const name = service()
    const its = keeper(name, { prefix: 'mine' })
    const asking = client()
    const [first] = (await ask(asking, '$dir', name)).reply
    assert.match(first, /^mine-[0-9a-f-]{36}$/)
    its.start()
    await until(async () => {
      const ids = (await ask(asking, '$dir', name)).reply
      return ids.length === 1 && ids[0] !== first
    })
    assert.deepEqual((await ask(asking, '$dir', name)).reply, [its.socketId])
  })

  it('names every service', async () => {
    const names = [service(), `${service()}*`, `${service()}@1.2.3`]
    const ids = {}
    for (const name of names) ids[name] = [keeper(name).socketId]
    const asking = client()
    for (const nothing of [undefined, null, '']) {
      assert.deepInclude((await ask(asking, '$dir', nothing)).reply, ids)
    }
  })

  it('names nobody where nobody is', async () => {
    assert.deepEqual((await ask(client(), '$dir', service())).reply, [])
  })

  it('leaves out a worker that is gone', async () => {
    const name = service()
    const [stays, goes] = [keeper(name), keeper(name)]
    const asking = client()
    goes.stop()
    await until(async () => (await ask(asking, '$dir', name)).reply.length === 1)
    assert.deepEqual((await ask(asking, '$dir', name)).reply, [stays.socketId])
  })

  it('is published at every change, in one frame', async () => {
    const socket = zmq.socket('sub')
    const heard = []
    socket.on('message', (...frames) => heard.push(frames.map(String)))
    socket.connect(broker.conf.intch)
    socket.subscribe('$dir')
    const name = service()
    const listed = () => {
      const [text] = heard[heard.length - 1] ?? []
      return text === undefined ? undefined : JSON.parse(text.slice('$dir '.length))[name]
    }
    try {
      // It misses everything published before its subscription.
      while (heard.length === 0) {
        const first = keeper(service())
        await until(() => first._mcnt > 0)
      }
      const its = keeper(name)
      const id = its.socketId
      await until(() => listed()?.includes(id))
      its.stop()
      await until(() => !listed()?.includes(id))
      for (const frames of heard) {
        assert.lengthOf(frames, 1)
        assert.match(frames[0], /^\$dir \{/)
      }
    } finally {
      socket.close()
    }
  })

  it('is served by a worker that offers it, before the broker does', async () => {
    const its = keeper('$dir')
    const asking = client()
    const answer = ask(asking, '$dir', 'foo')
    await until(() => its.kept.length === 1)
    its.kept[0].reply.end('mine')
    assert.equal((await answer).reply, 'mine')
    its.stop()
    await until(async () => Array.isArray((await ask(asking, '$dir', 'foo')).reply))
  })
})
