import { encode } from '@ipld/dag-cbor'
import { encodeCbor } from '@skywright/repo'
import { race, type Row } from '../row.ts'
import { sampleRecords } from '../sample-records.ts'

export const row: Row = {
  work: 'encode a record canonically; ours refuses what the data model does not know, the rival takes floats',
  unit: '/s',
  rivalName: '@ipld/dag-cbor',
  async measure() {
    const records = sampleRecords()
    for (const record of records) {
      if (Buffer.compare(encodeCbor(record), encode(record)) !== 0)
        throw new Error('the encodings differ')
    }
    const rates = await race(
      {
        run() {
          for (const record of records) encodeCbor(record)
          return records.length
        },
      },
      {
        run() {
          for (const record of records) encode(record)
          return records.length
        },
      },
    )
    return {
      ...rates,
      note: `posts of about ${encodeCbor(records[0]).length} bytes, the same ones`,
    }
  },
}
