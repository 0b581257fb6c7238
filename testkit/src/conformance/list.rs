//! Every check and the fault that it finds. The names are the documentation.

/// Writes the checks of one port to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __checks {
    (inventory $($to:tt)*) => { $crate::__make! { $($to)* inventory Inventory {
        inventory_names_the_same_components_twice = "ids made anew for each listing or each process: the plan's components are gone at the next look",
        inventory_says_the_same_of_each_component_twice = "an order or labels that change between two looks: the same estate plans differently",
        inventory_names_each_component_once = "two machines under one name: one of them is never patched",
        inventory_names_every_component_of_the_outside = "a component that is left out counts as gone and is never patched",
        inventory_identities_are_in_normal_form = "an identity in another spelling: one machine seen by two providers is planned as two",
        inventory_scans_are_those_of_scan = "a scan that comes with a listing and says something else than a scan of its own: the plan is made from it",
        inventory_changes_nothing = "a listing that writes",
    } } };
    (source $($to:tt)*) => { $crate::__make! { $($to)* source Source {
        source_answers_every_component_asked = "a component that is dropped from the answer, or one that nobody asked for",
        source_does_not_know_nobody = "an unknown component answered by an empty offer: it counts as fully patched",
        source_hides_nothing = "a newer version that is neither offered nor kept back with a reason",
        source_offers_start_from_what_is_there = "an offer from another version than the installed one: every plan drifts",
        source_offer_is_fresh = "an offer that is read from a cache and not from the component",
        source_says_the_same_twice = "an order that changes between two looks: the same estate plans differently",
        source_changes_nothing = "a look at the offer that fetches a catalogue anew or writes something else",
    } } };
    (scan $($to:tt)*) => { $crate::__make! { $($to)* scan Deployer {
        deployer_scan_answers_every_component_asked = "a component that is dropped from the answer, or one that nobody asked for",
        deployer_scan_does_not_know_nobody = "an unknown component answered by an empty scan: nothing installed looks like nothing to patch",
        deployer_scan_shows_what_is_there = "a scan that leaves out or misreads a version",
        deployer_scan_is_fresh = "a scan from a cache, or dated before it was made: it proves a success that is not there",
        deployer_scan_shows_what_waits_for_a_restart = "a flashed version reported as running, or not reported at all",
        deployer_scan_says_the_same_twice = "a scan of an untouched component that changes from look to look",
        deployer_scan_changes_nothing = "a scan that writes",
    } } };
    (deployer $($to:tt)*) => { $crate::__make! { $($to)* deployer Deployer {
        deployer_every_claimed_capability_has_a_check = "a capability that is claimed and that no check knows",
        deployer_unclaimed_verbs_are_unsupported = "an unclaimed verb that is taken, or refused by another kind than Unsupported",
        deployer_refresh_changes_no_version = "fetching the catalogue puts something in, or does not end",
        deployer_stage_puts_nothing_in = "fetching ahead puts something in, or does not end",
        deployer_apply_puts_in_exactly_the_planned_versions = "the newest version taken in place of the approved one",
        deployer_reboot_changes_the_boot_identity = "a restart believed without a sign that the component started anew",
        deployer_roll_back_brings_the_versions_back = "a way back that leads somewhere else",
        deployer_discard_may_be_repeated = "giving back twice fails, and a run that was interrupted never ends with an empty ledger",
    } } };
    (failure $($to:tt)*) => { $crate::__make! { $($to)* failure Deployer {
        deployer_apply_stops_at_drift = "a change between the last look and the effect that nobody notices: it goes in from a version that nobody approved",
        deployer_success_is_what_is_there_and_not_an_exit_code = "a tool's own word believed: it said done and put nothing in",
        deployer_failed_apply_is_a_failed_result = "a patch that failed reported as success, as lost, or as a broken call",
        deployer_failed_apply_names_the_patch = "a failure that does not say which patch it was: nothing can be denied to the next run",
        deployer_scan_after_a_failed_apply_shows_what_went_in = "half of an apply went in and the scan shows another half",
        deployer_lock_holder_is_a_reason_that_passes = "somebody else's lock reported as final, or ignored",
    } } };
    (operations $($to:tt)*) => { $crate::__make! { $($to)* operations Operations {
        operations_prepare_is_ready_when_it_can_begin = "something that can begin is called blocked, or holding already",
        operations_prepare_answers_every_subject = "a subject that is left out of the answer",
        operations_prepare_sees_what_already_holds = "work begun again on what is already so",
        operations_prepare_is_blocked_by_drift = "another version there than the approved `from`, and nobody stops",
        operations_prepare_changes_nothing = "a question that already acts: it has no intent in the journal",
        operations_a_begun_operation_settles = "an operation that can begin and never comes to its result",
        operations_begin_twice_has_one_effect = "a key that the target forgets: a retry after a crash patches twice",
        operations_key_with_other_content_is_refused = "a key reused for other work: somebody's result is taken for ours",
        operations_locate_of_what_never_began_finds_nothing = "no trace read as a result: what was never done counts as done",
        operations_locate_finds_a_running_one_from_a_new_process = "a running operation that is lost with our process",
        operations_locate_finds_a_settled_one_from_a_new_process = "a result that is lost with our process",
        operations_result_of_another_key_is_never_returned = "an older operation's result taken for this one's: what was never done counts as done",
        operations_handles_survive_json_and_a_new_process = "a handle or baseline that means something only in the process that made it",
        operations_settled_covers_every_subject = "a subject whose result is missing counts as lost",
        operations_partial_failure_is_told_per_subject = "one subject's failure given to another one, or one's success",
        operations_evidence_is_not_older_than_the_effect = "something seen before the effect given as its proof",
        operations_observe_ends_within_its_deadline = "observe that waits for the end of the work and holds up everybody",
        operations_running_says_when_to_ask_again = "a poll interval of nothing: the engine asks without a pause",
        operations_undo_is_the_way_back = "an undo in the wrong direction, by another verb, or by one that is not claimed",
        operations_undo_and_guarantee_are_pure = "an undo that changes from call to call: what was signed is not what is done",
        operations_guarantee_is_kept_to_one_subject = "several subjects in one operation of which only the state can be seen",
        operations_refused_means_nothing_happened = "a refusal after the work was begun",
        operations_nothing_shows_a_secret = "a secret in a handle, a baseline, a result or a debug print",
    } } };
    (probe $($to:tt)*) => { $crate::__make! { $($to)* probe Probe {
        probe_every_claimed_kind_has_a_case = "a kind that is claimed and that no check knows",
        probe_unclaimed_kind_is_unsupported = "a check that the provider does not know, answered all the same",
        probe_healthy_is_healthy = "a healthy component that holds up a rollout",
        probe_unhealthy_is_unhealthy = "a broken component called healthy",
        probe_that_cannot_run_is_an_error = "a check that could not be run called healthy",
        probe_of_nobody_is_an_error = "a component that is not there called healthy",
        probe_changes_nothing = "a check that writes",
    } } };
    (lock $($to:tt)*) => { $crate::__make! { $($to)* lock Lock {
        lock_is_given_to_one_of_many = "a look followed by a write in place of compare-and-set: two orchestrators patch one machine",
        lock_taken_again_is_the_same = "a holder that fences itself out when its first answer was lost",
        lock_names_its_holder = "whoever waits is not told for whom",
        lock_given_back_is_free_and_counts_on = "a lock that stays taken, or a count that begins anew: what was sent before is let in again",
        lock_is_given_back_by_its_holder_only = "a late call of the last holder that takes the lock from the present one",
        lock_goes_to_a_later_opening_at_once = "a crash after which a run waits for its own lock, or goes on under its old fence",
        lock_is_not_given_to_a_copy_of_the_journal = "two openings told apart by a number that a copied journal counts too",
        lock_lapses_after_its_lease = "a lock that a dead orchestrator keeps for ever, or one that is taken from a living one",
        lock_lives_by_the_calls_of_its_holder = "a lock that is lost while a long job runs and is asked after",
        lock_refuses_the_begin_of_who_lost_it = "a lock that nobody obeys: an orchestrator that slept through a takeover begins all the same",
    } } };
    (bracket $($to:tt)*) => { $crate::__make! { $($to)* bracket Bracket {
        bracket_take_is_there_and_read_back = "a silence that was only asked for: a night of alerts, or a backup that runs into the change",
        bracket_held_reads_the_target = "what the provider remembers told for what is there: a change under a silence that somebody ended",
        bracket_held_answers_every_component_asked = "a component that is dropped from the answer, or one that nobody asked for",
        bracket_take_twice_has_one_effect = "a key that the target forgets: one silence is given back, and the other stays",
        bracket_is_found_again_by_a_new_process = "what was taken before a crash is lost: a person is asked, or it is taken twice",
        bracket_undo_is_the_give_back_that_names_it = "nothing on the ledger, or another's loan: what was taken stays for ever",
        bracket_given_back_is_gone = "alerts that stay silenced after the change, and nobody knows",
        bracket_give_back_may_be_repeated = "giving back twice fails, and a run that was interrupted never ends with an empty ledger",
        bracket_of_others_stays = "the silence of somebody else ended with ours",
        bracket_change_by_others_is_a_fight = "what somebody changed on purpose is overwritten or passed over in silence",
        bracket_unclaimed_kinds_are_unsupported = "a kind that is not claimed and is taken, or refused by another kind of error than Unsupported",
        bracket_questions_change_nothing = "a question that already acts: it has no entry in the ledger",
        bracket_holds_as_long_as_asked = "a silence that ends in the middle of the change",
    } } };
    (drainer $($to:tt)*) => { $crate::__make! { $($to)* drainer Drainer {
        drainer_view_leaves_out_nobody = "a host or a machine that is not in the view: it is neither moved nor waited for",
        drainer_view_is_fresh = "a view that is remembered: what somebody else moved is where it was, and its host is restarted under it",
        drainer_migrate_moves_and_says_so_when_it_did = "a move that was only asked for: the host counts as empty, and is not",
        drainer_migrate_starts_from_where_it_is = "a machine that is moved from wherever it is: what somebody else did on purpose is undone",
        drainer_migrate_goes_only_where_a_host_stays_up = "a machine that is moved to a host that goes down next",
        drainer_migrate_twice_has_one_effect = "a key that the target forgets: a late second try moves what is somewhere else by now",
        drainer_is_found_again_by_a_new_process = "a move that is lost with our process: a person is asked, or it is begun twice",
        drainer_maintenance_needs_an_empty_host = "a host that goes into maintenance mode under its machines, or that moves or stops them itself",
        drainer_maintenance_is_entered_and_given_back = "a maintenance mode that was only asked for, or one that stays",
        drainer_a_machine_shut_down_starts_again = "a machine that stays off after its host was patched",
        drainer_a_setting_is_held_and_restored = "an automation that goes on moving machines, or one that stays off after the roll",
        drainer_undo_is_the_request_that_names_it = "nothing on the ledger, or another's loan: maintenance mode or a stopped machine stays for ever",
        drainer_give_back_may_be_repeated = "giving back twice fails, and a run that was interrupted never ends with an empty ledger",
        drainer_change_by_others_is_a_fight = "what somebody changed on purpose is overwritten or passed over in silence",
        drainer_questions_change_nothing = "a question that already acts: it has no intent in the journal",
    } } };
}

/// Makes tests, or the table, from a list of checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __make {
    (tests [$fixture:expr] $module:ident $port:ident { $($name:ident = $finds:literal,)* }) => {$(
        #[doc = concat!("Finds: ", $finds, ".")]
        #[test]
        fn $name() -> ::std::result::Result<(), $crate::NotConformant> {
            $crate::run_as_test(stringify!($name), $fixture)
        }
    )*};
    (table [] $module:ident $port:ident { $($name:ident = $finds:literal,)* }) => {
        &[$(Check {
            name: stringify!($name),
            port: Port::$port,
            finds: $finds,
            run: |bench| Box::pin($module::$name(bench)),
        },)*]
    };
}

/// Writes one `#[test]` per check of a port: `inventory`, `source`, `deployer` (with its operations), `probe`,
/// `lock`, `bracket` or `drainer`.
///
/// The second argument is an `async fn() -> Result<F, NoFixture>` that makes a fresh outside; it is called
/// once per check.
///
/// ```
/// use patchcore_testkit::{NoFixture, reference::Reference};
///
/// async fn outside() -> Result<Reference, NoFixture> {
///     Ok(Reference::new())
/// }
///
/// patchcore_testkit::conformance!(inventory, outside);
/// patchcore_testkit::conformance!(deployer, outside);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    (inventory, $fixture:expr) => {
        $crate::__checks! { inventory tests [$fixture] }
    };
    (source, $fixture:expr) => {
        $crate::__checks! { source tests [$fixture] }
    };
    (deployer, $fixture:expr) => {
        $crate::__checks! { scan tests [$fixture] }
        $crate::__checks! { deployer tests [$fixture] }
        $crate::__checks! { failure tests [$fixture] }
        $crate::__checks! { operations tests [$fixture] }
    };
    (probe, $fixture:expr) => {
        $crate::__checks! { probe tests [$fixture] }
    };
    (lock, $fixture:expr) => {
        $crate::__checks! { lock tests [$fixture] }
    };
    (bracket, $fixture:expr) => {
        $crate::__checks! { bracket tests [$fixture] }
    };
    (drainer, $fixture:expr) => {
        $crate::__checks! { drainer tests [$fixture] }
    };
}
