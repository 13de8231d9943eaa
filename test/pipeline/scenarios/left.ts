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
    why: 'environments, their expiry, promotion, previews and what is deployable between them: planning knows one lake',
    tests: {
      'test_plan.py': `test_forward_only_dev
        test_new_environment_no_changes
        test_new_environment_with_changes
        test_dev_plan_depends_past
        test_dev_plan_depends_past_non_deployable
        test_environment_previous_finalized_snapshots
        test_plan_start_when_preview_enabled
        test_unaligned_start_model_with_forward_only_preview
        test_restate_production_model_in_dev
        test_plan_environment_statements_diff
        test_environment_statements_change_allows_dev_environment_creation`,
      'test_snapshot.py': `test_add_interval_dev
        test_deployability_index
        test_deployability_index_unpaused_forward_only
        test_deployability_index_unpaused_auto_restatement
        test_deployability_index_uncategorized_forward_only_model
        test_deployability_index_auto_restatement_model
        test_deployability_index_categorized_forward_only_model
        test_deployability_index_missing_parent
        test_table_name_virtual_environment_mode`,
      'test_change_scenarios.py': `test_environment_isolation
        test_environment_promotion
        test_plan_production_environment_statements
        test_environment_statements_error_handling
        test_plan_against_expired_environment
        test_plan_environment_statements_doesnt_cause_extra_diff
        test_plan_snapshot_table_exists_for_promoted_snapshot
        test_rebase_two_changed_parents
        test_unaligned_start_snapshot_with_non_deployable_downstream`,
      'test_restatement.py': `test_restatement_plan_across_environments_snapshot_with_shared_version
        test_restatement_plan_clears_correct_intervals_across_environments
        test_prod_restatement_plan_clears_correct_intervals_in_derived_dev_tables
        test_prod_restatement_plan_clears_unaligned_intervals_in_derived_dev_tables
        test_prod_restatement_plan_causes_dev_intervals_to_be_processed_in_next_dev_plan
        test_prod_restatement_plan_causes_dev_intervals_to_be_widened_on_full_restatement_only_model
        test_prod_restatement_plan_missing_model_in_dev
        test_prod_restatement_plan_includes_related_unpromoted_snapshots
        test_dev_restatement_of_prod_model
        test_restatement_should_not_override_environment_statements
        test_restatement_plan_interval_external_visibility
        test_restatement_plan_detects_prod_deployment_during_restatement`,
    },
  },
  {
    why: 'a person chooses how a change counts, or what is reported of their choices: nobody is asked',
    tests: {
      'test_plan.py': `test_revert_to_previous_value
        test_categorized_uncategorized
        test_set_choice_for_forward_only_model
        test_user_provided_flags`,
      'test_change_scenarios.py': `test_breaking_only_impacts_immediate_children
        test_no_override`,
    },
  },
  {
    why: 'forward-only as a property of a model, and changes to its columns that are destructive or additive: the table refuses what old rows cannot follow',
    tests: {
      'test_plan.py': `test_paused_forward_only_parent
        test_forward_only_plan_allow_destructive_models
        test_forward_only_plan_allow_additive_models
        test_forward_only_model_on_destructive_change
        test_forward_only_model_on_destructive_change_no_column_types
        test_forward_only_plan_seed_models
        test_indirectly_modified_forward_only_model
        test_plan_builder_additive_change_error_blocks_plan
        test_plan_builder_additive_change_warn_allows_plan
        test_plan_builder_additive_change_allow_permits_plan
        test_plan_builder_additive_change_ignore_skips_validation
        test_plan_builder_mixed_destructive_and_additive_changes
        test_plan_builder_allow_additive_models_flag
        test_plan_builder_allow_additive_models_pattern_matching
        test_forward_only_indirect_change_to_materialized_view`,
      'test_snapshot.py': `test_has_paused_forward_only
        test_physical_version_pin_for_new_forward_only_models`,
    },
  },
  {
    why: 'models that read themselves: datasets do not',
    tests: {
      'test_plan.py': `test_add_restatements`,
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
        test_fingerprint_grants
        test_apply_auto_restatements
        test_apply_auto_restatements_disable_restatement_downstream`,
      'test_restatement.py': `test_restatement_plan_respects_disable_restatements`,
    },
  },
  {
    why: 'kinds of models that do not exist here (views, symbolic, external, Python, custom, unmanaged, seeds as models)',
    tests: {
      'test_plan.py': `test_restate_symbolic_model
        test_broken_references_external_model
        test_indirect_change_to_materialized_view_is_breaking`,
      'test_snapshot.py': `test_json_custom_materialization
        test_lookback_custom_materialization
        test_get_removal_intervals_full_history_restatement_model
        test_fingerprint_seed_model
        test_fingerprint_standalone_audits
        test_table_name_view
        test_categorize_change_seed
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
      'test_snapshot.py': `test_get_removal_intervals_warns_when_requested_range_automatically_widened
        test_get_next_auto_restatement_interval
        test_auto_restatement_triggers`,
    },
  },
  {
    why: 'schedules in a plan (cron, ready signals, starts and ends that follow the time of execution): sealing and schedules have tests of their own',
    tests: {
      'test_plan.py': `test_effective_from
        test_effective_from_non_evaluatble_model
        test_end_override_per_model
        test_plan_dates_relative_to_execution_time
        test_plan_ignore_cron_flag`,
      'test_snapshot.py': `test_get_next_model_interval_start
        test_missing_intervals_partial
        test_missing_intervals_end_bounded_with_ignore_cron
        test_missing_intervals_start_override_per_model
        test_effective_from
        test_model_custom_cron
        test_model_custom_interval_unit
        test_multi_interval_merge
        test_earliest_start_date
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
        test_snapshot_id_and_version_optional_kind_name`,
      'test_change_scenarios.py': `test_plan_repairs_unrenderable_snapshot_state
        test_creating_stage_for_first_batch_only`,
    },
  },
]
