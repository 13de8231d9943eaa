import { categoryFacts, categoryOrigins } from './categories.ts'
import { choiceScenarios } from './choices.ts'
import { environmentScenarios } from './environments.ts'
import { itselfScenarios } from './itself.ts'
import { lakeScenarios } from './lakes.ts'
import { left } from './left.ts'
import type { LakeScenario, Origin, Verdict } from './scenario.ts'
import { shapeScenarios } from './shapes.ts'
import { standingScenarios } from './standing.ts'
import { timeScenarios } from './times.ts'
import { clockOrigins, intervalOrigins } from './times-alone.ts'

/** All facts that are played on lakes. */
export const lakeFacts: readonly LakeScenario[] = [
  ...lakeScenarios,
  ...environmentScenarios,
  ...shapeScenarios,
  ...choiceScenarios,
  ...itselfScenarios,
  ...standingScenarios,
  ...timeScenarios,
]

const files: Readonly<Record<Origin['file'], string>> = {
  'test_plan.py': 'tests/core/test_plan.py',
  'test_snapshot.py': 'tests/core/test_snapshot.py',
  'test_change_scenarios.py': 'tests/core/integration/test_change_scenarios.py',
  'test_restatement.py': 'tests/core/integration/test_restatement.py',
}
const names = Object.keys(files) as readonly Origin['file'][]

/** A test of theirs, and what became of it here. */
interface Account {
  readonly origin: Origin
  readonly kind: Verdict['kind'] | 'does not apply'
}

/** Facts of the syntax tree are of two tests, some of whose cases differ; those of sets of times and of clocks stand for themselves. */
export const accounts: readonly Account[] = [
  ...lakeFacts.flatMap(({ origins, verdict }) => origins.map((origin): Account => ({ origin, kind: verdict.kind }))),
  ...categoryOrigins.map((origin): Account => ({ origin, kind: 'differs' })),
  ...[...intervalOrigins, ...clockOrigins].map(({ origin, kind }): Account => ({ origin, kind })),
  ...left.flatMap(({ tests }) =>
    names.flatMap((file) =>
      (tests[file]?.split(/\s+/) ?? []).map((test): Account => ({ origin: { file, test }, kind: 'does not apply' })),
    ),
  ),
]

const kinds = ['agrees', 'differs', 'does not apply'] as const
const count = (of: readonly Account[], kind: Account['kind']) => of.filter((one) => one.kind === kind).length
/** A table with columns as wide as their widest cell, as the formatter leaves it. */
function tableOf(head: readonly string[], body: readonly (readonly (string | number)[])[]): readonly string[] {
  const wide = head.map((name, i) => Math.max(name.length, ...body.map((cells) => String(cells[i]).length)))
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell, i) => String(cell).padEnd(wide[i] ?? 0)).join(' | ')} |`
  return [line(head), line(wide.map((width) => '-'.repeat(width))), ...body.map(line)]
}
const told = ({ origin }: { readonly origin: Origin }) => `\`${origin.test}\``

/** The page of the documentation that counts them. */
export function page(): string {
  const table = tableOf(
    ['file', 'tests', ...kinds],
    [
      ...names.map((name) => {
        const own = accounts.filter((one) => one.origin.file === name)
        return [`\`${files[name]}\``, own.length, ...kinds.map((kind) => count(own, kind))]
      }),
      ['together', accounts.length, ...kinds.map((kind) => count(accounts, kind))],
    ],
  )
  const differing = lakeFacts.flatMap(({ says, origins, verdict }) =>
    verdict.kind === 'differs'
      ? [
          `**${says}** There: ${verdict.theirs}. Here: ${verdict.why}. (${origins.map((origin) => told({ origin })).join(', ')})`,
          '',
        ]
      : [],
  )
  return [
    '# Scenarios of another planner',
    '',
    "SQLMesh's planner is the best known of its kind. What the tests of four of its files say (github.com/TobikoData/sqlmesh, commit 0f192c93,",
    'Apache-2.0) is restated here as facts in a form of our own, over a shop of our own, and played on real lakes of limn by',
    '`test/lakes/scenarios.test.ts`; nothing of their code is used. This page is written from those facts and checked against them.',
    '',
    ...table,
    '',
    '`agrees`: limn does the same. `differs`: it does otherwise on purpose. `does not apply`: the test is about something that limn does not have.',
    '',
    '## Where limn differs, and why',
    '',
    ...differing,
    `**How a change of a query counts.** There: it breaks nothing, or it breaks all that reads the model. Here: it names the columns that it reaches, and their readers alone follow: ${categoryFacts.filter((one) => one.verdict.kind === 'agrees').length} of ${categoryFacts.length} cases come to the same. (${categoryOrigins.map((origin) => told({ origin })).join(', ')})`,
    '',
    ...clockOrigins.flatMap((one) =>
      one.kind === 'differs' ? [`**${one.says}** There: ${one.theirs}. Here: ${one.why}. (${told(one)})`, ''] : [],
    ),
    '## What does not apply',
    '',
    ...left.flatMap(({ why, tests }) => [
      `- ${why}: ${names
        .flatMap((file) => tests[file]?.split(/\s+/) ?? [])
        .map((test) => `\`${test}\``)
        .join(', ')}`,
    ]),
    '',
  ].join('\n')
}
