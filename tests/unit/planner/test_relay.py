"""A command as a message, and a config as a put into the bucket."""

import msgspec
import pytest
from support.simulation import GATEWAY, created

from veg_contracts.base import encode
from veg_contracts.commands import PublishConfig
from veg_contracts.envelope import Envelope, from_message, type_name
from veg_planner.bus.relay import message_of


def messages() -> list[Envelope]:
    return [
        Envelope(
            id=outgoing.id,
            source="veg/planner",
            type=type_name(outgoing.data),
            subject=outgoing.subject,
            time="2026-01-01T00:00:00Z",
            data=outgoing.data,
        )
        for outgoing in created().sent
    ]


@pytest.mark.parametrize("command", messages(), ids=lambda command: command.id)
def test_a_command_arrives_as_it_was_decided(command: Envelope) -> None:
    subject, body, headers = message_of(command)
    assert headers["Nats-Msg-Id"] == command.id
    if isinstance(command.data, PublishConfig):
        assert subject == "$KV.veg-config.default.gateway1"
        assert body == encode(command.data.config)
    else:
        assert from_message(subject, headers, body) == command


def test_no_config_is_a_removal() -> None:
    data = PublishConfig(gateway=GATEWAY, gateway_uid="u", generation=1, config=None)
    command = msgspec.structs.replace(messages()[0], data=data, type=type_name(data))
    subject, body, headers = message_of(command)
    assert (subject, body, headers["KV-Operation"]) == ("$KV.veg-config.default.gateway1", b"", "DEL")
