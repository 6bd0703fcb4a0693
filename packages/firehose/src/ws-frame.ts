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
  const start = headerLength(payload.length)
  const frame = new Uint8Array(start + payload.length)
  frame[0] = 0x82
  if (start === 2) frame[1] = payload.length
  else {
    const view = new DataView(frame.buffer)
    if (start === 4) {
      frame[1] = 126
      view.setUint16(2, payload.length)
    } else {
      frame[1] = 127
      view.setBigUint64(2, BigInt(payload.length))
    }
  }
  frame.set(payload, start)
  return frame
}
