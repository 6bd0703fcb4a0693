import { decode } from '@ipld/dag-cbor'
import { decodeCbor, encodeCbor } from '@skywright/repo'
import { race, type Row } from '../row.ts'
import { sampleRecords } from '../sample-records.ts'

export const row: Row = {
  work: 'decode a record to plain values; ours refuses what is not canonical, the rival does not look at the order of keys',
  unit: '/s',
  rivalName: '@ipld/dag-cbor',
  async measure() {
    const encoded = sampleRecords().map((record) => encodeCbor(record))
    const rates = await race(
      {
        run() {
          for (const bytes of encoded) decodeCbor(bytes)
          return encoded.length
        },
      },
      {
        run() {
          for (const bytes of encoded) decode(bytes)
          return encoded.length
        },
      },
    )
    return { ...rates, note: `posts of about ${encoded[0]?.length ?? 0} bytes` }
  },
}
