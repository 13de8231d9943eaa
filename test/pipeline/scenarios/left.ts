import type { Origin } from './scenario.ts'

/**
 * Tests of SQLMesh (github.com/TobikoData/sqlmesh, Apache-2.0) that were looked at and are about something that limn's planning does
 * not have, with the reason. Together with the restated ones they are all of the four files.
 */
export const left: readonly {
  readonly why: string
  readonly tests: Partial<Readonly<Record<Origin['file'], string>>>
}[] = [
  {
    why: 'statements that belong to an environment: there are none, a model is one SELECT',
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
    why: 'previews of changes for new intervals only, and which of a model’s two tables an environment reads: a dataset has one table in each environment, and nothing is built beside what was asked for',
    tests: {
      'test_plan.py': `test_plan_start_when_preview_enabled
        test_unaligned_start_model_with_forward_only_preview`,
      'test_snapshot.py': `test_deployability_index_unpaused_forward_only
        test_deployability_index_uncategorized_forward_only_model
        test_deployability_index_missing_parent`,
      'test_change_scenarios.py': `test_unaligned_start_snapshot_with_non_deployable_downstream
        test_plan_snapshot_table_exists_for_promoted_snapshot`,
      'test_restatement.py': `test_prod_restatement_plan_includes_related_unpromoted_snapshots`,
    },
  },
  {
    why: 'what others see while a restatement is at work: nothing of a run is seen before it publishes, which the suites of crashes and of concurrency hold at every step',
    tests: {
      'test_restatement.py': `test_restatement_plan_interval_external_visibility`,
    },
  },
  {
    why: 'how a change counts, by choice or by category (forward-only, paused, indirect), and what is reported of choices: rows decide here, and nobody is asked',
    tests: {
      'test_plan.py': `test_revert_to_previous_value
        test_categorized_uncategorized
        test_set_choice_for_forward_only_model
        test_user_provided_flags
        test_paused_forward_only_parent
        test_indirectly_modified_forward_only_model`,
      'test_snapshot.py': `test_has_paused_forward_only`,
      'test_change_scenarios.py': `test_breaking_only_impacts_immediate_children
        test_no_override`,
    },
  },
  {
    why: 'models that read themselves: datasets do not',
    tests: {
      'test_plan.py': `test_add_restatements
        test_dev_plan_depends_past
        test_dev_plan_depends_past_non_deployable`,
      'test_snapshot.py': `test_incremental_time_self_reference
        test_is_valid_start`,
      'test_change_scenarios.py': `test_unaligned_start_snapshots
        test_annotated_self_referential_model`,
    },
  },
  {
    why: 'statements and macros around models: a model is one SELECT',
    tests: {
      'test_snapshot.py': `test_json_with_grants
        test_fingerprint_jinja_macros
        test_fingerprint_jinja_macros_global_objs
        test_fingerprint_virtual_properties
        test_fingerprint_grants`,
    },
  },
  {
    why: 'kinds of models that do not exist here (views, symbolic, external, Python, custom, unmanaged, seeds as models)',
    tests: {
      'test_plan.py': `test_restate_symbolic_model
        test_broken_references_external_model
        test_indirect_change_to_materialized_view_is_breaking
        test_forward_only_indirect_change_to_materialized_view
        test_effective_from_non_evaluatble_model`,
      'test_snapshot.py': `test_json_custom_materialization
        test_lookback_custom_materialization
        test_fingerprint_standalone_audits
        test_table_name_view
        test_qualified_view_name
        test_qualified_view_name_with_dialect
        test_external_model_audits
        test_custom_model_kind`,
      'test_change_scenarios.py': `test_python_model_default_kind_change
        test_indirect_non_breaking_view_is_updated_with_new_table_references`,
    },
  },
  {
    why: 'restatements that happen by themselves, or that a model forbids: restating is asked for by name',
    tests: {
      'test_plan.py': `test_disable_restatement`,
      'test_snapshot.py': `test_get_next_auto_restatement_interval
        test_auto_restatement_triggers
        test_apply_auto_restatements
        test_apply_auto_restatements_disable_restatement_downstream
        test_deployability_index_unpaused_auto_restatement
        test_deployability_index_auto_restatement_model`,
      'test_restatement.py': `test_restatement_plan_respects_disable_restatements`,
    },
  },
  {
    why: 'schedules in a plan (cron, ready signals, starts and ends that follow the time of execution): sealing and schedules have tests of their own',
    tests: {
      'test_plan.py': `test_end_override_per_model
        test_plan_dates_relative_to_execution_time
        test_plan_ignore_cron_flag`,
      'test_snapshot.py': `test_get_next_model_interval_start
        test_missing_intervals_end_bounded_with_ignore_cron
        test_model_custom_cron
        test_missing_intervals_end_override_per_model
        test_check_ready_intervals
        test_render_signal`,
    },
  },
  {
    why: 'how state is named, stored, pinned and cached',
    tests: {
      'test_snapshot.py': `test_json
        test_tableinfo_equality
        test_snapshot_table_name
        test_table_name_naming_convention_table_only
        test_table_name_naming_convention_hash_md5
        test_table_naming_convention_passed_around_correctly
        test_table_naming_convention_change_reuse_previous_version
        test_physical_schema
        test_table_name
        test_display_name
        test_ttl_ms
        test_snapshot_cache
        test_snapshot_pickle_intervals
        test_physical_version_pin
        test_partitioned_by_roundtrip
        test_snapshot_id_and_version_fingerprint_lazy_init
        test_snapshot_id_and_version_optional_kind_name
        test_table_name_virtual_environment_mode
        test_physical_version_pin_for_new_forward_only_models`,
      'test_change_scenarios.py': `test_plan_repairs_unrenderable_snapshot_state
        test_creating_stage_for_first_batch_only`,
    },
  },
]
