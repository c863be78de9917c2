"""For people: Dashboard(engine) and what one browser session sees. The only door to panel, bokeh and holoviews."""
