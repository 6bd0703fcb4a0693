// Measures one row in a process of its own and prints its result as the last line, in JSON.
//   node --conditions=@skywright/source bench/main.ts ROW
import type { Row, RowResult } from './row.ts'

const id = process.argv[2] ?? ''
const module = (await import(`./rows/${id}.ts`)) as { readonly row: Row }
const { row } = module
const { ours, rival, note } = await row.measure()
const ratio = row.unit === '/s' ? ours / rival : rival / ours
const result: RowResult = {
  id,
  work: row.work,
  ours: round(ours),
  unit: row.unit,
  rival: round(rival),
  rivalName: row.rivalName,
  ratio: round(ratio),
  note,
}
console.log(JSON.stringify(result))

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
