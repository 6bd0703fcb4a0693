import type { IndexCommitEvent, IndexOp } from '../event.ts'
import type { Schema } from '../schema.ts'
import { storableText } from '../storable-text.ts'
import { MAX_RKEY_LENGTH } from '../target.ts'
import { judgeRecord } from './judge.ts'
import type { Judged } from './judge.ts'

/** Records judged before their batch needs them: while a server works, the process that waits for it has time. */
export class JudgedAhead {
  readonly #schema: Schema
  readonly #judged = new WeakMap<IndexOp, Judged>()

  constructor(schema: Schema) {
    this.#schema = schema
  }

  /** Judges what a commit brings and is not judged yet. */
  judge({ did, ops }: Pick<IndexCommitEvent, 'did' | 'ops'>, now: number): void {
    for (const op of ops) {
      const collection = this.#schema.byNsid.get(op.collection)
      if (collection === undefined || op.action === 'delete' || op.record === undefined) continue
      if (this.#judged.has(op)) continue
      this.#judged.set(op, judgeRecord(collection, did, storedKey(op), op.record, now))
    }
  }

  /** The judgement, once: who tries a batch again judges again. */
  take(op: IndexOp): Judged | undefined {
    const judged = this.#judged.get(op)
    this.#judged.delete(op)
    return judged
  }
}

/** The record key as it is stored. */
export function storedKey({ rkey }: Pick<IndexOp, 'rkey'>): string {
  return storableText(rkey).slice(0, MAX_RKEY_LENGTH)
}
