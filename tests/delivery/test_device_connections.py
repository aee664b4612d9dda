"""Connections of devices in one event loop, without sockets: who stays connected, and what is held for whom."""

from lykeion.delivery.device_sessions import MAX_GROUP_NAME
from lykeion.delivery.gateway.device_hub import groups_of


def test_a_device_is_in_groups_by_its_attribute_but_in_none_that_no_welcome_can_name() -> None:
    longest = "g" * MAX_GROUP_NAME
    assert groups_of({"groups": f" shop-3,{longest},{longest}g,,all,shop-3"}) == ("all", "shop-3", longest)
    assert groups_of({"groups": 3}) == ("all",)
    assert len(groups_of({"groups": ",".join(map(str, range(50)))})) == 16
