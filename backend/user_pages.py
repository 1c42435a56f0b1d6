"""A page of the end users: searched, filtered and sorted, quick also among a hundred thousand."""

from __future__ import annotations

import builtins
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backend.errors import BackendError, Fault
from backend.user_queries import User, folded, rows_of, users_of
from storage.tables import UserRole, UserRow

PAGE_USERS = 1_000
SEARCH_CHARS = 200
LARGEST = 2**63 - 1
DENSE = 10  # with so many more matches than are wanted, following an index finds them sooner than reading every row
FEW = 5_000  # holders of a role
SORTS: dict[str, tuple[str, ...]] = {
    "email": ("folded_email",),
    "first_name": ("first_name", "last_name"),
    "last_name": ("last_name", "first_name"),
    "created_at": ("created_at",),
    "updated_at": ("updated_at",),
    "last_login_at": ("last_login_at",),
}


@dataclass(frozen=True)
class UserPage:
    """Some users, and how many there are in all that match."""

    users: builtins.list[User]
    total: int


def page_of_users(
    session: Session,
    *,
    search: str | None,
    role_id: str | None,
    verified: bool | None,
    blocked: bool | None,
    sort: str,
    limit: int,
    offset: int,
) -> UserPage:
    """Return the users from *offset* on, and how many match.

    Raises BackendError with ``sort``, ``limit``, ``offset`` or ``search``.
    """
    _check_page(sort, limit, offset)
    where = [*_conditions(session, search, role_id, verified, blocked)]
    total = session.exec(select(sa.func.count()).select_from(UserRow).where(*where)).one()
    ids: Sequence[str] = []
    if limit and offset < total:
        is_sparse = bool(where) and total < (offset + limit) * DENSE
        keys = select(UserRow.id).where(*where).order_by(*_order(sort, by_index=not is_sparse))
        ids = session.exec(keys.limit(limit).offset(offset)).all()
    return UserPage(users_of(session, rows_of(session, ids)), total)


def _conditions(
    session: Session, search: str | None, role_id: str | None, verified: bool | None, blocked: bool | None
) -> Iterator[sa.ColumnElement[bool]]:
    if search is not None and (wanted := folded(_checked_search(search).strip())):
        yield sa.func.instr(col(UserRow.search_text), wanted) > 0  # unlike LIKE, it knows no signs that stand for any
    if verified is not None:
        yield col(UserRow.is_verified).is_(verified)
    if blocked is not None:
        yield col(UserRow.is_blocked).is_(blocked)
    if role_id is not None:
        yield _has_role(session, role_id)


def _has_role(session: Session, role_id: str) -> sa.ColumnElement[bool]:
    """Return the condition that is quick for this role: starting from those who have it, if they are few."""
    holders = select(UserRole.user_id).where(UserRole.role_id == role_id)
    few = session.exec(select(sa.func.count()).select_from(holders.limit(FEW + 1).subquery())).one() <= FEW
    return col(UserRow.id).in_(holders) if few else holders.where(UserRole.user_id == UserRow.id).exists()


def _order(sort: str, *, by_index: bool) -> Iterator[sa.ColumnElement[Any]]:
    """Yield what to sort by; not *by_index* reads the rows as they lie and sorts the few that match."""
    for key in (*SORTS[sort.removeprefix("-")], "id"):
        hidden: Any = sa.literal_column(
            f"+{UserRow.__tablename__}.{key}"
        )  # “+” changes nothing, but SQLite uses no index
        column: Any = col(getattr(UserRow, key)) if by_index else hidden
        yield column.desc() if sort.startswith("-") else column.asc()


def _check_page(sort: str, limit: int, offset: int) -> None:
    if sort.removeprefix("-") not in SORTS:
        message = f"Users are sorted by {', '.join(SORTS)}, with “-” in front for the last first."
        raise BackendError(Fault("sort.invalid", message, "sort"))
    if not 0 <= limit <= PAGE_USERS:
        raise BackendError(Fault("page.invalid", f"A page has 0 to {PAGE_USERS:,} users.", "limit"))
    if not 0 <= offset <= LARGEST:
        raise BackendError(Fault("page.invalid", "A page begins at a number from 0 on.", "offset"))


def _checked_search(search: str) -> str:
    if len(search) > SEARCH_CHARS or any(unicodedata.category(char) == "Cs" for char in search):
        message = f"A search is text of at most {SEARCH_CHARS} characters."
        raise BackendError(Fault("search.invalid", message, "search"))
    return search
