from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from backend import one_time_tokens
from backend.errors import BackendError, Conflict, NotFound
from backend.events import (
    EmailVerificationRequested,
    Event,
    PasswordResetRequested,
    UserBlocked,
    UserDeleted,
    UserRolesChanged,
)
from backend.hosted import HostedPages
from backend.passwords import Passwords
from backend.roles import Roles
from backend.sessions import Sessions
from backend.user_queries import find_user
from backend.users import User, Users
from storage.database import Database
from storage.tables import UserRow, UserSession

PASSWORD = "nine lives 9"


@pytest.fixture
def anna(users: Users, roles: Roles, fired: list[Event]) -> User:
    """A verified user with a password and one of two roles."""
    roles.create("Customer")
    roles.create("Admin")
    anna = users.create("Anna@example.com", password=PASSWORD, first_name="Anna", roles=["Customer"], is_verified=True)
    fired.clear()
    return anna


@pytest.fixture
def sessions(database: Database, clock: Callable[[], datetime]) -> Sessions:
    return Sessions(database, clock=clock)


def told(user: User, **changes: Any) -> dict[str, Any]:
    """Return what events tell of *user*."""
    fields = {"userId": UUID(user.id), "email": user.email, "emailVerified": user.is_verified, "roles": [*user.roles]}
    return fields | changes


def issued(database: Database, user: User, purpose: one_time_tokens.Purpose, now: datetime) -> str:
    with database.write() as session:
        return one_time_tokens.issue(session, find_user(session, user.id), purpose, now)


def codes(caught: pytest.ExceptionInfo[BackendError]) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in caught.value.faults]


def test_created_user_is_as_asked_for_and_reports_nothing(users: Users, roles: Roles, fired: list[Event], clock: Any):
    roles.create("Customer")

    made = users.create(" Anna@Example.com ", first_name=" Anna ", last_name="Berg", roles=["customer", "Customer"])

    assert made == User(
        id=made.id,
        email="Anna@Example.com",
        first_name="Anna",
        last_name="Berg",
        roles=("Customer",),
        is_verified=False,
        is_blocked=False,
        has_password=False,
        created_at=clock(),
        updated_at=clock(),
        last_login_at=None,
    )
    assert users.get(made.id) == users.get("anna@EXAMPLE.com") == made
    assert fired == []


def test_published_shape_never_has_the_password(anna: User):
    assert anna.as_json() == {
        "id": anna.id,
        "email": "Anna@example.com",
        "first_name": "Anna",
        "last_name": "",
        "roles": ["Customer"],
        "email_verified": True,
        "blocked": False,
        "created_at": "2024-05-03T00:00:00Z",
        "updated_at": "2024-05-03T00:00:00Z",
        "last_login_at": None,
    }
    assert anna.has_password


def test_password_is_kept_as_a_hash_alone(users: Users, anna: User, passwords: Passwords, database: Database):
    with database.read() as session:
        hashed = find_user(session, anna.id).password_hash

    assert passwords.verify(hashed, PASSWORD)
    database.dispose()
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in database.path.parent.iterdir())


def test_what_an_administrator_changes_by_hand_reports_nothing(
    users: Users, anna: User, fired: list[Event], passwords: Passwords
):
    users.update(anna.id, email="berg@example.com", first_name="A.", last_name="Berg", is_verified=True)
    users.update(anna.id, is_verified=False)
    users.set_password(anna.id, "a newer 1")
    users.set_password(anna.id, passwords.accept("a newer 2"))
    users.block(anna.id)
    fired.clear()
    users.unblock(anna.id)
    users.unblock(anna.id)

    assert fired == []


def test_roles_are_reported_once_and_only_when_they_change(users: Users, anna: User, fired: list[Event]):
    users.set_roles(anna.id, ["CUSTOMER"])
    changed = users.set_roles(anna.id, ["Customer", "Admin"])
    users.set_roles(anna.id, ["Admin", "Customer", "admin"])
    users.set_roles(anna.id, [])

    assert changed.roles == ("Admin", "Customer")
    assert fired == [
        UserRolesChanged(**told(anna, roles=["Admin", "Customer"])),
        UserRolesChanged(**told(anna, roles=[])),
    ]


def test_block_is_reported_once(users: Users, anna: User, fired: list[Event]):
    users.block(anna.id)
    users.block(anna.id)

    assert users.get(anna.id).is_blocked
    assert fired == [UserBlocked(**told(anna))]


def test_deleted_user_is_reported_as_it_was(users: Users, anna: User, fired: list[Event]):
    users.delete(anna.id)

    assert fired == [UserDeleted(**told(anna))]
    with pytest.raises(NotFound, match="no such user"):
        users.get(anna.id)
    with pytest.raises(NotFound):
        users.delete(anna.id)
    assert len(fired) == 1


def test_verification_request_carries_a_token_that_works(
    users: Users, anna: User, fired: list[Event], database: Database, clock: Any
):
    users.update(anna.id, is_verified=False)

    users.request_verification(anna.id)

    (event,) = fired
    assert isinstance(event, EmailVerificationRequested)
    link = f"https://flows.example.com/verify-email?token={event.token}"
    assert event == EmailVerificationRequested(**told(anna, emailVerified=False), token=event.token, link=link)
    with database.write() as session:
        assert one_time_tokens.consume(session, event.token, "verify", clock()) == anna.id


def test_reset_request_carries_a_token_that_works(
    users: Users, anna: User, fired: list[Event], database: Database, clock: Any
):
    users.request_reset("ANNA@example.com")

    (event,) = fired
    assert isinstance(event, PasswordResetRequested)
    link = f"https://flows.example.com/set-new-password?token={event.token}"
    assert event == PasswordResetRequested(**told(anna), token=event.token, link=link)
    with database.write() as session:
        assert one_time_tokens.consume(session, event.token, "reset", clock()) == anna.id


def test_there_is_no_link_while_the_hosted_pages_are_off(
    users: Users, anna: User, fired: list[Event], hosted: HostedPages
):
    hosted.save(replace(hosted.read(), is_on=False))

    users.request_reset(anna.id)

    assert isinstance(fired[0], PasswordResetRequested)
    assert fired[0].token
    assert fired[0].link is None


@pytest.mark.parametrize(
    ("prepare", "ask", "code"),
    [
        (None, Users.request_verification, "user.is_verified"),
        (Users.block, Users.request_reset, "user.is_blocked"),
        (
            lambda users, user: (users.update(user, is_verified=False), users.block(user)),
            Users.request_verification,
            "user.is_blocked",
        ),
    ],
    ids=["verified already", "blocked, reset", "blocked, verification"],
)
def test_mail_that_would_be_of_no_use_is_refused(
    users: Users, anna: User, fired: list[Event], prepare: Any, ask: Any, code: str
):
    if prepare is not None:
        prepare(users, anna.id)
    fired.clear()

    with pytest.raises(Conflict) as caught:
        ask(users, anna.id)

    assert codes(caught) == [(code, None)]
    assert fired == []


@pytest.mark.parametrize(
    ("change", "is_ended"),
    [
        (lambda users, user: users.set_password(user, "another 1"), True),
        (Users.block, True),
        (Users.delete, True),
        (lambda users, user: users.update(user, first_name="A."), False),
        (lambda users, user: users.set_roles(user, ["Admin"]), False),
    ],
    ids=["password", "block", "delete", "name", "roles"],
)
def test_sessions_end_where_the_user_may_not_go_on(
    users: Users, anna: User, sessions: Sessions, database: Database, change: Any, is_ended: bool
):
    other = users.create("ben@example.com")
    held, others = sessions.create(anna.id, with_csrf=False), sessions.create(other.id, with_csrf=False)

    change(users, anna.id)

    assert (sessions.check(held.access) is None) == is_ended
    assert sessions.check(others.access) is not None
    with database.read() as session:
        assert len(session.exec(select(UserSession)).all()) == (1 if is_ended else 2)


def test_session_has_the_new_roles_at_once(users: Users, anna: User, sessions: Sessions):
    tokens = sessions.create(anna.id, with_csrf=False)

    users.set_roles(anna.id, ["Admin"])

    view = sessions.check(tokens.access)
    assert view is not None
    assert [*view.roles] == ["Admin"]


@pytest.mark.parametrize(
    ("change", "is_void"),
    [
        (lambda users, user: users.update(user, email="berg@example.com"), True),
        (lambda users, user: users.set_password(user, "another 1"), True),
        (lambda users, user: (users.block(user), users.unblock(user)), True),
        (Users.delete, True),
        (lambda users, user: users.update(user, email="ANNA@example.com"), False),
        (lambda users, user: users.update(user, last_name="Berg"), False),
        (lambda users, user: users.set_roles(user, []), False),
    ],
    ids=["address", "password", "block", "delete", "case of the address", "name", "roles"],
)
@pytest.mark.parametrize("purpose", ["verify", "reset"])
def test_tokens_are_void_once_they_could_be_in_other_hands(
    users: Users, anna: User, database: Database, clock: Any, change: Any, is_void: bool, purpose: Any
):
    token = issued(database, anna, purpose, clock())

    change(users, anna.id)
    if is_void and change is not Users.delete:  # not even the old address brings it back
        users.update(anna.id, email="anna@example.com")

    with database.write() as session:
        assert (one_time_tokens.consume(session, token, purpose, clock()) is None) == is_void


def test_another_address_has_to_be_verified_anew(users: Users, anna: User):
    same = users.update(anna.id, email="ANNA@example.com")
    moved = users.update(anna.id, email="berg@example.com")
    known = users.update(anna.id, email="anna.berg@example.com", is_verified=True)

    assert (same.email, same.is_verified) == ("ANNA@example.com", True)
    assert (moved.email, moved.is_verified) == ("berg@example.com", False)
    assert (known.email, known.is_verified) == ("anna.berg@example.com", True)
    with pytest.raises(NotFound):
        users.get("anna@example.com")


@pytest.mark.parametrize(
    "spelled",
    [
        "anna@example.com",
        "ANNA@EXAMPLE.COM",
        "ａｎｎａ@example.com",
        "anna＠example.com",
        "anna@example。com",
        "\u00a0anna@example.com",
    ],
    ids=["lower", "upper", "full width", "full-width at", "ideographic full stop", "no-break space"],
)
def test_one_address_is_one_account_however_it_is_spelled(users: Users, anna: User, fired: list[Event], spelled: str):
    ben = users.create("ben@example.com")

    with pytest.raises(Conflict) as created:
        users.create(spelled)
    with pytest.raises(Conflict) as changed:
        users.update(ben.id, email=spelled)

    assert codes(created) == codes(changed) == [("user.email_taken", "email")]
    assert users.get(spelled).id == anna.id
    assert users.get(ben.id).email == "ben@example.com"
    assert (users.list().total, fired) == (2, [])


def test_umlaut_domain_is_found_in_both_spellings(users: Users):
    made = users.create("anna@müller.example")

    assert made.email == "anna@xn--mller-kva.example"
    assert users.get("anna@MÜLLER.example") == users.get("anna@xn--mller-kva.example") == made


@pytest.mark.parametrize(
    "email",
    [
        "",
        "anna",
        "anna@",
        "@example.com",
        "anna@exa mple.com",
        "anna@example.com, ben@example.com",
        "Anna <anna@example.com>",
        "<anna@example.com>",
        "anna@example.com\r\nBcc: eve@example.com",
        "anna\0@example.com",
        "anna\ud800@example.com",
        "ann\u0430@example.com",  # a Cyrillic letter
        "a@" + "x" * 250 + ".com",
        "x" * 1_000_000,
        None,
        7,
        ["anna@example.com"],
    ],
)
def test_what_is_not_one_address_is_refused(users: Users, anna: User, email: Any):
    with pytest.raises(BackendError) as caught:
        users.create(email)

    assert codes(caught) == [("user.email_invalid", "email")]
    assert users.list().total == 1
    if email is not None:
        with pytest.raises(BackendError, match="not exactly one address"):
            users.update(anna.id, email=email)


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "a\0b", "\ud800", 7, "a\u2028b"])
def test_odd_names_are_refused_with_everything_else_that_is_wrong(users: Users, name: Any):
    with pytest.raises(BackendError) as caught:
        users.create("anna", first_name=name, last_name=name, roles=["Nobody"])

    assert codes(caught) == [
        ("user.email_invalid", "email"),
        ("user.name_invalid", "first_name"),
        ("user.name_invalid", "last_name"),
        ("user.role_unknown", "roles"),
    ]


@pytest.mark.parametrize("name", ["", "Zoë 😀", "<b>O'Neil</b>", "__proto__", "x" * 100, "=1+1"])
def test_any_printable_name_is_only_a_name(users: Users, name: str):
    assert users.create("a@example.com", first_name=name).first_name == name


def test_weak_password_is_refused_before_anything_is_written(users: Users, anna: User, fired: list[Event]):
    with pytest.raises(BackendError) as created:
        users.create("ben@example.com", password="password1")
    with pytest.raises(BackendError) as set_again:
        users.set_password(anna.id, "short")

    assert codes(created) == [("password.common", "password")]
    assert codes(set_again) == [("password.too_short", "password"), ("password.no_digit", "password")]
    assert users.list().total == 1


@pytest.mark.parametrize("names", [["Nobody"], ["Customer", "Nobody"], [7], "Nobody", ["\ud800"], ["x" * 10_000]])
def test_unknown_role_is_refused_naming_those_there_are(users: Users, anna: User, fired: list[Event], names: Any):
    for ask in (lambda: users.set_roles(anna.id, names), lambda: users.create("b@example.com", roles=names)):
        with pytest.raises(BackendError, match=r"There are: Admin, Customer\.") as caught:
            ask()
        assert codes(caught) == [("user.role_unknown", "roles")]
        str(caught.value).encode()
        assert len(str(caught.value)) < 300

    assert users.get(anna.id).roles == ("Customer",)
    assert fired == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nobody@example.com",
        "00000000-0000-0000-0000-000000000000",
        "\0",
        "\ud800@example.com",
        "x" * 1_000_000,
        "@",
        None,
        7,
    ],
)
def test_unknown_user_is_told_by_every_call(users: Users, anna: User, fired: list[Event], name: Any):
    calls: list[Callable[[Any], object]] = [
        users.get,
        users.update,
        users.block,
        users.unblock,
        users.delete,
        users.request_reset,
        users.request_verification,
        lambda user: users.set_roles(user, []),
        lambda user: users.set_password(user, PASSWORD),
    ]

    for call in calls:
        with pytest.raises(NotFound, match="no such user"):
            call(name)

    assert fired == []
    assert users.get(anna.id) == anna


def test_change_that_changes_nothing_leaves_the_time(users: Users, anna: User, clock: Any):
    clock.now += timedelta(hours=1)

    users.update(anna.id)
    users.update(anna.id, email="Anna@example.com", first_name="Anna", last_name="", is_verified=True)
    users.set_roles(anna.id, ["Customer"])
    users.unblock(anna.id)
    assert users.get(anna.id) == anna

    assert users.update(anna.id, first_name="").updated_at == datetime(2024, 5, 3, 1, tzinfo=UTC)


def test_flow_says_itself_where_its_events_go(
    users: Users, anna: User, fired: list[Event], database: Database, recorder: Any
):
    heard: list[Event] = []

    def record(_session: object, event: Event) -> None:
        heard.append(event)

    with database.write() as session:
        users.update_in(session, anna.id, is_verified=False)
        users.set_roles_in(session, anna.id, ["Admin"], record=record)
        users.request_verification_in(session, anna.id, record=record)
        users.request_reset_in(session, anna.id, record=record)
        users.block_in(session, anna.id, record=record)
        users.delete_in(session, anna.id, record=record)
    recorder.committed()

    assert [type(event) for event in heard] == [
        UserRolesChanged,
        EmailVerificationRequested,
        PasswordResetRequested,
        UserBlocked,
        UserDeleted,
    ]
    assert fired == []


def test_rollback_takes_everything_back(users: Users, anna: User, database: Database):
    def work() -> None:
        with database.write() as session:
            users.delete_in(session, anna.id)
            users.create_in(session, "ben@example.com")
            raise RuntimeError("the step failed")

    with pytest.raises(RuntimeError):
        work()

    assert users.list().users == [anna]


def test_deleting_leaves_nothing_of_the_user(
    users: Users, anna: User, sessions: Sessions, database: Database, clock: Any
):
    sessions.create(anna.id, with_csrf=True)
    issued(database, anna, "reset", clock())

    users.delete(anna.id)

    with database.read() as session:
        tables = ("account", "account_role", "user_session", "refresh_token", "one_time_token")
        left = [session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables]
    assert left == [0, 0, 0, 0, 0]


def test_engine_is_told_after_each_commit(users: Users, fired: Any):
    users.create("anna@example.com")
    users.block("anna@example.com")

    assert fired.pokes == 2
    with pytest.raises(NotFound):
        users.block("nobody@example.com")
    assert fired.pokes == 2


def test_row_holds_no_password_in_clear(users: Users, anna: User, database: Database):
    with database.read() as session:
        row = session.exec(select(UserRow)).one()

    assert str(row.password_hash).startswith("$argon2id$v=19$")
    assert PASSWORD not in repr(row)
