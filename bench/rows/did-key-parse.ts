import { parseDidKey } from '@atproto/crypto'
import { generatePrivateKey, parsePublicKey } from '@skywright/identity/keys'
import { race, type Row } from '../row.ts'

const KEYS = 100

export const row: Row = {
  work: 'parse a k256 did:key, and check that its point lies on the curve',
  unit: '/s',
  rivalName: '@atproto/crypto',
  async measure() {
    const didKeys = Array.from({ length: KEYS }, () => generatePrivateKey('k256').didKey)
    const rates = await race(
      {
        run() {
          for (const didKey of didKeys) parsePublicKey(didKey)
          return KEYS
        },
      },
      {
        run() {
          for (const didKey of didKeys) parseDidKey(didKey)
          return KEYS
        },
      },
    )
    return { ...rates, note: `${KEYS} keys in turn` }
  },
}
