import type { Schema } from '../../schema/index.ts'

/** Marks in the footer what DuckDB has no type for. Nothing to do for other schemas. */
export async function annotateFile(_local: string, _schema: Schema): Promise<void> {}
