import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { removeSegmentIndex } from './segment-index.ts'
import { readSegment, type SegmentInfo } from './segment.ts'

/** Ending of the name of a segment's file. */
export const SEGMENT_SUFFIX = '.seg'

/** A record that does not hold. */
export interface SegmentDamage {
  readonly path: string
  readonly offset: number
}

export interface SegmentSetOptions {
  readonly folder: string
  /** Those there are, oldest first. */
  readonly segments: readonly SegmentInfo[]
  readonly onDamage: (damage: SegmentDamage) => void
}

/** The files of a log, oldest first. */
export class SegmentSet implements Iterable<SegmentInfo> {
  readonly folder: string
  private readonly onDamage: (damage: SegmentDamage) => void
  /** Never changed in place: who goes through it is not disturbed. */
  private segments: readonly SegmentInfo[]

  constructor({ folder, segments, onDamage }: SegmentSetOptions) {
    this.folder = folder
    this.segments = segments
    this.onDamage = onDamage
  }

  [Symbol.iterator](): Iterator<SegmentInfo> {
    return this.segments[Symbol.iterator]()
  }

  get newest(): SegmentInfo | undefined {
    return this.segments.at(-1)
  }

  has(segment: SegmentInfo): boolean {
    return this.segments.includes(segment)
  }

  /** The oldest one for which that is true. */
  find(isIt: (segment: SegmentInfo) => boolean): SegmentInfo | undefined {
    return this.segments.find(isIt)
  }

  /** Adds a newest one. */
  add(segment: SegmentInfo): void {
    this.segments = [...this.segments, segment]
  }

  /** Puts a rewritten segment in the place of the one it was made from, whose file stays. */
  replace(segment: SegmentInfo, by: SegmentInfo): void {
    this.segments = this.segments.map((one) => (one === segment ? by : one))
  }

  /** Takes a segment out and removes its file. */
  async remove(segment: SegmentInfo): Promise<void> {
    this.segments = this.segments.filter((one) => one !== segment)
    await this.removeFile(segment)
  }

  /** Who reads the file goes on reading it. */
  async removeFile({ path }: SegmentInfo): Promise<void> {
    await rm(path)
    await removeSegmentIndex(path)
  }

  /** Path of a segment that starts with this number, as often rewritten as its generation says. */
  pathOf(first: number, generation: number): string {
    const name = `${String(first).padStart(16, '0')}-${String(generation).padStart(8, '0')}`
    return join(this.folder, `${name}${SEGMENT_SUFFIX}`)
  }

  /** Path of the next generation of a segment. */
  nextPathOf({ path, first }: SegmentInfo): string {
    const generation = Number(path.slice(-SEGMENT_SUFFIX.length - 8, -SEGMENT_SUFFIX.length))
    return this.pathOf(first, generation + 1)
  }

  async *entriesOf({ path, size }: SegmentInfo, from: number): ReturnType<typeof readSegment> {
    await using file = await open(path, 'r')
    yield* readSegment(file, from, size, (offset) => {
      this.onDamage({ path, offset })
    })
  }
}
