import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'

export const configName = 'limn.config.ts'

/** What became of a line of the configuration. */
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

/** An option of a lake that is a text. */
export type TextOption = 'name' | 'warehouse' | 'catalog' | 'state'

/** What the text of a configuration says of an option; null where it is not written as a literal, or not at all. */
export function optionIn(text: string, option: TextOption): string | null {
  const named = [...text.matchAll(literalOf(option))]
  return named.length === 1 ? (named[0]?.[1] ?? named[0]?.[2] ?? null) : null
}

function literalOf(option: TextOption): RegExp {
  return new RegExp(`\\b${option}\\s*:\\s*(?:'([^'\\n]*)'|"([^"\\n]*)")`, 'g')
}

/** The text of a configuration that names another warehouse; null where only a person should change it. */
export function withWarehouse(text: string, place: string): string | null {
  return withOption(text, 'warehouse', place)
}

/**
 * The text of a configuration that says something else of an option; null where the file is written in a way that only a
 * person should change.
 */
export function withOption(text: string, option: TextOption, value: string): string | null {
  const literal = JSON.stringify(value).replace(/^"|"$/g, "'")
  const named = [...text.matchAll(literalOf(option))]
  if (named.length === 1) return text.replace(named[0]?.[0] ?? '', () => `${option}: ${literal}`)
  if (named.length > 1 || new RegExp(`\\b${option}\\b`).test(text)) return null
  const calls = [...text.matchAll(/defineLake\(\s*\{\s*/g)]
  const [call] = calls
  if (calls.length !== 1 || !call) return null
  const at = call.index + call[0].length
  const rest = text.slice(at)
  return `${text.slice(0, call.index)}defineLake({ ${option}: ${literal}${rest.startsWith('}') ? ' ' : ', '}${rest}`
}

/** Changes the configuration file of a lake; the old text or the new is there at any time. */
export function writeWarehouse(lake: string, folder: string): ConfigEdit {
  return writeOption(lake, 'warehouse', placeText(lake, folder))
}

export function writeOption(lake: string, option: TextOption, value: string): ConfigEdit {
  const line = `${option}: '${value}'`
  const file = join(lake, configName)
  const text = withOption(readFileSync(file, 'utf8'), option, value)
  if (text === null) return { changed: false, line }
  writeFileSync(`${file}.tmp`, text)
  renameSync(`${file}.tmp`, file)
  return { changed: true, line }
}
