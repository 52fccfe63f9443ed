"""Pictures and words: views read results and decide nothing.

======================  ========================================================================
`plots.py`              the figures by name, and all of them into a folder
`bans.py`               ban-rate curves, time to ban
`states.py`             states over time
`flows.py`              flows between states (geometry in `flow_layout.py`)
`desk.py`               desk load
`curves.py`             sums, bands and selections behind the lines; `courses.py` those of desks
`series.py`             how lines, bands and figures are drawn
`marks.py`              waves and phases on the time axis
`ticks.py`, `style.py`  numbers and dates on axes; the house look
`words.py`              numbers and names as they are written
`palette.py`            colours, dashes and sizes
`fits.py`               a fitted ladder beside its data
`result.py`             what a notebook holds: tables as attributes, figures as methods
`description.py`        a scenario in words: tables, and its ladder as a Mermaid diagram
`stress.py`             the STRESS-DES checklist (logic in `stress_model.py`, runs in `stress_run.py`)
`markdown.py`           Markdown that shows a scenario's texts as they are
======================  ========================================================================
"""
