import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DidDocument } from '@skywright/identity'
import { decodeCbor, lexToJson } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import { decodeEvent } from '../src/codec.ts'
import { InvalidFrameError } from '../src/errors.ts'
import { readFrameFile, verifyFrames } from '../src/frame-file.ts'
import { createDocumentIdentities } from '../src/verify/document-identities.ts'
import { FIXTURES, haveFixtures, liveFrames, readFixture } from './fixtures.ts'

const text = (path: string) => new TextDecoder().decode(readFixture(path))

function liveIdentities() {
  return createDocumentIdentities(
    JSON.parse(text('live-firehose/did-docs.json')) as Record<string, DidDocument>,
  )
}

/** One operation as Jetstream writes it. */
interface Operation {
  readonly did: string
  readonly rev: string
  readonly operation: string
  readonly collection: string
  readonly rkey: string
  readonly record?: unknown
  readonly cid?: string
}

describe.skipIf(!haveFixtures('live-firehose'))('verification of real frames', () => {
  it('accepts 148 of 148 commits, with inversion', async () => {
    const report = await verifyFrames(liveFrames(), { identity: liveIdentities() })
    expect(report).toMatchObject({
      frames: 150,
      accepted: { '#commit': 148 },
      discontinuous: {},
      rejected: {},
      decoded: { '#identity': 1, '#account': 1 },
      operations: 150,
    })
  })

  it('finds the records that Jetstream made of the same frames', async () => {
    const ours: Operation[] = []
    await verifyFrames(liveFrames(), {
      identity: liveIdentities(),
      onVerified: ({ did, rev, records }, frame) => {
        const event = decodeEvent(frame)
        if (event.type !== 'commit') throw new Error('the fixture has commits only')
        for (const { action, path, cid } of event.ops) {
          const [collection = '', rkey = ''] = path.split('/')
          const record = records.get(path)
          ours.push({
            did,
            rev,
            operation: action,
            collection,
            rkey,
            ...(record === undefined ? {} : { record: lexToJson(decodeCbor(record)) }),
            ...(cid === null ? {} : { cid: cid.toString() }),
          })
        }
      },
    })
    const theirs = text('live-firehose/jetstream-v1.jsonl')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { did: string; kind: string; commit?: Operation })
      .filter(({ kind }) => kind === 'commit')
      .map(({ did, commit }) => ({ did, ...commit }))
    const key = ({ did, rev, collection, rkey }: Partial<Operation>) =>
      [did, rev, collection, rkey].join(' ')
    const sorted = (list: readonly Partial<Operation>[]) =>
      list.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
    expect(ours).toHaveLength(150)
    expect(sorted(ours)).toEqual(sorted(theirs))
  })

  it('rejects every commit whose bytes were touched', async () => {
    const touched = liveFrames().map((frame) => {
      const copy = Uint8Array.from(frame)
      // Well inside the blocks, behind the header fields.
      const at = Math.floor(copy.length / 2)
      copy[at] = (copy[at] ?? 0) ^ 1
      return copy
    })
    const { accepted, rejected, frames } = await verifyFrames(touched, {
      identity: liveIdentities(),
    })
    expect(frames).toBe(150)
    expect(accepted).toEqual({})
    expect(Object.values(rejected).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(148)
    expect(rejected['invalid-car']).toBeGreaterThan(100)
  })

  it('rejects commits of accounts without a document', async () => {
    const { rejected } = await verifyFrames(liveFrames(), {
      identity: createDocumentIdentities({}),
    })
    expect(rejected).toEqual({ 'unresolvable-identity': 148 })
  })
})

describe('readFrameFile', () => {
  const file = (...bytes: number[]) => [...readFrameFile(Uint8Array.from(bytes))]

  it('splits frames', () => {
    expect(file(1, 0, 0, 0, 7, 2, 0, 0, 0, 8, 9)).toEqual([
      new Uint8Array([7]),
      new Uint8Array([8, 9]),
    ])
    expect(file()).toEqual([])
  })

  it.each([
    ['a length cut short', [1, 0, 0]],
    ['a frame cut short', [3, 0, 0, 0, 1, 2]],
    ['an empty frame', [0, 0, 0, 0]],
    ['a length beyond every frame', [0xff, 0xff, 0xff, 0xff, 1]],
  ])('refuses %s', (_, bytes) => {
    expect(() => file(...bytes)).toThrow(InvalidFrameError)
  })
})

/** Runs the command as `pnpm verify-frames` does. */
function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL('../../../scripts/verify-frames.ts', import.meta.url))
  return new Promise((resolve) => {
    const node = ['--conditions=@skywright/source', '--no-warnings', script, ...args]
    execFile(process.execPath, node, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

describe('pnpm verify-frames', () => {
  it('explains bad arguments', async () => {
    for (const [args, message] of [
      [[], /FILE is missing/],
      [['frames.bin'], /--did-docs FILE is missing/],
      [['a', 'b', '--did-docs', 'c'], /one FILE only/],
      [['a', '--what'], /--what/],
      [['/does/not/exist', '--did-docs', 'x'], /cannot read the frames.*ENOENT/],
    ] as const) {
      const { code, stderr } = await run(...args)
      expect(stderr).toMatch(message)
      expect(stderr).toContain('usage: pnpm verify-frames')
      expect(code).toBe(2)
    }
  })

  it.skipIf(!haveFixtures('live-firehose'))(
    'reports, and fails when frames were rejected',
    async () => {
      const frames = `${FIXTURES}/live-firehose/frames.bin`
      const documents = `${FIXTURES}/live-firehose/did-docs.json`
      const good = await run(frames, '--did-docs', documents)
      expect(good).toMatchObject({ code: 0, stderr: '' })
      expect(good.stdout).toMatch(/accepted +148 of 148\n/)
      expect(good.stdout).toMatch(/rejected +0\n/)
      expect(good.stdout).toMatch(/#identity +1\n/)
      expect(good.stdout).toMatch(/rate +\d+ frames\/s/)
      const folder = await mkdtemp(join(tmpdir(), 'skywright-frames-'))
      try {
        const empty = join(folder, 'none.json')
        await writeFile(empty, '{}')
        const bad = await run(frames, '--did-docs', empty)
        expect(bad.code).toBe(1)
        expect(bad.stdout).toMatch(/unresolvable-identity +148\n/)
        expect((await run(frames, '--did-docs', empty, '--allow-rejected')).code).toBe(0)
        await writeFile(empty, 'no json')
        expect((await run(frames, '--did-docs', empty)).stderr).toMatch(/no JSON/)
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )
})
