//! Every planted fault, and the one check that must name it.

macro_rules! plants {
    ($($(#[$doc:meta])* $plant:ident => $check:ident,)*) => {
        /// A fault that is planted into a correct provider.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Plant { $($(#[$doc])* $plant,)* }

        /// Which check must name which fault.
        pub(crate) const PLANTS: &[(Plant, &str)] = &[$((Plant::$plant, stringify!($check)),)*];
    };
}

plants! {
    /// Every listing makes ids of its own.
    NamesMadeAnew => inventory_names_the_same_components_twice,
    /// Every second listing is the other way round.
    ListingTurnsRound => inventory_says_the_same_of_each_component_twice,
    /// One machine is listed twice.
    ListedTwice => inventory_names_each_component_once,
    /// The last machine is left out.
    MachineLeftOut => inventory_names_every_component_of_the_outside,
    /// Domain names are written as the network gives them.
    ShoutedIdentity => inventory_identities_are_in_normal_form,
    /// A scan that comes with the listing knows nothing.
    ListedScanIsEmpty => inventory_scans_are_those_of_scan,
    /// A scan that comes with the listing is one of yesterday.
    ListedScanIsOld => inventory_scans_are_those_of_scan,
    /// A listing leaves something behind.
    ListingWrites => inventory_changes_nothing,

    /// Of several components the last is dropped.
    OfferDropsAComponent => source_answers_every_component_asked,
    /// Whoever is unknown is answered by nothing on offer.
    NobodyIsFullyPatched => source_does_not_know_nobody,
    /// One patch is not spoken of.
    PatchHidden => source_hides_nothing,
    /// Every offer brings something new.
    OfferFromNothing => source_offers_start_from_what_is_there,
    /// The first offer is remembered.
    OfferFromCache => source_offer_is_fresh,
    /// Every second offer is the other way round.
    OfferTurnsRound => source_says_the_same_twice,
    /// Looking at the offer leaves something behind.
    OfferWrites => source_changes_nothing,

    /// Of several components the last is dropped.
    ScanDropsAComponent => deployer_scan_answers_every_component_asked,
    /// Whoever is unknown has nothing installed.
    NobodyIsEmpty => deployer_scan_does_not_know_nobody,
    /// One package is not scanned.
    ScanHidesAPackage => deployer_scan_shows_what_is_there,
    /// The first scan's versions are remembered.
    ScanFromCache => deployer_scan_is_fresh,
    /// A scan bears the date of an hour ago.
    ScanDatedBack => deployer_scan_is_fresh,
    /// What waits for a restart is not spoken of.
    PendingHidden => deployer_scan_shows_what_waits_for_a_restart,
    /// What waits for a restart is said to run.
    PendingCalledRunning => deployer_scan_shows_what_waits_for_a_restart,
    /// Every second scan cannot read one fact.
    ScanFlickers => deployer_scan_says_the_same_twice,
    /// A scan leaves something behind.
    ScanWrites => deployer_scan_changes_nothing,

    /// Restarts are not claimed and taken all the same.
    UnclaimedVerbTaken => deployer_unclaimed_verbs_are_unsupported,
    /// Restarts are not claimed and refused by the wrong kind of error.
    UnclaimedVerbMisnamed => deployer_unclaimed_verbs_are_unsupported,
    /// Fetching the catalogue installs what it finds.
    RefreshInstalls => deployer_refresh_changes_no_version,
    /// Fetching ahead installs what it fetched.
    StageInstalls => deployer_stage_puts_nothing_in,
    /// The newest version goes in.
    NewestGoesIn => deployer_apply_puts_in_exactly_the_planned_versions,
    /// Something more goes in than was planned.
    MoreGoesIn => deployer_apply_puts_in_exactly_the_planned_versions,
    /// What is planned goes in from whatever is there.
    DriftPassedOver => deployer_apply_stops_at_drift,
    /// `exit 0` counts as success.
    ExitCodeBelieved => deployer_success_is_what_is_there_and_not_an_exit_code,
    /// A patch that failed counts as done.
    FailureCalledDone => deployer_failed_apply_is_a_failed_result,
    /// A patch that failed counts as lost.
    FailureCalledLost => deployer_failed_apply_is_a_failed_result,
    /// A failure names no patch.
    NobodyToBlame => deployer_failed_apply_names_the_patch,
    /// After a failure everything is said to be as before.
    ScanForgetsHalf => deployer_scan_after_a_failed_apply_shows_what_went_in,
    /// A restart is reported and does not happen.
    RestartOnlySaid => deployer_reboot_changes_the_boot_identity,
    /// Rolling back takes the oldest version.
    RollBackTooFar => deployer_roll_back_brings_the_versions_back,
    /// A second discard finds nothing and calls that an error.
    DiscardOnlyOnce => deployer_discard_may_be_repeated,
    /// A lock is called final.
    LockIsFinal => deployer_lock_holder_is_a_reason_that_passes,

    /// Everything that can begin holds already.
    AlwaysHolds => operations_prepare_is_ready_when_it_can_begin,
    /// Of several subjects the last is not answered.
    SubjectNotPrepared => operations_prepare_answers_every_subject,
    /// Nothing ever holds.
    NeverHolds => operations_prepare_sees_what_already_holds,
    /// Drift is no obstacle.
    DriftIgnored => operations_prepare_is_blocked_by_drift,
    /// Drift blocks under another name.
    DriftMisnamed => operations_prepare_is_blocked_by_drift,
    /// The question acts.
    PrepareActs => operations_prepare_changes_nothing,
    /// A success is called a failure.
    SuccessCalledFailed => operations_a_begun_operation_settles,
    /// A key begins its work again each time.
    KeyForgotten => operations_begin_twice_has_one_effect,
    /// A key takes any content.
    KeyTakesAnything => operations_key_with_other_content_is_refused,
    /// An empty job folder is read as success.
    NoTraceIsDone => operations_locate_of_what_never_began_finds_nothing,
    /// A running job is not found.
    RunningNotFound => operations_locate_finds_a_running_one_from_a_new_process,
    /// A finished job is not found.
    SettledNotFound => operations_locate_finds_a_settled_one_from_a_new_process,
    /// The last result of the same component is located.
    StaleLocate => operations_result_of_another_key_is_never_returned,
    /// The last result of the same content is returned by `begin`.
    StaleBegin => operations_result_of_another_key_is_never_returned,
    /// A handle is a number in a table of the process.
    HandleOfThisProcess => operations_handles_survive_json_and_a_new_process,
    /// A baseline is a number in a table of the process.
    BaselineOfThisProcess => operations_handles_survive_json_and_a_new_process,
    /// Of several subjects the last has no result.
    SubjectNotSettled => operations_settled_covers_every_subject,
    /// One subject's failure is everybody's.
    FailureSpreads => operations_partial_failure_is_told_per_subject,
    /// One subject's success is everybody's.
    SuccessSpreads => operations_partial_failure_is_told_per_subject,
    /// The proof was seen the day before.
    OldEvidence => operations_evidence_is_not_older_than_the_effect,
    /// Observing waits for the end.
    ObserveWaits => operations_observe_ends_within_its_deadline,
    /// The next look is wanted at once.
    NoPause => operations_running_says_when_to_ask_again,
    /// The way back leads forward.
    UndoForward => operations_undo_is_the_way_back,
    /// The way back is a verb that does something else.
    UndoByDiscard => operations_undo_is_the_way_back,
    /// The way back changes from call to call.
    UndoChanges => operations_undo_and_guarantee_are_pure,
    /// Only the state of several subjects can be seen.
    StateOnlyOfMany => operations_guarantee_is_kept_to_one_subject,
    /// First it begins, then it refuses.
    RefusesAfterwards => operations_refused_means_nothing_happened,
    /// A handle carries the password.
    SecretInHandle => operations_nothing_shows_a_secret,

    /// A kind is claimed that nobody tried.
    KindUntried => probe_every_claimed_kind_has_a_case,
    /// A kind that is not known is called healthy.
    UnclaimedKindHealthy => probe_unclaimed_kind_is_unsupported,
    /// The healthy are called unhealthy.
    HealthyCalledUnhealthy => probe_healthy_is_healthy,
    /// The unhealthy are called healthy.
    UnhealthyCalledHealthy => probe_unhealthy_is_unhealthy,
    /// A check that cannot run is called healthy.
    CannotRunIsHealthy => probe_that_cannot_run_is_an_error,
    /// A component that is not there is called healthy.
    NobodyIsHealthy => probe_of_nobody_is_an_error,
    /// A check leaves something behind.
    ProbeWrites => probe_changes_nothing,

    /// A look, and then a write.
    LockLooksThenWrites => lock_is_given_to_one_of_many,
    /// Every take is a new holding.
    LockAnewEachTime => lock_taken_again_is_the_same,
    /// The holder is told as somebody.
    LockHeldBySomebody => lock_names_its_holder,
    /// What is given back stays taken.
    LockStaysTaken => lock_given_back_is_free_and_counts_on,
    /// Whoever gives back gives back whatever is held.
    LockGivenBackByAnybody => lock_is_given_back_by_its_holder_only,
    /// The next opening has to wait for the lease of the last one.
    LockWaitsForItself => lock_goes_to_a_later_opening_at_once,
    /// Whoever has the journal's name has the lock.
    LockOpenToCopies => lock_is_not_given_to_a_copy_of_the_journal,
    /// A holding never lapses.
    LockForEver => lock_lapses_after_its_lease,
    /// A holding lapses by the lease of who asks.
    LockLeaseOfTheAsker => lock_lapses_after_its_lease,
    /// Calls of the holder are no sign of life.
    LockDeafToCalls => lock_lives_by_the_calls_of_its_holder,
    /// Begin asks for no fence.
    FenceIgnored => lock_refuses_the_begin_of_who_lost_it,
    /// A fence counts while somebody holds the lock, and not after.
    FenceForgottenAfterwards => lock_refuses_the_begin_of_who_lost_it,

    /// What is taken is said to be taken.
    BracketOnlySaid => bracket_take_is_there_and_read_back,
    /// Whoever took it says that it is there.
    BracketFromMemory => bracket_held_reads_the_target,
    /// Of several components the last is dropped.
    BracketDropsAComponent => bracket_held_answers_every_component_asked,
    /// Each begin takes anew.
    BracketTakenAnew => bracket_take_twice_has_one_effect,
    /// Nothing is found again.
    BracketNotFound => bracket_is_found_again_by_a_new_process,
    /// What is taken has no way back.
    BracketWithoutUndo => bracket_undo_is_the_give_back_that_names_it,
    /// What is given back is said to be given back.
    BracketBackOnlySaid => bracket_given_back_is_gone,
    /// What is not there cannot be given back.
    BracketBackOnce => bracket_give_back_may_be_repeated,
    /// Everybody's is given back.
    BracketOfAll => bracket_of_others_stays,
    /// What somebody else ended counts as given back.
    BracketFightPassedOver => bracket_change_by_others_is_a_fight,
    /// Every kind is taken.
    BracketUnclaimedTaken => bracket_unclaimed_kinds_are_unsupported,
    /// A question takes it.
    BracketAskedIsTaken => bracket_questions_change_nothing,
    /// It is taken for half as long.
    BracketForHalf => bracket_holds_as_long_as_asked,

    /// One host is not in the view.
    HostLeftOut => drainer_view_leaves_out_nobody,
    /// The first view is remembered.
    ViewFromCache => drainer_view_is_fresh,
    /// A move is said to be done.
    MoveOnlySaid => drainer_migrate_moves_and_says_so_when_it_did,
    /// A machine is moved from wherever it is.
    MoveFromAnywhere => drainer_migrate_starts_from_where_it_is,
    /// A machine is moved to wherever it is sent.
    MoveAnywhere => drainer_migrate_goes_only_where_a_host_stays_up,
    /// Each begin moves anew.
    MovedAnew => drainer_migrate_twice_has_one_effect,
    /// Nothing is found again.
    MoveNotFound => drainer_is_found_again_by_a_new_process,
    /// What runs on a host is no obstacle.
    MaintenanceUnderMachines => drainer_maintenance_needs_an_empty_host,
    /// Maintenance mode is said to be entered.
    MaintenanceOnlySaid => drainer_maintenance_is_entered_and_given_back,
    /// A machine is said to start.
    StartOnlySaid => drainer_a_machine_shut_down_starts_again,
    /// A setting is said to be as before.
    RestoreOnlySaid => drainer_a_setting_is_held_and_restored,
    /// Maintenance mode has no way back.
    MaintenanceWithoutUndo => drainer_undo_is_the_request_that_names_it,
    /// A move is undone by the move back.
    MoveIsALoan => drainer_undo_is_the_request_that_names_it,
    /// What is not in maintenance mode cannot leave it.
    ExitOnce => drainer_give_back_may_be_repeated,
    /// A setting that somebody else changed counts as given back.
    SettingFightPassedOver => drainer_change_by_others_is_a_fight,
    /// Looking for a move that is not there begins it.
    LocateMoves => drainer_questions_change_nothing,
}
