export { type FacetChange, type LineageDifference, lineageDifference } from './difference.ts'
export { isAggregateName, multipliesRows } from './functions.ts'
export { type Facet, type FacetKind, type QueryColumn, type QueryLineage, type Uses, usesColumn } from './lineage.ts'
export { lineageOf, type TableColumns } from './resolve.ts'
