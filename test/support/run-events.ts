import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { root } from './lake.ts'

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
