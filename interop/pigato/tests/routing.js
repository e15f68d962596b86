// The choice of a worker for a request: names, versions, targets, rejections, losses, balancing.
'use strict'

const { assert } = require('chai')

const { ask, service, stage, until } = require('../stage')

describe('routing', () => {
  const { client, keeper, worker } = stage()

  // A worker that replies with a text and the requested service name.
  const sign = (name, text) => {
    const its = worker(name, (data, reply) => {
      reply.end([text, [...its.reqs.values()].pop().service])
    })
    return its
  }

  it('the longest wildcard that fits is taken, and is told the name that was asked', async () => {
    const name = service()
    sign(`${name}*`, 'short')
    sign(`${name}-a*`, 'long')
    sign(`${name}-abcdef*`, 'too long')
    const asking = client()
    const answer = async asked => (await ask(asking, asked)).reply
    assert.deepEqual(await answer(`${name}-abc`), ['long', `${name}-abc`])
    assert.deepEqual(await answer(`${name}-b`), ['short', `${name}-b`])
    assert.deepEqual(await answer(name), ['short', name])
    assert.deepEqual(await answer(`${name}-a*`), ['long', `${name}-a*`])
  })

  it('an exact name goes before any wildcard, until its last worker is gone', async () => {
    const name = service()
    sign(`${name}*`, 'wildcard')
    const exact = sign(`${name}-a`, 'exact')
    const asking = client()
    assert.equal((await ask(asking, `${name}-a`)).reply[0], 'exact')
    exact.stop()
    await until(async () => (await ask(asking, `${name}-a`)).reply?.[0] === 'wildcard')
  })

  it('a range takes the versions that it allows, and no others', async () => {
    const name = service()
    for (const version of ['1.2.3', '1.3.0', '2.0.0']) sign(`${name}@${version}`, version)
    sign(name, 'none')
    const asking = client()
    const allowed = {
      '^1.3': ['1.3.0'],
      '~1.2': ['1.2.3'],
      '1.2.x': ['1.2.3'],
      '>=1.2.4 <3': ['1.3.0', '2.0.0'],
      '2.0.0': ['2.0.0'],
      '*': ['1.2.3', '1.3.0', '2.0.0']
    }
    for (const [range, versions] of Object.entries(allowed)) {
      const { reply } = await ask(asking, `${name}@${range}`)
      assert.include(versions, reply[0], range)
      assert.equal(reply[1], `${name}@${range}`)
    }
    assert.equal((await ask(asking, name)).reply[0], 'none')
  })

  it('neither a plain name nor another range finds a version', async () => {
    const name = service()
    const its = keeper(`${name}@1.2.3`)
    keeper(`${name}*`)
    const asking = client({ heartbeat: 20 })
    for (const asked of [name + '@', `${name}@2.x`, `${name}@1.2.4`, `${name}@latest`]) {
      assert.equal((await ask(asking, asked, null, { timeout: 50 })).error, 'C_TIMEOUT', asked)
    }
    its.stop()
    assert.deepEqual(its.kept, [])
  })

  it('a request waits for a worker of its service', async () => {
    const name = service()
    const answer = ask(client(), name, 'foo')
    worker(name, (data, reply) => reply.end(data))
    assert.equal((await answer).reply, 'foo')
  })

  it('a target that is not there is an error', async () => {
    const name = service()
    keeper(name)
    const other = keeper(service())
    const asking = client()
    for (const workerId of ['nobody', other.socketId]) {
      assert.equal((await ask(asking, name, null, { workerId })).error, 'B_NO_WORKER')
    }
  })

  it('a rejected request goes to another worker', async () => {
    const name = service()
    const seen = []
    for (const i of [0, 1]) {
      worker(name, (data, reply) => {
        seen.push(i)
        reply.reject('NOT_MY_JOB')
      })
    }
    const asking = client()
    const answer = ask(asking, name, 'foo')
    await until(() => seen.length === 2)
    worker(name, (data, reply) => reply.end('MY_JOB'))
    assert.equal((await answer).reply, 'MY_JOB')
    assert.sameMembers(seen, [0, 1])
  })

  it('a request that all have rejected fails with the last error', async () => {
    const name = service()
    const errors = []
    for (const i of [0, 1]) {
      worker(name, (data, reply) => {
        errors.push(['no', i])
        reply.reject(['no', i])
      })
    }
    const { error } = await ask(client(), name, 'foo')
    assert.lengthOf(errors, 2)
    assert.deepEqual(error, errors[1])
  })

  it('a request that may be retried goes to another worker when its worker is lost', async () => {
    const name = service()
    const lost = keeper(name)
    const answer = ask(client(), name, 'foo', { retry: 1 })
    await until(() => lost.kept.length === 1)
    lost.stop()
    worker(name, (data, reply) => reply.end(`${data} again`))
    assert.equal((await answer).reply, 'foo again')
  })

  it('one that may not fails when its worker is lost', async () => {
    const name = service()
    const lost = keeper(name)
    const answer = ask(client(), name, 'foo')
    await until(() => lost.kept.length === 1)
    const other = keeper(name)
    lost.stop()
    assert.equal((await answer).error, 'B_WORKER_LOST')
    assert.deepEqual(other.kept, [])
  })
})

describe('balance by load', () => {
  const { client, keeper } = stage({ dmode: 'load' })

  it('the worker with the fewest requests in hand gets the next', async () => {
    const name = service()
    const [one, two] = [keeper(name), keeper(name)]
    const asking = client()
    const answers = []
    const give = async () => {
      const had = one.kept.length + two.kept.length
      answers.push(ask(asking, name))
      await until(() => one.kept.length + two.kept.length > had)
    }
    for (let i = 0; i < 6; i++) await give()
    assert.deepEqual([one.kept.length, two.kept.length], [3, 3])
    two.kept.splice(0).forEach(({ reply }) => reply.end())
    await Promise.race(answers)
    for (let i = 0; i < 2; i++) await give()
    assert.deepEqual([one.kept.length, two.kept.length], [3, 2])
  })
})

describe('balance by chance', () => {
  const { client, worker } = stage({ dmode: 'rand' })

  it('every worker gets some', async () => {
    const name = service()
    for (const i of [0, 1, 2]) worker(name, (data, reply) => reply.end(i))
    const asking = client()
    const seen = new Set()
    for (let i = 0; i < 200; i++) seen.add((await ask(asking, name)).reply)
    assert.equal(seen.size, 3)
  })
})
