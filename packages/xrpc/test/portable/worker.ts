/** Entry of the bundle for workerd, as a service worker: answers with the outcome as JSON. */
import { runPortableCases } from './cases.ts'

interface FetchEvent extends Event {
  respondWith(response: Promise<Response>): void
}

async function answer(): Promise<Response> {
  return Response.json(await runPortableCases())
}

addEventListener('fetch', (event) => {
  // The runtime gives events of this kind to this listener.
  const fetched = event as FetchEvent
  fetched.respondWith(answer())
})
