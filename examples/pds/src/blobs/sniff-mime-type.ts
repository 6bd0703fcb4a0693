/** Bytes from the start of a file that {@link sniffMimeType} wants to see. */
export const SNIFF_BYTES = 64

type Signature = readonly [mimeType: string, offset: number, text: string]

/** Media types by the bytes they start with; the first that fits wins. Text in latin-1. */
const SIGNATURES: readonly Signature[] = [
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/png', 0, '\x89PNG\r\n\x1a\n'],
  ['image/gif', 0, 'GIF87a'],
  ['image/gif', 0, 'GIF89a'],
  ['image/webp', 8, 'WEBP'],
  ['image/bmp', 0, 'BM'],
  ['image/avif', 4, 'ftypavif'],
  ['image/avif', 4, 'ftypavis'],
  ['image/heic', 4, 'ftypheic'],
  ['image/heic', 4, 'ftypheix'],
  ['video/quicktime', 4, 'ftypqt  '],
  ['audio/mp4', 4, 'ftypM4A '],
  ['video/mp4', 4, 'ftyp'],
  ['video/webm', 0, '\x1a\x45\xdf\xa3'],
  ['audio/wav', 8, 'WAVE'],
  ['audio/mpeg', 0, 'ID3'],
  ['audio/mpeg', 0, '\xff\xfb'],
  ['audio/ogg', 0, 'OggS'],
  ['audio/flac', 0, 'fLaC'],
  ['application/pdf', 0, '%PDF-'],
]

/**
 * The media type that a file's first bytes give away, `undefined` for everything without a
 * signature (text formats above all): then what the uploader declared is taken.
 */
export function sniffMimeType(start: Uint8Array): string | undefined {
  const text = Buffer.from(start.subarray(0, SNIFF_BYTES)).toString('latin1')
  return SIGNATURES.find(([, offset, bytes]) => text.startsWith(bytes, offset))?.[0]
}
