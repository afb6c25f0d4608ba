//! What every store must do, whichever database is behind it: each case runs against every
//! backend, and knows only the traits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod audit;
mod commits;
mod deliveries;
mod durability;
mod fixtures;
mod halts;
mod journal;
mod ledger;
mod notifications;
mod others;
mod queries;
mod records;
mod tasks;
mod vault;

macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(&crate::fixtures::Home::embedded()).await;
                }
            )*
        }
    };
}

contract! {
    notifications::what_is_planned_is_due_until_it_is_delivered_or_answered,
    notifications::pending_decisions_that_nobody_was_told_of_are_found,
    tasks::a_task_reads_back_as_written,
    tasks::a_change_leaves_what_it_does_not_name,
    tasks::a_change_needs_the_right_state,
    tasks::a_read_after_a_commit_sees_it,
    tasks::listings_filter_and_page,
    tasks::unfinished_are_ordered_by_priority,
    tasks::an_idempotency_key_makes_one_task,
    tasks::removing_a_task_removes_what_is_below,
    tasks::sweeping_removes_what_is_past_its_time,
    tasks::a_short_lived_task_takes_all_invocations_with_it,
    durability::others_on_the_machine_cannot_read_it,
    ledger::whoever_comes_at_once_no_ceiling_is_exceeded,
    ledger::a_threshold_is_told_once_per_period_and_limit,
    ledger::events_of_the_writer_are_numbered_among_the_others,
    ledger::what_is_taken_over_in_the_middle_of_a_model_call_is_booked,
    ledger::a_clients_call_that_a_stop_cut_off_is_booked_in_full,
    journal::calls_without_a_task_are_kept_for_a_day,
    journal::journals_of_finished_tasks_go_by_age,
    journal::a_journal_reads_back_in_order,
    journal::a_step_is_written_once_and_answered_once,
    journal::answers_of_one_commit_go_each_to_its_step,
    journal::steps_need_their_invocation,
    journal::steps_of_an_execution_page,
    journal::logs_are_found_newest_first,
    journal::a_lost_lease_writes_nothing,
    records::a_record_has_versions,
    records::a_declaration_changes_with_its_indexes,
    records::one_owner,
    records::full_text_finds_all_words,
    records::tenants_are_apart,
    records::names_cannot_be_sql,
    queries::conditions_compare_by_kind,
    queries::wrong_queries_say_what_is_right,
    queries::pages_cover_everything_once,
    queries::cursors_are_tied_to_their_listing,
    commits::only_the_oldest_events_are_forgotten,
    commits::one_of_many_fails_alone,
    commits::a_commit_is_all_or_nothing,
    commits::events_have_no_gap_with_many_writers,
    commits::events_are_filtered,
    commits::writes_of_one_commit_see_each_other,
    deliveries::a_delivery_is_kept_once_and_ends_once,
    deliveries::a_key_can_be_given_back,
    deliveries::ended_deliveries_are_forgotten_after_a_day,
    halts::what_is_halted_is_not_written,
    halts::halts_are_there_after_reopening,
    halts::halted_tasks_are_those_that_wait_for_the_end_of_a_halt,
    others::principals_and_tokens,
    others::installations_have_generations,
    others::packages_and_triggers,
    others::policies_have_versions,
    audit::acts_are_numbered_in_the_transaction_of_the_deed,
    audit::acts_are_found_by_who_what_when_and_for_whom,
    audit::hashes_are_kept_beside_what_they_are_of,
    audit::a_changed_act_is_told_by_its_number,
    vault::nothing_of_a_journal_can_be_read_on_disk,
    vault::a_value_is_read_only_where_it_was_written,
    vault::a_key_that_is_not_there_is_named_and_concerns_one_tenant,
    vault::erased_journals_cannot_be_read,
    vault::a_key_that_was_to_be_destroyed_is_not_used_again,
    vault::rows_from_before_read_back,
    vault::a_large_value_is_kept_once_per_tenant_and_goes_with_its_last_row,
    vault::an_end_that_comes_twice_lets_go_of_the_first,
    vault::a_step_for_another_tenant_is_refused,
    durability::everything_is_there_after_reopening,
    durability::a_second_host_is_told_who_is_there,
    durability::a_full_disk_refuses_and_loses_nothing,
    durability::a_check_writes,
}
