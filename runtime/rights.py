"""Who may do what: for every method of every part of the service the role it needs, and how it is written down.

A method that is not listed is refused to everyone, as are those of a caller's transaction (``…_in``). Viewers read;
editors change flows, tables and runs; owners manage users, operators, keys, credentials and settings, and publish,
test or repeat flows that act with an owner's rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from backend.operator_values import Role
from runtime import conditions
from runtime.actors import Actor as Actor

if TYPE_CHECKING:
    from runtime.service import Service

Arguments: TypeAlias = dict[str, Any]
Condition: TypeAlias = "Callable[[Service, Actor, Arguments], None]"
Naming: TypeAlias = "Callable[[Service, Any], str]"


@dataclass(frozen=True)
class Right:
    """What a call needs and what the audit log keeps of it.

    *role* None: nobody may call it through a door. *condition* refuses for reasons that lie in the arguments, and may
    narrow them. *action* is the word in the audit log, None for calls that leave no entry; *target* is the argument
    that is named there, as *naming* calls it before the call, or *made*, an attribute of the answer. *details* are
    arguments written beside it. *is_merged*: many such calls within minutes are one entry.
    """

    role: Role | None
    action: str | None = None
    target: str | None = None
    naming: Naming | None = None
    made: str | None = None
    details: tuple[str, ...] = ()
    condition: Condition | None = None
    is_merged: bool = False
    is_quick: bool = False  # the condition reads nothing, so it may be checked in the event loop
    tells_escapes: bool = False  # that an expression tried to reach behind the values is written down
    is_value: bool = False  # an attribute that is read, not called


NOBODY = Right(None)
VIEW = Right("viewer")
EDIT = Right("editor")
OWN = Right("owner")
VALUE = Right("viewer", is_value=True)


def _flow(action: str, *details: str, condition: Condition | None = None, is_merged: bool = False) -> Right:
    return Right(
        *("editor", f"flow.{action}", "flow_id"),
        details=details,
        condition=condition,
        is_merged=is_merged,
        tells_escapes=True,
    )


def _run(action: str, condition: Condition | None = None) -> Right:
    return Right("editor", f"run.{action}", "run_id", condition=condition)


def _table(action: str) -> Right:
    return Right("editor", f"table.{action}", "table", naming=conditions.table_name)


def _rows(action: str) -> Right:
    return Right("editor", f"rows.{action}", "table", naming=conditions.table_name, is_merged=True)


TEST = Right(
    "editor",
    "flow.test",
    "flow",
    naming=conditions.flow_name,
    details=("effects",),
    condition=conditions.may_test,
    is_merged=True,
)


def _user(action: str, *details: str) -> Right:
    return Right("owner", f"user.{action}", "user", naming=conditions.user_email, details=details)


def _credential(action: str, *details: str) -> Right:
    naming = conditions.credential_name
    return Right("owner", f"credential.{action}", "credential", naming=naming, details=details)


def _role(action: str) -> Right:
    return Right("owner", f"role.{action}", "role", naming=conditions.role_name)


def _operator(action: str, *details: str, condition: Condition | None = None) -> Right:
    naming = conditions.operator_email
    return Right("owner", f"operator.{action}", "operator_id", naming=naming, details=details, condition=condition)


def _own(action: str) -> Right:
    naming = conditions.operator_email
    return Right("viewer", f"operator.{action}", "operator_id", naming=naming, condition=conditions.is_own)


RIGHTS: Mapping[str, Mapping[str, Right]] = {
    "settings": {
        "public_url": VALUE,
        "base_url": VALUE,
        "data_dir": Right("owner", is_value=True),
        "env_names": Right("editor", is_value=True),
    },
    "database": {},
    "engine": {
        "accept": Right("editor", condition=conditions.may_report, is_quick=True),
        "status": VIEW,
        "start_test": NOBODY,
        "wait": NOBODY,
        "wait_response": NOBODY,
        "wake": NOBODY,
        "cancel": NOBODY,
    },
    "flows": {
        "list": VIEW,
        "get": VIEW,
        "history_state": VIEW,
        "revision": VIEW,
        "standing": VIEW,
        "schedules": VIEW,
        "live_triggers": VIEW,
        "on_change": VIEW,
        "on_live": NOBODY,
        "check": VIEW,
        "export": VIEW,
        "versions": VIEW,
        "version": VIEW,
        "create": Right("editor", "flow.create", made="id", tells_escapes=True),
        "import_": Right("editor", "flow.import", made="id", tells_escapes=True),
        "duplicate": Right("editor", "flow.duplicate", made="id"),
        "save": _flow("edit", is_merged=True),
        "edit": _flow("edit", is_merged=True),
        "rename_node": _flow("edit", is_merged=True),
        "undo": _flow("edit", is_merged=True),
        "redo": _flow("edit", is_merged=True),
        "delete": _flow("delete"),
        "publish": _flow("publish", "queue", condition=conditions.may_publish),
        "unpublish": _flow("unpublish"),
        "pause": _flow("pause"),
        "resume": _flow("resume", "queue", condition=conditions.may_resume),
        "dismiss_notice": _flow("dismiss_notice"),
    },
    "runs": {
        "list": VIEW,
        "get": VIEW,
        "failed": VIEW,
        "item": VIEW,
        "items": VIEW,
        "start": Right("editor", "run.start", "flow_id", condition=conditions.may_start),
        "test": TEST,
        "start_test": TEST,
        "cancel": _run("cancel"),
        "cancel_many": Right("editor", "run.cancel_many", made="said", details=("flow",)),
        "retry": _run("retry", conditions.may_retry),
        "decide": Right(
            "editor", "run.decide", "run_id", details=("node", "approved"), condition=conditions.as_oneself
        ),
        "approvals": VIEW,
        "approval_links": EDIT,
        "approval": NOBODY,  # a page of its own is for those who have the link
        "decide_by_link": NOBODY,
        "retry_many": Right("editor", "run.retry_many", made="said", condition=conditions.may_retry),
        "resolve": Right(
            "editor", "run.resolve", "run_id", details=("node", "action"), condition=conditions.may_resolve
        ),
    },
    "tables": {
        "list": VIEW,
        "get": VIEW,
        "rows": VIEW,
        "count": VIEW,
        "row": VIEW,
        "export_csv": VIEW,
        "create": Right("editor", "table.create", "name"),
        "update": _table("change"),
        "clear": _table("clear"),
        "delete": _table("delete"),
        "insert": _rows("add"),
        "update_row": _rows("change"),
        "update_where": _rows("change"),
        "delete_rows_by_id": _rows("delete"),
        "delete_where": _rows("delete"),
        "import_csv": _table("import"),
        "reporting": NOBODY,
    },
    "mailbox": {
        "list": Right("editor", condition=conditions.without_secrets),
        "unread_count": Right("editor", condition=conditions.without_secrets),
        "get": Right("editor", condition=conditions.may_read_message),
        "mark_read": Right("editor", condition=conditions.may_read_message),
        "clear": Right("editor", "mailbox.clear"),
        "keep": NOBODY,
        "keeping": NOBODY,
    },
    "preferences": {
        "has_smtp": EDIT,
        "smtp_view": OWN,
        "set_smtp": Right("owner", "settings.mail"),
        "clear_smtp": Right("owner", "settings.mail"),
        "test_smtp": Right("owner", "settings.mail_test", "to"),
        "smtp": NOBODY,
    },
    "keys": {
        "list": OWN,
        "create": Right("owner", "key.create", "name", details=("role",), condition=conditions.may_grant),
        "delete": Right("owner", "key.delete", "key_id", naming=conditions.key_name),
        "verify": NOBODY,
        "role_of": NOBODY,
    },
    "credentials": {
        "list": Right("editor", condition=conditions.names_only),
        "get": OWN,
        "create": Right("owner", "credential.create", "name", details=("kind", "hosts")),
        "update": _credential("change", "hosts"),
        "delete": _credential("delete"),
        "login": NOBODY,
    },
    "users": {
        "list": OWN,
        "get": OWN,
        "create": Right("owner", "user.create", "email"),
        "update": _user("change"),
        "set_password": _user("set_password"),
        "set_roles": _user("set_roles", "names"),
        "block": _user("block"),
        "unblock": _user("unblock"),
        "delete": _user("delete"),
        "request_verification": _user("send_verification"),
        "request_reset": _user("send_reset"),
    },
    "roles": {
        "list": OWN,
        "get": OWN,
        "create": Right("owner", "role.create", "name"),
        "update": _role("change"),
        "delete": _role("delete"),
    },
    "passwords": {
        "accept_soon": OWN,
        **dict.fromkeys(("accept", "hash", "hash_soon", "verify", "verify_soon", "needs_rehash", "close"), NOBODY),
    },
    "sessions": {},  # end users' own doors use these two, never an operator
    "sign_in": {},
    "hosted": {"read": OWN, "save": Right("owner", "settings.hosted_pages")},
    "retention": {"read": VIEW, "save": Right("owner", "settings.retention"), "own_rules": VIEW, "space": OWN},
    "backups": {
        "write": Right("owner", "settings.backup", "target"),
        "download": Right("owner", "settings.backup", made="name"),
        "require_room": OWN,
        "last": OWN,
    },
    "operators": {
        "list": OWN,
        "get": OWN,
        "invite": Right("owner", "operator.invite", "email", details=("role",), condition=conditions.may_grant),
        "link_for": _operator("link"),
        "set_role": _operator("set_role", "role", condition=conditions.may_grant),
        "disable": _operator("disable"),
        "enable": _operator("enable"),
        "delete": _operator("delete"),
        "rename": _own("rename"),
        "has_owner": OWN,
        "set_up_link": Right("owner", "operator.set_up_link"),
    },
    "operator_sign_in": {"change_password": _own("password"), "link": NOBODY, "accept": NOBODY},
    "operator_sessions": {"visit": NOBODY, "visit_by": NOBODY, "touch": NOBODY, "end": NOBODY},
    "webhooks": {},  # the door that callers come through uses these two
    "causes": {},
    "standing": {"now": NOBODY, "is_known": NOBODY, "forget": NOBODY},
    "previews": {"preview": Right("editor", tells_escapes=True), "close": NOBODY},
    "audit": {"list": OWN, "actors": OWN, "actions": OWN, "add": NOBODY},
}
