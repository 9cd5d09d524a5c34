"""JupyterHub for this workshop: `jupyterhub -f jupyterhub_config.py`. Written by `instructor deliver hub`.

What you want otherwise belongs into `local_config.py` beside this file: it is read last, and never overwritten.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE))
from lab_hub import configure  # type: ignore[import-not-found]  # noqa: E402

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub gives it
configure(c, _HERE)
if (_HERE / "local_config.py").is_file():
    load_subconfig(str(_HERE / "local_config.py"))  # type: ignore[name-defined]  # noqa: F821
