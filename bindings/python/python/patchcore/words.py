"""The words of patchcore: enums whose members are strings."""

from __future__ import annotations

from enum import Enum


class _Word(str, Enum):
    """A member is its word: ``Impact.REBOOT == "reboot"``, and ``str()`` of it is the word."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(str(self.value), spec)


class ErrorKind(_Word):
    """What went wrong. Match on this, never on message text."""

    INVALID_INPUT = "invalid_input"
    NOT_FOUND = "not_found"
    AMBIGUOUS_IDENTITY = "ambiguous_identity"
    AMBIGUOUS_TOOL = "ambiguous_tool"
    CYCLE = "cycle"
    NOT_APPROVED = "not_approved"
    APPROVAL_MISMATCH = "approval_mismatch"
    APPROVAL_EXPIRED = "approval_expired"
    SELF_APPROVED = "self_approved"
    DENIED = "denied"
    PLAN_DRIFT = "plan_drift"
    RUN_OPEN = "run_open"
    JOURNAL_IN_USE = "journal_in_use"
    JOURNAL_FOREIGN = "journal_foreign"
    JOURNAL_NEWER = "journal_newer"
    JOURNAL_DAMAGED = "journal_damaged"
    DISK_FULL = "disk_full"
    BUSY = "busy"
    FENCED = "fenced"
    UNHEALTHY = "unhealthy"
    AUTHZ_DENIED = "authz_denied"
    HOST_KEY = "host_key"
    UNREACHABLE = "unreachable"
    REPO_ERROR = "repo_error"
    LOST_REBOOT = "lost_reboot"
    LOST_DIED = "lost_died"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNSUPPORTED = "unsupported"
    HOST_MANAGED_BY_PROVIDER = "host_managed_by_provider"
    PROVIDER_FAULT = "provider_fault"
    IO = "io"
    VERIFY_FAILED = "verify_failed"
    INSTALL_FAILED = "install_failed"


class PatchClass(_Word):
    """What kind of change a patch is."""

    SECURITY = "security"
    BUGFIX = "bugfix"
    ENHANCEMENT = "enhancement"
    OTHER = "other"


class Impact(_Word):
    """What applying a patch does to its component while it happens."""

    NONE = "none"
    LIVE = "live"
    SERVICE_RESTART = "service_restart"
    PARTIAL_MAINTENANCE = "partial_maintenance"
    REBOOT = "reboot"
    POWER_CYCLE = "power_cycle"


class ComponentKind(_Word):
    """What sort of thing a component is."""

    HOST = "host"
    GUEST = "guest"
    ARRAY = "array"
    CONTROLLER = "controller"
    BMC = "bmc"
    VOLUME = "volume"
    APPLIANCE = "appliance"
    ROLE_SERVICE = "role_service"
    MANAGER = "manager"
    SWITCH = "switch"


class StandingState(_Word):
    """How a run stands, in one word."""

    WORKING = "working"
    WAITING = "waiting"
    AT_REST = "at_rest"
    PARKED = "parked"
    ENDED = "ended"
    BROKEN = "broken"


class Verdict(_Word):
    """What came of a run, as its report says it."""

    DONE = "done"
    HALTED = "halted"
    CANCELLED = "cancelled"
    NEEDS_PERSON = "needs_person"
    OPEN = "open"


class Resolution(_Word):
    """What a person decides about a component that nobody else can judge."""

    ADOPT_DONE = "adopt-done"
    RETRY = "retry"
    ROLL_BACK = "roll-back"
    ABANDON = "abandon"


class Step(_Word):
    """A step that a run can be paused before."""

    TAKE = "take"
    REBOOT_FIRST = "reboot-first"
    STAGE = "stage"
    APPLY = "apply"
    REBOOT = "reboot"


class PinKind(_Word):
    """How exactly the content of a patch is fixed, where no artifact is named."""

    VERSION = "version"
    NAMES_ONLY = "names_only"
    PROVIDER_MANAGED = "provider_managed"


class IdentityKind(_Word):
    """What tells that two sightings are one component."""

    BIOS_UUID = "bios_uuid"
    MACHINE_ID = "machine_id"
    SERIAL = "serial"
    FQDN = "fqdn"


class RelationKind(_Word):
    """How one component depends on another."""

    RUNS_ON = "runs_on"
    STORED_ON = "stored_on"
    BACKED_BY = "backed_by"
    REACHED_BY = "reached_by"
    MANAGED_BY = "managed_by"
    AUTHENTICATES_BY = "authenticates_by"
    RESOLVES_BY = "resolves_by"
    DEPENDS_ON = "depends_on"
    MEMBER_OF = "member_of"


class GroupRole(_Word):
    """What the members of a redundancy group do."""

    DNS = "dns"
    DOMAIN_CONTROLLER = "domain_controller"
    CERTIFICATE_AUTHORITY = "certificate_authority"
    TIME = "time"
    DHCP = "dhcp"
    DATABASE = "database"


class WayBackKind(_Word):
    """By what a patched component gets back to where it was."""

    OLD_PACKAGES = "old_packages"
    REINSTALL = "reinstall"
    BANK = "bank"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    VENDOR = "vendor"


class BracketKind(_Word):
    """What a bracket does to the thing that it is taken from."""

    SILENCE = "silence"
    PAUSE = "pause"


class ProbeVerdict(_Word):
    """What one check saw."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class EvidenceLabel(_Word):
    """How far a claim about a verb is proven; the last is the strongest."""

    DOCUMENT_ONLY = "document_only"
    OWN_FAKE = "own_fake"
    RECORDED_CAPTURE = "recorded_capture"
    VENDOR_SCHEMA = "vendor_schema"
    INDEPENDENT_PEER = "independent_peer"
    LIVE_SYSTEM = "live_system"


class TroubleKind(_Word):
    """Trouble that the outside of a conformance suite is asked to make."""

    TOOL_LIES = "tool_lies"
    LOCK_TAKEN = "lock_taken"
    LOCK_GIVEN_BACK = "lock_given_back"
    BRACKET_ENDED = "bracket_ended"
