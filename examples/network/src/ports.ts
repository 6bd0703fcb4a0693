import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The ports of a network whose data is kept: DID documents and hosts name URLs, so that a second run must find its
 * servers where the first one left them.
 */
export interface Ports {
  readonly plc: number
  readonly relay: number
  readonly appView: number
  readonly pds: readonly number[]
  readonly statusphere: number
}

const FILE = 'network.json'

/** The ports an earlier run used in this folder; every port 0 (any free one) when there was none. */
export function readPorts(dataDirectory: string, pdsCount: number): Ports {
  const file = join(dataDirectory, FILE)
  const free: Ports = {
    plc: 0,
    relay: 0,
    appView: 0,
    pds: Array.from({ length: pdsCount }, () => 0),
    statusphere: 0,
  }
  if (!existsSync(file)) return free
  const saved: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (!isPorts(saved)) throw new Error(`not a file of ports; file=${file}`)
  return { ...free, ...saved, pds: free.pds.map((port, index) => saved.pds[index] ?? port) }
}

export function writePorts(dataDirectory: string, ports: Ports): void {
  writeFileSync(join(dataDirectory, FILE), `${JSON.stringify(ports, null, 2)}\n`)
}

/** The port in a URL. */
export function portOf(url: string): number {
  return Number(new URL(url).port)
}

/** A file from before there was a statusphere has no port of it. */
function isPorts(value: unknown): value is Omit<Ports, 'statusphere'> & Partial<Ports> {
  if (typeof value !== 'object' || value === null) return false
  const {
    plc,
    relay,
    appView,
    pds,
    statusphere = 1,
  } = value as Partial<Record<keyof Ports, unknown>>
  return [plc, relay, appView, statusphere].every(isPort) && Array.isArray(pds) && pds.every(isPort)
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536
}
