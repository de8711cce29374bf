//! The suite that every backend runs: one case per law of [`Sandbox`] and [`crate::Hand`], each on a machine with no
//! sandbox on it.
//!
//! What a backend cannot do, or an engine that is not real cannot show, it says in [`Supports`], and the suite says
//! what it leaves out for that. What no suite can show from inside one process, that sandboxes outlive the server's, is
//! each backend's own to test. Nothing is run inside that would harm a machine without any isolation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken law ends the test, by its name")]

mod bench;
mod calls;
mod echo;
mod layers;
mod life;
mod limits;
mod network;
mod outputs;
mod refusals;
mod rest;
mod servers;
mod suite;
mod tools;
mod uploads;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use self::suite::Suite;
use crate::{Gate, Sandbox};

/// Where sandboxes are made, as long as a case lasts: a data directory, and an engine where there is one.
#[async_trait]
pub trait Machine: Send + Sync {
    fn supports(&self) -> Supports;
    /// A directory of this host for the case's own files. It ends with the machine.
    fn scratch(&self) -> &Path;
    /// The backend as a server has it that starts now. Sandboxes of earlier servers are still there.
    async fn open(&self, gate: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox>;
}

/// What a backend, on the machine that it is tried on, has to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supports {
    /// Where commands may write inside. If it is not the sandbox's own, then no two machines share it.
    pub workspace: PathBuf,
    /// The directories that models are told of are there inside, and are the sandbox's own.
    pub directories: bool,
    /// Sandboxes see nothing of each other, and without a network reach nothing.
    pub apart: bool,
    /// Everything that was started inside ends with the sandbox.
    pub ends_all: bool,
    /// The next sandbox of a name knows which calls the last one was asked for.
    pub journal: bool,
    /// A sandbox can be given a way out, which a gate serves.
    pub network: bool,
    /// Layers can be made, and sandboxes stand on them.
    pub layers: bool,
    /// Sandboxes can be put away, and others begin with what they have written.
    pub rests: bool,
    /// Nothing holds what runs inside: it has whatever network there is, and so none is refused.
    pub open: bool,
    pub bounds: Bounds,
}

/// Which limits are enforced, and said to the model when it meets them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    pub memory: bool,
    pub processes: bool,
    pub disk: bool,
    pub open_files: bool,
    pub processors: bool,
}

impl Supports {
    /// All there is, but for processors, which few machines bound.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            workspace: hand_protocol::WORKSPACE.into(),
            directories: true,
            apart: true,
            ends_all: true,
            journal: true,
            network: true,
            layers: true,
            rests: true,
            open: false,
            bounds: Bounds { memory: true, processes: true, disk: true, open_files: true, processors: false },
        }
    }

    /// What an engine can show whose containers are plain processes of this host. They may write to this directory.
    #[must_use]
    pub fn of_a_fake(workspace: &Path) -> Self {
        Self {
            workspace: workspace.to_owned(),
            directories: false,
            apart: false,
            ends_all: false,
            journal: false,
            network: false,
            layers: false,
            rests: false,
            open: false,
            bounds: Bounds::default(),
        }
    }
}

macro_rules! hold {
    ($suite:ident: $($case:path),* $(,)?) => {$(
        let bench = $suite.bench().await;
        $suite.hold(stringify!($case), async move {
            $case(&bench).await;
            bench.end().await;
        }).await;
    )*};
}

/// Panics with the laws that the backend does not keep. `make` makes a machine with no sandbox on it.
pub async fn run<M: Machine + 'static>(make: impl AsyncFn() -> M) {
    let mut suite = Suite::new(make);
    let supports = suite.supports().await;
    hold! { suite:
        life::a_trial_leaves_nothing_behind,
        life::a_command_gives_what_it_prints,
        life::the_shell_keeps_its_state_between_calls,
        life::every_sandbox_is_kept_until_it_is_destroyed,
        life::what_is_destroyed_is_gone_for_all_who_had_it,
        life::destroying_one_incarnation_spares_another,
        life::a_new_sandbox_is_not_taken_for_the_last_of_its_name,
        life::what_the_ground_sets_every_command_finds_set,
        tools::tools_work_on_the_same_files,
        tools::whatever_goes_wrong_in_a_call_is_its_outcome,
        tools::long_texts_and_raw_bytes_cost_no_connection,
        calls::a_call_runs_once_however_often_it_is_asked_for,
        calls::a_call_runs_once_over_two_connections_and_after_adoption,
        calls::a_call_goes_on_when_nobody_waits,
        calls::what_became_of_calls_is_told_in_the_order_asked,
        calls::a_cancelled_call_ends_with_its_processes,
        calls::a_call_that_has_ended_is_not_changed_by_cancelling,
        calls::a_short_call_overtakes_a_long_one,
        calls::whatever_an_id_looks_like_its_call_runs_once,
        limits::no_call_outlasts_its_time,
        servers::a_later_server_finds_the_same_shell,
        servers::a_call_begun_under_one_server_ends_under_the_next,
        servers::a_lower_epoch_is_fenced_off,
        servers::the_same_epoch_may_come_again,
        servers::an_address_that_leads_elsewhere_is_not_followed,
        servers::a_connection_that_breaks_costs_no_call,
        servers::a_sandbox_that_nobody_needs_ends_itself,
        uploads::input_files_come_and_go,
        uploads::an_input_file_that_cannot_be_had_is_named,
        refusals::a_name_that_is_a_path_is_no_name,
        refusals::what_a_backend_cannot_do_it_refuses,
    }
    if suite.may("directories", supports.directories) {
        hold! { suite:
            life::the_directories_that_models_are_told_of_are_there,
            tools::an_output_too_long_for_a_result_is_left_whole_in_a_file,
            outputs::outputs_are_listed_and_fetched,
            outputs::a_large_file_comes_whole_in_pieces,
            outputs::more_than_is_listed_is_said,
            outputs::only_files_are_listed_and_no_link_is_followed,
            outputs::a_link_in_the_place_of_the_outputs_leads_nowhere,
            outputs::every_name_that_is_listed_can_be_fetched,
            uploads::input_files_show_inside_and_cannot_be_written,
            uploads::a_later_server_brings_and_takes_files_too,
            uploads::a_large_file_and_odd_names_come_in_whole,
        }
    }
    if suite.may("apart", supports.apart) {
        hold! { suite:
            life::two_sandboxes_do_not_see_each_other,
            network::without_a_way_out_nothing_is_reached,
        }
    }
    if suite.may("ends_all", supports.ends_all) {
        hold! { suite: life::what_was_left_running_ends_with_the_sandbox }
    }
    if suite.may("journal", supports.journal) {
        hold! { suite: calls::the_next_sandbox_of_a_name_repeats_no_call }
    }
    if suite.may("network", supports.network) {
        hold! { suite:
            network::whatever_a_program_connects_to_the_gate_is_told_of,
            network::the_gate_learns_of_a_sandboxs_end,
            network::a_new_gate_is_given_the_same_sockets,
            network::without_a_gate_no_sandbox_with_a_network_is_made,
        }
    }
    if suite.may("layers", supports.layers) {
        hold! { suite:
            layers::what_one_sandbox_has_installed_others_have,
            layers::the_first_layer_is_the_highest,
            layers::only_what_was_kept_is_harvested_and_only_once,
            layers::a_layer_that_cannot_be_had_is_named,
        }
    }
    if suite.may("rests", supports.rests) {
        hold! { suite:
            rest::files_outlast_a_rest_and_processes_do_not,
            rest::a_rested_sandbox_is_gone_and_its_checkpoint_is_kept,
            rest::a_checkpoint_outlasts_later_sandboxes_until_it_is_forgotten,
            rest::whoever_is_fenced_off_puts_nothing_away,
            rest::a_checkpoint_that_is_none_is_refused,
        }
    }
    let Bounds { memory, processes, disk, open_files, processors } = supports.bounds;
    if suite.may("bounds.memory", memory) {
        hold! { suite: limits::a_process_over_the_memory_is_ended_and_the_files_stay }
    }
    if suite.may("bounds.processes", processes) {
        hold! { suite: limits::too_many_processes_are_refused }
    }
    if suite.may("bounds.disk", disk) {
        hold! { suite: limits::a_full_disk_is_the_sandboxs_own }
    }
    if suite.may("bounds.open_files", open_files) {
        hold! { suite: limits::too_many_open_files_are_refused }
    }
    if suite.may("bounds.processors", processors) {
        hold! { suite: limits::processes_share_the_processors_that_they_are_given }
    }
    suite.finish();
}
