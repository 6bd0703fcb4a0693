/** The did:web of a server at this origin; a port is kept, escaped. */
export function serviceDid(url: string): string {
  return `did:web:${encodeURIComponent(new URL(url).host)}`
}
