// Corrected versions of PIGATO's semver.js and target.js. The originals compare with `conf.name`,
// which does not exist, so they always pass. These tests compare with the actual field.
'use strict'

const { assert } = require('chai')

const { ask, service, stage } = require('../stage')

describe('what semver.js and target.js mean to assert', () => {
  const { client, worker } = stage()

  it('a service can have a version in its name', async () => {
    const name = `${service()}@1.2.3`
    const its = worker(name, (data, reply) => reply.end(its.socketId))
    const { reply } = await ask(client(), name, 'foo')
    assert.equal(reply, its.socketId)
  })

  it('a range of versions finds a worker', async () => {
    const name = service()
    const its = worker(`${name}@1.2.3`, (data, reply) => reply.end(its.socketId))
    const { reply } = await ask(client(), `${name}@^1.2.x`, 'foo')
    assert.equal(reply, its.socketId)
  })

  it('a request for one worker goes to that one', async () => {
    const name = service()
    const workers = Array.from({ length: 10 }, () => {
      const its = worker(name, (data, reply) => reply.end(its.socketId))
      return its
    })
    const asking = client()
    for (const { socketId } of workers.concat(workers)) {
      const { reply } = await ask(asking, name, 'foo', { workerId: socketId })
      assert.equal(reply, socketId)
    }
  })
})
