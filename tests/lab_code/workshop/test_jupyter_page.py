"""What JupyterLab's page is told: settings that the kit brings, and a plugin of ours."""

import json
from pathlib import Path

from lab_code.workshop import jupyter_page
from lab_code.workshop.jupyter_page import write_plugin, write_settings


def test_what_is_typed_is_saved_within_seconds_and_a_groups_own_settings_stay(tmp_path: Path) -> None:
    settings = Path(write_settings(tmp_path)["JUPYTERLAB_SETTINGS_DIR"])
    path = settings / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    assert json.loads(path.read_text(encoding="utf-8"))["autosaveInterval"] <= 5
    path.write_text('{"autosaveInterval": 60}', encoding="utf-8")
    write_settings(tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"autosaveInterval": 60}


def test_the_plugin_lies_where_jupyterlab_finds_it_under_the_name_of_its_version(tmp_path: Path) -> None:
    place = write_plugin(tmp_path)
    assert write_plugin(tmp_path) == place
    (about,) = place.glob("*/package.json")
    document = json.loads(about.read_text(encoding="utf-8"))
    script = about.parent / document["jupyterlab"]["_build"]["load"]
    assert script.read_bytes() == Path(jupyter_page.__file__).with_name("jupyter_plugin.js").read_bytes()
    assert f'_JUPYTERLAB["{document["name"]}"]' in script.read_text(encoding="utf-8")
    assert len(list(script.parent.iterdir())) == 1
