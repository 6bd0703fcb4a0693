import { abortError } from './timer.ts'

/** Between a socket that pushes and a reader that pulls: remembers messages, says when to pause and resume. */
export class SocketBuffer implements AsyncIterator<Uint8Array, undefined> {
  private readonly highWaterBytes: number
  private readonly pause: () => void
  private readonly resume: () => void
  private readonly close: () => void
  private messages: Uint8Array[] = []
  private head = 0
  private bytes = 0
  private paused = false
  private ended: { readonly error: Error | undefined } | undefined
  private reader:
    | {
        readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
        readonly reject: (error: Error) => void
      }
    | undefined

  constructor(options: {
    readonly highWaterBytes: number
    readonly pause: () => void
    readonly resume: () => void
    readonly close: () => void
  }) {
    this.highWaterBytes = options.highWaterBytes
    this.pause = options.pause
    this.resume = options.resume
    this.close = options.close
  }

  /** A message arrived. */
  push(message: Uint8Array): void {
    if (this.ended !== undefined) return
    if (this.reader !== undefined) {
      const { resolve } = this.reader
      this.reader = undefined
      resolve({ value: message, done: false })
      return
    }
    this.messages.push(message)
    this.bytes += message.length
    if (!this.paused && this.bytes >= this.highWaterBytes) {
      this.paused = true
      this.pause()
    }
  }

  /** The socket ended; what is buffered is still read first. */
  end(error?: Error): void {
    if (this.ended !== undefined) return
    this.ended = { error }
    const { reader } = this
    if (reader === undefined) return
    this.reader = undefined
    if (error === undefined) reader.resolve({ value: undefined, done: true })
    else reader.reject(error)
  }

  /** The reader's signal aborted: what is buffered is dropped. */
  abort(signal: AbortSignal): void {
    this.messages = []
    this.head = 0
    this.bytes = 0
    this.end(abortError(signal))
    this.close()
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const message = this.messages[this.head]
    if (message !== undefined) {
      this.head++
      this.bytes -= message.length
      if (this.head === this.messages.length) {
        this.messages = []
        this.head = 0
      }
      if (this.paused && this.bytes <= this.highWaterBytes / 2) {
        this.paused = false
        this.resume()
      }
      return Promise.resolve({ value: message, done: false })
    }
    if (this.ended !== undefined) {
      return this.ended.error === undefined
        ? Promise.resolve({ value: undefined, done: true })
        : Promise.reject(this.ended.error)
    }
    return new Promise((resolve, reject) => {
      this.reader = { resolve, reject }
    })
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.messages = []
    this.head = 0
    this.end()
    this.close()
    return Promise.resolve({ value: undefined, done: true })
  }
}
