"""The planner's side of the bus: commands go in, outcomes come out."""

from dataclasses import dataclass, field

from functional.servers import Nats, wait_for
from nats.js import JetStreamContext

from veg_contracts import subjects
from veg_contracts.envelope import Envelope, to_body, to_headers, type_name
from veg_kube_writer.outcomes import KubeCommand, Outcome
from veg_planner.bus.streams import ensure_streams

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Orders:
    """A bus with the planner's streams."""

    server: Nats
    _count: int = 0
    _read: list[Envelope] = field(default_factory=list)

    def create_streams(self) -> None:
        self.server.ask(ensure_streams)

    def give(self, *commands: KubeCommand) -> list[str]:
        """Publish in this order; the ids that the commands got."""
        made = [self._envelope(command) for command in commands]

        async def publish(js: JetStreamContext) -> None:
            for envelope in made:
                await js.publish(envelope.subject, to_body(envelope), headers=to_headers(envelope))

        self.server.ask(publish)
        return [envelope.id for envelope in made]

    def give_again(self, command_id: str, command: KubeCommand) -> None:
        """Deliver the same command once more, past the bus's window for doubles."""
        envelope = self._envelope(command, command_id)
        headers = {name: value for name, value in to_headers(envelope).items() if name != "Nats-Msg-Id"}
        self.give_raw(envelope.subject, to_body(envelope), headers)

    def give_raw(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.server.publish(subject, body, headers)

    def carried_out(self, *commands: KubeCommand) -> list[Outcome]:
        """Publish, wait for an outcome of each, and return these."""
        return [self.outcome(command_id) for command_id in self.give(*commands)]

    def outcome(self, command_id: str) -> Outcome:
        """The last outcome of that command, waited for."""
        wait_for(f"an outcome of {command_id}", lambda: bool(self.outcomes(command_id)))
        outcome: Outcome = self.outcomes(command_id)[-1].data
        return outcome

    def outcomes(self, command_id: str = "") -> list[Envelope]:
        """What the writer said so far."""
        self._read += self.server.events(len(self._read))
        return [said for said in self._read if said.data.command_id == command_id or not command_id]

    def _envelope(self, command: KubeCommand, command_id: str = "") -> Envelope:
        self._count += 1
        return Envelope(
            id=command_id or f"cmd/{self._count}",
            source="veg/planner",
            type=type_name(command),
            subject=subjects.kube_command(command.gateway),
            time="2026-01-01T00:00:00.000000Z",
            data=command,
            correlation_id="k8s/VpcEgressGateway/uid/7",
            causation_id="k8s/Pod/uid/8",
            traceparent=TRACE,
        )
