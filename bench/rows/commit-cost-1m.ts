import { commitCostRow } from '../commit-cost.ts'
import type { Row } from '../row.ts'

export const row: Row = commitCostRow(1_000_000)
