import { commitCostRow } from '../commit-cost.ts'
import type { Row } from '../row.ts'

export const row: Row = commitCostRow(10_000)
