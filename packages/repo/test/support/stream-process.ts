/**
 * Writes a CAR of about MEGABYTES megabytes to its output, in streamable order or, with `backwards`, with everything behind
 * what it is needed for; or reads one in streamable order from its input and prints how many records were proven and how much
 * memory that took: `stream-process.ts MEGABYTES [backwards] | stream-process.ts`.
 */
import { once } from 'node:events'

import { cidForCbor, encodeCbor, readRepo } from '../../src/index.ts'
import { formatCarHead, sectionBytes, writeSection } from '../../src/car/encode.ts'
import { cidKey, cidKeyForCbor, type CidKey } from '../../src/cid.ts'
import { signCommit } from '../../src/commit.ts'
import { buildTree } from '../../src/mst/build.ts'
import { decodeNode } from '../../src/mst/node-codec.ts'
import { createTestKey } from '../../src/testing/index.ts'

const RECORD_BYTES = 10_000
const did = 'did:web:alice.example.com'
const collection = 'com.example.note'
const key = createTestKey()
const filler = 'x'.repeat(RECORD_BYTES)

/** Records are made when they are needed: only the tree is in memory. */
function recordOf(path: string): Uint8Array {
  return encodeCbor({ $type: collection, path, filler })
}

function sectionOf(cid: CidKey, bytes: Uint8Array): Uint8Array {
  const section = new Uint8Array(sectionBytes(cid, bytes))
  writeSection(section, 0, cid, bytes)
  return section
}

function pathOf(n: number): string {
  return `${collection}/k${String(n).padStart(8, '0')}`
}

function* entries(count: number): Generator<readonly [string, CidKey], void, void> {
  for (let n = 0; n < count; n++) {
    const path = pathOf(n)
    yield [path, cidKeyForCbor(recordOf(path))]
  }
}

function* walk(
  nodes: ReadonlyMap<CidKey, Uint8Array>,
  cid: CidKey,
): Generator<Uint8Array, void, void> {
  const bytes = nodes.get(cid)
  if (bytes === undefined) throw new Error('node is gone')
  yield sectionOf(cid, bytes)
  const { keys, values, trees } = decodeNode(bytes)
  for (const [slot, tree] of trees.entries()) {
    if (slot > 0) yield sectionOf(values[slot - 1] ?? '', recordOf(keys[slot - 1] ?? ''))
    if (tree !== null) yield* walk(nodes, tree)
  }
}

/** The worst order: records from the last to the first, then nodes, the commit at the end. */
function* walkBackwards(
  nodes: ReadonlyMap<CidKey, Uint8Array>,
  count: number,
): Generator<Uint8Array, void, void> {
  for (let n = count - 1; n >= 0; n--) {
    const bytes = recordOf(pathOf(n))
    yield sectionOf(cidKeyForCbor(bytes), bytes)
  }
  for (const [cid, bytes] of nodes) yield sectionOf(cid, bytes)
}

async function write(megabytes: number, backwards: boolean): Promise<void> {
  const nodes = new Map<CidKey, Uint8Array>()
  const count = Math.round((megabytes * 1e6) / RECORD_BYTES)
  const data = buildTree(entries(count), (cid, bytes) => nodes.set(cid, bytes))
  const commit = await signCommit({ did, rev: '3kaaaaaaaaa22', data }, key)
  const root = cidKey(cidForCbor(commit))
  process.stdout.write(formatCarHead([root]))
  if (!backwards) process.stdout.write(sectionOf(root, commit))
  for (const section of backwards ? walkBackwards(nodes, count) : walk(nodes, data)) {
    if (!process.stdout.write(section)) await once(process.stdout, 'drain')
  }
  if (backwards) process.stdout.write(sectionOf(root, commit))
}

async function read(): Promise<void> {
  let proven = 0
  let total = 0
  let highest = 0
  const { records } = await readRepo(process.stdin, { did, key })
  for await (const { bytes } of records) {
    proven++
    total += bytes.length
    if (proven % 1000 === 0) highest = Math.max(highest, process.memoryUsage.rss())
  }
  process.stdout.write(JSON.stringify({ proven, total, rss: highest }))
}

const [megabytes, order] = process.argv.slice(2)
if (megabytes === undefined) await read()
else await write(Number(megabytes), order === 'backwards')
