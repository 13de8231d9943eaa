/** What DuckDB's functions do to the number of rows; held against the engine's own list in `test/sql/lineage.test.ts`. */

const aggregates = new Set(
  `any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
  arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count
  count_if count_star countif covar_pop covar_samp cume_dist dense_rank entropy favg fill first first_value fsum group_concat
  histogram histogram_exact kahan_sum kurtosis kurtosis_pop lag last last_value lead list listagg mad max max_by mean median min
  min_by mode nth_value ntile percent_rank product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy
  regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number sem skewness stddev
  stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance weighted_avg`.split(/\s+/),
)

/** One row in, any number out, where a value is asked for. */
const multiplying = new Set(['unnest', 'unlist', 'regexp_split_to_table', 'generate_subscripts'])

/** Whether a function makes one row of many when it stands outside a window. */
export function isAggregateName(name: string): boolean {
  return aggregates.has(name.toLowerCase())
}

export function multipliesRows(name: string): boolean {
  return multiplying.has(name.toLowerCase())
}
