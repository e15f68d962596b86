// The broker of PIGATO, from npm.
'use strict'

const { Broker } = require('pigato')

new Broker(process.argv[1]).start()
