"""`panel serve app.py`: the dashboard over an engine of this process. `marketstream serve` adds the API."""

from __future__ import annotations

import panel as pn

from marketstream.dashboard.server import local_dashboard

pn.state.as_cached("marketstream", local_dashboard).page().servable()
