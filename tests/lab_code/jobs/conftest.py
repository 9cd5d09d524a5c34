"""One server with a real Slurm for all tests here, and kits whose servers.yaml names it."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import KitOnDisk
from tests.far_server import FarServer, make_far_server, why_no_server
from tests.warm_environment import warm_environment

TINY = ("trainer.epochs=2", "model.width=2", "data.image_size=16", "trainer.threads=1", "trainer.device=cpu")


@pytest.fixture(scope="session")
def far() -> Iterator[FarServer]:
    """A server that is switched on, whose programs begin warm; whoever harms it puts it right."""
    if why := why_no_server(slurm=True):
        pytest.skip(why)
    server = make_far_server(slurm=True)
    try:
        with warm_environment() as server.environment:
            yield server
    finally:
        server.tidy()


@pytest.fixture
def name_server(far: FarServer, kit: KitOnDisk) -> Callable[..., KitOnDisk]:
    """The kit with a server of this name, and changes to what servers.yaml says of it."""

    def name(server: str = "box", **changes: object) -> KitOnDisk:
        path = kit.root / "servers.yaml"
        known = json.loads(path.read_text(encoding="utf-8"))["servers"] if path.exists() else {}
        known[server] = far.entry(folder=str(far.home / kit.root.parent.parent.name), **changes)
        path.write_text(json.dumps({"servers": known}), encoding="utf-8")  # JSON is YAML
        return kit

    return name
