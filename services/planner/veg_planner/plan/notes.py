"""The notebook of one planning: every decision leaves a sentence, and every sentence ends in the report."""

from veg_contracts.intent import Step


class Notes:
    """Sentences in the order they were written. "waits" and "refused" keep a gateway from being ready."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def done(self, topic: str, text: str) -> None:
        self._steps.append(Step(topic=topic, state="done", text=text))

    def waits(self, topic: str, text: str) -> None:
        self._steps.append(Step(topic=topic, state="waits", text=text))

    def refused(self, topic: str, text: str) -> None:
        self._steps.append(Step(topic=topic, state="refused", text=text))

    def extend(self, other: "Notes") -> None:
        self._steps += other.steps

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    def of(self, *states: str) -> list[Step]:
        return [step for step in self._steps if step.state in states]
