import { formatCar } from '../car/encode.ts'
import { writeVarint } from '../car/varint.ts'
import { encodeCbor } from '../encode-cbor.ts'
import { cidFromKey, type CidKey, cidKeyForCbor } from '../cid.ts'
import type { RepoErrorCode } from '../errors.ts'
import { REPO_VERSION } from '../limits.ts'
import type { Signer } from '../signer.ts'
import { TREE_DEFECTS } from './broken-trees.ts'
import { concatBytes, fromHex, rawMap } from './raw-cbor.ts'
import { keysOfDepth, RawTree, TEST_COLLECTION } from './raw-tree.ts'

/** Whose repo the broken one pretends to be. */
export interface BrokenRepoInput {
  readonly did: string
  readonly signer: Signer
  /** @defaultValue `3kaaaaaaaaa22` */
  readonly rev?: string
}

/** A CAR that is wrong (or, as a control, right) in one named way. */
export interface RepoDefect {
  readonly name: string
  /** What is wrong, in one sentence. */
  readonly defect: string
  /** Code of the error strict verification must refuse it with; undefined where it must accept. */
  readonly expected: RepoErrorCode | undefined
  readonly build: (input: BrokenRepoInput) => Promise<Uint8Array>
}

const REV = '3kaaaaaaaaa22'

interface Signed {
  readonly key: CidKey
  readonly bytes: Uint8Array
}

/** Signs whatever fields are given, and encodes them with `sig`. */
async function sign(
  fields: Readonly<Record<string, unknown>>,
  signer: Signer,
  encode: (value: Record<string, unknown>) => Uint8Array = encodeCbor,
): Promise<Signed> {
  const sig = await signer.sign(encodeCbor(fields))
  const bytes = encode({ ...fields, sig })
  return { key: cidKeyForCbor(bytes), bytes }
}

function fieldsOf({ did, rev = REV }: BrokenRepoInput, data: CidKey): Record<string, unknown> {
  return { did, rev, data: cidFromKey(data), prev: null, version: REPO_VERSION }
}

function carOf(commit: Signed, tree: RawTree): Uint8Array {
  return formatCar([commit.key], [[commit.key, commit.bytes], ...tree.blocks])
}

/** A repo with one sound record. */
function soundTree(): { readonly tree: RawTree; readonly data: CidKey } {
  const tree = new RawTree()
  const [key = ''] = keysOfDepth(0, 1)
  return { tree, data: tree.node([{ key, value: tree.record(key) }]) }
}

function treeDefects(): readonly RepoDefect[] {
  return TREE_DEFECTS.map(({ name, defect, expected, build }) => ({
    name,
    defect,
    expected,
    build: async (input) => {
      const tree = new RawTree()
      const data = build(tree)
      return carOf(await sign(fieldsOf(input, data), input.signer), tree)
    },
  }))
}

const TYPE = encodeCbor(TEST_COLLECTION)

/** Records of the right hash and the wrong bytes. */
const RECORDS: readonly (readonly [name: string, defect: string, bytes: Uint8Array])[] = [
  [
    'record-float',
    'a record holds a float',
    rawMap([
      ['n', fromHex('fb3ff8000000000000')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-integral-float',
    'a record holds the float 1.0',
    rawMap([
      ['n', fromHex('f93c00')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-unsorted-keys',
    'the keys of a record are not in order',
    rawMap([
      ['$type', TYPE],
      ['n', fromHex('01')],
    ]),
  ],
  [
    'record-key-twice',
    'a key of a record comes twice',
    rawMap([
      ['n', fromHex('01')],
      ['n', fromHex('02')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-long-head',
    'an integer of a record is longer than needed',
    rawMap([
      ['n', fromHex('1801')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-indefinite',
    'a record holds an array of indefinite length',
    rawMap([
      ['n', fromHex('9fff')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-undefined',
    'a record holds undefined',
    rawMap([
      ['n', fromHex('f7')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-foreign-tag',
    'a record holds a date tag',
    rawMap([
      ['n', fromHex('c101')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-bad-text',
    'a text of a record is not UTF-8',
    rawMap([
      ['n', fromHex('61ff')],
      ['$type', TYPE],
    ]),
  ],
  [
    'record-trailing-bytes',
    'a byte follows a record',
    concatBytes(rawMap([['$type', TYPE]]), fromHex('00')),
  ],
  ['record-not-a-map', 'a record is an array', encodeCbor([TEST_COLLECTION])],
]

function recordDefects(): readonly RepoDefect[] {
  return RECORDS.map(([name, defect, bytes]) => ({
    name,
    defect,
    expected: 'InvalidRecord',
    build: async (input) => {
      const tree = new RawTree()
      const [key = ''] = keysOfDepth(0, 1)
      const data = tree.node([{ key, value: tree.add(bytes) }])
      return carOf(await sign(fieldsOf(input, data), input.signer), tree)
    },
  }))
}

/** Commit objects whose fields are wrong; the signature is over exactly what they say. */
const COMMITS: readonly (readonly [
  name: string,
  defect: string,
  expected: RepoErrorCode,
  change: (fields: Record<string, unknown>) => Record<string, unknown>,
])[] = [
  [
    'commit-of-another-account',
    'the commit names another DID',
    'CommitMismatch',
    (fields) => ({ ...fields, did: 'did:web:mallory.example.com' }),
  ],
  [
    'commit-version-2',
    'the commit has version 2',
    'InvalidCommit',
    (fields) => ({ ...fields, version: 2 }),
  ],
  [
    'commit-rev-malformed',
    'the rev of the commit is no TID',
    'InvalidCommit',
    (fields) => ({ ...fields, rev: '2024-01-01' }),
  ],
  [
    'commit-did-malformed',
    'the DID of the commit is none',
    'InvalidCommit',
    (fields) => ({ ...fields, did: 'example.com' }),
  ],
  [
    'commit-without-prev',
    'the commit leaves out `prev` instead of writing null',
    'InvalidCommit',
    ({ prev: _prev, ...fields }) => fields,
  ],
  [
    'commit-data-null',
    'the commit has no tree',
    'InvalidCommit',
    (fields) => ({ ...fields, data: null }),
  ],
]

function commitDefects(): readonly RepoDefect[] {
  return COMMITS.map(([name, defect, expected, change]) => ({
    name,
    defect,
    expected,
    build: async (input) => {
      const { tree, data } = soundTree()
      return carOf(await sign(change(fieldsOf(input, data)), input.signer), tree)
    },
  }))
}

/** Gives the commit's fields in another order than the canonical one. */
function encodeUnsorted(value: Record<string, unknown>): Uint8Array {
  return rawMap(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, encodeCbor(value[key])]),
  )
}

function sound(
  name: string,
  defect: string,
  expected: RepoErrorCode | undefined,
  change: (car: Uint8Array, commit: Signed, tree: RawTree) => Uint8Array,
): RepoDefect {
  return {
    name,
    defect,
    expected,
    build: async (input) => {
      const { tree, data } = soundTree()
      const commit = await sign(fieldsOf(input, data), input.signer)
      return change(carOf(commit, tree), commit, tree)
    },
  }
}

/** Gives a CAR with this header item before the sections of `car`. */
function withHeader(car: Uint8Array, header: Uint8Array): Uint8Array {
  const length = new Uint8Array(9)
  const size = writeVarint(length, header.length, 0)
  // The header of a CAR with one root takes 59 bytes, its length included.
  return concatBytes(length.subarray(0, size), header, car.subarray(59))
}

function fileDefects(): readonly RepoDefect[] {
  return [
    sound('valid-one-record', 'none: one record', undefined, (car) => car),
    sound(
      'valid-any-order',
      'none: blocks in reverse order, the commit last',
      undefined,
      (_car, commit, tree) =>
        formatCar([commit.key], [...tree.blocks].toReversed().concat([[commit.key, commit.bytes]])),
    ),
    sound('valid-blocks-twice', 'none: every block comes twice', undefined, (car) =>
      concatBytes(car, car.subarray(59)),
    ),
    sound(
      'valid-stray-block',
      'none: a block nothing refers to',
      undefined,
      (car, _commit, tree) => {
        const stray = encodeCbor({ stray: true })
        return concatBytes(
          car,
          formatCar([], [[tree.add(stray), stray]]).subarray(emptyHeaderBytes()),
        )
      },
    ),
    {
      name: 'signature-wrong',
      defect: 'the signature is of other bytes',
      expected: 'InvalidSignature',
      build: async (input) => {
        const { tree, data } = soundTree()
        const signer: Signer = { sign: (bytes) => input.signer.sign(bytes.slice(1)) }
        return carOf(await sign(fieldsOf(input, data), signer), tree)
      },
    },
    {
      name: 'commit-unsorted-keys',
      defect: 'the fields of the commit are not in canonical order',
      expected: 'InvalidCommit',
      build: async (input) => {
        const { tree, data } = soundTree()
        return carOf(await sign(fieldsOf(input, data), input.signer, encodeUnsorted), tree)
      },
    },
    sound(
      'commit-missing',
      'the commit block is not in the CAR',
      'MissingBlock',
      (_car, commit, tree) => formatCar([commit.key], [...tree.blocks]),
    ),
    sound('block-with-wrong-cid', 'a block does not hash to its CID', 'InvalidCar', (car) => {
      const changed = car.slice()
      changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1
      return changed
    }),
    sound('car-truncated', 'the CAR ends inside a block', 'InvalidCar', (car) => car.slice(0, -1)),
    sound('car-empty-section', 'a section has length zero', 'InvalidCar', (car) =>
      concatBytes(car, fromHex('00')),
    ),
    sound('car-short-section', 'a section is shorter than its CID', 'InvalidCar', (car) =>
      concatBytes(car, fromHex('0401711220')),
    ),
    sound('car-long-varint', 'the length of a section takes ten bytes', 'InvalidCar', (car) =>
      concatBytes(car, fromHex('80808080808080808001')),
    ),
    sound('car-version-2', 'the header says version 2', 'InvalidCar', (car, commit) =>
      withHeader(car, encodeCbor({ roots: [cidFromKey(commit.key)], version: 2 })),
    ),
    sound('car-without-roots', 'the header names no root', 'InvalidCar', (car) =>
      withHeader(car, encodeCbor({ roots: [], version: 1 })),
    ),
  ]
}

function emptyHeaderBytes(): number {
  return formatCar([], []).length
}

/** Every defect, and the controls that must be accepted. Names are unique and stay. */
export const REPO_DEFECTS: readonly RepoDefect[] = [
  ...fileDefects(),
  ...commitDefects(),
  ...treeDefects(),
  ...recordDefects(),
]
