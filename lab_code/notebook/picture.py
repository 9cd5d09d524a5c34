"""A picture in a notebook that has a text alternative: JupyterLab shows plain PNG outputs without one."""

import base64
import html
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Picture:
    """The bytes of a PNG file, and what it shows in words."""

    png: bytes = field(repr=False)
    text: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        data = base64.b64encode(self.png).decode("ascii")
        image = f'<img alt="{html.escape(self.text)}" src="data:image/png;base64,{data}" style="max-width:100%">'
        return {"text/html": image, "text/plain": self.text}
