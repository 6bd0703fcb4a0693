import { measureQuery, type Row } from '../xrpc-query.ts'

export const row: Row = {
  work: 'answer a query over HTTP, parameters and output checked against the lexicon, on the Node adapter',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  measure: () => measureQuery('node'),
}
