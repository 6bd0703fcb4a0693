import { measureQuery, type Row } from '../xrpc-query.ts'

export const row: Row = {
  work: 'the same query through Express 5',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  measure: () => measureQuery('express'),
}
