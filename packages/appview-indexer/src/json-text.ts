import { asCid } from '@skywright/repo'

/** AT Protocol JSON text of a data-model value: links as `$link`, bytes as `$bytes`. */
export function toJsonText(value: unknown): string {
  return JSON.stringify(toJson(value))
}

function toJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const cid = asCid(value)
  if (cid) return { $link: cid.toString() }
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) }
  if (Array.isArray(value)) return value.map(toJson)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
}

const CHUNK = 8_192

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHUNK)
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  return btoa(text).replace(/=+$/, '')
}
