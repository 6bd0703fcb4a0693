import { Worker } from 'node:worker_threads'
import { cidFromBytes } from '@skywright/repo'
import { encodeEvent } from '../codec.ts'
import type { CommitEvent, SyncEvent } from '../event.ts'
import { asError } from '../verify/reasons.ts'
import { proveEvent, type Proven } from '../verify/prove.ts'
import type { Prove } from '../verify/verifier.ts'
import { CID_BYTES, type ProveFailure, type ProveRequest, type ProveResponse } from './messages.ts'

/** Frames sent to a worker at once: enough to make messages cheap, few enough not to wait long for the last. */
const MAX_BATCH_FRAMES = 32
const MAX_BATCH_BYTES = 1_048_576

export interface ProverPoolOptions {
  /** Threads. @defaultValue 2 */
  readonly workers?: number
}

/** Proves events in worker threads: hand `prove` to `createEventVerifier`. */
export interface ProverPool extends AsyncDisposable {
  readonly prove: Prove
}

interface Task {
  readonly event: CommitEvent | SyncEvent
  readonly frame: Uint8Array
  readonly key: string
  readonly resolve: (proven: Proven) => void
  readonly reject: (error: Error) => void
}

/**
 * Starts threads that prove events. One account's events may be proven by any of them: a proof needs nothing but the
 * event and the key. Keys that cannot be named (no `didKey`) are used on the calling thread.
 */
export function createProverPool({ workers = 2 }: ProverPoolOptions = {}): ProverPool {
  if (workers < 1) throw new RangeError('workers must be positive')
  return new Pool(workers)
}

class Pool implements ProverPool {
  private readonly threads: Thread[]
  private closed = false

  constructor(workers: number) {
    this.threads = Array.from({ length: workers }, () => new Thread())
  }

  readonly prove: Prove = (event, key, frame) => {
    const { didKey } = key
    if (didKey === undefined || this.closed) return proveEvent(event, key)
    return new Promise((resolve, reject) => {
      let thread = this.threads[0]
      for (const one of this.threads)
        if (thread === undefined || one.load < thread.load) thread = one
      const bytes = frame ?? encodeEvent(event, Math.max(1, event.seq))
      thread?.push({ event, frame: bytes, key: didKey, resolve, reject })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true
    await Promise.all(this.threads.map((thread) => thread.close()))
  }
}

class Thread {
  load = 0
  private readonly worker: Worker
  private readonly sent = new Map<number, readonly Task[]>()
  private queue: Task[] = []
  private scheduled = false
  private nextId = 1

  constructor() {
    const isSource = import.meta.url.endsWith('.ts')
    this.worker = new Worker(
      isSource
        ? new URL('./prove-worker.ts', import.meta.url)
        : new URL('./prove-worker.js', import.meta.url),
      isSource ? { execArgv: ['--conditions=@skywright/source', '--no-warnings'] } : {},
    )
    this.worker.unref()
    this.worker.on('message', (response: ProveResponse) => {
      this.receive(response)
    })
    this.worker.on('error', (error) => {
      this.fail(asError(error))
    })
    this.worker.on('exit', () => {
      this.fail(new Error('proving thread ended'))
    })
  }

  push(task: Task): void {
    this.load++
    this.queue.push(task)
    // While the thread is busy tasks gather; what it gets next is one message.
    if (this.sent.size < 2) this.schedule()
  }

  async close(): Promise<void> {
    await this.worker.terminate()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.send()
    })
  }

  private send(): void {
    const tasks: Task[] = []
    let size = 0
    for (const task of this.queue) {
      if (tasks.length >= MAX_BATCH_FRAMES || (tasks.length > 0 && size >= MAX_BATCH_BYTES)) break
      tasks.push(task)
      size += task.frame.length
    }
    if (tasks.length === 0) return
    this.queue.splice(0, tasks.length)
    // Copied into one buffer that is handed over: a view would drag its whole backing store along.
    const bytes = new Uint8Array(size)
    let at = 0
    for (const { frame } of tasks) {
      bytes.set(frame, at)
      at += frame.length
    }
    const id = this.nextId++
    const request: ProveRequest = {
      id,
      bytes,
      lengths: tasks.map(({ frame }) => frame.length),
      keys: tasks.map(({ key }) => key),
    }
    this.sent.set(id, tasks)
    this.worker.postMessage(request, [bytes.buffer])
    if (this.queue.length > 0 && this.sent.size < 2) this.send()
  }

  private receive({ id, cids, records, failures }: ProveResponse): void {
    const tasks = this.sent.get(id) ?? []
    this.sent.delete(id)
    this.load -= tasks.length
    this.send()
    const failed = new Map(failures)
    const places = records.values()
    for (const [index, task] of tasks.entries()) {
      const failure = failed.get(index)
      if (failure !== undefined) task.reject(asProveError(failure))
      else task.resolve(proven(task, cids.subarray(index * 2 * CID_BYTES), places))
    }
  }

  private fail(error: Error): void {
    const tasks = [...this.sent.values()].flat()
    for (const task of [...tasks, ...this.queue]) task.reject(error)
    this.sent.clear()
    this.queue = []
    this.load = 0
  }
}

/** Takes the places of the task's records from those of the whole response. */
function proven(
  { event, frame }: Task,
  cids: Uint8Array,
  places: IterableIterator<number>,
): Proven {
  const next = (): number => places.next().value ?? 0
  const records = new Map<string, Uint8Array>()
  const data = cidFromBytes(cids.subarray(CID_BYTES, 2 * CID_BYTES))
  if (event.type === 'sync')
    return { commit: cidFromBytes(cids.subarray(0, CID_BYTES)), data, records }
  for (const { path, cid } of event.ops) {
    if (cid === null) continue
    const offset = next()
    records.set(path, frame.subarray(offset, offset + next()))
  }
  return { commit: event.commit, data, records }
}

/** An error with what its reason depends on; its class stayed in the thread. */
function asProveError({ message, ...fields }: ProveFailure): Error {
  return Object.assign(new Error(message), fields)
}
