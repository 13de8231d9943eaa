import { type UpgradeReport, upgradeLake } from '../../lake/index.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'

export default async function upgrade(invocation: Invocation): Promise<number> {
  const { io, options, signal } = invocation
  const dryRun = options.dryRun === true
  const report = await upgradeLake({ signal, dryRun })
  if (io.json) {
    io.out(toJson(report))
    return 0
  }
  io.out(`limn ${report.version}`)
  io.out(formatTable(['part', 'is', 'becomes', 'changes'], rowsOf(report), io.width))
  for (const { table, columns } of report.tables)
    io.out(`${table}: the next run adds ${columns.join(', ')}; older rows have nothing there.`)
  if (report.rebuilt.length > 0) io.out(`Built anew by the next run: ${report.rebuilt.join(', ')}`)
  if (dryRun) io.out('(dry run: nothing was changed)')
  return 0
}

function rowsOf({ catalog, state }: UpgradeReport): readonly (readonly string[])[] {
  return [
    [
      'catalog',
      catalog.layout ?? 'absent',
      'V1',
      catalog.pending ? 'names get a type, so that views have a place' : 'none',
    ],
    ...state.map((one) => [
      one.environment === 'prod' ? 'state' : `state of ${one.environment}`,
      one.version === null ? 'absent' : String(one.version),
      String(one.newest),
      one.version === null ? 'made when it is first used' : one.pending.map((each) => each.name).join('; ') || 'none',
    ]),
  ]
}
