#!/usr/bin/env node
import { Resolver } from 'node:dns/promises'
import { parseArgs } from 'node:util'
import { createNodeResolver, createSafeFetch } from '@skywright/identity/node'
import { resolveLexicon } from './resolve-lexicon.ts'
import { vendor } from './vendor.ts'

const USAGE = `xrpc vendor SOURCE… [--out FOLDER]

Writes TypeScript modules of lexicon documents.
SOURCE is a JSON file, a folder of them, or the NSID of a published lexicon, which is found by DNS and
checked against the signature of its publisher.

  --out FOLDER  where the modules go (lexicons)
`
const PLC_URL = 'https://plc.directory'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: 'lexicons' }, help: { type: 'boolean' } },
})
const [command, ...sources] = positionals
if (values.help === true || command !== 'vendor' || sources.length === 0) {
  process.stderr.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else {
  const dns = new Resolver()
  const resolver = createNodeResolver({ plcUrl: PLC_URL })
  const safeFetch = createSafeFetch()
  try {
    const changed = await vendor({
      sources,
      out: values.out,
      async resolve(nsid) {
        const found = await resolveLexicon(nsid, {
          resolver,
          resolveTxt: async (name) => dns.resolveTxt(name),
          fetch: async (url, init) => safeFetch(url, init),
        })
        process.stdout.write(`${nsid} published by ${found.did} at ${found.rev}\n`)
        return found.document
      },
    })
    process.stdout.write(`${changed.length} files written to ${values.out}\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
