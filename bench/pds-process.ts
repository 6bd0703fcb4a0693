import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { startOurPds, startPlcDirectory, startReferencePds, type PdsProcess } from './pds-load.ts'
import { median, type Row } from './row.ts'

export type { Row }

const STARTS = 5
/** Long enough for both servers to finish what they do after their first answer. */
const SETTLE_MS = 2000

/** Starts each server a few times in turn; gives the median of one of its figures. */
export async function measureProcesses(figure: 'startMs' | 'rssMb'): ReturnType<Row['measure']> {
  await using plc = await startPlcDirectory()
  const ours: number[] = []
  const rival: number[] = []
  for (let i = 0; i < STARTS; i++) {
    ours.push(await take(figure, () => startOurPds(plc.url)))
    rival.push(await take(figure, () => startReferencePds(plc.url)))
  }
  return {
    ours: median(ours),
    rival: median(rival),
    note: `median of ${STARTS} starts; ours from TypeScript source`,
  }
}

async function take(
  figure: 'startMs' | 'rssMb',
  start: () => Promise<PdsProcess>,
): Promise<number> {
  await using server = await start()
  if (figure === 'startMs') return server.startMs
  await delay(SETTLE_MS)
  const kilobytes = Number(
    execFileSync('ps', ['-o', 'rss=', '-p', String(server.pid)], { encoding: 'utf8' }),
  )
  return kilobytes / 1024
}
