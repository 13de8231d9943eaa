import { runSql } from '../../../lake/index.ts'
import type { Invocation } from '../../main.ts'
import { openLake } from '../open.ts'
import { printChange } from '../sql.ts'

/** `create NAME '(id BIGINT) PARTITIONED BY (…)'` and `alter NAME 'ADD COLUMN x INT'`: what stands behind CREATE TABLE or ALTER TABLE. */
export default async function statement(invocation: Invocation): Promise<number> {
  const [verb, name = '', text = ''] = invocation.args
  await using lake = await openLake(invocation)
  const dryRun = invocation.options.dryRun === true
  const result = await runSql(lake, `${verb === 'create' ? 'CREATE' : 'ALTER'} TABLE ${name} ${text}`, { dryRun })
  if (result.kind !== 'rows') invocation.io.out(printChange(result, invocation.io.json, dryRun))
  return 0
}
