"""What JupyterLab's page is like when `lab start` opens it: its settings, and our plugin (`jupyter_plugin.js`).

Both belong to the kit, below `.lab/`, so that nobody's own settings and extensions are touched or mix in.
"""

import hashlib
from pathlib import Path

from lab_code.files import to_json, write_whole

_PLUGIN = "lab-kit"
# Nothing asks questions in front of a class or looks for news on the network, and no notebook ends in a white page.
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"scrollPastEnd": False},
    # What is typed is soon on the disk (in seconds): Ctrl-C in the terminal ends the server without asking the page.
    "@jupyterlab/docmanager-extension/plugin": {"autosaveInterval": 3},
}


def write_settings(folder: Path) -> dict[str, str]:
    """Settings and open tabs are kept in `folder`; returns the environment that says so."""
    folders = {name: folder / name.lower() for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    for plugin, settings in _SETTINGS.items():
        path = folders["JUPYTERLAB_SETTINGS_DIR"] / f"{plugin}.jupyterlab-settings"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, to_json(settings))
    return {name: str(place) for name, place in folders.items()}


def write_plugin(folder: Path) -> Path:
    """Put our plugin where JupyterLab looks for extensions that are built already; returns that place."""
    script, place = Path(__file__).with_name("jupyter_plugin.js").read_bytes(), folder / "labextensions"
    name = f"static/plugin.{hashlib.sha256(script).hexdigest()[:12]}.js"  # a browser may keep another version
    about = {"name": _PLUGIN, "version": "1.0.0", "jupyterlab": {"_build": {"load": name, "extension": "./extension"}}}
    write_whole(place / _PLUGIN / name, script)
    write_whole(place / _PLUGIN / "package.json", to_json(about))
    return place
