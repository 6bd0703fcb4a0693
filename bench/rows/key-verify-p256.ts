import { keyVerifyRow } from './key-verify-k256.ts'
import type { Row } from '../row.ts'

export const row: Row = keyVerifyRow('p256')
