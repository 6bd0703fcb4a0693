/** A mistake somebody could make: one place of one file, changed, and the tests of which one has to notice. */
export interface Mutant {
  /** Path below the root. */
  readonly file: string
  /** What stands there, exactly once. */
  readonly find: string
  readonly replace: string
  /** Test files, the quickest to notice first. */
  readonly tests: readonly string[]
}

const VERIFY_COMMIT = ['packages/repo/test/verify-commit.test.ts']
const PAIRS = ['packages/repo/test/pairs.test.ts']
const HARDENING = [
  'packages/repo/test/mst.hardening.test.ts',
  'packages/repo/test/broken-repos.test.ts',
]
const VERIFIER = [
  'packages/firehose/test/check-event.test.ts',
  'packages/firehose/test/verify.test.ts',
]
const CODEC = ['packages/firehose/test/codec.test.ts']
const CONSUMER = [
  'packages/firehose/test/subscribe.test.ts',
  'packages/firehose/test/endings.test.ts',
]
const QUEUE = ['packages/firehose/test/queue.test.ts']
const RESYNC = ['packages/firehose/test/resync.test.ts', 'packages/firehose/test/churn.test.ts']
const STORES = ['packages/firehose/test/stores.test.ts']
const LOGS = ['packages/firehose/test/event-log.test.ts']
const SEGMENTS = [
  'packages/firehose/test/segment-log.test.ts',
  'packages/firehose/test/event-log.test.ts',
]
const SERVE = ['packages/firehose/test/ws.test.ts', 'packages/firehose/test/event-log.test.ts']
const TAP = ['packages/firehose/test/tap.test.ts']
const JETSTREAM = [
  'packages/firehose/test/jetstream.test.ts',
  'packages/firehose/test/jetstream-v2.test.ts',
]

/** Short for a mutant. */
function mutant(tests: readonly string[], file: string, find: string, replace: string): Mutant {
  return { file: `packages/${file}`, find, replace, tests }
}

/** Every mistake the tests are known to notice. A bug that was found belongs here before it is mended. */
export const mutants: readonly Mutant[] = [
  // Inversion.
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/invert.ts',
    'if ((value ?? null) === op.cid) return',
    'if (op.cid !== null) return',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/invert.ts',
    "Number(b.action === 'delete') - Number(a.action === 'delete') ||",
    '',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/invert.ts',
    'if (ops.length > 1) {',
    'if (ops.length > 1_000) {',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/invert.ts',
    'return a.path < b.path ? 1 : -1',
    'return a.path < b.path ? -1 : 1',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/invert.ts',
    'return putEntry(loader, tree, op.path, op.prev)',
    'return tree',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/edit.ts',
    "if (error instanceof MissingBlockError && typeof stub === 'string') return stub",
    "if (typeof stub === 'number') return stub",
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/mst/edit.ts',
    'while (top.keys.length === 0) {',
    'if (top.keys.length === 0) {',
  ),
  mutant(
    PAIRS,
    'repo/src/mst/edit.ts',
    '[...a.trees.slice(0, -1), seam, ...b.trees.slice(1)],',
    '[...a.trees.slice(0, -1), seam ?? null, ...b.trees.slice(2), null],',
  ),
  mutant(
    PAIRS,
    'repo/src/mst/edit.ts',
    '[lift(left, root.depth, depth - 1), lift(right, root.depth, depth - 1)],',
    '[left, right],',
  ),
  mutant(
    PAIRS,
    'repo/src/mst/edit.ts',
    'for (let at = depth + 1; at <= top; at++) node = new MstNode(at, [], [], [node])',
    'for (let at = depth + 1; at < top; at++) node = new MstNode(at, [], [], [node])',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    "if (typeof inverted === 'string' && inverted !== prevData)",
    "if (typeof inverted === 'string' && inverted === prevData)",
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (before !== prevData) {',
    'if (before !== prevData && keyed.length > 0) {',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (input.since === null || input.since === undefined) return EMPTY_TREE_KEY',
    'return EMPTY_TREE_KEY',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (expected !== undefined && root !== expected) {',
    'if (expected === undefined && root !== expected) {',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (commit.rev !== rev)',
    'if (commit.rev < rev)',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (did !== undefined && commit.did !== did)',
    'if (did === undefined)',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (key !== undefined && !key.verify(commit.unsigned, commit.sig)) {',
    'if (key !== undefined && commit.sig.length !== 64) {',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    "if (paths.has(path)) throw new InvalidOpsError('two operations on one path', path)",
    '',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    "(action === 'create' && cid !== null && prev === null) ||",
    "(action === 'create' && cid !== null) ||",
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    "if (value !== cid) throw new InvalidOpsError('the new tree shows something else', path)",
    '',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (record === undefined) throw new MissingBlockError(formatCidKey(cid))',
    'if (record === undefined) return new Uint8Array()',
  ),
  mutant(
    VERIFY_COMMIT,
    'repo/src/verify-commit.ts',
    'if (ops.length > MAX_COMMIT_OPS)',
    'if (ops.length > MAX_COMMIT_OPS + 1)',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (first <= lower) fail('key not above its left neighbour', cid)",
    '',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (upper !== undefined && last >= upper) fail('key not below its right neighbour', cid)",
    '',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (keyDepth(key) !== depth) fail('key at the wrong depth', cid)",
    '',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (keys.length === 0 && trees[0] === null) fail('empty node inside a tree', cid)",
    '',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (trees[0] !== null) fail('top node without keys', cid)",
    '',
  ),
  mutant(
    HARDENING,
    'repo/src/mst/node.ts',
    "if (this.checkPaths && !isPath(key)) fail('key is no repo path', cid)",
    '',
  ),
  mutant(
    PAIRS,
    'repo/src/mst/proof.ts',
    "visitEdge(loader, loader.child(node, index + 1, lower, upper), 'first', key, behind, visit)",
    '',
  ),
  mutant(
    PAIRS,
    'repo/src/mst/proof.ts',
    "visitEdge(loader, loader.child(node, index, lower, upper), 'last', before, key, visit)",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (isFutureRev(event.rev)) return 'future-rev'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (event.blocks.length > maxBytes) return 'too-large'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (!isDid(event.did)) return 'invalid-did'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (event.since !== null && event.since >= event.rev) return 'invalid-rev'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (event.prevData === undefined && event.since !== null) return 'missing-prev-data'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (paths.has(op.path)) return 'duplicate-path'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    "if (event.ops.length > MAX_COMMIT_OPS) return 'too-many-ops'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/check-event.ts',
    'return op.cid === null && op.prev !== undefined',
    'return op.cid === null',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "return type === 'sync' ? rev < known.rev : rev <= known.rev",
    'return rev < known.rev',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "return type === 'sync' ? rev < known.rev : rev <= known.rev",
    'return rev <= known.rev',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/prove-as.ts',
    'if (refreshed || !IDENTITY_REASONS.has(rejected.reason)) return rejected',
    'return rejected',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/prove-as.ts',
    'if (refreshed || !IDENTITY_REASONS.has(rejected.reason)) return rejected',
    'if (refreshed) return rejected',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "if (event.since !== known.rev) return 'since-mismatch'",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "return event.prevData.toString() === known.data ? undefined : 'prev-data-mismatch'",
    'return undefined',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "if (reason === undefined || this.policy !== 'consumer')",
    'if (reason === undefined)',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "if (reason === undefined || this.policy !== 'consumer')",
    'if (true as boolean)',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "const isFirst = event.type === 'commit' && event.since === null",
    "const isFirst = event.type === 'commit'",
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "if (!(await this.isActive(event.did))) return { status: 'rejected', reason: 'inactive-account' }",
    '',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/prove-as.ts',
    'if (host !== undefined && hostOf(pds) !== host)',
    'if (host !== undefined && pds === undefined)',
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/prove-as.ts',
    "return { status: 'rejected', reason: 'unresolvable-identity', error: asError(error) }",
    "return { status: 'rejected', reason: 'bad-signature', error: asError(error) }",
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    "return this.policy === 'relay' && event.rev > known.rev ? undefined : 'sync'",
    "return this.policy === 'relay' ? undefined : 'sync'",
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/verifier.ts',
    'if (this.staged.get(verified.did)?.state?.rev === verified.rev)',
    'if (this.staged.has(verified.did))',
  ),
  mutant(VERIFIER, 'firehose/src/verify/prove.ts', 'prevData: data,', 'prevData: root,'),
  mutant(VERIFIER, 'firehose/src/verify/prove.ts', "mode: 'tolerant',", "mode: 'strict',"),
  mutant(
    VERIFIER,
    'firehose/src/verify/reasons.ts',
    "return 'cid' in error && isRecord(error.cid, event) ? 'missing-record' : 'missing-proof'",
    "return 'missing-proof'",
  ),
  mutant(
    VERIFIER,
    'firehose/src/verify/rev-clock.ts',
    'if (nowMs - computedAt >= 1_000 || nowMs < computedAt) {',
    'if (computedAt === -Infinity) {',
  ),
  mutant(
    STORES,
    'firehose/src/verify/sqlite-chain-store.ts',
    'if (state === undefined) this.remove.run(did)',
    'if (state === undefined) continue',
  ),
  mutant(
    STORES,
    'firehose/src/verify/sqlite-chain-store.ts',
    'if (this.dirty.has(did)) return this.dirty.get(did)',
    '',
  ),
  mutant(
    STORES,
    'firehose/src/verify/sqlite-chain-store.ts',
    'const statement = inactive ? this.insertInactive : this.removeInactive',
    'const statement = this.insertInactive',
  ),

  // Frames.
  mutant(
    CODEC,
    'firehose/src/codec.ts',
    "if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || seq > MAX_SEQ) fail('seq')",
    "if (typeof seq !== 'number') fail('seq')",
  ),
  mutant(
    CODEC,
    'firehose/src/codec.ts',
    "if (action !== 'create' && action !== 'update' && action !== 'delete') fail('ops.action')",
    '',
  ),
  mutant(CODEC, 'firehose/src/codec.ts', "if (path.length > MAX_PATH_LENGTH) fail('ops.path')", ''),
  mutant(CODEC, 'firehose/src/codec.ts', "if (typeof active !== 'boolean') fail('active')", ''),
  mutant(
    CODEC,
    'firehose/src/codec.ts',
    "throw new InvalidFrameError(reason, { cause, part: 'framing' })",
    "throw new InvalidFrameError(reason, { cause, part: 'body' })",
  ),
  mutant(
    CODEC,
    'firehose/src/codec.ts',
    "if (error === 'FutureCursor') return new FutureCursorError(undefined)",
    '',
  ),
  mutant(
    CODEC,
    'firehose/src/peek.ts',
    'patched.set(frame.subarray(end), start + length)',
    'patched.set(frame.subarray(start + length), start + length)',
  ),
  mutant(
    CODEC,
    'firehose/src/peek.ts',
    'if (isSeq) return splice(frame, start, scanner.at, seq)',
    'if (isSeq) return splice(frame, start, start + 1, seq)',
  ),
  mutant(
    CODEC,
    'firehose/src/frame-scan.ts',
    "if (depth > MAX_DEPTH) throw new InvalidFrameError('nested too deeply')",
    '',
  ),
  mutant(
    CODEC,
    'firehose/src/frame-scan.ts',
    'const count = this.argument * (this.major - 3)',
    'const count = this.argument',
  ),
  mutant(
    CODEC,
    'firehose/src/frame-scan.ts',
    'if (value < 0x1_0000) return 3',
    'if (value <= 0x1_0000) return 3',
  ),

  // From the socket to the handler, and the cursor behind it.
  mutant(
    QUEUE,
    'firehose/src/low-water.ts',
    'this.current = entry.seq\n      this.head++',
    'this.head++\n      this.current = this.open.at(-1)?.seq',
  ),
  mutant(
    QUEUE,
    'firehose/src/low-water.ts',
    'for (let entry = this.open[this.head]; entry?.done === true; entry = this.open[this.head]) {',
    'for (let entry = this.open[this.head]; entry !== undefined; entry = this.open[this.head]) {',
  ),
  mutant(
    QUEUE,
    'firehose/src/low-water.ts',
    'this.open.splice(0, this.head)\n      this.head = 0',
    'this.open.splice(0, this.head)',
  ),
  mutant(
    QUEUE,
    'firehose/src/queue.ts',
    'if (!lane.running && lane.items.length === 1) this.ready.push(lane)',
    'this.ready.push(lane)',
  ),
  mutant(
    QUEUE,
    'firehose/src/queue.ts',
    '(this.items >= this.maxItems || this.bytes >= this.maxBytes)',
    'this.items >= this.maxItems',
  ),
  mutant(
    QUEUE,
    'firehose/src/queue.ts',
    '(this.items >= this.maxItems || this.bytes >= this.maxBytes)',
    'this.bytes >= this.maxBytes',
  ),
  mutant(
    QUEUE,
    'firehose/src/queue.ts',
    'while (this.running < this.concurrency) {',
    'while (this.running <= this.concurrency) {',
  ),
  mutant(
    CONSUMER,
    'firehose/src/run.ts',
    'if (deadLetter === undefined) throw error',
    'if (deadLetter === undefined) return finish()',
  ),
  mutant(CONSUMER, 'firehose/src/run.ts', 'await deadLetter(event, error)', ''),
  mutant(
    CONSUMER,
    'firehose/src/run.ts',
    'await handle(event, signal)\n        finish()',
    'finish()\n        await handle(event, signal)',
  ),
  mutant(
    ['packages/firehose/test/failover.test.ts'],
    'firehose/src/run.ts',
    'timeMs: reachedMs - FAILOVER_REWIND_MS,',
    'timeMs: reachedMs + FAILOVER_REWIND_MS,',
  ),
  mutant(
    ['packages/firehose/test/failover.test.ts'],
    'firehose/src/run.ts',
    'if (found?.gap === true)',
    'if (found?.gap === false)',
  ),
  mutant(CONSUMER, 'firehose/src/consume.ts', 'if (verify !== false) await verify.flush()', ''),
  mutant(
    CONSUMER,
    'firehose/src/consume.ts',
    "if (event.type === 'identity' && verify !== false) verify.purge(event.did)",
    '',
  ),
  mutant(
    CONSUMER,
    'firehose/src/consume.ts',
    "return this.options.queue.concurrency === 1 ? '' : did",
    'return did',
  ),
  mutant(
    CONSUMER,
    'firehose/src/consume.ts',
    'if (!(followsChains ? this.inScope(peek) : this.wanted(peek))) {',
    'if (!this.wanted(peek)) {',
  ),
  mutant(
    [...CONSUMER, ...RESYNC],
    'firehose/src/consume.ts',
    "const isGone = !active && status === 'deleted' && verify.policy === 'consumer'",
    'const isGone = false as boolean',
  ),
  mutant(
    [...CONSUMER, ...RESYNC],
    'firehose/src/consume.ts',
    'const isBack = active && !wasActive && this.synchronizer !== undefined',
    'const isBack = false as boolean',
  ),
  mutant(
    CONSUMER,
    'firehose/src/follow.ts',
    'if (cursor !== undefined && received.peek.seq <= cursor) continue',
    '',
  ),
  mutant(CONSUMER, 'firehose/src/follow.ts', 'if (peek.seq < last) {', 'if (peek.seq < 0) {'),
  mutant(
    CONSUMER,
    'firehose/src/follow.ts',
    'if (error instanceof FutureCursorError) throw new FutureCursorError(cursor, { cause: error })',
    '',
  ),
  mutant(
    [...CONSUMER, 'packages/firehose/test/hostile-stream.test.ts'],
    'firehose/src/follow.ts',
    'if (++poison > MAX_POISON && cursor !== undefined) {',
    'if (++poison > 1_000 && cursor !== undefined) {',
  ),
  mutant(
    QUEUE,
    'firehose/src/filter.ts',
    'prefixes.push(pattern.slice(0, -1))',
    'prefixes.push(pattern.slice(0, -2))',
  ),
  mutant(
    CONSUMER,
    'firehose/src/filter.ts',
    "if (type !== '#commit' || matches === undefined) return true",
    'if (matches === undefined) return true',
  ),
  mutant(
    CONSUMER,
    'firehose/src/subscribe.ts',
    "if (this.options.acknowledge !== 'manual') {",
    "if (this.options.acknowledge === 'next') {",
  ),
  mutant(
    CONSUMER,
    'firehose/src/subscribe.ts',
    'this.unacknowledged.splice(0, index + 1)',
    'this.unacknowledged.splice(0)',
  ),

  // Fetching again.
  mutant(
    RESYNC,
    'firehose/src/resync/diff-repo.ts',
    "ops.push({ action: 'delete', ...parsePath(path), path, cid: null })",
    '',
  ),
  mutant(RESYNC, 'firehose/src/resync/diff-repo.ts', 'if (before === cid.toString()) continue', ''),
  mutant(
    RESYNC,
    'firehose/src/resync/synchronizer.ts',
    'if (!(await this.drain(job)) || job.overflowed) return false',
    'await this.drain(job)',
  ),
  mutant(
    RESYNC,
    'firehose/src/resync/synchronizer.ts',
    'minRev: known > minRev ? known : minRev,',
    "minRev: '',",
  ),
  mutant(RESYNC, 'firehose/src/resync/synchronizer.ts', 'if (this.jobs.has(did)) return', ''),
  mutant(RESYNC, 'firehose/src/resync/synchronizer.ts', 'job.overflowed = true\n', '\n'),
  mutant(
    ['packages/firehose/test/parked-events.test.ts'],
    'firehose/src/resync/parked-events.ts',
    'this.bytes + bytes > this.maxBytes',
    'bytes > this.maxBytes',
  ),
  mutant(
    ['packages/firehose/test/parked-events.test.ts'],
    'firehose/src/resync/parked-events.ts',
    'for (const { bytes } of this.lots.get(did) ?? []) this.bytes -= bytes',
    '',
  ),
  mutant(RESYNC, 'firehose/src/resync/synchronizer.ts', 'await store.clear(did)', ''),
  mutant(
    RESYNC,
    'firehose/src/resync/synchronizer.ts',
    'await this.options.store.mark([did])\n    this.enqueue(did, { direct: false })\n    this.park(event, bytes)',
    'this.enqueue(did, { direct: false })\n    this.park(event, bytes)',
  ),
  mutant(
    RESYNC,
    'firehose/src/resync/synchronizer.ts',
    'await verifier.adopt(did, { rev, data: data.toString(), commit: cid.toString() })',
    '',
  ),
  mutant(
    RESYNC,
    'firehose/src/resync/fetch-repo.ts',
    'const isGone = error instanceof RepoUnavailableError && source === pds',
    'const isGone = error instanceof RepoUnavailableError',
  ),
  mutant(
    RESYNC,
    'firehose/src/resync/fetch-repo.ts',
    "if (error.status !== 'deleted') return error",
    'return error',
  ),
  mutant(
    RESYNC,
    'firehose/src/resync/fetch-repo.ts',
    '...(minRev === undefined ? {} : { minRev }),',
    '',
  ),
  mutant(
    ['packages/firehose/test/host-slots.test.ts'],
    'firehose/src/resync/host-slots.ts',
    'if (host.paused || host.used >= this.perHost) return undefined',
    'if (host.paused) return undefined',
  ),
  mutant(
    ['packages/firehose/test/host-slots.test.ts'],
    'firehose/src/resync/host-slots.ts',
    'host.used === 0 ? host.waiting.length : 1',
    '1',
  ),

  // Logs and what is served of them.
  mutant(
    LOGS,
    'firehose/src/event-log/memory.ts',
    'this.pending = []\n  }\n\n  publish',
    '}\n\n  publish',
  ),
  mutant(
    LOGS,
    'firehose/src/event-log/sqlite.ts',
    'this.pending = false\n    this.totalBytes = this.durableBytes',
    'this.pending = false\n    this.allocated = this.last',
  ),
  mutant(
    LOGS,
    'firehose/src/event-log/sqlite.ts',
    "this.setMeta.run('trimmed_through', last)\n        this.setMeta.run('high_water', this.allocated)",
    "this.setMeta.run('trimmed_through', last)",
  ),
  mutant(
    LOGS,
    'firehose/src/event-log/sqlite.ts',
    'this.tail.remove((entry) => entry.did === did)',
    '',
  ),
  mutant(
    LOGS,
    'firehose/src/event-log/pages.ts',
    'if (page.length > 0 && bytes > limits.maxBytes) break',
    'if (bytes > limits.maxBytes) break',
  ),
  mutant(
    LOGS,
    'firehose/src/event-log/seed.ts',
    'Math.max(highWater, Math.floor(nowMs) * 1000)',
    'Math.floor(nowMs) * 1000',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/tail-cache.ts',
    'return after >= this.from && after < this.through',
    'return after < this.through',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/record.ts',
    "if (crc32(body) !== view.getUint32(4, true)) return { kind: 'damaged' }",
    '',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/open-segments.ts',
    'if (isNewest) await truncate(path, info.size)',
    '',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/erasure.ts',
    'return Object.hasOwn(erased, did) && seq <= (erased[did] ?? 0)',
    'return Object.hasOwn(erased, did)',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/segment-index.ts',
    'if (size !== stored.size) return undefined',
    '',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/segment-log.ts',
    'if (!Number.isSafeInteger(seq) || seq <= last) {',
    'if (!Number.isSafeInteger(seq)) {',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/segment-log.ts',
    'const highWater = Math.max(above, state.highWater, segments.newest?.last ?? 0)',
    'const highWater = segments.newest?.last ?? 0',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/retention.ts',
    'if (segment.last <= through) await segments.remove(segment)',
    'await segments.remove(segment)',
  ),
  mutant(
    SERVE,
    'firehose/src/serve.ts',
    'if (this.position > last) {',
    'if (this.position > last + 1_000_000) {',
  ),
  mutant(
    SERVE,
    'firehose/src/serve.ts',
    'if (this.asked === undefined || this.position >= first - 1) return undefined',
    'if (this.asked === undefined || this.position >= first) return undefined',
  ),
  mutant(SERVE, 'firehose/src/serve.ts', 'if (this.asked === 0) return undefined', ''),
  mutant(
    SERVE,
    'firehose/src/serve.ts',
    '(!this.reachedTip || lag <= this.maxLagEvents)',
    'lag <= this.maxLagEvents',
  ),
  mutant(SERVE, 'firehose/src/serve.ts', 'this.position = Math.max(this.position, tip)', ''),

  // Other sources.
  mutant(
    TAP,
    'firehose/src/tap/subscribe-tap.ts',
    'if (!handled.has(message.id)) {',
    'if (true as boolean) {',
  ),
  mutant(
    TAP,
    'firehose/src/tap/subscribe-tap.ts',
    'for (const event of eventsOf(message, options, clock)) if (wanted(event)) yield event',
    "send(JSON.stringify({ type: 'ack', id: message.id }))\n            for (const event of eventsOf(message, options, clock)) if (wanted(event)) yield event",
  ),
  mutant(TAP, 'firehose/src/tap/tap-message.ts', "{ ...base, type: 'account', ...account },", ''),
  mutant(
    TAP,
    'firehose/src/message-parts.ts',
    'return cidForCbor(bytes).equals(named) ? { ...where, cid: named, record: bytes } : undefined',
    'return { ...where, cid: named, record: bytes }',
  ),
  mutant(
    JETSTREAM,
    'firehose/src/jetstream/position.ts',
    'if (this.seen.has(key)) return false',
    '',
  ),
  mutant(
    JETSTREAM,
    'firehose/src/jetstream/position.ts',
    'return this.last === undefined || seq > this.last',
    'return true',
  ),
  mutant(
    ['packages/firehose/test/observe.test.ts'],
    'firehose/src/tally.ts',
    'counts[outcome]++\n    if (observe === undefined) return',
    'if (observe === undefined) return',
  ),
  mutant(
    ['packages/firehose/test/observe.test.ts'],
    'firehose/src/tally.ts',
    "return TYPES.get(type) ?? 'unknown'",
    "return TYPES.get(type) ?? 'info'",
  ),
  mutant(
    ['packages/firehose/test/group-commit.test.ts'],
    'firehose/src/event-log/segments/group-commit.ts',
    'for (const { reject } of [...batches, ...this.queue]) reject(error)',
    'for (const { reject } of batches) reject(error)',
  ),
  mutant(
    ['packages/firehose/test/group-commit.test.ts'],
    'firehose/src/event-log/segments/group-commit.ts',
    'await Promise.resolve()',
    '',
  ),
  mutant(
    SEGMENTS,
    'firehose/src/event-log/segments/segment-log.ts',
    'this.closed = true\n        this.waiters.close()',
    'this.waiters.close()',
  ),
  mutant(
    [...TAP, ...JETSTREAM],
    'firehose/src/message-parts.ts',
    "if (!isPath(path)) throw wrongField('commit.rkey')",
    '',
  ),
  mutant(TAP, 'firehose/src/tap/tap-message.ts', "if (id < 0) throw wrongField('id')", ''),
  mutant(TAP, 'firehose/src/tap/recent-ids.ts', 'if (this.ids.size <= MAX_REMEMBERED) return', ''),
  mutant(
    TAP,
    'firehose/src/filter.ts',
    "if (event.type !== 'commit' || matches === undefined) return true",
    'if (matches === undefined) return true',
  ),
  mutant(
    JETSTREAM,
    'firehose/src/jetstream/position.ts',
    'this.cursor - (this.seen.size > 0 ? REWIND_US : 0)',
    'this.cursor',
  ),
]
