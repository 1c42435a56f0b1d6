from __future__ import annotations

import pytest
from pydantic import ValidationError

from nodes.emit_event import EmitEventParams


@pytest.mark.parametrize("name", ["api.dataTable_emptied", "auth.user_created", "flow.published"])
def test_names_of_the_platform_cannot_be_emitted(name):
    with pytest.raises(ValidationError):
        EmitEventParams.model_validate({"name": name})


@pytest.mark.parametrize("name", ["apis.called", "shop.flow.started", "author:new"])
def test_names_that_only_resemble_them_can(name):
    assert EmitEventParams.model_validate({"name": name}).name == name
