// Measures one row, or one suite, in a process of its own; the last lines are its results in JSON, one a line.
//   node --conditions=@skywright/source bench/main.ts ROW
import type { Row, RowResult, Suite, SuiteResult } from './row.ts'

const id = process.argv[2] ?? ''
const module = (await import(`./rows/${id}.ts`)) as { readonly row?: Row; readonly suite?: Suite }
for (const result of await measure()) console.log(JSON.stringify(rated(result)))

async function measure(): Promise<readonly SuiteResult[]> {
  const { row, suite } = module
  if (suite !== undefined) return suite.measure()
  if (row === undefined) throw new TypeError(`bench/rows/${id}.ts exports no row`)
  const { work, unit, rivalName } = row
  return [{ id, work, unit, rivalName, ...(await row.measure()) }]
}

function rated({ id: name, work, ours, unit, rival, rivalName, note }: SuiteResult): RowResult {
  const ratio = round(unit === '/s' ? ours / rival : rival / ours)
  return { id: name, work, ours: round(ours), unit, rival: round(rival), rivalName, ratio, note }
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
