//! The suite that every store runs: one case per law, each on a store of its own.
//!
//! The store may be far away: a case makes few calls. What no suite can show from inside one process, that rows survive
//! a crash, is each store's own to test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken law ends the test, by its name")]

mod answers;
mod append;
mod blobs;
mod catalog;
mod concurrency;
mod documents;
mod fixture;
mod lease;
mod list;
mod nodes;
mod queue;
mod snapshot;
mod transfer;

use crate::Store;

macro_rules! hold {
    ($make:ident: $($case:path),* $(,)?) => {$(
        $case(&$make().await).await;
    )*};
}

/// Panics with the law that the store does not keep. `make` makes a store that is empty.
pub async fn run<S: Store + 'static>(make: impl AsyncFn() -> S) {
    hold! { make:
        append::rows_are_dense_and_stay_in_order,
        append::rows_come_back_as_they_went_in,
        append::a_writer_that_has_not_seen_the_head_is_refused,
        append::rows_that_are_numbered_wrong_are_refused,
        append::an_append_and_its_changes_are_written_together_or_not_at_all,
        append::the_header_tells_of_the_last_append,
        append::heads_are_told_of_the_sessions_that_exist,
        append::a_session_is_made_once_and_whole,
        append::a_deleted_session_leaves_nothing,
        lease::a_lease_has_one_owner,
        lease::only_the_epoch_that_has_the_lease_may_hold_or_release,
        lease::being_fenced_comes_before_the_conflict,
        lease::only_sessions_with_work_and_a_free_lease_are_runnable,
        nodes::a_node_joins_once_and_beats_while_it_lives,
        nodes::a_node_whose_time_is_over_is_dead_for_good,
        nodes::burying_the_expired_frees_their_leases,
        nodes::a_node_is_buried_by_its_name,
        nodes::the_owner_of_a_directory_buries_those_before_it,
        snapshot::the_newest_snapshot_is_kept,
        snapshot::a_snapshot_goes_with_its_session,
        list::processed_events_come_first_and_waiting_ones_last,
        list::pages_in_either_order_make_up_the_whole,
        list::lists_are_filtered_by_kind_thread_and_time,
        list::coverage_only_rises,
        list::an_input_is_found_after_a_position,
        documents::an_update_names_the_version_it_was_made_from,
        documents::changes_are_applied_together_or_not_at_all,
        documents::what_others_refer_to_is_not_deleted,
        documents::workspaces_and_kinds_are_apart,
        documents::settings_are_kept,
        catalog::pages_in_either_order_make_up_the_whole,
        catalog::documents_are_filtered_by_parent_time_and_archiving,
        catalog::sessions_are_filtered_by_status_and_come_with_their_summary,
        answers::an_answer_is_read_as_it_was_written,
        answers::a_first_attempt_is_refused_if_a_repetition_was_answered_since_it_began,
        answers::a_repetition_is_refused_if_anything_was_answered_since_it_began,
        answers::an_answer_is_remembered_with_its_append_or_not_at_all,
        answers::expired_answers_are_forgotten,
        answers::answers_are_forgotten_with_the_session_that_they_tell_of,
        queue::due_items_are_taken_earliest_first,
        queue::an_item_that_is_not_finished_is_due_again,
        queue::an_item_can_be_postponed,
        queue::an_item_is_enqueued_once,
        queue::an_item_is_enqueued_with_its_append_or_not_at_all,
        blobs::bytes_come_back_and_equal_bytes_have_equal_ids,
        blobs::a_stream_that_fails_leaves_nothing,
        blobs::blobs_of_other_workspaces_are_not_found,
        blobs::a_blob_is_copied_to_a_file,
        concurrency::appends_succeed_or_conflict_alone,
        concurrency::one_of_many_claims_succeeds,
        concurrency::one_of_many_attempts_at_a_request_is_answered,
        concurrency::an_item_is_given_to_one_of_many_takers,
        transfer::a_store_is_empty_until_something_is_in_it,
        transfer::records_are_imported_together_or_not_at_all,
    }
    transfer::what_is_exported_can_be_imported(&make().await, &make().await).await;
}
