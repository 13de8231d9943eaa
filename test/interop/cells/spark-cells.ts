/** A table that Spark SQL writes for limn to read. `TARGET` stands for the table's name. */
export interface SparkCell {
  readonly name: string
  readonly statements: readonly string[]
}

const modes = ['copy-on-write', 'merge-on-read'] as const
const versions = [2, 3] as const
const columns = 'id BIGINT, name STRING, day DATE, amount DECIMAL(9, 2)'
const start = [
  "INSERT INTO TARGET VALUES (1, 'ada', DATE '2024-10-04', 1.00), (2, 'bob', DATE '2024-10-04', NULL), (3, NULL, DATE '2024-10-05', -3.50), (4, 'dan', NULL, 4.00)",
  "INSERT INTO TARGET VALUES (5, 'eve', DATE '2024-10-05', 5.00), (6, 'fay', DATE '2024-10-06', 6.25)",
]

function table(version: 2 | 3, mode: string, partition: string): string {
  const properties = [
    `'format-version'='${version}'`,
    ...['delete', 'update', 'merge'].map((kind) => `'write.${kind}.mode'='${mode}'`),
  ]
  return `CREATE TABLE TARGET (${columns}) USING iceberg ${partition} TBLPROPERTIES (${properties.join(', ')})`
}

const changes: readonly SparkCell[] = versions.flatMap((version) =>
  modes.flatMap((mode) =>
    ['', 'PARTITIONED BY (days(day))', 'PARTITIONED BY (bucket(3, id), truncate(1, name))'].map((partition) => ({
      name: `v${version} delete, update, merge in ${mode} ${partition}`.trim(),
      statements: [
        table(version, mode, partition),
        ...start,
        'DELETE FROM TARGET WHERE id IN (2, 5)',
        "UPDATE TARGET SET name = 'changed', amount = NULL WHERE id = 1",
        `MERGE INTO TARGET USING (SELECT * FROM VALUES (3L, 'merged', DATE '2024-10-07', 3.00), (9L, 'new', DATE '2024-10-04', 9.00) s(id, name, day, amount)) s ON TARGET.id = s.id
         WHEN MATCHED AND s.name = 'merged' THEN UPDATE SET *
         WHEN NOT MATCHED THEN INSERT *
         WHEN NOT MATCHED BY SOURCE AND TARGET.id = 4 THEN DELETE`,
        "INSERT INTO TARGET VALUES (10, 'last', DATE '1969-12-31', 0.01)",
      ],
    })),
  ),
)

const rest: readonly SparkCell[] = [
  ...versions.map((version) => ({
    name: `v${version} maintenance by procedures`,
    statements: [
      table(version, 'merge-on-read', 'PARTITIONED BY (days(day))'),
      ...start,
      'DELETE FROM TARGET WHERE id = 1',
      "UPDATE TARGET SET name = 'changed' WHERE id = 6",
      "CALL peer.system.rewrite_data_files(table => 'cells.TARGET', options => map('rewrite-all', 'true'))",
      "CALL peer.system.rewrite_manifests('cells.TARGET')",
      'DELETE FROM TARGET WHERE id = 3',
      ...(version === 2
        ? ["CALL peer.system.rewrite_position_delete_files('cells.TARGET', map('rewrite-all', 'true'))"]
        : []),
      "CALL peer.system.compute_table_stats('cells.TARGET')",
    ],
  })),
  ...versions.map((version) => ({
    name: `v${version} shapes by DDL, branches, tags, overwrites`,
    statements: [
      table(version, 'merge-on-read', ''),
      ...start,
      'ALTER TABLE TARGET CREATE BRANCH audit',
      'ALTER TABLE TARGET CREATE TAG first RETAIN 5 DAYS',
      "INSERT INTO peer.cells.TARGET.branch_audit VALUES (7, 'branch', NULL, NULL)",
      'ALTER TABLE TARGET ADD COLUMN place STRUCT<city: STRING, at: ARRAY<INT>> AFTER name',
      'ALTER TABLE TARGET RENAME COLUMN amount TO price',
      'ALTER TABLE TARGET ALTER COLUMN price TYPE DECIMAL(18, 2)',
      'ALTER TABLE TARGET ADD PARTITION FIELD months(day) AS month',
      "INSERT INTO TARGET VALUES (8, 'late', named_struct('city', 'Ribe', 'at', array(1, NULL)), DATE '2025-01-01', 1234567890.12)",
      'ALTER TABLE TARGET ADD COLUMN place.zip STRING',
      'ALTER TABLE TARGET REPLACE PARTITION FIELD month WITH bucket(2, id)',
      'ALTER TABLE TARGET WRITE ORDERED BY id DESC, day',
      "INSERT OVERWRITE TARGET VALUES (8, 'overwritten', named_struct('city', 'Ribe', 'at', array(), 'zip', '6760'), DATE '2025-01-01', 1.00)",
      'DELETE FROM TARGET WHERE id = 1',
    ],
  })),
  {
    name: 'v3 defaults, variants, nanoseconds in SQL',
    statements: [
      "CREATE TABLE TARGET (id BIGINT, v VARIANT) USING iceberg TBLPROPERTIES ('format-version'='3')",
      `INSERT INTO TARGET SELECT 1, parse_json('{"a": 1, "b": [true, null, "x"], "c": {"d": 1.5}}')`,
      "INSERT INTO TARGET SELECT 2, parse_json('17')",
      'INSERT INTO TARGET VALUES (3, NULL)',
      'DELETE FROM TARGET WHERE id = 2',
    ],
  },
]

export const sparkCells: readonly SparkCell[] = [...changes, ...rest]
