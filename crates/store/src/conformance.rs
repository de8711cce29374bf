//! The suite that every store runs: one case per law, each on a store of its own.
//!
//! What no suite can show from inside one process, that rows survive a crash, is each store's own to test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken law ends the test, by its name")]

mod append;
mod blobs;
mod catalog;
mod concurrency;
mod documents;
mod fixture;
mod lease;
mod list;

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
        append::an_append_and_its_changes_are_written_together_or_not_at_all,
        append::the_header_tells_of_the_last_append,
        append::a_session_is_made_once_and_whole,
        append::a_deleted_session_leaves_nothing,
        lease::a_lease_has_one_owner,
        lease::only_the_epoch_that_has_the_lease_may_hold_or_release,
        lease::being_fenced_comes_before_the_conflict,
        lease::the_epoch_rises_with_the_claim_after_a_reclaim,
        lease::only_sessions_with_work_and_a_free_lease_are_runnable,
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
        blobs::bytes_come_back_and_equal_bytes_have_equal_ids,
        blobs::a_stream_that_fails_leaves_nothing,
        blobs::blobs_of_other_workspaces_are_not_found,
        blobs::a_blob_is_copied_to_a_file,
        concurrency::appends_succeed_or_conflict_alone,
    }
}
