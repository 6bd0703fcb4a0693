import { commitVerifyRow } from './commit-verify.ts'
import type { Row } from '../row.ts'

export const row: Row = commitVerifyRow('native', 'libsecp256k1 (npm package secp256k1)')
