#!/usr/bin/env node
import { createNodeResolver, createNodeResolveTxt, createSafeFetch } from '@skywright/identity/node'
import { runCommand } from './command.ts'

const PLC_URL = 'https://plc.directory'

const safeFetch = createSafeFetch()
process.exitCode = await runCommand(process.argv.slice(2), {
  resolver: createNodeResolver({ plcUrl: PLC_URL }),
  resolveTxt: createNodeResolveTxt(),
  fetch: async (url, init) => safeFetch(url, init),
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
})
