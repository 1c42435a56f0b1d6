"""What goes over the wire of ``/auth``: forms in, users and refused fields out, as web clients of SuperTokens do it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.errors import BackendError, Fault
from backend.sessions import SessionView
from runtime.http.answers import Json

FORM_FIELDS = 10
WIRE_NAMES = {"email": "email", "password": "password", "first_name": "firstName", "last_name": "lastName"}
FIELD_NAMES = {wire: ours for ours, wire in WIRE_NAMES.items()}
TENANTS = ["public"]  # clients ask for a tenant; there is one


class FormField(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    value: str


class Form(BaseModel):
    """A form as clients send it; what newer ones add beside the fields is not for us, and ignored."""

    model_config = ConfigDict(strict=True)

    fields: list[FormField] = Field(alias="formFields", max_length=FORM_FIELDS)

    def values(self, *required: str, optional: Sequence[str] = ()) -> dict[str, str]:
        """Return each field's text by its name here; raises BackendError for fields that lack, repeat or are odd."""
        given: dict[str, str] = {}
        faults: list[Fault] = []
        for each in self.fields:
            name = FIELD_NAMES.get(each.id, each.id)
            if name not in (*required, *optional):
                faults.append(Fault("form.field_unknown", "This field is not known here. Remove it.", name))
            elif name in given:
                faults.append(Fault("form.field_repeated", "This field was sent twice. Send it once.", name))
            given[name] = each.value
        faults += [
            Fault("form.field_missing", "This field is missing.", name) for name in required if name not in given
        ]
        if faults:
            raise BackendError(*faults)
        return given


class NewPassword(Form):
    method: Literal["token"] = "token"
    token: str


class Verification(BaseModel):
    model_config = ConfigDict(strict=True)

    method: Literal["token"] = "token"
    token: str


class Refresh(BaseModel):
    model_config = ConfigDict(strict=True)

    refresh_token: str | None = Field(None, alias="refreshToken")


def field_error(error: BackendError) -> Json:
    """Return the answer that shows a form's faults below its fields; two of one field are told together."""
    by_field: dict[str, list[str]] = {}
    for fault in error.faults:
        field = fault.field or ""
        by_field.setdefault(WIRE_NAMES.get(field, field), []).append(fault.message)
    found = [{"id": field, "error": " ".join(messages)} for field, messages in by_field.items()]
    return Json({"status": "FIELD_ERROR", "formFields": found})


def signed_in_user(session: SessionView, fdi_versions: str | None) -> dict[str, Any]:
    """Return the user of *session* in the shape that a client of these interface versions reads.

    Those that know of several sign-in methods (1.18, and 3.0 on) get them listed; so does who names no version.
    """
    joined_ms = int(session.user_created_at.timestamp() * 1000)
    user = {"id": session.user_id, "email": session.email, "timeJoined": joined_ms, "tenantIds": TENANTS}
    if not _lists_methods(fdi_versions):
        return user
    method = {"recipeId": "emailpassword", "recipeUserId": session.user_id, "verified": session.is_verified}
    return user | {
        "isPrimaryUser": False,
        "emails": [session.email],
        "phoneNumbers": [],
        "thirdParty": [],
        "webauthn": {"credentialIds": []},
        "loginMethods": [method | {"email": session.email, "timeJoined": joined_ms, "tenantIds": TENANTS}],
    }


def profile(session: SessionView) -> dict[str, Any]:
    """Return the signed-in user as of now."""
    return {
        "id": session.user_id,
        "email": session.email,
        "emailVerified": session.is_verified,
        "roles": list(session.roles),
    }


def _lists_methods(fdi_versions: str | None) -> bool:
    known = [(int(major), int(minor)) for major, minor in re.findall(r"\b(\d{1,3})\.(\d{1,3})\b", fdi_versions or "")]
    newest = max(known, default=(3, 0))
    return (1, 18) <= newest < (2, 0) or newest >= (3, 0)
