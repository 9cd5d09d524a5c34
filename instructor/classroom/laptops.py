"""The laptops of the inventory, asked over SSH where their groups stand, again and again while the class works.

    laptops = Laptops(inventory)
    await laptops.follow(room.hear)         # until it is cancelled
    laptops.calls["group-3"]                # when it was heard last, and why it is not now

Each laptop is asked for itself (`lab status --json`, the record of `standing.py`), gently and within a time limit, so
one that is off, asleep or at home keeps nobody waiting. Host keys are those that `instructor deliver pin` has pinned.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from instructor.deliver.inventory import Inventory, Laptop
from instructor.deliver.laptop import Link
from instructor.deliver.supervise import Terms, everywhere
from lab_code.errors import LabError
from lab_code.workshop.reports import LARGEST
from lab_code.workshop.standing import Standing, standing_from_json

EVERY_S = 15.0
_LIMIT_S = 20.0  # for one answer; a laptop that trains takes its time

Hear = Callable[[Standing, float], object]


@dataclass(frozen=True)
class Call:
    """When a laptop has answered last (None: never so far), and why it does not now (empty: it does)."""

    heard_at: float | None = None
    fault: str = ""

    def describe(self) -> str:
        """`not heard since 14:05`; nothing while it answers, or before it was asked."""
        if not self.fault:
            return ""
        if self.heard_at is None:
            return "not heard yet"
        return f"not heard since {time.strftime('%H:%M', time.localtime(self.heard_at))}"


class Laptops:
    """All laptops of an inventory that have a group."""

    def __init__(
        self,
        inventory: Inventory,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.time,
        limit_s: float = _LIMIT_S,
    ) -> None:
        self._inventory, self._every_s, self._now, self._terms = inventory, every_s, now, Terms(limit_s=limit_s)
        self._laptops = [laptop for laptop in inventory.laptops if laptop.group]
        self.calls: dict[str, Call] = {laptop.group: Call() for laptop in self._laptops if laptop.group}

    async def follow(self, hear: Hear) -> None:
        """Ask all of them until this is cancelled, not all in the same moment; `hear` gets every answer."""
        apart_s = self._every_s / max(1, len(self._laptops))
        async with asyncio.TaskGroup() as group:  # at its end none is left behind
            for number, laptop in enumerate(self._laptops):
                group.create_task(self._follow_one(laptop, number * apart_s, hear))

    async def _follow_one(self, laptop: Laptop, wait_s: float, hear: Hear) -> None:
        while True:
            await asyncio.sleep(wait_s)
            await self.ask(laptop, hear)
            wait_s = self._every_s

    async def ask(self, laptop: Laptop, hear: Hear) -> None:
        """Ask one laptop once; what comes of it stands in `calls`."""
        (outcome,) = await everywhere([laptop], self._read, self._terms)
        assert laptop.group
        before = self.calls[laptop.group]
        if outcome.value is None:
            self.calls[laptop.group] = replace(before, fault=outcome.error)
        else:
            self.calls[laptop.group] = Call(self._now())
            hear(outcome.value, self._now())

    async def _read(self, laptop: Laptop) -> Standing:
        said = await Link(laptop, self._inventory).run_script("lab", {"root": laptop.path, "words": "status --json"})
        text = f"{said.rpartition('}')[0]}}}"
        try:
            if len(text) > LARGEST:
                raise ValueError("it says too much")
            standing = standing_from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise LabError("lab status --json does not run there", hint="instructor fleet") from error
        if standing.group != laptop.group:
            raise LabError(f"it holds the kit of {standing.group[:40]}", hint="change the inventory, or its kit")
        return standing
