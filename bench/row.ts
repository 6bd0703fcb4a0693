/** One line of `docs/benchmarks.md`. */
export interface RowResult {
  readonly id: string
  readonly work: string
  readonly ours: number
  readonly unit: string
  readonly rival: number
  readonly rivalName: string
  /** How many times better than the rival, whichever way the unit points. */
  readonly ratio: number
  readonly note: string
}

export interface Row {
  /** What is measured, in one line. */
  readonly work: string
  /** `/s` counts up, the others count down. */
  readonly unit: '/s' | 'ms' | 'MB' | 'bytes'
  readonly rivalName: string
  measure(): Promise<{ readonly ours: number; readonly rival: number; readonly note: string }>
}

/** One figure of a suite. */
export type SuiteResult = Omit<RowResult, 'ratio'> & Pick<Row, 'unit'>

/** Several figures of one long preparation; the ids begin with the name of its file and a slash. */
export interface Suite {
  measure(): Promise<readonly SuiteResult[]>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** A rate as notes tell it: `12,345/s`. */
export function formatRate(rate: number): string {
  return `${Math.round(rate).toLocaleString('en-US')}/s`
}

/** Another rival as notes tell it, by its race with ours: its rate, and how many times that ours is. */
export function formatRace({ ours, rival }: { ours: number; rival: number }): string {
  return `${formatRate(rival)} (ours ${(ours / rival).toPrecision(3)}×)`
}

/** The value that a share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export interface Contender {
  /** Does the work once and returns how many units of work that was. */
  readonly run: () => number | Promise<number>
  /** Shortest time one round measures. @defaultValue 1000 */
  readonly roundMs?: number
}

/**
 * Units per second of two contenders: a warm-up each, then rounds taken in turn so that a noisy neighbour
 * disturbs both alike. The median of the rounds counts.
 */
export async function race(
  ours: Contender,
  rival: Contender,
  rounds = 5,
): Promise<{ ours: number; rival: number }> {
  await rate(ours, 200)
  await rate(rival, 200)
  const oursRates: number[] = []
  const rivalRates: number[] = []
  for (let round = 0; round < rounds; round++) {
    oursRates.push(await rate(ours, ours.roundMs ?? 1000))
    rivalRates.push(await rate(rival, rival.roundMs ?? 1000))
  }
  return { ours: median(oursRates), rival: median(rivalRates) }
}

async function rate(contender: Contender, forMs: number): Promise<number> {
  const started = performance.now()
  let units = 0
  let elapsed = 0
  while (elapsed < forMs) {
    units += await contender.run()
    elapsed = performance.now() - started
  }
  return (units / elapsed) * 1000
}

/** Milliseconds one run of `work` takes: the median of `rounds`. */
export async function time(work: () => unknown, rounds: number): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  return median(times)
}
