import { DuckDBInstance } from '@duckdb/node-api'

/** Answers computed straight from the delivered files by plain SQL; nothing of limn is used. */
export async function oracle(files: readonly string[], sql: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  const connection = await instance.connect()
  try {
    const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(', ')
    await connection.run(`CREATE VIEW report AS SELECT * FROM read_parquet([${list}]);
      CREATE VIEW flight AS SELECT DISTINCT date, delay, distance, origin, destination FROM report`)
    return (await connection.runAndReadAll(sql)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
