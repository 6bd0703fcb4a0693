// Child of the kill test: submits identities and recoveries until it is killed, and says what was accepted.
import { generatePrivateKey } from '../../src/keys/index.ts'
import { openSqlitePlcStore } from '../../src/node/index.ts'
import { createPlcClient, createPlcIdentity, updatePlcOperation } from '../../src/plc/index.ts'
import { createPlcDirectory } from '../../src/plc-directory/index.ts'

const store = openSqlitePlcStore({ database: process.argv[2] ?? '' })
const directory = createPlcDirectory({ store })
const client = createPlcClient({
  fetch: (url, init) => directory.fetch(new Request(url, init)),
})
const strong = generatePrivateKey('k256')
const weak = generatePrivateKey('k256')

for (let n = 0; ; n++) {
  const { did, operation } = await createPlcIdentity({
    signingKey: weak.didKey,
    handle: `alice${n}.example.com`,
    pds: 'https://pds.example.com',
    rotationKeys: [strong.didKey, weak.didKey],
    signer: weak,
  })
  await client.submit(did, operation)
  process.stdout.write(`${did} 1\n`)
  const theft = await updatePlcOperation(operation, { handle: 'mallory.example.com' }, weak)
  await client.submit(did, theft)
  process.stdout.write(`${did} 2\n`)
  // Nullifies one entry and adds one: both or neither.
  const recovery = await updatePlcOperation(operation, { handle: 'bob.example.com' }, strong)
  await client.submit(did, recovery)
  process.stdout.write(`${did} 3\n`)
}
