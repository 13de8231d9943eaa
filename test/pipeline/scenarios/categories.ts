import { agrees, type CategoryFact, differs, type Origin } from './scenario.ts'

/**
 * How a change of a query counts, restated from SQLMesh (github.com/TobikoData/sqlmesh, `tests/core/test_snapshot.py`,
 * test_categorize_change_sql, and `test_plan.py`, test_auto_categorization; Apache-2.0). There a change is non-breaking, or breaking
 * for all that reads the model; here it names columns, or all rows.
 */
export const categoryOrigins: readonly Origin[] = [
  { file: 'test_snapshot.py', test: 'test_categorize_change_sql' },
  { file: 'test_plan.py', test: 'test_auto_categorization' },
]

const from = 'FROM silver.t'
const only = (changed: readonly string[]) => ({ changed, rows: false })
const all = { changed: [], rows: true }
const finer = 'here only readers of the column are reached'

export const categoryFacts: readonly CategoryFact[] = [
  {
    says: 'a projection added breaks nothing',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, b, d ${from}`,
    expect: only(['b']),
    verdict: agrees,
  },
  {
    says: 'nor does a complicated one',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, abs(round(b + 1) * 2)::INT AS e, d ${from}`,
    expect: only(['e']),
    verdict: agrees,
  },
  {
    says: 'nor do several',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, 2 AS two, b, c, d ${from}`,
    expect: only(['two', 'b', 'c']),
    verdict: agrees,
  },
  {
    says: 'without a change there is nothing to say',
    before: `SELECT a, d ${from}`,
    after: `select a ,d ${from} -- the same`,
    expect: only([]),
    verdict: agrees,
  },
  {
    says: 'a projection taken away',
    before: `SELECT a, d ${from}`,
    after: `SELECT d ${from}`,
    expect: only(['a']),
    verdict: differs('breaking for all readers', finer),
  },
  {
    says: 'a projection replaced',
    before: `SELECT 1 AS a, d ${from}`,
    after: `SELECT 2 AS a, d ${from}`,
    expect: only(['a']),
    verdict: differs('breaking for all readers', finer),
  },
  {
    says: 'a projection moved',
    before: `SELECT a, d ${from}`,
    after: `SELECT d, a ${from}`,
    expect: only([]),
    verdict: differs('breaking for all readers', 'columns go by their names, and the contract states their order'),
  },
  {
    says: 'a WHERE added breaks',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, d ${from} WHERE b = 2`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'a FROM added breaks',
    before: 'SELECT 1 AS a',
    after: `SELECT 1 AS a ${from}`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'DISTINCT added breaks',
    before: `SELECT a, d ${from}`,
    after: `SELECT DISTINCT a, d ${from}`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'a projection that makes rows breaks: unnest',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, d, unnest([b, c]) AS e ${from}`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'a projection that makes rows breaks: subscripts',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, d, generate_subscripts([b, c], 1) AS e ${from}`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'a projection that makes rows breaks: parts of a text',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, d, regexp_split_to_table(b::VARCHAR, '1') AS e ${from}`,
    expect: all,
    verdict: agrees,
  },
  {
    says: 'rows made in a subquery of a projection break nothing',
    before: `SELECT a, d ${from}`,
    after: `SELECT a, d, (SELECT max(x) FROM unnest([b, c]) AS u(x)) AS e ${from}`,
    expect: only(['e']),
    verdict: agrees,
  },
  {
    says: 'an ordinal that means another column by now breaks',
    before: `SELECT a AS g, count(*) AS n ${from} GROUP BY 1`,
    after: `SELECT b AS g, count(*) AS n ${from} GROUP BY 1`,
    expect: all,
    verdict: agrees,
  },
]
