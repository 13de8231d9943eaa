import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'

const configName = 'limn.config.ts'

/** What became of the line that says where the warehouse is. */
export interface ConfigEdit {
  readonly changed: boolean
  /** What stands there, or has to be written there by hand. */
  readonly line: string
}

/** A place as a configuration says it: within the lake's folder relative to it, else in full. */
export function placeText(lake: string, folder: string): string {
  const inside = relative(lake, folder)
  return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? folder : inside.replaceAll('\\', '/')
}

/**
 * The text of a configuration that names another warehouse; null where the file is written in a way that only a person
 * should change.
 */
export function withWarehouse(text: string, place: string): string | null {
  const literal = JSON.stringify(place).replace(/^"|"$/g, "'")
  const named = [...text.matchAll(/\bwarehouse\s*:\s*(?:'[^'\n]*'|"[^"\n]*")/g)]
  if (named.length === 1) return text.replace(named[0]?.[0] ?? '', () => `warehouse: ${literal}`)
  if (named.length > 1 || /\bwarehouse\b/.test(text)) return null
  const calls = [...text.matchAll(/defineLake\(\s*\{\s*/g)]
  const [call] = calls
  if (calls.length !== 1 || !call) return null
  const at = call.index + call[0].length
  const rest = text.slice(at)
  return `${text.slice(0, call.index)}defineLake({ warehouse: ${literal}${rest.startsWith('}') ? ' ' : ', '}${rest}`
}

/** Changes the configuration file of a lake; the old text or the new is there at any time. */
export function writeWarehouse(lake: string, folder: string): ConfigEdit {
  const place = placeText(lake, folder)
  const line = `warehouse: '${place}'`
  const file = join(lake, configName)
  const text = withWarehouse(readFileSync(file, 'utf8'), place)
  if (text === null) return { changed: false, line }
  writeFileSync(`${file}.tmp`, text)
  renameSync(`${file}.tmp`, file)
  return { changed: true, line }
}
