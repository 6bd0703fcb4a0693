/** What the Worker of the guide serves when it is tested. */
import { createRouter } from '../../src/index.ts'
import type { Router } from '../../src/index.ts'
import { examples } from '../documents.ts'
import type { ExampleDocuments } from '../documents.ts'

export const router: Router<ExampleDocuments> = createRouter({
  lexicons: examples,
  jsonSubscriptions: true,
})
  .add('com.example.getThing', { handler: ({ params }) => ({ name: params.name }) })
  .add('com.example.listen', {
    handler: async function* ({ params, error, signal }) {
      const first = params.cursor ?? 0
      for (let seq = first; seq < first + 3 && !signal.aborted; seq++) yield { $type: '#tick', seq }
      throw error('FutureCursor', 'that was all')
    },
  })
