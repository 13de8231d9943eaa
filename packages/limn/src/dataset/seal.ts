import { LimnError } from '../base/index.ts'
import { durationMs } from './duration.ts'
import type { Interval, IntervalUnit } from './interval.ts'
import type { IntervalSet } from './interval-set.ts'
import { instantOf, largestShiftMs, requireZone } from './local-time.ts'
import { pathAt, unitOfTemplate } from './path-time.ts'

/** A file that lists the files of an interval: the interval is complete when all of them are there. */
export interface ManifestMarker {
  readonly kind: 'manifest'
  readonly template: string
}

/** What an author states of when an interval is complete. */
export interface SealSpec {
  /** Not before this long after the interval's end: `2h`. Default: at its end. */
  readonly after?: string
  /**
   * What else has to be there: a file by its path (`inbox/%Y-%m-%d/_SUCCESS`), a manifest whose files are all there, or the
   * source's watermark at the interval's end or later, as committed.
   */
  readonly marker?: 'watermark' | `${string}%${string}` | ManifestMarker
  /** With a marker: after this long more the interval counts as complete without it. Default: it waits for the marker. */
  readonly grace?: string
  /** Zone of the intervals, where they are local times. Default UTC. */
  readonly zone?: string
}

export type SealMarker =
  | { readonly kind: 'none' }
  | { readonly kind: 'watermark' }
  | { readonly kind: 'file'; readonly template: string; readonly unit: IntervalUnit }
  | { readonly kind: 'manifest'; readonly template: string; readonly unit: IntervalUnit }

/** When an interval of a dataset is complete. An interval that is not is not built. Outside the fingerprint. */
export interface Seal {
  readonly afterMs: number
  readonly zone: string
  readonly marker: SealMarker
  /** Null: waits for the marker however long it takes. */
  readonly graceMs: number | null
}

/** A manifest as a marker: JSON with a list `files` of paths, or of `{ path, bytes }`, relative to the lake. */
export function manifest(template: `${string}%${string}`): ManifestMarker {
  return { kind: 'manifest', template }
}

/** Throws `dataset/invalid` for a span, zone or path that cannot be read, and for grace where there is nothing to wait for. */
export function sealOf(spec: SealSpec): Seal {
  const { marker } = spec
  if (spec.grace !== undefined && marker === undefined) {
    throw new LimnError('dataset/invalid', {
      message: 'A seal states grace, but no marker.',
      notDone: 'Nothing was run.',
      remedy: 'Without a marker, after alone says when an interval is complete: add the grace to it.',
    })
  }
  return {
    afterMs: spec.after === undefined ? 0 : durationMs(spec.after),
    zone: requireZone(spec.zone ?? 'UTC'),
    marker: markerOf(marker),
    graceMs: spec.grace === undefined ? null : durationMs(spec.grace),
  }
}

function markerOf(marker: SealSpec['marker']): SealMarker {
  if (marker === undefined) return { kind: 'none' }
  if (marker === 'watermark') return { kind: 'watermark' }
  if (typeof marker === 'string') return { kind: 'file', template: marker, unit: unitOfTemplate(marker) }
  return { kind: 'manifest', template: marker.template, unit: unitOfTemplate(marker.template) }
}

/** What is known, at one moment, of a dataset's markers. */
export interface SealFacts {
  readonly nowMs: number
  /** Times whose markers are there, and complete. */
  readonly marked: IntervalSet
  /** By the start of an interval: why its manifest does not count yet. */
  readonly incomplete: ReadonlyMap<number, string>
  /** All rows before this time were handed over, as committed; null: nothing is known. */
  readonly watermark: number | null
}

/** Whether an interval is complete; if not, until when it waits (null: as long as it takes) and what for (null: for the time alone). */
export type SealState =
  | { readonly kind: 'sealed' }
  /** The marker is not there, and is waited for no longer. */
  | { readonly kind: 'sealed-by-grace'; readonly missing: string }
  | { readonly kind: 'open'; readonly untilMs: number | null; readonly missing: string | null }

/** Pure. `interval` holds times of the dataset's own, one of its intervals or what a reader needs of it. */
export function sealState(seal: Seal, facts: SealFacts, interval: Interval): SealState {
  const dueMs = endOf(seal, facts, interval) + seal.afterMs
  const missing = missingOf(seal, facts, interval)
  if (missing === null) {
    return dueMs <= facts.nowMs ? { kind: 'sealed' } : { kind: 'open', untilMs: dueMs, missing: null }
  }
  if (seal.graceMs === null) return { kind: 'open', untilMs: null, missing }
  const untilMs = dueMs + seal.graceMs
  return untilMs <= facts.nowMs ? { kind: 'sealed-by-grace', missing } : { kind: 'open', untilMs, missing }
}

/** The instant of an interval's end. */
function endOf(seal: Seal, facts: SealFacts, interval: Interval): number {
  const wall = Math.ceil(interval.end / 1000)
  // Long over in every zone: asking the zone of thousands of old intervals would take its time.
  if (wall + seal.afterMs + (seal.graceMs ?? 0) + largestShiftMs <= facts.nowMs) return wall
  return instantOf(wall, seal.zone, 'later')
}

function missingOf(seal: Seal, facts: SealFacts, interval: Interval): string | null {
  const { marker } = seal
  switch (marker.kind) {
    case 'none':
      return null
    case 'watermark':
      return facts.watermark !== null && facts.watermark >= interval.end ? null : 'the watermark'
    case 'file':
    case 'manifest': {
      // Before the first marker nothing was promised.
      const first = facts.marked.hull?.start ?? Number.NEGATIVE_INFINITY
      const needed = { start: Math.max(interval.start, first), end: interval.end }
      const gap = facts.marked.firstGapIn(needed)
      if (gap === null) return null
      const path = pathAt(marker.template, gap)
      return facts.incomplete.get(gap) ?? path
    }
  }
}
