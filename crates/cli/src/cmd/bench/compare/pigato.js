// The broker of the npm package PIGATO.
'use strict'

const { Broker } = require('pigato')

new Broker(process.argv[1]).start()
