import { Secp256k1PrivateKey } from '@atcute/crypto'
import { Secp256k1Keypair } from '@atproto/crypto'
import { generatePrivateKey, verifyBackends } from '@skywright/identity/keys'
import { formatRace, race, type Contender, type Row } from '../row.ts'

/** As long as a commit without its signature. */
const MESSAGE = crypto.getRandomValues(new Uint8Array(230))
/** Many and short, so that what else this machine does falls on both alike. */
const ROUNDS = 31
const ROUND_MS = 60

export const row: Row = {
  work: 'sign 230 bytes with a k256 key: compact, low-S, RFC 6979',
  unit: '/s',
  rivalName: '@atproto/crypto',
  async measure() {
    const key = generatePrivateKey('k256')
    const theirs = await Secp256k1Keypair.import(key.export())
    const same = Buffer.compare(key.sign(MESSAGE), await theirs.sign(MESSAGE)) === 0
    if (!same) throw new Error('two signatures of one message by one key differ')
    const ours: Contender = {
      roundMs: ROUND_MS,
      run() {
        for (let n = 0; n < 20; n++) key.sign(MESSAGE)
        return 20
      },
    }
    const atcute = await Secp256k1PrivateKey.importRaw(Uint8Array.from(key.export()))
    if (!key.publicKey.verify(MESSAGE, await atcute.sign(MESSAGE)))
      throw new Error('a signature of @atcute/crypto was refused')
    const second = await race(ours, signing(atcute), ROUNDS)
    const rates = await race(ours, signing(theirs), ROUNDS)
    const native = verifyBackends.some(({ name }) => name === 'native')
    return {
      ...rates,
      note: `on ${native ? 'libsecp256k1' : '@noble/curves'}; same bytes as the rival's; @atcute/crypto (node:crypto, a new nonce each time) ${formatRace(second)}`,
    }
  },
}

function signing(key: { sign(message: Uint8Array): Promise<Uint8Array> }): Contender {
  return {
    roundMs: ROUND_MS,
    async run() {
      for (let n = 0; n < 20; n++) await key.sign(MESSAGE)
      return 20
    },
  }
}
