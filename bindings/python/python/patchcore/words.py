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
