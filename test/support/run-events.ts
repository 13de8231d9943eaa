import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect } from 'vitest'
import type { RunEvent } from '../../packages/limn/dist/observe/index.js'
import { root } from './lake.ts'
import { smallLake, writeLake } from './small-lake.ts'

const ajv = new Ajv2020({ allErrors: true, strictTypes: false })
ajv.addFormat('uuid', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i)
ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/)
ajv.addFormat('uri', (text: string) => URL.canParse(text))
const validate = ajv.compile(JSON.parse(readFileSync(join(root, 'test', 'observe', 'run-event.schema.json'), 'utf8')))

/** What the specification has against an event; none: it is right. */
export function problemsOf(event: unknown): readonly string[] {
  if (validate(event)) return []
  return (validate.errors ?? []).map((one) => `${one.instancePath} ${one.message ?? ''}`)
}

/** The small lake, with its events going somewhere. */
export function lakeTelling(to: string) {
  const lake = smallLake('lineage')
  writeLake(lake.folder, {
    'limn.config.ts': `import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', lineage: { to: '${to}', retries: 0 } })\n`,
  })
  return lake
}

/** The events so far, each held against the specification; the file then begins anew with the next call. */
export function eventsOf(folder: string, from = 0): readonly RunEvent[] {
  const file = join(folder, 'events.ndjson')
  if (!existsSync(file)) return []
  const events = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
  for (const event of events)
    expect([event.job.name, event.eventType, problemsOf(event)]).toEqual([event.job.name, event.eventType, []])
  return events.slice(from)
}

/** Which job told what, in order of names. */
export const told = (events: readonly RunEvent[]) => events.map((one) => `${one.job.name} ${one.eventType}`).sort()
