import { Secp256k1PublicKey, parseDidKey as parseAtcuteDidKey } from '@atcute/crypto'
import { parseDidKey } from '@atproto/crypto'
import { generatePrivateKey, parsePublicKey } from '@skywright/identity/keys'
import { formatRace, race, type Contender, type Row } from '../row.ts'

const KEYS = 100
/** Many and short, so that what else this machine does falls on both alike. */
const ROUNDS = 31
const ROUND_MS = 60

export const row: Row = {
  work: 'parse a k256 did:key, and check that its point lies on the curve',
  unit: '/s',
  rivalName: '@atproto/crypto',
  async measure() {
    const didKeys = Array.from({ length: KEYS }, () => generatePrivateKey('k256').didKey)
    const each = (parse: (didKey: string) => unknown): Contender => ({
      roundMs: ROUND_MS,
      async run() {
        for (const didKey of didKeys) {
          const parsed = parse(didKey)
          // Awaited only where it is a promise: synchronous parsing pays for none.
          if (parsed instanceof Promise) await parsed
        }
        return KEYS
      },
    })
    const ours = each((didKey) => parsePublicKey(didKey))
    const unchecked = await race(ours, each(parseAtcuteDidKey), ROUNDS)
    const checked = await race(
      ours,
      each((didKey) => Secp256k1PublicKey.importRaw(parseAtcuteDidKey(didKey).publicKeyBytes)),
      ROUNDS,
    )
    const rates = await race(ours, each(parseDidKey), ROUNDS)
    return {
      ...rates,
      note: `${KEYS} keys in turn; @atcute/crypto ${formatRace(unchecked)} without a look at the point, ${formatRace(checked)} with the key imported, which checks it`,
    }
  },
}
