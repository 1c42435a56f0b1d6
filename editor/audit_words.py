"""What the actions of the audit log are called."""

from __future__ import annotations

ACTIONS = {
    "flow.create": "created the flow",
    "flow.import": "imported the flow",
    "flow.duplicate": "duplicated a flow as",
    "flow.edit": "edited the flow",
    "flow.delete": "deleted the flow",
    "flow.publish": "published the flow",
    "flow.unpublish": "unpublished the flow",
    "flow.pause": "paused the flow",
    "flow.resume": "resumed the flow",
    "flow.dismiss_notice": "dismissed what was noticed about the flow",
    "flow.test": "tested the flow",
    "expression.refused": "tried an expression that is not allowed in",
    "run.start": "started the flow",
    "run.cancel": "cancelled run",
    "run.retry": "repeated run",
    "run.retry_many": "repeated",
    "run.decide": "decided an approval of run",
    "run.resolve": "settled a step of run",
    "table.create": "created the table",
    "table.change": "changed the table",
    "table.clear": "cleared the table",
    "table.delete": "deleted the table",
    "table.import": "imported rows into",
    "rows.add": "added rows to",
    "rows.change": "changed rows of",
    "rows.delete": "deleted rows of",
    "mailbox.clear": "cleared the mailbox",
    "settings.mail": "changed the mail server",
    "settings.mail_test": "sent a test email to",
    "settings.backup": "made the backup",
    "settings.retention": "changed how long runs are kept",
    "settings.hosted_pages": "changed the hosted pages",
    "key.create": "made the API key",
    "key.delete": "revoked the API key",
    "credential.create": "stored the credential",
    "credential.change": "changed the credential",
    "credential.delete": "deleted the credential",
    "user.create": "added the user",
    "user.change": "changed the user",
    "user.set_password": "set the password of",
    "user.set_roles": "set the roles of",
    "user.block": "blocked",
    "user.unblock": "unblocked",
    "user.delete": "deleted the user",
    "user.send_verification": "sent a verification link to",
    "user.send_reset": "sent a password reset link to",
    "role.create": "created the role",
    "role.change": "changed the role",
    "role.delete": "deleted the role",
    "operator.invite": "invited",
    "operator.link": "made a new link for",
    "operator.set_role": "changed the role of",
    "operator.disable": "disabled",
    "operator.enable": "enabled",
    "operator.delete": "removed",
    "operator.rename": "changed the name of",
    "operator.password": "changed the password of",
    "operator.sign_in": "signed in",
    "operator.sign_out": "signed out",
    "operator.set_up_link": "made the link to set this Pulsewire up",
    "operator.set_up": "set this Pulsewire up",
    "operator.accept": "chose a password with a link",
}
ICONS = {
    "flow": "account_tree",
    "run": "history",
    "table": "table",
    "rows": "table_rows",
    "mailbox": "inbox",
    "settings": "settings",
    "key": "key",
    "credential": "passkey",
    "user": "person",
    "role": "badge",
    "operator": "admin_panel_settings",
}
AREAS = {
    "flow": "Flows",
    "run": "Runs",
    "table": "Tables",
    "rows": "Rows",
    "mailbox": "Mailbox",
    "settings": "Settings",
    "key": "API keys",
    "credential": "Credentials",
    "user": "Users",
    "role": "Roles",
    "operator": "Operators",
}


def said(action: str) -> str:
    """Return what somebody did, to stand between their name and the target; an unknown action as it is."""
    return ACTIONS.get(action, action)


def symbol(action: str) -> str:
    """Return the icon of an action's area."""
    return ICONS.get(action.partition(".")[0], "bolt")
