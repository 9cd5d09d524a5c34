"""A picture in a notebook that has a text alternative: JupyterLab shows plain PNG outputs without one."""

import base64
import html
from dataclasses import dataclass, field

from lab_code.workshop.mark import Mark, draw_mark


@dataclass(frozen=True)
class Picture:
    """The bytes of a PNG file, and what it shows in words."""

    png: bytes = field(repr=False)
    text: str
    mark: Mark | None = None  # of the group whose picture it is

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        data = base64.b64encode(self.png).decode("ascii")
        image = f'<img alt="{html.escape(self.text)}" src="data:image/png;base64,{data}" style="max-width:100%">'
        if self.mark is not None:
            edge = f"border-left:4px solid {self.mark.colour};padding-left:0.5em"
            image = f'<div style="{edge}"><div>{draw_mark(self.mark)}</div>{image}</div>'
        return {"text/html": image, "text/plain": self.text}
