import {
  createAccounts,
  createPosts,
  startOurPds,
  startPlcDirectory,
  startReferencePds,
} from '../pds-load.ts'
import { race, type Row } from '../row.ts'

const ACCOUNTS = 8
const CONCURRENCY = 16
const POSTS_PER_RUN = 100

export const row: Row = {
  work: 'createRecord over HTTP: validated, signed, committed with its event',
  unit: '/s',
  rivalName: '@atproto/pds',
  async measure() {
    await using plc = await startPlcDirectory()
    await using ours = await startOurPds(plc.url)
    await using reference = await startReferencePds(plc.url)
    const ourAccounts = await createAccounts(ours.url, ACCOUNTS)
    const theirAccounts = await createAccounts(reference.url, ACCOUNTS)
    const rates = await race(
      { run: () => createPosts(ours.url, ourAccounts, POSTS_PER_RUN, CONCURRENCY), roundMs: 2000 },
      {
        run: () => createPosts(reference.url, theirAccounts, POSTS_PER_RUN, CONCURRENCY),
        roundMs: 2000,
      },
    )
    return {
      ...rates,
      note: `${CONCURRENCY} requests in flight over ${ACCOUNTS} accounts; ours synchronous=FULL, theirs as it comes (NORMAL)`,
    }
  },
}
