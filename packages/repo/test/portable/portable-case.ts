import { RepoError } from '../../src/index.ts'

/** One behaviour of the engine, to be run anywhere. */
export interface PortableCase {
  readonly name: string
  readonly run: () => Promise<void>
}

export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}; expected=${b} actual=${a}`)
}

/** Gives `accept`, or the code of the error. Errors of other kinds pass. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run()
    return 'accept'
  } catch (error) {
    if (error instanceof RepoError) return error.code
    throw error
  }
}
