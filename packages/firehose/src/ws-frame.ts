/** Bytes of a WebSocket header before the payload, for a server's unmasked frame. */
function headerLength(payloadBytes: number): number {
  if (payloadBytes < 126) return 2
  return payloadBytes < 65_536 ? 4 : 10
}

/**
 * A message as a server puts it on the wire: one final, unmasked binary frame.
 *
 * Servers do not mask, so that the same bytes serve every subscriber: encode once, write to all.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-5.2}
 */
export function encodeWebSocketFrame(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerLength(payload.length) + payload.length)
  writeFrame(bytes, 0, payload)
  return bytes
}

/** Several messages behind each other; `undefined` when that is more than `maxBytes`. */
export function encodeWebSocketFrames(
  messages: readonly { readonly frame: Uint8Array }[],
  maxBytes: number,
): Uint8Array | undefined {
  let length = 0
  for (const { frame } of messages) {
    length += headerLength(frame.length) + frame.length
    if (length > maxBytes) return undefined
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const { frame } of messages) at = writeFrame(bytes, at, frame)
  return bytes
}

/** @returns the place behind what was written. */
function writeFrame(bytes: Uint8Array, at: number, payload: Uint8Array): number {
  const start = at + headerLength(payload.length)
  bytes[at] = 0x82
  if (start - at === 2) bytes[at + 1] = payload.length
  else {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    if (start - at === 4) {
      bytes[at + 1] = 126
      view.setUint16(at + 2, payload.length)
    } else {
      bytes[at + 1] = 127
      view.setBigUint64(at + 2, BigInt(payload.length))
    }
  }
  bytes.set(payload, start)
  return start + payload.length
}
