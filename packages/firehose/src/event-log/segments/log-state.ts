import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LogCorruptError } from '../../errors.ts'
import { replaceFile } from '../../replace-file.ts'

/** What a segment log remembers beside its segments. */
export interface LogState {
  /** Retention removed everything up to this number. */
  readonly trimmedThrough: number
  /** No number up to this one is ever given out again. */
  readonly highWater: number
  /** Accounts whose events up to a number are gone, as long as a file may still hold some. */
  readonly erased: Readonly<Record<string, number>>
}

const FILE = 'state.json'
const EMPTY: LogState = { trimmedThrough: 0, highWater: 0, erased: {} }

/** Reads the state of a log; that of a new log when there is none. */
export async function readLogState(folder: string): Promise<LogState> {
  let text: string
  try {
    text = await readFile(join(folder, FILE), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return EMPTY
    throw error
  }
  try {
    const { trimmedThrough, highWater, erased } = JSON.parse(text) as Partial<LogState>
    if (typeof trimmedThrough !== 'number' || typeof highWater !== 'number') throw new TypeError()
    return { trimmedThrough, highWater, erased: { ...erased } }
  } catch (cause) {
    throw new LogCorruptError(`${FILE} is not readable`, { cause })
  }
}

/** Replaces the state in one step, durably. */
export async function writeLogState(folder: string, state: LogState): Promise<void> {
  await replaceFile(join(folder, FILE), JSON.stringify(state))
}

/** The state of an open log. */
export class LogStateFile {
  private readonly folder: string
  private readonly highWater: () => number
  private state: LogState
  private saving: Promise<void> = Promise.resolve()

  /** @param highWater the highest number given out so far. */
  constructor(folder: string, state: LogState, highWater: () => number) {
    this.folder = folder
    this.state = state
    this.highWater = highWater
  }

  get current(): LogState {
    return this.state
  }

  /** Takes effect at once; resolves when it is durable. */
  change(change: Partial<Omit<LogState, 'highWater'>>): Promise<void> {
    this.state = { ...this.state, ...change }
    const save = (): Promise<void> => {
      this.state = { ...this.state, highWater: this.highWater() }
      return writeLogState(this.folder, this.state)
    }
    this.saving = this.saving.then(save, save)
    return this.saving
  }
}
