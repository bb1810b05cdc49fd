"""Tokens of known devices: good for the user who signed in there, and for nobody else."""

from uuid import uuid4

import pytest

from infrastructure.personal_data import Wrapping
from infrastructure.security.known_devices import KnownDevices

DEVICES = KnownDevices(Wrapping(bytes(32)).blind)


def test_a_device_is_known_by_its_token_for_the_user_who_signed_in_there():
    device, user = uuid4(), uuid4()
    token = DEVICES.token(device, user)
    assert DEVICES.known(token, user) == device
    assert DEVICES.known(token, uuid4()) is None
    assert str(user) not in token
    assert token.replace(".", "").replace("-", "").replace("_", "").isalnum(), "a cookie holds it as it is"


def test_a_token_is_of_one_installation():
    device, user = uuid4(), uuid4()
    assert KnownDevices(Wrapping(bytes(31) + b"1").blind).known(DEVICES.token(device, user), user) is None


FORGERIES = [
    lambda _: "",
    lambda token: token[:-1],
    lambda token: token + "A",
    lambda token: ("B" if token[0] == "A" else "A") + token[1:],
    lambda token: token.partition(".")[0],
    lambda token: token + "=" * 100,
    lambda token: "é" + token,
    lambda _: ".",
    lambda token: token.swapcase(),
    lambda token: token + "\n",
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_forged_token_is_none(forge):
    user = uuid4()
    assert DEVICES.known(forge(DEVICES.token(uuid4(), user)), user) is None


def test_no_token_is_none():
    assert DEVICES.known(None, uuid4()) is None
