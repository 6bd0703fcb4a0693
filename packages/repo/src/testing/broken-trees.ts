import { encodeCbor } from '../encode-cbor.ts'
import { cidFromKey, type CidKey } from '../cid.ts'
import type { RepoErrorCode } from '../errors.ts'
import { keysOfDepth, rawEntries, type RawTree } from './raw-tree.ts'

/** A way for the tree of a repo to be wrong. */
export interface TreeDefect {
  readonly name: string
  /** What is wrong, in one sentence. */
  readonly defect: string
  /** Code of the error it must be refused with; undefined where it must be accepted. */
  readonly expected: RepoErrorCode | undefined
  /** Adds the blocks to `tree` and gives the root. */
  readonly build: (tree: RawTree) => CidKey
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new RangeError('no such item')
  return item
}

/** Gives entries of new records under these keys. */
function entriesOf(tree: RawTree, keys: readonly string[]): { key: string; value: CidKey }[] {
  return keys.map((key) => ({ key, value: tree.record(key) }))
}

/** Keys below, at and above the middle: numbers far enough apart that the order is certain. */
function low(depth: number, count = 1): readonly string[] {
  return keysOfDepth(depth, count)
}

function middle(depth: number): string {
  return at(keysOfDepth(depth, 1, 2000), 0)
}

function high(depth: number, count = 1): readonly string[] {
  return keysOfDepth(depth, count, 8000)
}

const MST: RepoErrorCode = 'InvalidMst'

/** Trees that obey or break the rules of the MST, each in exactly one way. */
export const TREE_DEFECTS: readonly TreeDefect[] = [
  {
    name: 'valid-two-layers',
    defect: 'none: two keys below one, as the rules demand',
    expected: undefined,
    build: (tree) => {
      const top = middle(1)
      const right = tree.node(entriesOf(tree, high(0, 2)))
      const left = tree.node(entriesOf(tree, low(0, 2)))
      return tree.node([{ key: top, value: tree.record(top), tree: right }], left)
    },
  },
  {
    name: 'valid-empty',
    defect: 'none: the one empty node of an empty repo',
    expected: undefined,
    build: (tree) => tree.node([]),
  },
  {
    name: 'valid-pointer-only-node',
    defect: 'none: a node that only points, between two layers',
    expected: undefined,
    build: (tree) => {
      const top = middle(2)
      const below = low(0, 3)
      const left = tree.node([], tree.node(entriesOf(tree, below)))
      return tree.node(entriesOf(tree, [top]), left)
    },
  },
  {
    name: 'collection-not-normalised',
    defect: 'the authority of a collection has upper-case letters',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, keysOfDepth(0, 1, 0, 'Com.Example.note/'))),
  },
  {
    name: 'key-without-collection',
    defect: 'a key is no repo path: it has no slash',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, keysOfDepth(0, 1, 0, 'note'))),
  },
  {
    name: 'key-with-three-segments',
    defect: 'a key is no repo path: it has two slashes',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, keysOfDepth(0, 1, 0, 'com.example.note/a/'))),
  },
  {
    name: 'key-with-bad-character',
    defect: 'a record key has a character that is not allowed',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, keysOfDepth(0, 1, 0, 'com.example.note/@'))),
  },
  {
    name: 'key-dot-dot',
    defect: 'a record key is `..`',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, ['com.example.note/..'])),
  },
  {
    name: 'key-on-wrong-layer',
    defect: 'a key of depth 1 lies in a node among keys of depth 0',
    expected: MST,
    build: (tree) => {
      const keys = [...low(0, 2), middle(1)]
      return tree.node(entriesOf(tree, keys))
    },
  },
  {
    name: 'key-below-its-layer',
    defect: 'a key of depth 1 lies in a leaf below another key of depth 1',
    expected: MST,
    build: (tree) => {
      const left = tree.node(entriesOf(tree, low(1)))
      return tree.node(entriesOf(tree, [middle(1)]), left)
    },
  },
  {
    name: 'layer-skipped',
    defect: 'a leaf hangs directly from a node two layers above',
    expected: MST,
    build: (tree) => {
      const top = middle(2)
      const below = low(0, 3)
      return tree.node(entriesOf(tree, [top]), tree.node(entriesOf(tree, below)))
    },
  },
  {
    name: 'subtree-left-out-of-range',
    defect: 'the left subtree has a key above the first key of its parent',
    expected: MST,
    build: (tree) => {
      const top = middle(1)
      const above = high(0)
      return tree.node(entriesOf(tree, [top]), tree.node(entriesOf(tree, above)))
    },
  },
  {
    name: 'subtree-right-out-of-range',
    defect: 'the subtree behind a key has a key below it',
    expected: MST,
    build: (tree) => {
      const top = middle(1)
      const below = tree.node(entriesOf(tree, low(0)))
      return tree.node([{ key: top, value: tree.record(top), tree: below }])
    },
  },
  {
    name: 'subtree-beyond-grandparent',
    defect: 'a key is in order with its parent but passes a key two layers above',
    expected: MST,
    build: (tree) => {
      const top = middle(2)
      const inner = at(low(1), 0)
      const beyond = high(0)
      const right = tree.node(entriesOf(tree, beyond))
      const left = tree.node([{ key: inner, value: tree.record(inner), tree: right }])
      return tree.node(entriesOf(tree, [top]), left)
    },
  },
  {
    name: 'node-shared',
    defect: 'two places of the tree refer to one node',
    expected: MST,
    build: (tree) => {
      const top = middle(1)
      const shared = tree.node(entriesOf(tree, low(0)))
      return tree.node([{ key: top, value: tree.record(top), tree: shared }], shared)
    },
  },
  {
    name: 'prefix-not-maximal',
    defect: 'the second entry shares less with the first than it could',
    expected: MST,
    build: (tree) => {
      const [one, two] = [at(low(0, 2), 0), at(low(0, 2), 1)]
      return tree.node([
        { key: one, value: tree.record(one) },
        { key: two, value: tree.record(two), prefixLength: 3, suffix: two.slice(3) },
      ])
    },
  },
  {
    name: 'prefix-not-used',
    defect: 'no entry is compressed at all',
    expected: MST,
    build: (tree) =>
      tree.node(
        entriesOf(tree, low(0, 3)).map((entry) => ({
          ...entry,
          prefixLength: 0,
          suffix: entry.key,
        })),
      ),
  },
  {
    name: 'prefix-on-first-entry',
    defect: 'the first entry claims a prefix although nothing is before it',
    expected: MST,
    build: (tree) => {
      const key = at(low(0), 0)
      return tree.node([{ key, value: tree.record(key), prefixLength: 4, suffix: key.slice(4) }])
    },
  },
  {
    name: 'prefix-longer-than-key',
    defect: 'an entry claims a longer prefix than the key before it has',
    expected: MST,
    build: (tree) => {
      const [one, two] = [at(low(0, 2), 0), at(low(0, 2), 1)]
      return tree.node([
        { key: one, value: tree.record(one) },
        { key: two, value: tree.record(two), prefixLength: 99, suffix: 'x' },
      ])
    },
  },
  {
    name: 'keys-unsorted',
    defect: 'two keys of a node are in descending order',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, low(0, 2)).toReversed()),
  },
  {
    name: 'key-twice',
    defect: 'one key is in a node twice',
    expected: MST,
    build: (tree) => {
      const key = at(low(0), 0)
      return tree.node([
        { key, value: tree.record('one') },
        { key, value: tree.record('two'), prefixLength: key.length, suffix: '' },
      ])
    },
  },
  {
    name: 'key-empty',
    defect: 'a key is empty',
    expected: MST,
    build: (tree) => tree.node([{ key: '', value: tree.record('x') }]),
  },
  {
    name: 'leaf-empty',
    defect: 'a subtree is an empty node instead of null',
    expected: MST,
    build: (tree) => tree.node(entriesOf(tree, [middle(1)]), tree.node([])),
  },
  {
    name: 'top-not-trimmed',
    defect: 'the top node has no keys, only a pointer',
    expected: MST,
    build: (tree) => tree.node([], tree.node(entriesOf(tree, low(0, 2)))),
  },
  {
    name: 'subtree-below-layer-zero',
    defect: 'a leaf of depth 0 has a subtree',
    expected: MST,
    build: (tree) => {
      const keys = low(0, 2)
      return tree.node(entriesOf(tree, keys.slice(1)), tree.node(entriesOf(tree, keys.slice(0, 1))))
    },
  },
  {
    name: 'left-omitted',
    defect: 'the node leaves out `l` instead of writing null',
    expected: MST,
    build: (tree) => tree.add(encodeCbor({ e: rawEntries(entriesOf(tree, low(0))) })),
  },
  {
    name: 'tree-omitted',
    defect: 'an entry leaves out `t` instead of writing null',
    expected: MST,
    build: (tree) => {
      const [entry] = rawEntries(entriesOf(tree, low(0)))
      const { k, p, v } = entry ?? {}
      return tree.add(encodeCbor({ e: [{ k, p, v }], l: null }))
    },
  },
  {
    name: 'node-extra-field',
    defect: 'the node has a field that is not `e` or `l`',
    expected: MST,
    build: (tree) =>
      tree.add(encodeCbor({ e: rawEntries(entriesOf(tree, low(0))), l: null, x: 1 })),
  },
  {
    name: 'subtree-raw-link',
    defect: 'a subtree is linked by a CID of the raw codec',
    expected: MST,
    build: (tree) => {
      const left = tree.node(entriesOf(tree, low(0)))
      const raw = `\x01\x55${left.slice(2)}`
      tree.blocks.set(raw, tree.blocks.get(left) ?? new Uint8Array(0))
      return tree.add(
        encodeCbor({ e: rawEntries(entriesOf(tree, [middle(1)])), l: cidFromKey(raw) }),
      )
    },
  },
  {
    name: 'key-as-text',
    defect: 'a key is a text string instead of a byte string',
    expected: MST,
    build: (tree) => {
      const key = at(low(0), 0)
      const v = cidFromKey(tree.record(key))
      return tree.add(encodeCbor({ e: [{ k: key, p: 0, t: null, v }], l: null }))
    },
  },
  {
    name: 'node-missing',
    defect: 'the block of a subtree is not in the CAR',
    expected: 'MissingBlock',
    build: (tree) => {
      const left = tree.node(entriesOf(tree, low(0)))
      tree.blocks.delete(left)
      return tree.node(entriesOf(tree, [middle(1)]), left)
    },
  },
  {
    name: 'record-missing',
    defect: 'the block of a record is not in the CAR',
    expected: 'MissingBlock',
    build: (tree) => {
      const [entry] = entriesOf(tree, low(0))
      tree.blocks.delete(entry?.value ?? '')
      return tree.node(entry === undefined ? [] : [entry])
    },
  },
]
