// Request timeouts, and request keep-alives.
//
// A client checks its timeouts when it sends a heartbeat.
'use strict'

const { assert } = require('chai')

const { ask, service, stage, until } = require('../stage')

describe('timeouts', () => {
  const { client, keeper, worker } = stage()

  it('an expired request is given to nobody', async () => {
    const name = service()
    const asking = client({ heartbeat: 20 })
    for (const timeout of [50, 0]) {
      assert.equal((await ask(asking, name, 'early', { timeout })).error, 'C_TIMEOUT')
    }
    const seen = []
    worker(name, (data, reply) => {
      seen.push(data)
      reply.end(data)
    })
    assert.equal((await ask(asking, name, 'late')).reply, 'late')
    assert.deepEqual(seen, ['late'])
  })

  it('with 0 it is served where a worker is free', async () => {
    const name = service()
    worker(name, (data, reply) => reply.end(data))
    // The client drops such a request at its next heartbeat.
    const asking = client({ heartbeat: 60000 })
    assert.equal((await ask(asking, name, 'foo', { timeout: 0 })).reply, 'foo')
  })

  it('with -1 it waits', async () => {
    const name = service()
    const asking = client({ heartbeat: 20 })
    const answer = ask(asking, name, 'foo', { timeout: -1 })
    const heard = asking._mcnt
    await until(() => asking._mcnt > heard + 5)
    worker(name, (data, reply) => reply.end(data))
    assert.equal((await answer).reply, 'foo')
  })

  it('the timeout starts again with every part', async () => {
    const name = service()
    worker(name, (data, reply) => {
      let part = 0
      const timer = setInterval(() => {
        if (part < 4) return reply.write(part++)
        clearInterval(timer)
        reply.end('end')
      }, 300)
    })
    const heard = await ask(client({ heartbeat: 20 }), name, null, { timeout: 1000 })
    assert.deepEqual(heard, { error: 0, reply: 'end', parts: [0, 1, 2, 3] })
  })

  it('a reply that comes late harms neither side', async () => {
    const name = service()
    const its = keeper(name)
    const { socketId } = its
    // The client drops the request long after the broker.
    const asking = client({ heartbeat: 300 })
    assert.equal((await ask(asking, name, 1, { timeout: 50 })).error, 'C_TIMEOUT')
    its.kept[0].reply.write('late')
    its.kept[0].reply.end('late')
    const answer = ask(asking, name, 2)
    await until(() => its.kept.length === 2)
    its.kept[1].reply.end('in time')
    assert.equal((await answer).reply, 'in time')
    assert.equal(its.socketId, socketId)
  })

  it('a worker knows whether its client still wants the reply', async () => {
    const name = service()
    let ticks = 0
    const its = keeper(name, { heartbeat: 20 })
    const { heartbeat } = its
    its.heartbeat = function () {
      ticks++
      heartbeat.apply(its, arguments)
    }
    const request = client().request(name, 'foo')
    const end = new Promise(resolve => request.on('data', () => {}).on('end', resolve))
    await until(() => its.kept.length === 1)
    const { reply } = its.kept[0]

    // Without the request's keep-alives, it would become inactive after three worker heartbeats.
    ticks = 0
    while (ticks < 10) {
      request.heartbeat()
      assert.isTrue(reply.active())
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    await until(() => !reply.active())
    reply.end()
    await end
  })
})
