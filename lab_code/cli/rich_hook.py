"""What the terminal prints has no control characters but those of rich: a run's name cannot move the cursor."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from lab_code.cli.printable import strip_controls


class ControlsStripped(RenderHook):
    """Whatever is printed loses the control characters that did not come from rich itself."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Stripped(renderable) for renderable in renderables]


class _Stripped:
    """Something that rich can print, its text without control characters."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(strip_controls(segment.text), segment.style)
