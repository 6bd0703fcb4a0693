import { Secp256k1Keypair } from '@atproto/crypto'
import { generatePrivateKey, verifyBackends } from '@skywright/identity/keys'
import { race, type Row } from '../row.ts'

/** As long as a commit without its signature. */
const MESSAGE = crypto.getRandomValues(new Uint8Array(230))

export const row: Row = {
  work: 'sign 230 bytes with a k256 key: compact, low-S, RFC 6979',
  unit: '/s',
  rivalName: '@atproto/crypto',
  async measure() {
    const key = generatePrivateKey('k256')
    const theirs = await Secp256k1Keypair.import(key.export())
    const same = Buffer.compare(key.sign(MESSAGE), await theirs.sign(MESSAGE)) === 0
    if (!same) throw new Error('two signatures of one message by one key differ')
    const rates = await race(
      {
        run() {
          for (let n = 0; n < 20; n++) key.sign(MESSAGE)
          return 20
        },
      },
      {
        async run() {
          for (let n = 0; n < 20; n++) await theirs.sign(MESSAGE)
          return 20
        },
      },
    )
    const native = verifyBackends.some(({ name }) => name === 'native')
    return {
      ...rates,
      note: `on ${native ? 'libsecp256k1' : '@noble/curves'}; same bytes as the rival's`,
    }
  },
}
