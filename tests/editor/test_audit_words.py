from __future__ import annotations

from editor.audit_words import ACTIONS, AREAS, ICONS
from runtime.rights import RIGHTS


def test_every_action_that_is_written_down_has_its_words():
    actions = {right.action for part in RIGHTS.values() for right in part.values() if right.action}

    assert actions <= ACTIONS.keys()


def test_every_area_of_the_log_has_a_name_and_an_icon():
    areas = {action.partition(".")[0] for action in ACTIONS}

    assert areas == AREAS.keys() == ICONS.keys()
