import type { Origin } from './scenario.ts'

/**
 * Tests of SQLMesh (github.com/TobikoData/sqlmesh, commit 0f192c93, Apache-2.0) that were read and do not apply: what they are about limn does
 * not have. Together with the restated ones they are all of the four files.
 */
export const left: readonly {
  readonly why: string
  readonly tests: Partial<Readonly<Record<Origin['file'], string>>>
}[] = [
  {
    why: 'statements that are run before and after all models of an environment: there are none, a model is one SELECT',
    tests: {
      'test_plan.py': `test_plan_environment_statements_diff
        test_environment_statements_change_allows_dev_environment_creation`,
      'test_change_scenarios.py': `test_plan_production_environment_statements
        test_environment_statements_error_handling
        test_plan_environment_statements_doesnt_cause_extra_diff`,
      'test_restatement.py': `test_restatement_should_not_override_environment_statements`,
    },
  },
  {
    why: 'statements and macros around a model’s query, run when its table is made, or arguments that macros get',
    tests: {
      'test_snapshot.py': `test_render_signal`,
      'test_change_scenarios.py': `test_creating_stage_for_first_batch_only`,
    },
  },
  {
    why: 'access rights that a planner grants on tables: who may read what is said where files and the catalog are',
    tests: {
      'test_snapshot.py': `test_json_with_grants
        test_fingerprint_grants`,
    },
  },
  {
    why: 'models without a table of their own (embedded), and materialized views: every dataset is a table',
    tests: {
      'test_plan.py': `test_restate_symbolic_model
        test_effective_from_non_evaluatble_model
        test_indirect_change_to_materialized_view_is_breaking
        test_forward_only_indirect_change_to_materialized_view`,
      'test_snapshot.py': `test_table_name_view`,
    },
  },
  {
    why: 'ways of building that are loaded as plug-ins, and a default of Python models that became another with a version',
    tests: {
      'test_snapshot.py': `test_json_custom_materialization
        test_custom_model_kind`,
      'test_change_scenarios.py': `test_python_model_default_kind_change`,
    },
  },
  {
    why: 'which of a model’s two tables an environment reads when the model restates itself by a schedule: none does, and there is one table',
    tests: {
      'test_snapshot.py': `test_deployability_index_unpaused_auto_restatement
        test_deployability_index_auto_restatement_model`,
    },
  },
  {
    why: 'names of the tables that stand for versions of a model, by convention, pin, schema or dialect: a dataset is one table under its own name',
    tests: {
      'test_snapshot.py': `test_snapshot_table_name
        test_table_name
        test_table_name_naming_convention_table_only
        test_table_name_naming_convention_hash_md5
        test_table_naming_convention_passed_around_correctly
        test_table_naming_convention_change_reuse_previous_version
        test_physical_schema
        test_physical_version_pin
        test_qualified_view_name_with_dialect`,
    },
  },
  {
    why: 'how its state is written, compared, cached and kept, and for how long',
    tests: {
      'test_snapshot.py': `test_json
        test_tableinfo_equality
        test_ttl_ms
        test_snapshot_cache
        test_snapshot_pickle_intervals
        test_snapshot_id_and_version_fingerprint_lazy_init
        test_snapshot_id_and_version_optional_kind_name`,
    },
  },
]
